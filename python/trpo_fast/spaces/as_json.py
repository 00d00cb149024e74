"""Spaces as plain JSON, so that a policy file needs no pickle; and the copies of them that a model keeps."""

import json
import math
import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast._core import strict_json
from trpo_fast.errors import PolicyFileError, UnsupportedSpaceError
from trpo_fast.spaces.kinds import same_spaces
from trpo_fast.spaces.leaves import is_image
from trpo_fast.validation import MAX_DIMENSIONS, describe, is_shape

MAX_CHOICES = 1 << 20  # largest number of choices of one part of a space in a file
MAX_BOUND = 40  # longest text of a bound
MAX_BYTES = 1 << 21  # of the lower bounds of one Box
MAX_TEXT = 3 << 20  # bytes of a space in the header of a file
MAX_PIXELS = 1 << 21  # of all images, whose bounds are written once for all pixels
MAX_LISTED = 1 << 10  # bounds that are a list of texts; more are one text, which takes less memory

_IMAGE = {"type": "Box", "dtype": "uint8", "low": "0", "high": "255"}  # but for its shape
_INTEGER = re.compile(r"-?(0|[1-9]\d*)", re.ASCII)
_FLOAT = re.compile(r"-?(inf|(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?)", re.ASCII)
_FLOATS = ("float16", "float32", "float64")
_KINDS = "Box, Discrete, MultiDiscrete, MultiBinary, or a Dict (with text keys) or Tuple of them"
_DTYPES = (*_FLOATS, "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool")


