"""Settings that change over training: functions of the part that remains, from 1 to 0, as in Stable-Baselines3.

The radius of the trust region may also adapt to the updates.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.validation import check_real, describe


@dataclass(frozen=True)
class LinearSchedule:
    """A straight line from ``first``, when training begins, to ``last``. Files keep it, unlike other functions."""

    first: float
    last: float = 0.0

    def __call__(self, progress_remaining: float) -> float:
        return self.last + progress_remaining * (self.first - self.last)


@dataclass(frozen=True)
class AdaptiveRadius:
    """A trust region that follows how well its model holds (after Nocedal & Wright 2006, Algorithm 4.1).

    The model's quality is actual over predicted improvement of the surrogate. Below 1/4 the KL radius is halved, above
    3/4 it grows by half, between ``lowest`` and ``highest``; both gentler than theirs, as the surrogate is a sample. An
    update that was rejected for its length counts as quality 0.
    """

    first: float = 0.01
    lowest: float = 0.001
    highest: float = 0.03

    def after(self, radius: float, quality: float) -> float:
        """The radius after an update with ``radius`` of a ``quality``; the same if that is NaN."""
        factor = 0.5 if quality < 0.25 else 1.5 if quality > 0.75 else 1.0
        return self.within(radius * factor)

    def within(self, radius: float) -> float:
        """``radius``, or the bound that is next to it."""
        return min(max(radius, self.lowest), self.highest)


Schedule: TypeAlias = float | AdaptiveRadius | Callable[[float], float]


def check_schedule(name: str, value: Any) -> Any:
    """``value``: a number above 0, a function, or for ``target_kl`` an AdaptiveRadius.

    A dict, as files have it, becomes a LinearSchedule ("first", "last") or an AdaptiveRadius ("first", "lowest",
    "highest").

    Raises
    ------
    InvalidArgumentError
    """
    if isinstance(value, dict) and value.keys() == {"first", "last"}:
        value = LinearSchedule(**value)
    if isinstance(value, dict) and value.keys() == {"first", "lowest", "highest"}:
        value = AdaptiveRadius(**value)
    if isinstance(value, AdaptiveRadius) and name == "target_kl":
        check_real(f"{name}.lowest", value.lowest, above=0.0)
        check_real(f"{name}.first", value.first, at_least=value.lowest)
        check_real(f"{name}.highest", value.highest, at_least=value.first)
        return value
    if isinstance(value, LinearSchedule):
        check_real(f"{name}.first", value.first, above=0.0)
        check_real(f"{name}.last", value.last, at_least=0.0)
        return value
    if callable(value):
        return value
    if isinstance(value, dict | str | AdaptiveRadius):
        raise InvalidArgumentError(name, "a finite number > 0 or a function of the progress remaining", describe(value))
    return check_real(name, value, above=0.0)


def value_at(name: str, schedule: Schedule, progress_remaining: float) -> float:
    """What a schedule says now.

    Raises
    ------
    InvalidArgumentError
        If that is no finite number > 0.
    """
    if isinstance(schedule, AdaptiveRadius):
        return schedule.first
    value = schedule(progress_remaining) if callable(schedule) else schedule
    return check_real(f"{name}({progress_remaining:.3f})", value, above=0.0)
