"""Arguments of ``gymnasium.make`` from the command line."""

import ast
from typing import Any

from trpo_fast.errors import InvalidArgumentError


def parse_env_kwargs(pairs: tuple[str, ...]) -> dict[str, Any]:
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
            raise InvalidArgumentError("env_kwargs", "name:value", repr(pair))
        try:
            parsed[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            parsed[name] = text
    return parsed
