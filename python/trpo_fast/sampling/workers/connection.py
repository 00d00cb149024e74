"""The parent's end of a worker process: starts it, sends commands, receives answers and what it prints."""

import io
import os
import pickle
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.spawn import get_executable
from typing import Any

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.sampling.workers.parent import import_path
from trpo_fast.sampling.workers.process import PARENTS_SIGNALS
from trpo_fast.sampling.workers.sending import packed

ENDING = 1.0  # seconds that a process has to end once it cannot answer any more
LAST_WORDS = 0.2  # seconds to wait for the rest of what a dead process printed
TAIL = 4000  # bytes of it that are kept

_START = "import sys; sys.path[:] = {path}; from trpo_fast.sampling.workers.process import main; main({parent})"


class WorkerOutput(Exception):  # noqa: N818  # never raised: the cause of an error
    """What a worker process printed, or the traceback of its error, as the cause of an error in the parent."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0].rstrip()}\n"""'


class WorkerProcess:
    """One worker: a process, pipes to and from it, and a thread for each of them, since any of them may block.

    Parameters
    ----------
    heard : SimpleQueue
        Receives (this object, answer) for every answer, and (this object, None) when there are no more.

    Attributes
    ----------
    is_lost : bool
        Whether it died or was killed.
    """

    def __init__(self, heard: "queue.SimpleQueue[tuple[WorkerProcess, Any]]") -> None:
        code = _START.format(path=ascii(import_path()), parent=os.getpid())
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
        command = [get_executable(), *flags, "-c", code]
        pipe = subprocess.PIPE
        self._process: subprocess.Popen[bytes] = _in_lasting_thread(
            lambda: subprocess.Popen(command, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe)
        )
        self.is_lost = False
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._printed = b""
        threading.Thread(target=self._write, daemon=True).start()
        threading.Thread(target=self._listen, args=(heard,), daemon=True).start()
        self._forwarding = threading.Thread(target=self._forward, daemon=True)
        self._forwarding.start()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def ask(self, request: int, command: str, *arguments: Any) -> None:
        """Send a command; its answer carries the number ``request``."""
        try:
            payload = packed(arguments)
        except Exception as error:
            expected = "factories that cloudpickle can send to worker processes"
            raise InvalidArgumentError("env", expected, repr(error)) from error
        message = pickle.dumps((request, command, payload))
        self._outgoing.put(len(message).to_bytes(8, "little") + message)

    def is_alive(self) -> bool:
        """Whether the process has not ended; its children do not count."""
        return self._process.poll() is None

    def end(self) -> str:
        """Wait for the process to end, kill it if it does not, and return how it ended, in words."""
        self.is_lost = True
        self._outgoing.put(None)
        try:
            code = self._process.wait(timeout=ENDING)
        except subprocess.TimeoutExpired:
            return self.kill()
        self._forwarding.join(LAST_WORDS)
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"that ended with exit code {code}"
        words = _last_words(self.printed)
        return f"a process {how}" + (f"; it printed {words!r}" if words else "")

    def kill(self) -> str:
        """Kill the process and return that, in words."""
        self.is_lost = True
        self._outgoing.put(None)
        self._process.kill()
        self._process.wait()
        return "no answer, and its process was killed"

    def leave(self, deadline: float) -> None:
        """Ask the process to exit, and kill it if it has not by ``deadline`` (of ``time.monotonic``)."""
        self._outgoing.put(None)
        try:
            self._process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()

    def forget(self) -> None:
        """Give up the process in a fork of its parent, without disturbing either."""
        self._process.returncode = 0  # not a child of this process
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]

    @property
    def printed(self) -> str:
        """The end of what the process has written to standard output and standard error."""
        return self._printed.decode(errors="replace")

    def _write(self) -> None:
        pipe = self._process.stdin
        with suppress(OSError, ValueError), pipe:  # type: ignore[union-attr]
            while (message := self._outgoing.get()) is not None:  # OSError: it ended, which _listen reports
                view = memoryview(message)
                while view:
                    view = view[pipe.write(view) :]  # type: ignore[union-attr]

    def _listen(self, heard: "queue.SimpleQueue[tuple[WorkerProcess, Any]]") -> None:
        with suppress(Exception), io.BufferedReader(self._process.stdout) as answers:  # type: ignore[type-var]
            while True:
                heard.put((self, pickle.load(answers)))  # EOFError ends it
        heard.put((self, None))

    def _forward(self) -> None:
        """Copy what the process prints to this process's standard error."""
        pipe = self._process.stderr
        with suppress(OSError, ValueError), pipe:  # type: ignore[union-attr]
            while text := pipe.read(1 << 16):  # type: ignore[union-attr]
                self._printed = (self._printed + text)[-TAIL:]
                with suppress(OSError):
                    while text:
                        text = text[os.write(2, text) :]


def _last_words(printed: str) -> str:
    """The last line that a process printed before Python reported its crash, or else that report's first line."""
    before, mark, after = printed.partition("Fatal Python error")
    lines = [line.strip() for line in before.splitlines() if line.strip()] or (mark + after).splitlines()
    return lines[-1 if before.strip() else 0][:200] if lines else ""


class _Starter(threading.Thread):
    """Starts processes, in a thread that lasts as long as this process.

    Linux ends a worker with the thread that started it, which may be a short-lived thread of the user. Signals that
    the parent answers for its workers are blocked in this thread and so in a worker, until it has arranged for them.
    """

    def __init__(self) -> None:
        super().__init__(name="trpo_fast worker starter", daemon=True)
        self.calls: queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[Any]]] = queue.SimpleQueue()
        self.start()

    def run(self) -> None:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, PARENTS_SIGNALS)
        while True:
            call, result = self.calls.get()
            try:
                result.put((call(), None))
            except BaseException as error:
                result.put((None, error))


_starter: _Starter | None = None


def _in_lasting_thread(call: Callable[[], Any]) -> Any:
    global _starter
    if _starter is None or not _starter.is_alive():  # a fork has no threads
        _starter = _Starter()
    result: queue.SimpleQueue[Any] = queue.SimpleQueue()
    _starter.calls.put((call, result))
    value, error = result.get()
    if error is not None:
        raise error
    return value
