"""The buffer of observations with images, whose planes are stored once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast._core.modules import core
from trpo_fast.spaces.leaves import VECTOR
from trpo_fast.spaces.observations import EncodedArray, NetworkInputs, Observations, by_environment
from trpo_fast.spaces.planes import ZERO, PlaneStacks


class ImageBuffer:
    """What ``ObservationBuffer`` is, for encoded observations that are records.

    A plane is compared with those of the same environment's former observation, and stored if it is not one of them: in
    a stack that moves on by a frame, it is the frame that is stored. It does not matter who made the stack.

    Parameters
    ----------
    dtype : dtype
        Of encoded observations.
    rows : ndarray of float64, shape (T + 1, n, size)
        The vectors.
    images : sequence of PlaneStacks, indices of shape (T + 1, n, channels)
        One for each image, with room for all planes. Memory of planes that are not stored is not touched.
    is_filled : bool
        Whether the memory holds observations already.
    """

    def __init__(
        self,
        dtype: np.dtype[Any],
        rows: npt.NDArray[np.float64],
        images: Sequence[PlaneStacks],
        *,
        is_filled: bool = False,
    ) -> None:
        self.rows = rows
        self._images = images
        self._step = np.empty(rows.shape[1], dtype)
        self._used = [len(image.planes) if is_filled else 0 for image in images]
        if not is_filled:
            for image in images:
                image.index[...] = ZERO

    def __getitem__(self, t: int) -> EncodedArray:
        """A copy of the observations acted on in step t, shape (n,)."""
        return np.asarray(Observations(self.rows[t], True, [image[t] for image in self._images]))

    def __setitem__(self, t: int, observations: EncodedArray) -> None:
        self.begin(t)[...] = observations
        self.end(t)

    def begin(self, t: int) -> EncodedArray:
        """See ``ObservationBuffer.begin``."""
        return self._step

    def end(self, t: int) -> None:
        """See ``ObservationBuffer.end``."""
        self.rows[t] = self._step[VECTOR]
        for i, image in enumerate(self._images):
            former = image.index[t - 1] if t > 0 else np.full_like(image.index[0], ZERO)
            used = self._used[i]
            self._used[i] = core.store_planes(self._step[image.name], former, image.index[t], image.planes, used)

    @property
    def num_planes(self) -> int:
        """Planes stored so far."""
        return sum(self._used)

    def acted_on(self, t: int, envs: slice | npt.NDArray[np.int64] = slice(None)) -> NetworkInputs:
        """See ``ObservationBuffer.acted_on``."""
        return self.rows[t][envs], *(image[t, envs].kernel for image in self._images)

    def transitions(self, valid: npt.NDArray[np.bool_]) -> Observations:
        """See ``ObservationBuffer.transitions``."""
        return self._observations(*(by_environment(values[:-1], valid) for values in self._arrays))

    def last(self) -> Observations:
        """See ``ObservationBuffer.last``."""
        return self._observations(*(values[-1] for values in self._arrays))

    def at(self, steps: npt.NDArray[np.int64]) -> Observations:
        """See ``ObservationBuffer.at``."""
        envs = np.broadcast_to(np.arange(len(steps))[:, None], steps.shape)
        return self._observations(*(values[steps.ravel(), envs.ravel()] for values in self._arrays))

    @property
    def _arrays(self) -> list[npt.NDArray[Any]]:
        return [self.rows, *(image.index for image in self._images)]

    def _observations(self, rows: npt.NDArray[np.float64], *indices: npt.NDArray[np.int32]) -> Observations:
        images = zip(self._images, indices, strict=True)
        return Observations(rows, True, [PlaneStacks(image.name, image.planes, index) for image, index in images])
