"""Arrays shared by processes: a file in memory that each of them maps."""

import os
import pickle
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cloudpickle
import numpy as np
import numpy.typing as npt

from trpo_fast.environments.infos import Infos, Outcome
from trpo_fast.environments.interface import Trajectories
from trpo_fast.spaces.observations import EncodedArray, ObservationBuffer

TRAJECTORIES = ("observations", "rewards", "terminated", "truncated", "valid")
BY_ENVIRONMENT = (*TRAJECTORIES, "noise", "actions")
_LINE = 64  # bytes; arrays begin on cache lines


class Sparse(NamedTuple):
    """The fields of ``Trajectories`` that are not arrays, as a worker sends them: ``infos`` pickled."""

    final_observations: dict[tuple[int, int], EncodedArray]
    outcomes: dict[tuple[int, int], Outcome]
    infos: bytes | None

    @classmethod
    def of(cls, trajectories: Trajectories) -> "Sparse":
        """Those of ``trajectories``. A value in an info that cannot be pickled is sent as its ``repr``."""
        return cls(trajectories.final_observations, trajectories.outcomes, _pickled(trajectories.infos))


def joined(shares: Sequence[Sparse], firsts: Sequence[int]) -> dict[str, Any]:
    """Fields of the trajectories of all environments, from those of shares whose first environments are ``firsts``."""
    infos = [pickle.loads(share.infos) for share in shares if share.infos is not None]
    return {
        "final_observations": _by_environment([share.final_observations for share in shares], firsts),
        "outcomes": _by_environment([share.outcomes for share in shares], firsts),
        "infos": {t: [info for its in infos for info in its[t]] for t in infos[0]} if infos else None,
    }


def _by_environment(shares: Sequence[dict[tuple[int, int], Any]], firsts: Sequence[int]) -> dict[tuple[int, int], Any]:
    return {(t, i + first): value for first, its in zip(firsts, shares, strict=True) for (t, i), value in its.items()}


def _pickled(infos: dict[int, Infos] | None) -> bytes | None:
    if infos is None:
        return None
    try:
        return bytes(cloudpickle.dumps(infos))
    except Exception:  # of one value or several
        sent = {t: [{k: _sendable(v) for k, v in info.items()} for info in its] for t, its in infos.items()}
        return bytes(cloudpickle.dumps(sent))


def _sendable(value: Any) -> Any:
    try:
        cloudpickle.dumps(value)
    except Exception:
        return repr(value)
    return value


class Layout(NamedTuple):
    """Shapes and dtypes of the shared arrays of a rollout of T steps of n environments."""

    n_steps: int
    n_envs: int
    observation_shape: tuple[int, ...]
    observation_dtype: str
    action_size: int
    num_params: int
    dtype: str  # of theta, noise and actions
    n_workers: int

    def arrays(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and dtype of each array by name."""
        size = (self.n_steps, self.n_envs)
        obs_dim = int(np.prod(self.observation_shape))
        return {
            "theta": ((self.num_params,), self.dtype),
            "mean": ((obs_dim,), "float64"),
            "var": ((obs_dim,), "float64"),
            "observations": ((self.n_steps + 1, self.n_envs, *self.observation_shape), self.observation_dtype),
            "rewards": (size, "float64"),
            "terminated": (size, "bool"),
            "truncated": (size, "bool"),
            "valid": (size, "bool"),
            "noise": ((*size, self.action_size), self.dtype),
            "actions": ((*size, self.action_size), self.dtype),
            "positions": ((self.n_workers, _LINE // 8), "int64"),  # present step and environment of each worker
            "cancelled": ((1,), "int64"),  # number of the latest abandoned request
        }


def map_arrays(path: Path, layout: Layout) -> dict[str, npt.NDArray[Any]]:
    """Map the arrays of ``layout`` in the file ``path``."""
    arrays, offset = {}, 0
    for name, (shape, dtype) in layout.arrays().items():
        array: npt.NDArray[Any] = np.memmap(path, dtype, "r+", offset, shape)
        arrays[name] = array.view(np.ndarray)
        offset += -(-array.nbytes // _LINE) * _LINE
    return arrays


def trajectories_of(arrays: dict[str, npt.NDArray[Any]], **sparse: Any) -> Trajectories:
    """The trajectories in the shared arrays, with ``sparse`` as the fields that are not arrays."""
    observations, rewards, terminated, truncated, valid = (arrays[name] for name in TRAJECTORIES)
    return Trajectories(ObservationBuffer(observations), rewards, terminated, truncated, valid, **sparse)


class SharedFile:
    """A file of zeros of the size of ``layout``. On Linux it is in memory and has no name in any folder.

    Attributes
    ----------
    path : Path
        Path that other processes open, valid until ``close``.
    """

    def __init__(self, layout: Layout) -> None:
        sizes = (np.dtype(dtype).itemsize * int(np.prod(shape)) for shape, dtype in layout.arrays().values())
        if sys.platform == "linux":
            self._fd = os.memfd_create("trpo_fast")
            self.path = Path(f"/proc/{os.getpid()}/fd/{self._fd}")
        else:
            self._fd, name = tempfile.mkstemp(prefix="trpo_fast_")
            self.path = Path(name)
        os.truncate(self._fd, sum(-(-size // _LINE) * _LINE for size in sizes))

    def forget(self) -> None:
        """Close the file in this process; it stays valid in the one that made it."""
        os.close(self._fd)

    def close(self) -> None:
        """Close the file, and remove it where it has a name."""
        os.close(self._fd)
        if sys.platform != "linux":
            self.path.unlink(missing_ok=True)
