"""Numbers of choices in a space, equality of spaces, and short names."""

from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

Spaces = tuple[gym.Space[Any], gym.Space[Any]]  # of observations and actions


def num_choices(space: gym.Space[Any]) -> npt.NDArray[np.int64]:
    """Choices of each part of a Discrete (one part) or MultiDiscrete, a flat int64 array; empty for other spaces."""
    if isinstance(space, gym.spaces.Discrete):
        return np.array([space.n], np.int64)
    return space.nvec.ravel().astype(np.int64) if isinstance(space, gym.spaces.MultiDiscrete) else np.empty(0, np.int64)


def same_spaces(some: tuple[gym.Space[Any], ...], others: tuple[gym.Space[Any], ...]) -> bool:
    """Whether spaces are equal and have their Dict keys in the same order, which determines the order of columns."""
    return some == others and [_keys(space) for space in some] == [_keys(space) for space in others]


def name_of(space: gym.Space[Any]) -> str:
    """A short name of a space, without the bounds of a Box."""
    if isinstance(space, gym.spaces.Box):
        return f"Box{space.shape}"
    parts = space.spaces if isinstance(space, gym.spaces.Dict | gym.spaces.Tuple) else None
    return str(space) if parts is None else f"{type(space).__name__} of {len(parts)}"


def _keys(space: gym.Space[Any]) -> list[Any]:
    if isinstance(space, gym.spaces.Dict):
        return [(key, _keys(part)) for key, part in space.spaces.items()]
    return [_keys(part) for part in space.spaces] if isinstance(space, gym.spaces.Tuple) else []
