"""How a training of the command line ends: the last whole iteration is saved, whatever ends it, and a line says so."""

import errno
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from trpo_fast.cli.run_folders import POLICY
from trpo_fast.learner import TRPO
from trpo_fast.storage.checkpoints import NAME, PREVIOUS, newest_model

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU", "SIGBREAK")
SIGNALS = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
WAITS = (0.5, 1.0)  # seconds before policy.safetensors is tried again


class Stopped(KeyboardInterrupt):
    """A signal that asks the process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


class _Handler:
    """Raises ``Stopped``, once a second at most: ``timeout`` and batch systems send a signal twice at once.

    The first signal while a training that ended well is being saved has no effect.
    """

    def __init__(self) -> None:
        self.is_saving = False
        self._heard_at: float | None = None

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now, before = time.monotonic(), self._heard_at
        if before is not None and now < before + 1.0:
            return
        self._heard_at = now
        if before is not None or not self.is_saving:
            raise Stopped(number)


@contextmanager
def saved_at_the_end(model: TRPO, out: Path) -> Iterator[None]:
    """Write policy.safetensors when the block ends, by a signal or an error too, and close the environments.

    Raises
    ------
    OSError
        If policy.safetensors cannot be written, after a block that ended well.
    """
    handler, process, is_saved = _Handler(), os.getpid(), False
    with _signals_to(handler):
        try:
            yield
            handler.is_saving = True
            error = _save(model, out)
            is_saved = True
            if error is not None:
                raise OSError(_stopped(model, out, error)) from error
        except BaseException:
            handler.is_saving = True
            if not is_saved and os.getpid() == process:  # not in a child that an environment has forked
                _say(_stopped(model, out, _save(model, out)))
            raise
        finally:
            if os.getpid() == process:
                _close(model)


@contextmanager
def _signals_to(handler: _Handler) -> Iterator[None]:
    """Let ``handler`` handle the signals that end a process, unless they are ignored (nohup) or handled otherwise."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        default = signal.SIG_DFL, signal.default_int_handler
        before = {number: signal.getsignal(number) for number in SIGNALS if signal.getsignal(number) in default}
    try:
        for number in before:
            signal.signal(number, handler)
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _save(model: TRPO, out: Path) -> Exception | None:
    """Write policy.safetensors, in several tries if the disk refuses; returns the error of the last one."""
    for wait in (*WAITS, None):
        try:
            model.save(out / POLICY)
            return None
        except OSError as error:
            if wait is None:
                return error
            if error.errno == errno.ENOSPC and newest_model([out / NAME]).path is not None:
                (out / PREVIOUS).unlink(missing_ok=True)  # the newest and the last but one are worth more
            time.sleep(wait)
        except Exception as error:  # the training may have ended by what makes it impossible to save
            return error
    return None


def _stopped(model: TRPO, out: Path, error: Exception | None) -> str:
    """The line that says where training stopped, what is saved, and how to continue."""
    n, resume = model.num_saved_timesteps, f"continue with: trpo-fast resume {shlex.quote(str(out))}"
    if error is None:
        reason = str(model.get_training_state()["not_resumable"]) if n else ""
        return f"stopped after {n} steps; {resume}" + (f" (new episodes begin: {reason})" if reason else "")
    saved = 0
    with suppress(OSError):
        saved = newest_model([out / NAME, out / PREVIOUS, out / POLICY]).num_timesteps
    return f"stopped after {n} steps, but {POLICY} COULD NOT BE SAVED: {error}; {saved} steps are saved; {resume}"


def _close(model: TRPO) -> None:
    try:
        model.env.close()
    except Exception as error:  # everything is saved
        _say(f"warning: closing the environments failed: {error!r}")


def _say(text: str) -> None:
    """Print a line to standard error, which may be closed or full."""
    with suppress(OSError, ValueError):
        print(f"trpo-fast: {text}", file=sys.stderr, flush=True)
