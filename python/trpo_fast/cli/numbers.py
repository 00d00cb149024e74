"""Whole numbers on the command line, as people write them: 1000000, 1_000_000 or 1e6."""

from collections.abc import Iterator
from contextlib import contextmanager

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo


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


@contextmanager
def whole_numbers() -> Iterator[None]:
    """Let tyro parse every integer by ``parse_whole_number``."""
    registry = ConstructorRegistry()

    @registry.primitive_rule
    def whole_number(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[int] | None:
        if info.type is not int:
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="INT",
            instance_from_str=lambda words: parse_whole_number(words[0]),
            is_instance=lambda value: isinstance(value, int),
            str_from_instance=lambda value: [str(value)],
        )

    with registry:
        yield
