"""Observation spaces: how observations are encoded as numbers.

A Box is kept as it is. Other observations are flattened in the order of ``gymnasium.spaces.utils.flatten``: a Discrete
and each part of a MultiDiscrete become one-hot vectors, a MultiBinary zeros and ones, and the parts of a Dict or Tuple
are concatenated. Images are not flattened: an observation with images is a record of a vector, which holds all that is
not an image, and the images as planes of uint8, channels first.
"""

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.vector.utils import concatenate, create_empty_array

from trpo_fast._core.modules import core
from trpo_fast.errors import InvalidArgumentError, UnsupportedSpaceError
from trpo_fast.spaces.images import decode_images, image_fault, record_dtype, take_image, vector_of
from trpo_fast.spaces.leaves import SUPPORTED, ImageLeaf, Leaf, parts_of
from trpo_fast.validation import describe

MAX_MAGNITUDE: float = core.MAX_MAGNITUDE  # its square is still a float32
OUTSIDE = 100.0  # ranges of a Box by which an observation may lie outside of it


class ObservationCodec:
    """Encodes the observations of one space.

    Parameters
    ----------
    space : gymnasium.Space
    mask_size : int
        Entries of an action mask that is appended to each observation; 0 without masks.

    Attributes
    ----------
    images : tuple of ImageLeaf
        The images of the space.
    num_features : int
        Numbers in an encoded observation, without the mask and without images.
    size : int
        Numbers in an encoded observation, with the mask.
    dtype : dtype
        Of encoded observations: float64; with images a record of "vector", float64 of shape (size,), and for each image
        its name, uint8 of shape (channels, height, width).
    shape : tuple
        Shape of an encoded observation: () with images, that of a Box without a mask, else (size,).
    is_continuous : ndarray of bool, shape (size,)
        False where a number belongs to a choice or a mask, which is not normalised.
    limits : tuple of two ndarray, shape (size,), or None
        Smallest and largest number of each column that is still taken for an observation: 100 times the range of a
        finite Box outside of its bounds, and at least 100. None if no Box has finite bounds.
    take : callable (value, out) -> bool
        Encodes ``value`` into ``out`` (*shape), with a mask that allows every choice. Returns whether ``value`` is an
        observation of the space with finite entries of magnitude up to 1e18.

    Raises
    ------
    UnsupportedSpaceError
        If the space cannot be encoded, or is empty.
    """

    def __init__(self, space: gym.Space[Any], mask_size: int = 0) -> None:
        self.space = space
        self._parts = tuple(parts_of(space))
        self._leaves = tuple(part for part in self._parts if isinstance(part, Leaf))
        self.images = tuple(part for part in self._parts if isinstance(part, ImageLeaf))
        self.num_features = self._leaves[-1].columns.stop if self._leaves else 0
        self.size = self.num_features + mask_size
        self._is_box = isinstance(space, gym.spaces.Box) and not self.images
        keeps_shape = self._is_box and not mask_size
        self.dtype: np.dtype[Any] = np.dtype(np.float64)
        self.shape: tuple[int, ...] = (space.shape or ()) if keeps_shape else (self.size,)
        if self.images:
            self.dtype = record_dtype(self.size, [(image.name, image.planes_shape) for image in self.images])
            self.shape = ()
        elif self.num_features == 0 or (self._is_box and space.shape == ()):
            raise UnsupportedSpaceError(f"observation space: {SUPPORTED}, of at least one dimension, got {space}")
        self.is_continuous = np.zeros(self.size, dtype=np.bool_)
        for leaf in self._leaves:
            self.is_continuous[leaf.columns] = isinstance(leaf.space, gym.spaces.Box)
        self.limits = self._limits()
        self.take: Callable[[Any, npt.NDArray[Any]], bool] = copy_if_fit if keeps_shape else self._take

    def _limits(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
        low, high = np.full(self.size, -np.inf), np.full(self.size, np.inf)
        for leaf in self._leaves:
            if isinstance(leaf.space, gym.spaces.Box):
                bounds = [np.ravel(bound).astype(np.float64) for bound in (leaf.space.low, leaf.space.high)]
                is_finite = np.maximum(*np.abs(bounds)) < MAX_MAGNITUDE
                margin = np.where(is_finite, OUTSIDE * np.maximum(bounds[1] - bounds[0], 1.0), np.inf)
                low[leaf.columns], high[leaf.columns] = bounds[0] - margin, bounds[1] + margin
        return (low, high) if np.isfinite(high).any() else None

    def empty(self, *n: int) -> npt.NDArray[Any]:
        """Uninitialised memory for encoded observations, shape (*n, *shape)."""
        return np.empty((*n, *self.shape), self.dtype)

    def mask_in(self, encoded: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """View of the action mask in an encoded observation, shape (mask_size,)."""
        return vector_of(encoded)[self.num_features :]

    def decode(self, encoded: npt.NDArray[Any]) -> Any:
        """Observations as a vector environment returns them, leaves of arrays (n, ...), from encoded (n, *shape)."""
        n = len(encoded)
        rows = vector_of(encoded).reshape(n, -1)[:, : self.num_features]
        if self._is_box:
            return rows.reshape(n, *(self.space.shape or ())).astype(self.space.dtype)
        arrays: dict[tuple[Any, ...], Any] = {}
        for part in self._parts:
            if isinstance(part, ImageLeaf):
                arrays[part.path] = decode_images(part, encoded[part.name])
            else:
                items = [gym.spaces.utils.unflatten(part.space, row) for row in rows[:, part.columns]]
                batch: Any = create_empty_array(part.space, n)
                arrays[part.path] = concatenate(part.space, items, batch)
        return _nested(self.space, arrays)

    def items(self, batch: Any, n: int) -> Iterator[Any]:
        """Iterate over the n observations of a batch as vector environments return it: leaves are arrays (n, ...).

        Raises
        ------
        InvalidArgumentError
            If a part of the batch does not have n rows.
        IndexError, KeyError, TypeError
            If the batch lacks a part.
        """
        for part in self._parts:
            rows = _at(batch, part.path)
            if len(rows) != n:
                expected = f"{n} rows in every part of a batch"
                raise InvalidArgumentError("observation", expected, f"{len(rows)} rows{_place(part.path)}")
        for i in range(n):
            yield _item(self.space, batch, i)

    def rows(self, observation: Any) -> tuple[npt.NDArray[Any], bool]:
        """Encode one observation, or a batch as vector environments return it.

        Returns
        -------
        rows : ndarray of float64, shape (n, size), or with images of ``dtype``, shape (n,)
            n = 1 for a single observation; masks allow every choice.
        is_batch : bool
            Whether ``observation`` is a batch.

        Raises
        ------
        InvalidArgumentError
            If ``observation`` is neither an observation of the space nor a batch of them.
        """
        if self._is_box:
            return self._box_rows(observation)
        expected = f"one of {self.space} or a batch of them"
        try:
            part = self._parts[0]
            first = _at(observation, part.path)
            shape = part.shape if isinstance(part, ImageLeaf) else part.space.shape or ()
            is_batch = np.ndim(first) == len(shape) + 1
            items = list(self.items(observation, len(first))) if is_batch else [observation]
        except InvalidArgumentError:
            raise
        except (IndexError, KeyError, TypeError, ValueError):
            items = []
        if not items:
            raise InvalidArgumentError("observation", expected, describe(observation))
        rows = self.empty(len(items))
        for i, (item, row) in enumerate(zip(items, rows, strict=True)):
            if not self._take(item, row):
                raise InvalidArgumentError("observation", expected, self.fault(item)[1] + f" in row {i}" * is_batch)
        return rows, is_batch

    def fault(self, value: Any) -> tuple[str, str]:
        """What ``take`` expects, and what it got, for a ``value`` that it does not take: the first wrong value."""
        if self._is_box:
            return _box_fault(self.space, value)
        for part in self._parts:
            try:
                if (got := _fault_in(part, _at(value, part.path))) is None:
                    continue
            except (IndexError, KeyError, TypeError, ValueError):
                break
            return f"an observation of {self.space}", got + _place(part.path)
        return f"an observation of {self.space}", describe(value)

    def _box_rows(self, observation: Any) -> tuple[npt.NDArray[np.float64], bool]:
        shape = self.space.shape or ()
        try:
            array = np.asarray(observation)
        except ValueError:  # nested lists of unequal lengths
            array = np.empty(0, dtype=object)
        is_batch = array.ndim == len(shape) + 1
        if array.dtype.kind not in "fiub" or array.shape[is_batch:] != shape or array.size == 0:
            expected = f"a real array of shape {shape} or (n, {', '.join(map(str, shape))})"
            raise InvalidArgumentError("observation", expected, describe(observation))
        kept = np.empty(array.shape)
        if not copy_if_fit(array, kept):
            raise InvalidArgumentError(
                "observation", f"finite values of magnitude <= {MAX_MAGNITUDE:g}", worst_of(array)
            )
        features = kept.reshape(len(array) if is_batch else 1, self.num_features)
        if self.size == self.num_features:
            return features, is_batch
        return np.pad(features, ((0, 0), (0, self.size - self.num_features)), constant_values=1.0), is_batch

    def _take(self, value: Any, out: npt.NDArray[Any]) -> bool:
        vector = vector_of(out)
        vector[self.num_features :] = 1.0
        try:
            return all(
                _take_leaf(leaf.space, _at(value, leaf.path), vector[leaf.columns]) for leaf in self._leaves
            ) and all(take_image(image, _at(value, image.path), out[image.name]) for image in self.images)
        except (IndexError, KeyError, TypeError, ValueError):
            return False


def copy_if_fit(values: Any, out: npt.NDArray[np.float64]) -> bool:
    """Copy ``values`` to ``out``; return whether they are real, finite, of its shape, and of magnitude up to 1e18."""
    if core.copy_if_fit(values, out):  # the usual case: contiguous floats
        return True
    is_real = isinstance(values, np.ndarray) and values.shape == out.shape and values.dtype.kind in "fiub"
    return is_real and core.copy_if_fit(values.astype(np.float64, order="C"), out)


def worst_of(values: npt.NDArray[Any]) -> str:
    """The first of ``values`` that is not finite or of magnitude above 1e18, and its index."""
    with np.errstate(all="ignore"):  # of a long double
        is_bad = ~(np.abs(values.astype(np.float64)) <= MAX_MAGNITUDE)
    index = tuple(int(i) for i in np.argwhere(is_bad)[0])
    return f"{values[index]}" + (f" at index {index[0] if len(index) == 1 else index}" if index else "")


def _box_fault(space: gym.Space[Any], value: Any) -> tuple[str, str]:
    if not isinstance(value, np.ndarray) or value.shape != space.shape or value.dtype.kind not in "fiub":
        return f"a real array of shape {space.shape}", describe(value)
    return f"finite values of magnitude <= {MAX_MAGNITUDE:g}", worst_of(value)


def _place(path: tuple[Any, ...]) -> str:
    return " in " + "".join(f"[{key!r}]" for key in path) if path else ""


def _fault_in(part: Leaf | ImageLeaf, value: Any) -> str | None:
    """What is wrong with ``value`` in a part of a Dict or Tuple; None if nothing is."""
    if isinstance(part, ImageLeaf):
        return None if take_image(part, value, np.empty(part.planes_shape, np.uint8)) else image_fault(part, value)
    if _take_leaf(part.space, value, np.empty(part.columns.stop - part.columns.start)):
        return None
    return _box_fault(part.space, np.asarray(value))[1] if isinstance(part.space, gym.spaces.Box) else describe(value)


def _take_leaf(space: gym.Space[Any], value: Any, out: npt.NDArray[np.float64]) -> bool:
    if isinstance(space, gym.spaces.Box):
        return copy_if_fit(np.asarray(value), out.reshape(space.shape))
    if not space.contains(value):
        return False
    out[:] = np.asarray(gym.spaces.utils.flatten(space, value))
    return True


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _nested(space: gym.Space[Any], leaves: dict[tuple[Any, ...], Any], path: tuple[Any, ...] = ()) -> Any:
    """Dicts and tuples as in ``space``, with ``leaves[path]`` where the space has a leaf."""
    if isinstance(space, gym.spaces.Dict):
        return {key: _nested(part, leaves, (*path, key)) for key, part in space.spaces.items()}
    if isinstance(space, gym.spaces.Tuple):
        return tuple(_nested(part, leaves, (*path, k)) for k, part in enumerate(space.spaces))
    return leaves[path]


def _item(space: gym.Space[Any], batch: Any, i: int) -> Any:
    if isinstance(space, gym.spaces.Dict):
        return {key: _item(part, batch[key], i) for key, part in space.spaces.items()}
    if isinstance(space, gym.spaces.Tuple):
        return tuple(_item(part, batch[k], i) for k, part in enumerate(space.spaces))
    return batch[i]
