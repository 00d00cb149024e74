"""Environments that are being trained in right now: until the training returns, nobody else may move them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trpo_fast.environments.interface import Environments
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.validation import describe

_trained_in: dict[tuple[int, int], Any] = {}  # by process (a fork has copies) and identity


@contextmanager
def owned(environments: Environments) -> Iterator[None]:
    """Context of a training in ``environments``.

    Raises
    ------
    InvalidArgumentError
        If another training is stepping one of them.
    """
    check_free(environments)
    keys = {_key(env): env for env in environments.bases()}
    _trained_in.update(keys)
    try:
        yield
    finally:
        for key in keys:
            _trained_in.pop(key, None)


def check_free(environments: Environments) -> None:
    """Raise InvalidArgumentError if a training is stepping one of ``environments``."""
    for env in environments.bases():
        if _key(env) in _trained_in:
            expected = "a separate environment, not one that is being trained in"
            raise InvalidArgumentError("env", expected, describe(env))


def bases(env: Any) -> list[Any]:
    """The environment without wrappers, and those of a vector environment in this process."""
    base = getattr(env, "unwrapped", env)
    parts = getattr(base, "envs", ())
    parts = parts if isinstance(parts, list | tuple) else ()
    return [base, *(getattr(part, "unwrapped", part) for part in parts)]


def _key(env: Any) -> tuple[int, int]:
    return os.getpid(), id(env)