def own_copy(name: str, space: Any) -> gym.Space[Any]:
    """A copy of ``space`` as a file gives it back, which nobody else can change.

    So a space that cannot be stored is refused before anything is learned in it.

    Raises
    ------
    UnsupportedSpaceError
        If a file cannot hold the space.
    """
    try:
        text = json.dumps(space_to_json(space))
        if len(json.dumps(text)) > MAX_TEXT:
            raise ValueError(f"a description of more than {MAX_TEXT} bytes")
        copy = space_from_json(strict_json.loads(text, strict_json.MAX_COST // 3))
        if not same_spaces((copy,), (space,)):
            raise ValueError("a description of another space")
    except UnsupportedSpaceError as error:
        raise UnsupportedSpaceError(f"{name.removesuffix('space')}{error}") from None
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        got = f"{describe(space)}, of which it could not: {error}"
        raise UnsupportedSpaceError(f"{name}: expected one that a file can hold, got {got}") from error
    return copy


def space_to_json(space: gym.Space[Any]) -> dict[str, Any]:
    """Convert a space to a JSON object; bounds are stored as text, without rounding ("inf" too).

    Raises
    ------
    UnsupportedSpaceError
        If the space is of another kind, or too large.
    """
    if is_image(space):
        return {**_IMAGE, "shape": list(space.shape or ())}
    if isinstance(space, gym.spaces.Box):
        if space.low.nbytes > MAX_BYTES:
            raise UnsupportedSpaceError(f"space: expected bounds of at most {MAX_BYTES} bytes, got {describe(space)}")
        number = float if str(space.dtype) in _FLOATS else int
        bounds: dict[str, Any] = {n: [repr(number(b)) for b in getattr(space, n).ravel()] for n in ("low", "high")}
        if space.low.size > MAX_LISTED:
            bounds = {name: " ".join(texts) for name, texts in bounds.items()}
        return {"type": "Box", "shape": list(space.shape), "dtype": str(space.dtype), **bounds}
    if isinstance(space, gym.spaces.Discrete):
        return {"type": "Discrete", "n": int(space.n), "start": int(space.start), "dtype": str(space.dtype)}
    if isinstance(space, gym.spaces.MultiDiscrete):
        choices = {"nvec": space.nvec.tolist(), "start": space.start.tolist()}
        return {"type": "MultiDiscrete", "dtype": str(space.dtype), **choices}
    if isinstance(space, gym.spaces.MultiBinary):
        sizes = np.ravel(space.n).tolist()
        return {"type": "MultiBinary", "n": sizes if np.ndim(space.n) else sizes[0]}  # an int and a shape of one differ
    if isinstance(space, gym.spaces.Dict) and all(isinstance(key, str) for key in space.spaces):
        return {"type": "Dict", "spaces": [[key, space_to_json(part)] for key, part in space.spaces.items()]}
    if isinstance(space, gym.spaces.Tuple):
        return {"type": "Tuple", "spaces": [space_to_json(part) for part in space.spaces]}
    raise UnsupportedSpaceError(f"space: expected {_KINDS}, got {describe(space)}")


def space_from_json(data: dict[str, Any]) -> gym.Space[Any]:
    """Restore the space that ``space_to_json`` converted to ``data``.

    Raises
    ------
    PolicyFileError
        If ``data`` does not describe a space.
    """
    if (pixels := _count_pixels(data)) > MAX_PIXELS:
        raise PolicyFileError(f"space: expected images of at most {MAX_PIXELS} pixels, got {pixels}")
    return _space(data)


def _space(data: dict[str, Any]) -> gym.Space[Any]:
    try:
        kind = data["type"]
        if kind == "MultiBinary":
            return gym.spaces.MultiBinary(_counts(data["n"]))
        if kind == "Dict":
            return gym.spaces.Dict(_parts(data["spaces"]))
        if kind == "Tuple":
            return gym.spaces.Tuple([_space(part) for part in _list(data["spaces"])])
        if _is_image(data):
            return gym.spaces.Box(0, 255, tuple(data["shape"]), np.uint8)
        if data["dtype"] not in _DTYPES:
            raise ValueError("unknown dtype")
        dtype = np.dtype(data["dtype"]).type
        if kind == "Box":
            shape = [_integer(n) for n in _list(data["shape"])]
            if not is_shape(shape):
                raise ValueError("not a shape")
            if math.prod(shape) * np.dtype(dtype).itemsize > MAX_BYTES:
                raise ValueError(f"bounds of more than {MAX_BYTES} bytes")
            n = math.prod(shape)
            low, high = (_bounds(data[name], n, data["dtype"]).reshape(shape) for name in ("low", "high"))
            if (low == np.inf).any() or (high == -np.inf).any():
                raise ValueError("bounds of an empty interval")
            return gym.spaces.Box(low, high, dtype=dtype)
        if kind in ("Discrete", "MultiDiscrete") and data["dtype"] not in (*_FLOATS, "bool"):
            name = "n" if kind == "Discrete" else "nvec"
            counts, start = _counts(data[name]), _integers(data["start"])
            if isinstance(counts, int) != (kind == "Discrete") or np.shape(start) != np.shape(counts):
                raise ValueError("counts of another shape")
            for number in (*np.ravel(counts), *np.ravel(start)):
                _in_range(int(number), data["dtype"])
            make = gym.spaces.Discrete if kind == "Discrete" else gym.spaces.MultiDiscrete
            return make(counts, start=start, dtype=dtype)
    except (KeyError, TypeError, ValueError, AssertionError, OverflowError, RecursionError) as error:
        raise PolicyFileError(f"space: expected a description of a space, got {describe(data)}") from error
    raise PolicyFileError(f"space: expected {_KINDS}, got {describe(data)}")


def _is_image(data: dict[str, Any]) -> bool:
    """Whether ``data`` describes an image, whose bounds are not written for each of its pixels."""
    shape = data.get("shape")
    has_shape = isinstance(shape, list) and len(shape) == 3 and all(type(n) is int and n > 0 for n in shape)
    return has_shape and {name: data.get(name) for name in _IMAGE} == _IMAGE


def _count_pixels(data: Any) -> int:
    """Pixels of all images that ``data`` describes."""
    if isinstance(data, list):
        return sum(map(_count_pixels, data))
    if not isinstance(data, dict):
        return 0
    return math.prod(data["shape"]) if _is_image(data) else _count_pixels(data.get("spaces"))


def _parts(pairs: Any) -> list[tuple[str, gym.Space[Any]]]:
    parts = [(key, _space(part)) for key, part in _list(pairs)]
    if not all(isinstance(key, str) for key, _ in parts) or len(dict(parts)) != len(parts):
        raise ValueError("keys that are not text, or not unique")
    return parts


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("expected a list")
    return value


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("expected an integer")
    return _in_range(value, "int64")


def _integers(value: Any) -> Any:
    """Check that ``value`` is an integer or nested lists of integers, and return it."""
    return [_integers(item) for item in value] if isinstance(value, list) else _integer(value)


def _counts(value: Any) -> Any:
    """Check that ``value`` is one or several numbers of choices within the limits, and return it."""
    counts = _integers(value)
    has_shape = np.ndim(counts) <= MAX_DIMENSIONS and 0 < np.size(counts) <= MAX_CHOICES
    if not has_shape or np.min(counts) < 1 or np.max(counts) > MAX_CHOICES:
        raise ValueError(f"choices outside 1..{MAX_CHOICES}")
    return counts


def _in_range(number: int, dtype: str) -> int:
    low, high = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if not low <= number <= high:
        raise ValueError(f"a number outside the range of {dtype}")
    return number


def _bounds(texts: Any, n: int, dtype: str) -> npt.NDArray[Any]:
    """``n`` bounds of a dtype from a list of texts, or from one text with blanks between them.

    They are written as ``space_to_json`` does: numbers of the dtype in JSON's syntax, or "inf".
    """
    if (texts.count(" ") + 1 if isinstance(texts, str) else len(_list(texts))) != n:
        raise ValueError(f"not {n} bounds")
    parse = _float if dtype in _FLOATS else partial(_bounded_integer, dtype=dtype)
    bounds = np.empty(n, dtype=np.float64 if dtype in _FLOATS else dtype)
    known: dict[Any, float | int] = {}  # most bounds of a Box are alike
    for i, text in enumerate(_words(texts) if isinstance(texts, str) else texts):
        if text not in known:
            if len(known) == MAX_LISTED:
                known.clear()
            if not isinstance(text, str) or len(text) > MAX_BOUND:
                raise ValueError("a bound that is not text, or too long")
            known[text] = parse(text)
        bounds[i] = known[text]
    with np.errstate(all="ignore"):
        exact = bounds.astype(dtype)
    if not np.array_equal(exact, bounds):
        raise ValueError(f"a bound that {dtype} cannot represent")
    return exact


def _words(text: str) -> Iterator[str]:
    """What ``text.split(" ")`` returns, one after the other."""
    begin = 0
    while (end := text.find(" ", begin)) >= 0:
        yield text[begin:end]
        begin = end + 1
    yield text[begin:]


def _bounded_integer(text: str, dtype: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError("a bound that is not an integer")
    return _in_range(int(text), dtype)


def _float(text: str) -> float:
    value = float(text) if _FLOAT.fullmatch(text) else math.nan
    if math.isnan(value) or (math.isinf(value) and "inf" not in text):
        raise ValueError("a bound that is not a number")
    return value
