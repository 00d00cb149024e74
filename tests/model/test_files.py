"""Files that survive crashes, full disks and several writers: atomic replacement, locks, files set aside."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from trpo_fast import InvalidArgumentError
from trpo_fast._core import files
from trpo_fast._core.files import LOCK, locked, remove_abandoned, replace_file, set_aside

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")


def child(code, *arguments, **options):
    """A process that runs ``code``, and the first line that it prints."""
    words = [sys.executable, "-c", code, *map(str, arguments)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, **options)
    with process.stdout as lines:
        return process, lines.readline().strip()


def test_the_old_file_is_kept_as_previous_and_is_whole(tmp_path):
    path, previous = tmp_path / "a", tmp_path / "b"
    for content in (b"1", b"22", b"333"):
        replace_file(path, content, previous=previous)
    assert (path.read_bytes(), previous.read_bytes()) == (b"333", b"22")
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


@POSIX
def test_content_and_name_are_on_the_disk_when_the_call_returns(tmp_path, monkeypatch):
    synchronised, fsync = [], os.fsync

    def noting(number):
        synchronised.append((stat.S_ISDIR(os.fstat(number).st_mode), (tmp_path / "a").exists()))
        fsync(number)

    monkeypatch.setattr(os, "fsync", noting)
    replace_file(tmp_path / "a", b"1")
    assert synchronised == [(False, False), (True, True)]  # the file before it has its name, then the folder


def test_previous_never_leaves_a_moment_without_the_name(tmp_path, monkeypatch):
    """Before every change of a name, both names have whole files."""
    path, previous = tmp_path / "a", tmp_path / "b"
    replace_file(path, b"0")
    replace_file(path, b"1", previous=previous)
    seen, replace = [], Path.replace

    def noting(self, target):
        seen.append((path.read_bytes(), previous.read_bytes()))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", noting)
    replace_file(path, b"2", previous=previous)
    assert seen == [(b"1", b"0"), (b"1", b"1")]


def test_without_hard_links_previous_is_a_copy(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for content in (b"1", b"22", b"333"):
        replace_file(tmp_path / "a", content, previous=tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"22"
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


def once(monkeypatch, owner, name, before):
    """Let the first call of ``owner.name`` do ``before`` with its arguments first."""
    function, calls = getattr(owner, name), []

    def patched(*arguments, **options):
        calls.append(None)
        if len(calls) == 1:
            before(*arguments)
        return function(*arguments, **options)

    monkeypatch.setattr(owner, name, patched)


@POSIX
def test_a_file_that_another_writer_takes_for_abandoned_is_begun_again(tmp_path, monkeypatch):
    """Between its creation and its lock."""
    once(monkeypatch, files, "_lock", lambda file: os.unlink(file.name))
    replace_file(tmp_path / "a", b"1")
    assert (tmp_path / "a").read_bytes() == b"1"
    assert os.listdir(tmp_path) == ["a"]


@POSIX
def test_a_previous_file_that_another_writer_takes_for_abandoned_is_linked_again(tmp_path, monkeypatch):
    replace_file(tmp_path / "a", b"1")
    link, calls = os.link, []
    monkeypatch.setattr(os, "link", lambda *names: calls.append(names) if not calls else link(*names))
    replace_file(tmp_path / "a", b"2", previous=tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"1"


@POSIX
def test_a_lock_whose_file_the_last_holder_removes_meanwhile_is_taken_again(tmp_path, monkeypatch):
    once(monkeypatch, files, "_lock", lambda file: os.unlink(file.name))
    with locked("out", tmp_path / "run"), pytest.raises(InvalidArgumentError), locked("out", tmp_path / "run"):
        pass


def test_many_threads_write_one_file(tmp_path):
    """No error, no leftovers, and readers see whole files at any moment."""
    path, previous, errors, stop = tmp_path / "a", tmp_path / "b", [], threading.Event()
    for _ in range(2):
        replace_file(path, bytes(1000), previous=previous)

    def guarded(function, *arguments):
        try:
            function(*arguments)
        except Exception as error:
            errors.append(error)

    def write(k):
        for _ in range(20):
            replace_file(path, bytes([k]) * 1000, previous=previous)

    def read():
        while not stop.is_set():
            for content in (path.read_bytes(), previous.read_bytes()):
                if len(content) != 1000 or len(set(content)) != 1:
                    raise ValueError(content)

    writers = [threading.Thread(target=guarded, args=(write, k)) for k in range(4)]
    reader = threading.Thread(target=guarded, args=(read,))
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert not errors
    assert sorted(os.listdir(tmp_path)) == ["a", "b"]


@POSIX
def test_what_a_killed_writer_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    code = """if True:
        import os, sys, time
        from pathlib import Path
        from trpo_fast._core.files import replace_file
        os.fsync = lambda _: (print(flush=True), time.sleep(60))
        replace_file(Path(sys.argv[1]), b"half")
    """
    process, _ = child(code, tmp_path / "a")
    (temporary,) = os.listdir(tmp_path)
    replace_file(tmp_path / "a", b"whole")
    assert sorted(os.listdir(tmp_path)) == sorted([temporary, "a"])
    process.kill()
    process.wait()
    replace_file(tmp_path / "a.b", b"another file")
    assert temporary in os.listdir(tmp_path)
    remove_abandoned(tmp_path / "a")
    assert sorted(os.listdir(tmp_path)) == ["a", "a.b"]


@POSIX
def test_a_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileExistsError, match="regular file"):
        replace_file(tmp_path / "pipe", b"")


def test_set_aside_keeps_what_was_set_aside_before(tmp_path):
    for content in (b"1", b"2"):
        (tmp_path / "a.csv").write_bytes(content)
        set_aside(tmp_path / "a.csv")
    assert (tmp_path / "a.csv.damaged").read_bytes() == b"1"
    assert (tmp_path / "a.csv.damaged.2").read_bytes() == b"2"


HOLD = """if True:
    import os, sys, time
    from pathlib import Path
    from trpo_fast._core.files import locked
    with locked("out", Path(sys.argv[1])):
        if len(sys.argv) > 2 and os.fork() == 0:
            time.sleep(60)
        print(os.getpid(), flush=True)
        time.sleep(60)
"""


@POSIX
@pytest.mark.parametrize("forks", [False, True])
def test_a_lock_ends_with_its_process_even_if_that_is_killed_and_a_child_lives_on(forks, tmp_path):
    process, pid = child(HOLD, tmp_path, *["forks"] * forks, start_new_session=True)
    with pytest.raises(InvalidArgumentError, match=f"out: .* in use by process {pid} on "), locked("out", tmp_path):
        pass
    process.kill()
    process.wait()
    with locked("out", tmp_path):
        pass
    if forks:
        os.killpg(process.pid, signal.SIGKILL)


def test_a_lock_is_for_one_holder_within_a_process_too_and_leaves_nothing(tmp_path):
    folder = tmp_path / "run"
    with locked("out", folder):
        assert (folder / LOCK).exists()
        with pytest.raises(InvalidArgumentError), locked("out", folder):
            pass
    with locked("out", folder):
        (folder / "file").touch()
    assert os.listdir(folder) == ["file"]
