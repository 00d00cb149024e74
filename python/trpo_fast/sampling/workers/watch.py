"""Finds workers that hang: by the time that they had for a step, not by the time that passed in the parent."""

import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

TICK = 0.05  # seconds between two looks


class _Seen(NamedTuple):
    position: tuple[int, ...]
    used: float  # seconds that the worker has had for the call at this position
    cpu: float  # seconds of CPU time, at the latest look


class Watch:
    """Finds workers that have made no progress in ``timeout`` seconds of their own.

    A worker's seconds are those that it spent running or waiting for something. Not counted is the time during which
    it waited for a processor, was stopped by a debugger, or during which the parent did not run either (a suspended
    machine, a frozen container).

    Parameters
    ----------
    positions : ndarray of int64, shape (K, ...)
        Written by the workers: step and environment that each is in.
    timeout : float
    """

    def __init__(self, positions: npt.NDArray[np.int64], timeout: float) -> None:
        self._positions = positions
        self._timeout = timeout
        self._seen: dict[int, _Seen] = {}
        self._looked = time.monotonic()

    def hung(self, pids: dict[int, int]) -> int | None:
        """Number of the first worker that has made no progress for too long, or None.

        Parameters
        ----------
        pids : dict
            Process of each worker that has not answered yet, by its number. Call this every ``TICK`` seconds.
        """
        now = time.monotonic()
        elapsed, self._looked = min(now - self._looked, 2.0 * TICK), now
        for w, pid in pids.items():
            position = tuple(self._positions[w].tolist())
            state, cpu = _state_and_cpu_time(pid)
            seen = self._seen.get(w)
            if seen is None or seen.position != position:
                seen = _Seen(position, 0.0, cpu)
            used = {"R": min(cpu - seen.cpu, elapsed), "t": 0.0}.get(state, elapsed)
            self._seen[w] = seen = _Seen(position, seen.used + used, cpu)
            if seen.used > self._timeout:
                return w
        return None

    def forget(self, w: int) -> None:
        """Restart the timer of worker ``w``."""
        self._seen.pop(w, None)


def _state_and_cpu_time(pid: int) -> tuple[str, float]:
    """State of a process (R: has or waits for a processor, t: in a debugger) and its CPU time in seconds.

    Unknown ("", 0.0) where there is no /proc.
    """
    if sys.platform == "linux":
        with suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return "", 0.0
