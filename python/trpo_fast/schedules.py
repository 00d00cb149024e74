"""Settings that change over training: functions of the part that remains, from 1 to 0, as in Stable-Baselines3."""

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


Schedule: TypeAlias = float | Callable[[float], float]


def check_schedule(name: str, value: Any) -> Any:
    """``value``, a number above 0 or a function; a dict with "first" and "last", as files have it, becomes a line.

    Raises
    ------
    InvalidArgumentError
    """
    if isinstance(value, dict) and value.keys() == {"first", "last"}:
        value = LinearSchedule(**value)
    if isinstance(value, LinearSchedule):
        check_real(f"{name}.first", value.first, above=0.0)
        check_real(f"{name}.last", value.last, at_least=0.0)
        return value
    if callable(value):
        return value
    if isinstance(value, dict | str):
        raise InvalidArgumentError(name, "a finite number > 0 or a function of the progress remaining", describe(value))
    return check_real(name, value, above=0.0)


def value_at(name: str, schedule: Schedule, progress_remaining: float) -> float:
    """What a schedule says now.

    Raises
    ------
    InvalidArgumentError
        If that is no finite number > 0.
    """
    value = schedule(progress_remaining) if callable(schedule) else schedule
    return check_real(f"{name}({progress_remaining:.3f})", value, above=0.0)
