"""Encoded observations: checked before they are made, normalised once per set of statistics.

The functions between the environments and the kernels pass an ``Observations`` or a buffer on without knowing its
layout: a row of float64 per observation, and for each image of the space numbers of planes, which are stored once.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from trpo_fast._core.modules import core, kernels
from trpo_fast.spaces.images import record_dtype, vector_of
from trpo_fast.spaces.leaves import VECTOR
from trpo_fast.spaces.planes import PlaneStacks

# encoded observations as environments write them, of ``ObservationCodec.dtype``
EncodedArray: TypeAlias = npt.NDArray[Any]
# rows (n, size), or with images a tuple (rows, core.Images, ...)
NetworkInputs: TypeAlias = npt.NDArray[Any] | tuple[Any, ...]


class Observations:
    """N encoded observations: rows of float64, not normalised, with an action mask, if any, in the last columns.

    ``Policy.check_observations`` makes one from a user's array, a buffer from a rollout.

    Parameters
    ----------
    rows : ndarray of float64, shape (N, size), C-contiguous
        Not copied; the attribute ``rows`` is a read-only view.
    is_finite : bool, optional
        The property, if known; otherwise computed on first use.
    images : sequence of PlaneStacks, N images each
        Images of the observations, in the order of the space.
    """

    def __init__(
        self, rows: npt.NDArray[np.float64], is_finite: bool | None = None, images: Sequence[PlaneStacks] = ()
    ) -> None:
        self.rows = _read_only(rows)
        self.images = tuple(images)
        self._known_finite = is_finite
        self._normalized: tuple[core.Normalizer, npt.NDArray[Any]] | None = None

    @classmethod
    def of(cls, encoded: EncodedArray, is_finite: bool | None = None) -> "Observations":
        """Observations of encoded ones, rows (N, size) or records (N,); nothing of them is copied if they are rows."""
        names = (encoded.dtype.names or ())[1:]
        rows, images = np.ascontiguousarray(vector_of(encoded)), [PlaneStacks.of(name, encoded[name]) for name in names]
        return cls(rows, is_finite, images)

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """The encoded observations: rows, or with images records."""
        encoded = self.rows if not self.images else self._records()
        return np.array(encoded, dtype=dtype) if copy else np.asarray(encoded, dtype=dtype)

    def __getitem__(self, index: slice | npt.NDArray[Any]) -> "Observations":
        """Subset of the observations; cached network inputs are kept."""
        rows = self.rows[index]
        if rows.ndim != 2:
            raise TypeError(f"Observations: expected a slice or an array as an index, got {index!r}")
        images = [image[index] for image in self.images]
        part = Observations(np.ascontiguousarray(rows), self._known_finite, images)
        if self._normalized is not None:
            normalizer, inputs = self._normalized
            part._normalized = normalizer, _read_only(np.ascontiguousarray(inputs[index]))
        return part

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles without the cached network inputs: a normaliser of the core cannot be pickled."""
        return Observations, (self.rows, self._known_finite, self.images)

    def _records(self) -> npt.NDArray[Any]:
        records = np.empty(len(self), self.dtype)
        records[VECTOR] = self.rows
        for image in self.images:
            records[image.name] = image.dense()
        return records

    @property
    def size(self) -> int:
        """Numbers in an observation, including an action mask, without images."""
        return int(self.rows.shape[1])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the encoded observations, as ``ObservationCodec.dtype``."""
        if not self.images:
            return np.dtype(np.float64)
        return record_dtype(self.size, [(image.name, image.shape) for image in self.images])

    def masks(self, size: int) -> npt.NDArray[np.float64]:
        """The action masks, shape (N, size), of observations that end with masks."""
        masks: npt.NDArray[np.float64] = self.rows[:, -size:]
        return masks

    @cached_property
    def is_finite(self) -> bool:
        """Whether all values are finite and of magnitude up to 1e18, so that their squares are."""
        if self._known_finite is None:
            return bool((np.abs(self.rows) <= core.MAX_MAGNITUDE).all())
        return self._known_finite

    def uncached(self) -> "Observations":
        """The same observations, which cache network inputs of their own."""
        return Observations(self.rows, self.is_finite, self.images)

    def inputs(self, normalizer: core.Normalizer, dtype: npt.DTypeLike, columns: slice = slice(None)) -> NetworkInputs:
        """Network inputs of ``dtype``, of which the latest are cached.

        Parameters
        ----------
        normalizer : core.Normalizer
        dtype : float32 or float64
        columns : slice
            Columns of the rows to return; all by default.

        Returns
        -------
        ndarray or tuple
            Normalised rows, shape (N, size), read-only; with images a tuple of them and a ``core.Images`` for each.
        """
        cached = self._normalized  # read once: another thread may replace it
        if cached is None or cached[0] is not normalizer or cached[1].dtype != dtype:
            inputs = np.empty(self.rows.shape, dtype=dtype)
            kernels(dtype).normalize(normalizer, self.rows, inputs)
            cached = self._normalized = normalizer, _read_only(inputs)
        rows = cached[1] if columns == slice(None) else np.ascontiguousarray(cached[1][:, columns])
        return rows if not self.images else (rows, *(image.kernel for image in self.images))


class ObservationBuffer:
    """Buffer for the observations of T steps of n environments and those after the last step.

    Environments write the observations acted on in step t to ``begin(t)``, check them, and call ``end(t)``.

    Parameters
    ----------
    array : ndarray of float64, shape (T + 1, n, *shape)

    Attributes
    ----------
    rows : ndarray of float64, shape (T + 1, n, size)
        The numbers of the observations.
    """

    def __init__(self, array: npt.NDArray[np.float64]) -> None:
        self.array = array
        self.rows = array.reshape(*array.shape[:2], -1)

    def __getitem__(self, index: Any) -> Any:
        return self.array[index]

    def __setitem__(self, t: int, observations: EncodedArray) -> None:
        self.array[t] = observations

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.array, dtype=dtype) if copy else np.asarray(self.array, dtype=dtype)

    def begin(self, t: int) -> EncodedArray:
        """Memory for the observations acted on in step t, shape (n, *shape), valid until ``end(t)``."""
        observations: EncodedArray = self.array[t]
        return observations

    def end(self, t: int) -> None:
        """Keep what was written to the memory of ``begin(t)``."""

    def acted_on(self, t: int, envs: slice | npt.NDArray[np.int64] = slice(None)) -> NetworkInputs:
        """Observations of some environments, acted on in step t, as an actor takes them."""
        rows: EncodedArray = self.rows[t][envs]
        return rows

    def transitions(self, valid: npt.NDArray[np.bool_]) -> Observations:
        """Observations acted on in the ``valid`` (T, n) steps, environment by environment."""
        return Observations(by_environment(self.rows[:-1], valid), is_finite=True)

    def last(self) -> Observations:
        """Observations after the last step, one per environment."""
        return Observations(self.rows[-1], is_finite=True)

    def at(self, steps: npt.NDArray[np.int64]) -> Observations:
        """Observations of ``steps`` (n, m), m steps of each environment, environment by environment."""
        return stack(self.rows[t, i] for i, its_steps in enumerate(steps) for t in its_steps)


def by_environment(values: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Entries of ``values`` (T, n, ...) where ``valid`` (T, n) is True, in environment-major order, shape (N, ...)."""
    if valid.shape[1] == 1 and valid.all():
        return values[:, 0]
    return np.ascontiguousarray(values.swapaxes(0, 1)[valid.T])


