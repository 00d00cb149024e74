"""Fingerprints of environments, by which a training notices that somebody else stepped or reset them.

Environments are not wrapped for this. A fingerprint holds what can be compared without knowing their classes: numbers,
text, small arrays and random streams in the attributes of an environment, of its wrappers and of the objects they hold.
"""

import random
from collections.abc import Hashable, Iterator
from typing import Any, TypeAlias

import numpy as np

Fingerprint: TypeAlias = dict[tuple[Hashable, ...], Hashable]

MAX_DEPTH = 6  # attributes of attributes; each wrapper adds one
MAX_VALUES = 2000
MAX_ITEMS = 64  # of a list, tuple or dict; of a longer one, only the length is compared
MAX_BYTES = 1 << 16  # of an array


def fingerprint(env: Any) -> Fingerprint:
    """The comparable values in the attributes of an environment, by their paths."""
    found: Fingerprint = {}
    for path, value in _values(env, (), {}):
        found[path] = value
        if len(found) == MAX_VALUES:
            break
    return found


class Footprint:
    """Where environments are between two rollouts, to find out later whether they are still there.

    Only values that change while the training itself steps the environments are compared: others, for instance the
    difficulty of a task, may be set by anyone.
    """

    def __init__(self) -> None:
        self._before: list[Fingerprint] = []
        self._after: list[Fingerprint] = []
        self._moving: list[set[tuple[Hashable, ...]]] = []

    def begin(self, fingerprints: list[Fingerprint]) -> None:
        """Note the environments before the training steps or resets them."""
        self._before = fingerprints

    def end(self, fingerprints: list[Fingerprint]) -> None:
        """Note the environments after the training has stepped them."""
        self._after = fingerprints
        self._moving = self._moving or [set() for _ in fingerprints]
        for moving, before, after in zip(self._moving, self._before, fingerprints, strict=False):
            moving.update(after.keys() - before.keys(), _changed(before, after))

    def moved(self, fingerprints: list[Fingerprint]) -> int | None:
        """Index of the first environment that is not where it was at the latest ``end``, or None."""
        for i, (moving, then, now) in enumerate(zip(self._moving, self._after, fingerprints, strict=False)):
            if not moving.isdisjoint(_changed(then, now)):
                return i
        return None


def _changed(then: Fingerprint, now: Fingerprint) -> Iterator[tuple[Hashable, ...]]:
    return (path for path, value in now.items() if path in then and then[path] != value)


def _values(value: Any, path: tuple[Hashable, ...], seen: dict[int, Any]) -> Iterator[tuple[Any, Hashable]]:
    if isinstance(value, bool | int | float | complex | str | bytes | np.generic | None):
        yield path, repr(value)  # NaN is equal to NaN here
    elif isinstance(value, np.ndarray):
        if value.dtype.kind in "biufc" and value.nbytes <= MAX_BYTES:
            yield path, (value.shape, value.tobytes())
    elif isinstance(value, np.random.Generator):
        yield path, repr(value.bit_generator.state)
    elif isinstance(value, np.random.RandomState):
        yield path, repr(value.get_state(legacy=False))
    elif isinstance(value, random.Random):
        yield path, value.getstate()
    elif id(value) not in seen and len(path) < MAX_DEPTH and not isinstance(value, type):
        seen[id(value)] = value
        for key, item in _items(value):
            yield from _values(item, (*path, key), seen)


def _items(value: Any) -> Iterator[tuple[Hashable, Any]]:
    if isinstance(value, dict | list | tuple):
        yield "length", len(value)
        if len(value) <= MAX_ITEMS:
            yield from value.items() if isinstance(value, dict) else enumerate(value)
    elif hasattr(value, "qpos"):  # MuJoCo's data
        yield "qpos", value.qpos
    elif not callable(value) or hasattr(value, "step"):
        yield from getattr(value, "__dict__", {}).copy().items()
