"""What spaces say of choices, and when two spaces are the same."""

from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

Spaces = tuple[gym.Space[Any], gym.Space[Any]]  # of observations and actions


def num_choices(space: gym.Space[Any]) -> npt.NDArray[np.int64]:
    """How many choices each part of a Discrete (one) or MultiDiscrete has, flat; of other spaces nothing."""
    if isinstance(space, gym.spaces.Discrete):
        return np.array([space.n], np.int64)
    return space.nvec.ravel().astype(np.int64) if isinstance(space, gym.spaces.MultiDiscrete) else np.empty(0, np.int64)


def same_spaces(some: tuple[gym.Space[Any], ...], others: tuple[gym.Space[Any], ...]) -> bool:
    """Whether spaces are equal and name their parts in the same order, which decides on columns."""
    return some == others and [_keys(space) for space in some] == [_keys(space) for space in others]


def _keys(space: gym.Space[Any]) -> list[Any]:
    if isinstance(space, gym.spaces.Dict):
        return [(key, _keys(part)) for key, part in space.spaces.items()]
    return [_keys(part) for part in space.spaces] if isinstance(space, gym.spaces.Tuple) else []
