"""Observations as the package passes them around: checked once when made, normalised once per statistics.

Every function between the environments and the kernels takes an ``Observations`` or an ``ObservationBuffer`` and knows
nothing of their layout. Here that is rows of float64; another layout is another pair of such classes, made by
``ObservationCodec``.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast._core.modules import core, kernels


class Observations:
    """N raw observations as rows of float64, an action mask in the last columns. Immutable.

    Parameters
    ----------
    rows : ndarray of float64, shape (N, size), C-contiguous
        Not copied. ``Policy.check_observations`` makes one from a user's array, ``ObservationBuffer`` from a rollout.
    is_finite : bool, optional
        Whether all of them are finite, if that is known; otherwise it is looked up when asked.
    """

    def __init__(self, rows: npt.NDArray[np.float64], is_finite: bool | None = None) -> None:
        self.rows = rows
        self._known_finite = is_finite
        self._normalized: tuple[core.Normalizer, npt.NDArray[Any]] | None = None

    def __len__(self) -> int:
        return int(self.rows.shape[0])

    def __array__(self, dtype: npt.DTypeLike = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.rows, dtype=dtype, copy=bool(copy)) if copy else np.asarray(self.rows, dtype=dtype)

    def __getitem__(self, rows: slice | npt.NDArray[Any]) -> "Observations":
        """Some of the observations; what is normalised stays normalised."""
        part = Observations(np.ascontiguousarray(self.rows[rows]), self._known_finite)
        if self._normalized is not None:
            normalizer, inputs = self._normalized
            part._normalized = normalizer, np.ascontiguousarray(inputs[rows])
        return part

    @property
    def size(self) -> int:
        """Numbers in an observation, with those of an action mask."""
        return int(self.rows.shape[1])

    @cached_property
    def is_finite(self) -> bool:
        """Whether all of them are finite."""
        return bool(np.isfinite(self.rows).all()) if self._known_finite is None else self._known_finite

    def inputs(self, normalizer: core.Normalizer, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Network inputs (N, size) of ``dtype``; not to be written to, as the latest ones are kept."""
        if self._normalized is None or self._normalized[0] is not normalizer or self._normalized[1].dtype != dtype:
            inputs = np.empty(self.rows.shape, dtype=dtype)
            kernels(dtype).normalize(normalizer, self.rows, inputs)
            self._normalized = normalizer, inputs
        return self._normalized[1]


class ObservationBuffer:
    """Memory for the observations of T steps of n environments and those after the last step, checked by who writes.

    ``buffer[t]`` (n, *shape) float64 are the observations acted on in step t; environments write them.

    Parameters
    ----------
    array : ndarray of float64, shape (T + 1, n, *shape)
    """

    def __init__(self, array: npt.NDArray[np.float64]) -> None:
        self.array = array
        self._rows = array.reshape(*array.shape[:2], -1)  # (T + 1, n, size)

    def __getitem__(self, index: Any) -> Any:
        return self.array[index]

    def __setitem__(self, t: int, observations: npt.NDArray[np.float64]) -> None:
        self.array[t] = observations

    def __array__(self, dtype: npt.DTypeLike = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.array, dtype=dtype, copy=bool(copy)) if copy else np.asarray(self.array, dtype=dtype)

    def acted_on(self, t: int) -> npt.NDArray[np.float64]:
        """The observations of step t as an actor takes them, (n, size)."""
        rows: npt.NDArray[np.float64] = self._rows[t]
        return rows

    def transitions(self, valid: npt.NDArray[np.bool_]) -> Observations:
        """Those acted on in the ``valid`` (T, n) steps, one environment after the other."""
        return Observations(by_environment(self._rows[:-1], valid), is_finite=True)

    def last(self) -> Observations:
        """Those after the last step, one of each environment."""
        return Observations(self._rows[-1], is_finite=True)

    def at(self, steps: npt.NDArray[np.int64]) -> Observations:
        """Those of m ``steps`` (n, m) of each environment, one environment after the other."""
        return stack(self._rows[t, i] for i, its_steps in enumerate(steps) for t in its_steps)


def by_environment(values: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """The entries of ``values`` (T, n, ...) where ``valid`` (T, n), one environment's after the other's."""
    if valid.shape[1] == 1 and valid.all():
        return values[:, 0]
    return np.ascontiguousarray(values.swapaxes(0, 1)[valid.T])


def by_time(values: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """The inverse of ``by_environment``: (T, n, ...), with zeros where ``valid`` is False."""
    spread = np.zeros((*valid.shape, *values.shape[1:]), dtype=values.dtype)
    spread.swapaxes(0, 1)[valid.T] = values
    return spread


def stack(observations: Iterable[npt.NDArray[np.float64]]) -> Observations:
    """Single observations of a buffer, of any shape, as Observations."""
    return Observations(np.stack([observation.ravel() for observation in observations]), is_finite=True)


def concatenate(parts: Iterable[Observations]) -> Observations:
    """Observations one part after the other."""
    return Observations(np.concatenate([part.rows for part in parts]), is_finite=True)
