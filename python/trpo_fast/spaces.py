"""Spaces as plain JSON, so that a policy file needs no pickle."""

from typing import Any

import gymnasium as gym
import numpy as np

from trpo_fast.errors import PolicyFileError, UnsupportedSpaceError

MAX_CHOICES = 1 << 20  # of one part of a space in a file
_FLOATS = ("float16", "float32", "float64")
_KINDS = "Box, Discrete, MultiDiscrete, MultiBinary, or a Dict (with text keys) or Tuple of them"
_DTYPES = (*_FLOATS, "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")


def space_to_json(space: gym.Space[Any]) -> dict[str, Any]:
    """A space as a JSON object; bounds travel as text, exactly ("inf" too)."""
    if isinstance(space, gym.spaces.Box):
        number = float if str(space.dtype) in _FLOATS else int
        bounds = {name: [repr(number(b)) for b in getattr(space, name).ravel()] for name in ("low", "high")}
        return {"type": "Box", "shape": list(space.shape), "dtype": str(space.dtype), **bounds}
    if isinstance(space, gym.spaces.Discrete):
        return {"type": "Discrete", "n": int(space.n), "start": int(space.start), "dtype": str(space.dtype)}
    if isinstance(space, gym.spaces.MultiDiscrete):
        choices = {"nvec": space.nvec.tolist(), "start": space.start.tolist()}
        return {"type": "MultiDiscrete", "dtype": str(space.dtype), **choices}
    if isinstance(space, gym.spaces.MultiBinary):
        return {"type": "MultiBinary", "n": space.n}  # an int and a shape of one int differ
    if isinstance(space, gym.spaces.Dict) and all(isinstance(key, str) for key in space.spaces):
        return {"type": "Dict", "spaces": [[key, space_to_json(part)] for key, part in space.spaces.items()]}
    if isinstance(space, gym.spaces.Tuple):
        return {"type": "Tuple", "spaces": [space_to_json(part) for part in space.spaces]}
    raise UnsupportedSpaceError(f"space: expected {_KINDS}, got {space}")


def same_spaces(some: tuple[gym.Space[Any], ...], others: tuple[gym.Space[Any], ...]) -> bool:
    """Whether spaces are equal and name their parts in the same order, which decides on columns."""
    return some == others and [_keys(space) for space in some] == [_keys(space) for space in others]


def _keys(space: gym.Space[Any]) -> list[Any]:
    if isinstance(space, gym.spaces.Dict):
        return [(key, _keys(part)) for key, part in space.spaces.items()]
    return [_keys(part) for part in space.spaces] if isinstance(space, gym.spaces.Tuple) else []


def space_from_json(data: dict[str, Any]) -> gym.Space[Any]:
    """The space that ``space_to_json`` described.

    Raises
    ------
    PolicyFileError
        If ``data`` describes none.
    """
    try:
        kind = data["type"]
        if kind == "MultiBinary":
            return gym.spaces.MultiBinary(_check_size(data["n"]))
        if kind == "Dict":
            return gym.spaces.Dict([(str(key), space_from_json(part)) for key, part in data["spaces"]])
        if kind == "Tuple":
            return gym.spaces.Tuple([space_from_json(part) for part in data["spaces"]])
        if data["dtype"] not in _DTYPES:
            raise ValueError("unknown dtype")
        dtype = np.dtype(data["dtype"]).type
        if kind == "Box":
            number = float if data["dtype"] in _FLOATS else int
            low, high = (
                np.array([number(b) for b in data[name]], dtype=dtype).reshape(data["shape"])
                for name in ("low", "high")
            )
            return gym.spaces.Box(low, high, dtype=dtype)
        if kind == "Discrete":
            return gym.spaces.Discrete(_check_size(data["n"]), start=data["start"], dtype=dtype)
        if kind == "MultiDiscrete":
            return gym.spaces.MultiDiscrete(_check_size(data["nvec"]), start=data["start"], dtype=dtype)
    except (KeyError, TypeError, ValueError, AssertionError, OverflowError, RecursionError) as error:
        raise PolicyFileError(f"space: expected a description of a space, got {data}") from error
    raise PolicyFileError(f"space: expected {_KINDS}, got {data}")


def _check_size(sizes: Any) -> Any:
    """``sizes``, if a space of them is one that could have been learned on."""
    if np.max(sizes) > MAX_CHOICES or np.prod(np.shape(sizes)) > MAX_CHOICES:
        raise ValueError(f"more than {MAX_CHOICES} choices")
    return sizes
