"""Metrics of an iteration: sinks that receive them, a clock, and a table for the terminal."""

import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from trpo_fast._core.signals import delayed_signals
from trpo_fast.protocols import Metrics
from trpo_fast.sampling.rollouts import Seconds


class Sink(Protocol):
    """Receives the metrics of every iteration."""

    def write(self, metrics: Metrics) -> None:
        """Write the metrics of one iteration."""


@runtime_checkable
class InterruptibleSink(Sink, Protocol):
    """A sink that is told if ``learn`` ends by an exception, such as Ctrl-C."""

    def interrupted(self) -> None:
        """Write what must not be lost."""


@contextmanager
def told_of_interruption(sinks: Sequence[Sink]) -> Iterator[None]:
    """Tell the sinks if the block ends by an exception; signals wait until all have been told."""
    try:
        yield
    except BaseException:  # Ctrl-C too
        with delayed_signals():
            for sink in sinks:
                if isinstance(sink, InterruptibleSink):
                    try:
                        sink.interrupted()
                    except Exception as error:  # what ended the block is the error to raise
                        warnings.warn(f"{type(sink).__name__}.interrupted: {error!r}", RuntimeWarning, stacklevel=2)
        raise


PHASES = ("environments", "policy", "update", "critic")


class Clock:
    """Measures seconds since ``learn`` was called, and the share of each phase in an iteration."""

    def __init__(self, num_timesteps: int) -> None:
        self._start = self._read_at = time.perf_counter()
        self._first = num_timesteps
        self._spent = dict.fromkeys(PHASES, 0.0)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time of the block to a phase."""
        begin = time.perf_counter()
        yield
        self._spent[name] += time.perf_counter() - begin

    def read(self, iteration: int, num_timesteps: int, seconds: Seconds) -> Metrics:
        """Counts, times and the shares of the phases since the last call; ``seconds`` are those of the rollout."""
        now = time.perf_counter()
        spent = {**self._spent, "policy": seconds.policy, "environments": seconds.environments}
        shares = {f"time/share_of_{name}": _per(spent[name], now - self._read_at) for name in PHASES}
        self._read_at = now
        self._spent = dict.fromkeys(PHASES, 0.0)
        return {
            "time/fps": int(_per(num_timesteps - self._first, now - self._start)),
            "time/iterations": iteration,
            "time/time_elapsed": now - self._start,
            "time/total_timesteps": num_timesteps,
            **shares,
        }


def _per(amount: float, seconds: float) -> float:
    """``amount`` a second; 0 if a clock of coarse resolution has not moved."""
    return amount / seconds if seconds > 0.0 else 0.0


def format_table(metrics: Metrics) -> str:
    """Metrics as a text table, with one section for each prefix of their names, and without those that are NaN."""
    rows: list[tuple[str, str]] = []
    section = ""
    for name, value in metrics.items():
        if value != value:  # NaN
            continue
        group, _, key = name.partition("/")
        if group != section:
            rows.append((f"{group}/", ""))
            section = group
        rows.append((f"   {key}", f"{value:.4g}" if isinstance(value, float) else str(value)))
    left, right = (max(len(row[column]) for row in rows) for column in (0, 1))
    rule = "-" * (left + right + 7)
    return "\n".join([rule, *(f"| {name:<{left}} | {text:<{right}} |" for name, text in rows), rule])
