"""Numbers on the command line, as people write them: 1000000, 1_000_000 or 1e6, and schedules such as lin_0.001."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_args

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.schedules import AdaptiveRadius, LinearSchedule
from trpo_fast.storage.literals import parse_value

NUMBERS = ({float, LinearSchedule}, {float, AdaptiveRadius})  # types that tyro gives numbers with such defaults


def parse_whole_number(text: str) -> int:
    """The integer that ``text`` is, such as 1000000, 1_000_000 or 1e6.

    Raises
    ------
    ValueError
        If ``text`` is not a whole number.
    """
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
        if value == int(value):
            return int(value)
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"expected a whole number, such as 1000000 or 1e6, got {text!r}")


def parse_number(text: str) -> float | LinearSchedule | AdaptiveRadius:
    """The number or schedule that ``text`` is, such as 0.001, lin_0.001 or adaptive_0.01.

    Raises
    ------
    ValueError
        If ``text`` is neither.
    """
    try:
        return float(text)
    except ValueError:
        pass
    try:
        value = parse_value("number", text)
    except InvalidArgumentError:
        value = None
    if isinstance(value, LinearSchedule | AdaptiveRadius):
        return value
    raise ValueError(f"expected a number, such as 0.001 or 1e-3, got {text!r}")


@contextmanager
def readable_numbers() -> Iterator[None]:
    """Let tyro parse every integer by ``parse_whole_number``, and other numbers by ``parse_number``."""
    registry = ConstructorRegistry()

    @registry.primitive_rule
    def number(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
        if info.type is int:
            return _spec("INT", parse_whole_number, int)
        if info.type is float or set(get_args(info.type)) in NUMBERS:
            return _spec("FLOAT", parse_number, float | int | LinearSchedule | AdaptiveRadius)
        return None

    with registry:
        yield


def _spec(metavar: str, parse: Callable[[str], Any], types: Any) -> PrimitiveConstructorSpec[Any]:
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: parse(words[0]),
        is_instance=lambda value: isinstance(value, types),
        str_from_instance=lambda value: [_text(value)],
    )


def _text(value: Any) -> str:
    """A number or schedule as ``parse_number`` reads it."""
    if isinstance(value, LinearSchedule):
        return f"lin_{value.first}"
    return f"adaptive_{value.first}" if isinstance(value, AdaptiveRadius) else str(value)
