"""Files that survive crashes and full disks: atomic replacement, locks that end with their process, files set aside."""

import errno
import os
import socket
import sys
import uuid
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from trpo_fast.errors import InvalidArgumentError

if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[bytes], *, shared: bool = False, wait: bool = True) -> None:
        """Lock a byte far behind the content, which Windows would not let others read; waits are not needed there."""
        position = file.tell()
        file.seek(1 << 30)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError from error
        finally:
            file.seek(position)
else:
    import fcntl

    def _lock(file: IO[bytes], *, shared: bool = False, wait: bool = True) -> None:
        """Lock a file until it is closed; BlockingIOError if it is locked by others and ``wait`` is False."""
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))


LOCK = ".lock"
_IS_POSIX = sys.platform != "win32"
_held: "weakref.WeakSet[IO[bytes]]" = weakref.WeakSet()  # files of locked folders


def replace_file(path: Path, content: bytes, *, previous: Path | None = None) -> None:
    """Write a file so that it is at any moment, and after a power cut, the old or the new one.

    Parents are made, and a symbolic link is followed. Any number of threads, processes and hosts may write at once: the
    last one counts. Temporary files of killed processes are removed.

    Parameters
    ----------
    path : Path
    content : bytes
    previous : Path, optional
        Where to keep the old file.

    Raises
    ------
    OSError
        If the file cannot be written; an old one stays as it was.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not (path.is_file() or path.is_dir()):  # as root, a device would be replaced
        raise FileExistsError(errno.EEXIST, "expected a regular file, got a device or pipe", str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path)
    temporary, file = _open_temporary(path)
    try:
        with file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            if previous is not None and path.exists():
                _keep(path, Path(os.path.realpath(previous)))
            if not _IS_POSIX:  # an open file cannot be renamed
                file.close()
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if _IS_POSIX:  # make the rename itself durable
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def remove_abandoned(path: Path) -> None:
    """Remove the temporary files that killed processes have left of their writes of ``path``."""
    with suppress(OSError):
        names = [name for name in os.listdir(path.parent) if name.startswith(f".{path.name}.") and name[-4:] == ".tmp"]
        for temporary in map(path.with_name, names):
            with suppress(OSError), temporary.open("rb+") as file:
                if _IS_POSIX:
                    _lock(file, wait=False)  # fails while the writer lives
                temporary.unlink()  # elsewhere fails while the writer lives


def set_aside(path: Path) -> Path:
    """Rename a damaged file to NAME.damaged, or NAME.damaged.2 and so on, and return its new path."""
    number, aside = 1, path.with_name(f"{path.name}.damaged")
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged.{number}")
    path.rename(aside)
    return aside


class Refusals:
    """Warns, instead of raising, if the disk refuses a file that training can do without: once, until it takes it."""

    def __init__(self) -> None:
        self._is_refused = False

    @contextmanager
    def tolerated(self, consequence: str) -> Iterator[None]:
        """Context of a write; ``consequence`` is what the warning says before the reason."""
        try:
            yield
        except OSError as error:
            if not self._is_refused:
                warnings.warn(f"{consequence}: {error}", RuntimeWarning, stacklevel=3)
            self._is_refused = True
        else:
            self._is_refused = False


@contextmanager
def locked(argument: str, folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; a process that ends, in any way, releases it.

    The folder is made if it is missing, and removed if it is empty at the end.

    Parameters
    ----------
    argument : str
        Name of the folder in the error.
    folder : Path

    Raises
    ------
    InvalidArgumentError
        If the lock is held already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    with _open_locked(path) as file:
        if file is None:
            expected = "a folder in which no other training runs"
            raise InvalidArgumentError(argument, expected, f"{folder}, in use by {_holder(path)}")
        _held.add(file)
        with suppress(OSError):  # a full disk
            file.write(f"process {os.getpid()} on {socket.gethostname()}".encode())
            file.flush()
        try:
            yield
        finally:
            _held.discard(file)
            if not file.closed:
                with suppress(OSError):
                    path.unlink()  # on Windows it stays
                    folder.rmdir()


def _close_held() -> None:
    """In a forked child: the lock belongs to the parent, and must end with it."""
    for file in _held:
        file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_held)


@contextmanager
def _open_locked(path: Path) -> Iterator[IO[bytes] | None]:
    """The lock's file, empty and locked, or None if another one holds the lock."""
    while True:
        with path.open("ab", buffering=0) as file:
            try:
                _lock(file, wait=False)
            except BlockingIOError:
                yield None
                return
            except OSError:  # a file system without locks
                pass
            if _is_at(path, file):  # else its holder has just removed it
                file.truncate(0)
                yield file
                return


def _holder(path: Path) -> str:
    with suppress(OSError):
        return path.read_bytes()[:200].decode(errors="replace") or "another process"
    return "another process"


def _open_temporary(path: Path) -> tuple[Path, IO[bytes]]:
    """A new file beside ``path``, locked while its writer lives."""
    while True:
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        file = temporary.open("xb")
        try:
            if not _IS_POSIX:
                return temporary, file
            with suppress(OSError):  # a file system without locks, where nobody removes it either
                _lock(file)
            if _is_at(temporary, file):  # else another writer took it for abandoned
                return temporary, file
        except BaseException:
            file.close()
            temporary.unlink(missing_ok=True)
            raise
        file.close()


def _is_at(path: Path, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _keep(path: Path, other: Path) -> None:
    """Give the file at ``path`` a second name, which another file may have had."""
    remove_abandoned(other)
    temporary = other.with_name(f".{other.name}.{uuid.uuid4().hex}.tmp")
    try:
        while True:
            with path.open("rb") as file:
                if _IS_POSIX:
                    with suppress(OSError):
                        _lock(file, shared=True)  # so that nobody takes the link for abandoned
                try:
                    os.link(path, temporary)
                except OSError:  # a file system without hard links
                    replace_file(other, file.read())
                    return
                if _is_at(temporary, file):  # else another writer has replaced the file
                    temporary.replace(other)
                    return
                temporary.unlink(missing_ok=True)
    finally:
        temporary.unlink(missing_ok=True)
