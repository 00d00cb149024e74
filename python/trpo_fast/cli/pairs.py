"""Dicts on the command line: name:value pairs."""

import ast
from typing import Any

from trpo_fast.errors import InvalidArgumentError


def as_pairs(value: Any) -> Any:
    """A dict as name:value pairs; any other value as it is."""
    return tuple(f"{name}:{part!r}" for name, part in value.items()) if isinstance(value, dict) else value


def parse_pairs(argument: str, pairs: tuple[str, ...]) -> dict[str, Any]:
    """name:value pairs as a dict. A value that is not a Python literal is kept as text.

    Raises
    ------
    InvalidArgumentError
        If a pair has no name or no colon.
    """
    parsed = {}
    for pair in pairs:
        name, separator, text = pair.partition(":")
        if not (name.isidentifier() and separator):
            raise InvalidArgumentError(argument, "name:value", repr(pair))
        try:
            parsed[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            parsed[name] = text
    return parsed
