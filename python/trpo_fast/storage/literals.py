"""Values in settings files and on the command line: Python-like text, parsed with a whitelist. Nothing is evaluated."""

import ast
from typing import Any

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.schedules import AdaptiveRadius, LinearSchedule

_NN = ("nn", "th.nn", "torch.nn")  # where RL Baselines3 Zoo's files find activations


def parse_value(name: str, text: str) -> Any:
    """The value of a literal, a ``dict(name=value, ...)`` of literals, a schedule ``lin_0.001``, or a name as text.

    Raises
    ------
    InvalidArgumentError
        If ``text`` is any other Python code.
    """
    for prefix, schedule in (("lin_", LinearSchedule), ("adaptive_", AdaptiveRadius)):
        if text.startswith(prefix):
            try:
                return schedule(float(text[len(prefix) :]))
            except ValueError as error:
                raise InvalidArgumentError(name, f"{prefix} and a number", repr(text)) from error
    try:
        return _literal(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, TypeError, ValueError, MemoryError, RecursionError) as error:
        if text.replace("_", "").replace("-", "").isalnum():  # a plain word
            return text
        raise InvalidArgumentError(name, "a literal, dict(...), lin_NUMBER or a name", repr(text)) from error


def _literal(node: ast.expr) -> Any:
    match node:
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords) if all(k.arg for k in keywords):
            return {str(k.arg): _literal(k.value) for k in keywords}
        case ast.Dict(keys=keys, values=values):
            return {_literal(k): _literal(v) for k, v in zip(keys, values, strict=True) if k is not None}
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_literal(item) for item in items]
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=module, attr=name) if ast.unparse(module) in _NN:
            return name
        case _:
            return ast.literal_eval(node)
