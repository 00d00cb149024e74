"""Encoded observations: checked before they are made, normalised once per set of statistics.

The functions between the environments and the kernels pass an ``Observations`` or an ``ObservationBuffer`` on without
knowing its layout. The layout here is one row of float64 per observation; another layout is another pair of classes.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from trpo_fast._core.modules import core, kernels

EncodedArray: TypeAlias = npt.NDArray[
    Any
]  # encoded observations as environments write them: ``ObservationCodec.dtype``


class Observations:
    """N encoded observations as rows of float64, not normalised, with an action mask, if any, in the last columns.

    ``Policy.check_observations`` makes one from a user's array, ``ObservationBuffer`` from a rollout.

    Parameters
    ----------
    rows : ndarray of float64, shape (N, size), C-contiguous
        Not copied; the attribute ``rows`` is a read-only view.
    is_finite : bool, optional
        The property, if known; otherwise computed on first use.
    """

    def __init__(self, rows: npt.NDArray[np.float64], is_finite: bool | None = None) -> None:
        self.rows = _read_only(rows)
        self._known_finite = is_finite
        self._normalized: tuple[core.Normalizer, npt.NDArray[Any]] | None = None

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.rows, dtype=dtype) if copy else np.asarray(self.rows, dtype=dtype)

    def __getitem__(self, index: slice | npt.NDArray[Any]) -> "Observations":
        """Subset of the observations; cached network inputs are kept."""
        rows = self.rows[index]
        if rows.ndim != 2:
            raise TypeError(f"Observations: expected a slice or an array as an index, got {index!r}")
        part = Observations(np.ascontiguousarray(rows), self._known_finite)
        if self._normalized is not None:
            normalizer, inputs = self._normalized
            part._normalized = normalizer, _read_only(np.ascontiguousarray(inputs[index]))
        return part

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles without the cached network inputs: a normaliser of the core cannot be pickled."""
        return Observations, (self.rows, self._known_finite)

    @property
    def size(self) -> int:
        """Numbers in an observation, including an action mask."""
        return int(self.rows.shape[1])

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

    def inputs(self, normalizer: core.Normalizer, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Normalised network inputs, shape (N, size), of ``dtype``. Read-only: the latest are cached."""
        cached = self._normalized  # read once: another thread may replace it
        if cached is None or cached[0] is not normalizer or cached[1].dtype != dtype:
            inputs = np.empty(self.rows.shape, dtype=dtype)
            kernels(dtype).normalize(normalizer, self.rows, inputs)
            cached = self._normalized = normalizer, _read_only(inputs)
        return cached[1]


class ObservationBuffer:
    """Buffer for the observations of T steps of n environments and those after the last step.

    Environments write the observations acted on in step t to ``buffer[t]``, (n, *shape) of float64, and check them.

    Parameters
    ----------
    array : ndarray of float64, shape (T + 1, n, *shape)
    """

    def __init__(self, array: npt.NDArray[np.float64]) -> None:
        self.array = array
        self._rows = array.reshape(*array.shape[:2], -1)  # (T + 1, n, size)

    def __getitem__(self, index: Any) -> Any:
        return self.array[index]

    def __setitem__(self, t: int, observations: EncodedArray) -> None:
        self.array[t] = observations

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.array, dtype=dtype) if copy else np.asarray(self.array, dtype=dtype)

    def acted_on(self, t: int) -> EncodedArray:
        """Observations acted on in step t, shape (n, size), as an actor takes them."""
        rows: EncodedArray = self._rows[t]
        return rows

    def transitions(self, valid: npt.NDArray[np.bool_]) -> Observations:
        """Observations acted on in the ``valid`` (T, n) steps, environment by environment."""
        return Observations(by_environment(self._rows[:-1], valid), is_finite=True)

    def last(self) -> Observations:
        """Observations after the last step, one per environment."""
        return Observations(self._rows[-1], is_finite=True)

    def at(self, steps: npt.NDArray[np.int64]) -> Observations:
        """Observations of ``steps`` (n, m), m steps of each environment, environment by environment."""
        return stack(self._rows[t, i] for i, its_steps in enumerate(steps) for t in its_steps)


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
    return Observations(np.stack([observation.ravel() for observation in observations]), is_finite=True)


def concatenate(parts: Sequence[Observations]) -> Observations:
    """Concatenate observations."""
    return Observations(np.concatenate([part.rows for part in parts]), all(part.is_finite for part in parts))


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view
