"""How contenders are timed: they must agree first, then take turns (A B A B); of each the fastest form counts."""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness.machine import Others
from benchmarks.harness.rows import OURS, DisagreementError, Row, spread

TURN = 0.02  # least seconds of a turn, so that a contender runs in its own caches
PAUSE = 0.01  # seconds before a turn: the previous contender's thread pool spins for a while
MIN_TURNS = 7
SLOW = 1.3  # a form that takes this many times the fastest form's time gets no turn
GEMM, GEMM_SIZE = "gemm", 2048
GEMM_FLOPS = 2 * GEMM_SIZE**3


class Contender(NamedTuple):
    """A call to time."""

    name: str  # whose it is
    form: str  # the implementation; of several with one name the fastest counts
    call: Callable[[], Any]  # returns the result, an array or a tuple of arrays
    count: int = 1  # how often one call does what the row is about


def relative_error(actual: Any, expected: Any) -> float:
    """||actual - expected|| / ||expected||; the largest one for tuples."""
    if isinstance(expected, tuple):
        return max(relative_error(a, e) for a, e in zip(actual, expected, strict=True))
    actual = np.asarray(actual, dtype=np.float64)
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


def check_agreement(contenders: Iterable[Contender], expected: Any, tolerance: float) -> dict[tuple[str, str], float]:
    """The error of every contender's result by (name, form); DisagreementError if one is not below ``tolerance``."""
    errors = {}
    for c in contenders:
        error = errors[c.name, c.form] = relative_error(c.call(), expected)
        if not error < tolerance:
            raise DisagreementError(f"{c.name} {c.form}: error {error:.1e}, expected below {tolerance:.0e}")
    return errors


def promising_forms(contenders: Sequence[Contender], calls: int = 3) -> list[Contender]:
    """Leave out the forms that a few calls show to be slower than another of the same name; all were called before."""
    least = {(c.name, c.form): min(_seconds(c, 1) for _ in range(calls)) for c in contenders}
    best: dict[str, float] = {}
    for (name, _), seconds in least.items():
        best[name] = min(seconds, best.get(name, math.inf))
    return [c for c in contenders if least[c.name, c.form] <= SLOW * best[c.name]]


def time_in_turns(contenders: Sequence[Contender], seconds: float) -> list[np.ndarray]:
    """For each contender the seconds of one call, (turns,): A B A B until ``seconds`` are spent on each."""
    calls = [max(1, math.ceil(TURN / (c.count * _seconds(c, 1)))) for c in contenders]
    turns: list[list[float]] = []
    end = time.perf_counter() + seconds * len(contenders)
    while time.perf_counter() < end or len(turns) < MIN_TURNS:
        turns.append([])
        for c, n in zip(contenders, calls, strict=True):
            time.sleep(PAUSE)
            turns[-1].append(_seconds(c, n))
    return list(np.array(turns).T)


def _seconds(contender: Contender, calls: int) -> float:
    call = contender.call
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / (calls * contender.count)


def fastest(contenders: Sequence[Contender], seconds: float) -> dict[str, tuple[Contender, np.ndarray]]:
    """For each name the form with the least median, and its seconds (turns,)."""
    contenders = promising_forms(contenders)
    found: dict[str, tuple[Contender, np.ndarray]] = {}
    for c, times in zip(contenders, time_in_turns(contenders, seconds), strict=True):
        if c.name not in found or np.median(times) < np.median(found[c.name][1]):
            found[c.name] = c, times
    return found


def compare(
    case: str,
    contenders: Sequence[Contender],
    expected: Any,
    tolerance: float,
    seconds: float,
    *,
    flops: int = 0,
    gemms: Sequence[Contender] = (),
) -> Iterator[Row]:
    """Check that contenders agree, time them, and yield one row for each.

    ``flops`` and ``gemms`` give rates and fractions of the best gemm.
    """
    errors = check_agreement(contenders, expected, tolerance)
    for gemm in gemms:
        gemm.call()
    others = Others()
    timed = fastest([*contenders, *gemms], seconds)
    quiet = others.row()
    for c, t in timed.values():
        row = {"case": case, "contender": c.name, "form": c.form, "turns": len(t), **spread("seconds", t), **quiet}
        is_gemm = c.name == GEMM
        if flops:
            row |= spread("gflops", (GEMM_FLOPS if is_gemm else flops) / t / 1e9)
        if gemms and not is_gemm:
            row |= spread("fraction", flops / t * timed[GEMM][1] / GEMM_FLOPS)
        if not is_gemm:
            row["error"] = errors[c.name, c.form]
            row |= {} if c.name == OURS else spread("ratio", t / timed[OURS][1])
        yield row
