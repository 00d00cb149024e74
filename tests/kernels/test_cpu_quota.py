"""CPU quotas of control groups, as Linux writes them, bound the default number of threads."""

import re

import pytest

from trpo_fast import get_num_threads, set_num_threads
from trpo_fast._core import threads
from trpo_fast._core.cpu_quota import cpu_quota


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def process(folder, cgroup, mounts):
    """The /proc/self of a process: mounts are (root, mount point, "cgroup2 cgroup2 rw")."""
    write(folder / "cgroup", cgroup)
    lines = [f"{30 + i} 25 0:{i} {root} {point} rw,nosuid shared:{i} - {rest}" for i, (root, point, rest) in mounts]
    write(folder / "mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + "\n".join(lines) + "\n")
    return folder


V2, V1 = "cgroup2 cgroup2 rw,nsdelegate", "cgroup cgroup rw,cpu,cpuacct"


def v2(tmp_path, group, quotas, root="/", at="sys"):
    point = tmp_path / at
    point.mkdir()
    for name, text in quotas.items():
        write(point / name / "cpu.max", text)
    escaped = re.sub(" ", r"\\040", str(point))
    return process(tmp_path / "proc", f"0::{group}\n", enumerate([(root, escaped, V2)]))


@pytest.mark.parametrize(
    ("group", "quotas", "expected"),
    [
        ("/", {".": "200000 100000\n"}, 2),  # a container with its own namespace
        ("/", {".": "250000 100000\n"}, 3),  # rounded up
        ("/", {".": "1000 100000\n"}, 1),
        ("/", {".": "150000 50000\n"}, 3),  # another period
        ("/", {".": "max 100000\n"}, None),
        ("/", {}, None),  # the root group has no file
        ("/a/b", {"a/b": "max 100000\n", "a": "400000 100000\n"}, 4),  # a group around it
        ("/a/b", {"a/b": "300000 100000\n", "a": "700000 100000\n"}, 3),
        ("/a/b", {"a/b": "900000 100000\n", "a": "100001 100000\n"}, 2),
        ("/a/b", {"a": "500000 100000\n", "a/c": "100000 100000\n"}, 5),  # not its neighbour's
        ("/../other", {".": "600000 100000\n", "../other": "100000 100000\n"}, 6),  # outside the namespace
        ("/a", {"a": "nonsense\n"}, None),
        ("/a", {"a": ""}, None),
    ],
)
def test_version_2(tmp_path, group, quotas, expected):
    assert cpu_quota(v2(tmp_path, group, quotas)) == expected


def test_a_mount_that_shows_a_part_of_the_hierarchy(tmp_path):
    proc = v2(tmp_path, "/docker/17/job", {"job": "max 100000\n", ".": "200000 100000\n"}, root="/docker/17")
    assert cpu_quota(proc) == 2


def test_a_mount_point_with_a_space(tmp_path):
    assert cpu_quota(v2(tmp_path, "/", {".": "300000 100000\n"}, at="control groups")) == 3


@pytest.mark.parametrize(
    ("quota", "period", "expected"),
    [("150000", "100000", 2), ("-1", "100000", None), ("50000", "100000", 1), ("800000", "0", None)],
)
def test_version_1(tmp_path, quota, period, expected):
    write(tmp_path / "cpu" / "job" / "cpu.cfs_quota_us", f"{quota}\n")
    write(tmp_path / "cpu" / "job" / "cpu.cfs_period_us", f"{period}\n")
    cgroup = "4:memory:/other\n1:cpuacct,cpu:/slurm/job\n0::/\n"
    mounts = [("/other", tmp_path / "memory", "cgroup cgroup rw,memory"), ("/slurm", tmp_path / "cpu", V1)]
    assert cpu_quota(process(tmp_path / "proc", cgroup, enumerate(mounts))) == expected


def test_both_versions_at_once(tmp_path):
    write(tmp_path / "cpu" / "cpu.cfs_quota_us", "700000\n")
    write(tmp_path / "cpu" / "cpu.cfs_period_us", "100000\n")
    write(tmp_path / "unified" / "cpu.max", "500000 100000\n")
    mounts = [("/", tmp_path / "cpu", V1), ("/", tmp_path / "unified", V2)]
    assert cpu_quota(process(tmp_path / "proc", "1:cpu:/\n0::/\n", enumerate(mounts))) == 5


def test_where_there_is_no_proc(tmp_path):
    assert cpu_quota(tmp_path / "nowhere") is None


@pytest.mark.parametrize(("quota", "expected"), [(1, 1), (10_000, None), (None, None)])
def test_the_default_number_of_threads(monkeypatch, quota, expected):
    before = get_num_threads()
    monkeypatch.setattr(threads, "cpu_quota", lambda: quota)
    monkeypatch.delenv("TRPO_FAST_NUM_THREADS", raising=False)
    try:
        set_num_threads(7)
        threads.use_default()
        assert get_num_threads() == (expected or 7)
        monkeypatch.setenv("TRPO_FAST_NUM_THREADS", "5")  # whoever sets it knows better
        threads.use_default()
        assert get_num_threads() == 5
    finally:
        set_num_threads(before)
