"""Settings that change over training: functions of its remaining fraction, from 1 to 0, as in Stable-Baselines3.

The radius of the trust region may also adapt to the updates.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.validation import check_real, describe


@dataclass(frozen=True)
class LinearSchedule:
    """Linear from ``first`` at the start of training to ``last`` at its end. Saved in files, unlike other functions."""

    first: float
    last: float = 0.0

    def __call__(self, progress_remaining: float) -> float:
        return self.last + progress_remaining * (self.first - self.last)


@dataclass(frozen=True)
class AdaptiveRadius:
    """A radius that adapts to the accuracy of the trust region's model (after Nocedal & Wright 2006, Algorithm 4.1).

    The model's quality is the surrogate's actual improvement divided by its predicted one. Below 1/4 the KL radius is
    halved, above 3/4 it grows by half, within ``lowest`` and ``highest``. Both factors are gentler than those of the
    book, because the surrogate is estimated from a sample. If the line search rejects an update, its quality is 0.
    """

    first: float = 0.01
    lowest: float = 0.001
    highest: float = 0.03

    def after(self, radius: float, quality: float) -> float:
        """The radius after an update with this ``radius`` and ``quality``; unchanged if the quality is NaN."""
        factor = 0.5 if quality < 0.25 else 1.5 if quality > 0.75 else 1.0
        return self.within(radius * factor)

    def within(self, radius: float) -> float:
        """``radius`` clipped to ``lowest``..``highest``."""
        return min(max(radius, self.lowest), self.highest)


Schedule: TypeAlias = float | AdaptiveRadius | Callable[[float], float]


def check_schedule(name: str, value: Any) -> Any:
    """``value`` as a schedule: a number above 0, a function, or for ``target_kl`` an AdaptiveRadius.

    A dict, as stored in files, becomes a LinearSchedule ("first", "last") or an AdaptiveRadius ("first", "lowest",
    "highest").

    Raises
    ------
    InvalidArgumentError
        If ``value`` is anything else, or a number of it is out of range.
    """
    if isinstance(value, dict) and value.keys() == {"first", "last"}:
        value = LinearSchedule(**value)
    if isinstance(value, dict) and value.keys() == {"first", "lowest", "highest"}:
        value = AdaptiveRadius(**value)
    if isinstance(value, AdaptiveRadius) and name == "target_kl":
        lowest = check_real(f"{name}.lowest", value.lowest, above=0.0)
        first = check_real(f"{name}.first", value.first, at_least=value.lowest)
        return replace(
            value, first=first, lowest=lowest, highest=check_real(f"{name}.highest", value.highest, at_least=first)
        )
    if type(value) is LinearSchedule:  # a subclass is any function: a file holds its present value
        first = check_real(f"{name}.first", value.first, above=0.0)
        return LinearSchedule(first, check_real(f"{name}.last", value.last, at_least=0.0))
    if callable(value):
        return value
    if isinstance(value, dict | str | AdaptiveRadius):
        raise InvalidArgumentError(name, "a finite number > 0 or a function of the progress remaining", describe(value))
    return check_real(name, value, above=0.0)


def value_at(name: str, schedule: Schedule, progress_remaining: float) -> float:
    """The value of a schedule at ``progress_remaining``, from 1 to 0; the first radius of an AdaptiveRadius.

    Raises
    ------
    InvalidArgumentError
        If it is not a finite number > 0.
    """
    if isinstance(schedule, AdaptiveRadius):
        return schedule.first
    value = schedule(progress_remaining) if callable(schedule) else schedule
    return check_real(f"{name}({progress_remaining:.3f})", value, above=0.0)
