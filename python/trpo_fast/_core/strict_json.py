"""Strict JSON of files that anybody may have written: its cost in memory is known before anything is made of it."""

import json
import re
from typing import Any

MAX_DEPTH = 128  # of arrays and objects
MAX_COST = 6 << 20  # bytes that the values of a text may take, as ``_COSTS`` counts them

# Bytes that CPython takes for what begins with a character: a dict, a list, a key or text, a further item.
_COSTS = {"{": 256, "[": 96, '"': 64, ",": 48}
_DECODER = json.JSONDecoder()
_MARK = re.compile(r'["{}\[\],]')


def loads(text: str, max_cost: int = MAX_COST) -> Any:
    """The value of a JSON text, strictly: a key stands once in an object, no NaN, Infinity or -0.

    Raises
    ------
    ValueError
        If ``text`` is anything else, is nested deeper than ``MAX_DEPTH``, or its values would take more memory than
        ``max_cost``.
    """
    check_cost(text, max_cost)
    return json.loads(text, object_pairs_hook=_without_duplicates, parse_constant=_refuse, parse_int=_integer)


def check_cost(text: str, max_cost: int = MAX_COST) -> None:
    """Raise ValueError if the values of a JSON text are nested too deep or would take too much memory.

    Other faults are left to the parser.
    """
    depth = cost = position = 0
    while (mark := _MARK.search(text, position)) is not None:
        character, position = mark[0], mark.end()
        cost += _COSTS.get(character, 0)
        depth += (character in "[{") - (character in "]}")
        if character == '"':
            string, position = _DECODER.raw_decode(text, mark.start())
            cost += 0 if string.isascii() else 4 * len(string)  # bytes of its characters beyond those of ``text``
        if depth > MAX_DEPTH:
            raise ValueError(f"expected at most {MAX_DEPTH} levels, got more")
        if cost > max_cost:
            raise ValueError(f"expected values of at most {max_cost >> 10} KiB, got more")


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _integer(text: str) -> int:
    if text == "-0":
        raise ValueError("a zero that is negative")
    return int(text)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        raise ValueError("duplicate key")
    return keys
