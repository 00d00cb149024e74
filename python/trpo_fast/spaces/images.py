"""Encoded images: planes of uint8, channels first, in records beside the numbers of an observation."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.spaces.leaves import VECTOR, ImageLeaf
from trpo_fast.validation import describe


def record_dtype(size: int, planes: Iterable[tuple[str, tuple[int, ...]]]) -> np.dtype[Any]:
    """Dtype of an encoded observation with images.

    Parameters
    ----------
    size : int
        Numbers of the field "vector", of float64.
    planes : iterable of (str, (int, int, int))
        Name and shape (channels, height, width) of each image, a field of uint8.
    """
    fields: list[Any] = [(VECTOR, np.float64, (size,)), *((name, np.uint8, shape) for name, shape in planes)]
    return np.dtype(fields, align=True)


def vector_of(encoded: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """View of the numbers of encoded observations: the field "vector" of records, or the array itself."""
    return encoded if encoded.dtype.names is None else encoded[VECTOR]


def take_image(leaf: ImageLeaf, value: Any, out: npt.NDArray[np.uint8]) -> bool:
    """Copy an image to ``out`` (channels, height, width); return whether ``value`` has the shape and pixels of one."""
    pixels = np.asarray(value)
    if pixels.shape != leaf.shape or pixels.dtype.kind not in "iub":
        return False
    if pixels.dtype != np.uint8 and ((pixels < 0) | (pixels > 255)).any():
        return False
    out[...] = np.moveaxis(pixels, -1, 0) if leaf.is_channels_last else pixels
    return True


def image_fault(leaf: ImageLeaf, value: Any) -> str:
    """What is wrong with a ``value`` that ``take_image`` does not take: its kind, or its first pixel outside 0..255."""
    pixels = np.asarray(value)
    if pixels.shape != leaf.shape or pixels.dtype.kind not in "iub":
        return describe(value)
    index = tuple(int(i) for i in np.argwhere((pixels < 0) | (pixels > 255))[0])
    return f"{pixels[index]} at index {index}"


def decode_images(leaf: ImageLeaf, planes: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Images of the space, shape (n, *leaf.shape), from planes (n, channels, height, width), which are copied."""
    return np.array(np.moveaxis(planes, 1, -1) if leaf.is_channels_last else planes, order="C")


def check_records(name: str, value: Any, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """``value``, or InvalidArgumentError if it is not an array (N,) of records of ``dtype``, N > 0."""
    if not isinstance(value, np.ndarray) or value.dtype != dtype or value.ndim != 1 or len(value) == 0:
        expected = f"records of {', '.join(dtype.names or ())} of shape (N,), as Policy.rows returns them"
        raise InvalidArgumentError(name, expected, describe(value))
    return value


def are_same(some: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    """Whether two encoded observations of one space are equal."""
    names = some.dtype.names
    if names is None:
        return bool((some == other).all())
    return all(np.array_equal(some[name], other[name]) for name in names)


def as_plain(encoded: npt.NDArray[Any]) -> Any:
    """A copy of encoded observations as plain values: an array, or with images a dict of arrays."""
    names = encoded.dtype.names
    return encoded.copy() if names is None else {name: encoded[name].copy() for name in names}


def from_plain(values: Any, out: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Copy what ``as_plain`` returned to ``out`` and return it.

    Raises
    ------
    KeyError, TypeError, ValueError
        If ``values`` are not encoded observations of this number and space.
    """
    parts = {None: (values, out)} if out.dtype.names is None else {n: (values[n], out[n]) for n in out.dtype.names}
    for name, (value, part) in parts.items():
        if not isinstance(value, np.ndarray) or (value.shape, value.dtype) != (part.shape, part.dtype):
            place = "" if name is None else f" in {name!r}"
            raise ValueError(f"observations: expected {part.dtype} {part.shape}, got {describe(value)}{place}")
        part[...] = value
    return out
