"""CPU time that Linux control groups grant to this process, as containers and batch systems set it."""

import math
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

PROC = Path("/proc/self")


def cpu_quota(proc: Path = PROC) -> int | None:
    """Processors that the tightest CPU quota of this process allows, rounded up; None without a quota.

    Every group that contains the process may have a quota, in version 2 (``cpu.max``) and in version 1
    (``cpu.cfs_quota_us``).

    Parameters
    ----------
    proc : path
        Folder with the files ``cgroup`` and ``mountinfo`` of the process.
    """
    try:
        groups = _groups(_text(proc / "cgroup"))
        mounts = list(_mounts(_text(proc / "mountinfo")))
    except OSError:  # not Linux, or no /proc
        return None
    limits = [
        limit
        for version, root, mount_point in mounts
        if version in groups
        for folder in _folders(groups[version], root, mount_point)
        if (limit := _limit(folder)) is not None
    ]
    return max(1, math.ceil(min(limits))) if limits else None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="surrogateescape")


def _groups(text: str) -> dict[int, str]:
    """The group of the process by version, from lines "number:controllers:path"."""
    groups = {}
    for line in text.splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            groups[2] = path
        elif "cpu" in controllers.split(","):
            groups[1] = path
    return groups


def _mounts(text: str) -> Iterator[tuple[int, str, Path]]:
    """Version, root and mount point of each hierarchy that may hold CPU quotas."""
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        root, mount_point = (re.sub(r"\\([0-7]{3})", _unescaped, field) for field in left.split()[3:5])
        kind, *_, options = right.split()
        if kind == "cgroup2":
            yield 2, root, Path(mount_point)
        elif kind == "cgroup" and "cpu" in options.split(","):
            yield 1, root, Path(mount_point)


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 8))


def _folders(group: str, root: str, mount_point: Path) -> Iterator[Path]:
    """The folders of a group and of the groups around it, as far as the mount shows them."""
    path = PurePosixPath(group)
    inner = path.relative_to(root) if path.is_relative_to(root) and ".." not in path.parts else PurePosixPath()
    folder = mount_point / inner
    while True:
        yield folder
        if folder == mount_point:
            return
        folder = folder.parent


def _limit(folder: Path) -> float | None:
    """The quota of one group in processors; None if it has none, or it cannot be read."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = _text(folder / "cpu.max").split()
        else:
            quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        limit = float(quota) / float(period)  # ValueError for "max"
    except (OSError, ValueError, ZeroDivisionError):
        return None
    return limit if limit > 0.0 else None  # -1 means no limit in version 1