def by_time(values: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Inverse of ``by_environment``: an array (T, n, ...) with zeros where ``valid`` is False."""
    spread = np.zeros((*valid.shape, *values.shape[1:]), dtype=values.dtype)
    spread.swapaxes(0, 1)[valid.T] = values
    return spread


def stack(observations: Iterable[EncodedArray]) -> Observations:
    """Stack single observations of a buffer, of any shape, which were checked when they were written to it."""
    each = list(observations)
    if each[0].dtype.names is None:
        return Observations(np.stack([observation.ravel() for observation in each]), is_finite=True)
    records = np.empty(len(each), each[0].dtype)
    for i, observation in enumerate(each):
        records[i] = observation
    return Observations.of(records, is_finite=True)


def concatenate(parts: Sequence[Observations]) -> Observations:
    """Concatenate observations."""
    rows, is_finite = np.concatenate([part.rows for part in parts]), all(part.is_finite for part in parts)
    images = [PlaneStacks.concatenated(its) for its in zip(*(part.images for part in parts), strict=True)]
    return Observations(rows, is_finite, images)


def as_network_inputs(observations: EncodedArray | NetworkInputs) -> NetworkInputs:
    """Encoded observations, or those of a buffer, as an actor takes them."""
    if isinstance(observations, tuple) or observations.dtype.names is None:
        return observations
    encoded = Observations.of(observations)
    return encoded.rows, *(image.kernel for image in encoded.images)


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
