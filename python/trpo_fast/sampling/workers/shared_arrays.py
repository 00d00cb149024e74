"""Arrays shared by processes: a file in memory that each of them maps."""

import math
import os
import pickle
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cloudpickle
import numpy as np
import numpy.typing as npt

from trpo_fast.environments.infos import Infos, Outcome
from trpo_fast.environments.interface import Trajectories
from trpo_fast.spaces.buffers import Arrays, Shapes, array_shapes, buffer_in, index_name, plane_shapes
from trpo_fast.spaces.observation_codec import ObservationCodec
from trpo_fast.spaces.observations import EncodedArray
from trpo_fast.spaces.planes import ZERO

_STEPS = ("rewards", "terminated", "truncated", "valid")  # the fields of ``Trajectories`` that are arrays
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
    codec: ObservationCodec
    action_size: int
    num_params: int
    dtype: str  # of theta, noise and actions
    n_workers: int

    @property
    def by_environment(self) -> list[str]:
        """Names of the arrays whose second axis is that of the environments."""
        return [*self.trajectories, "noise", "actions"]

    @property
    def trajectories(self) -> list[str]:
        """Names of the arrays that ``trajectories_of`` takes."""
        return [*array_shapes(self.codec, self.n_steps, self.n_envs), *_STEPS]

    def arrays(self) -> Shapes:
        """Shape and dtype of each array by name."""
        size = (self.n_steps, self.n_envs)
        return {
            "theta": ((self.num_params,), self.dtype),
            "mean": ((self.codec.size,), "float64"),
            "var": ((self.codec.size,), "float64"),
            "start": ((self.n_envs, *self.codec.shape), self.codec.dtype),  # observations that a rollout begins with
            **array_shapes(self.codec, self.n_steps, self.n_envs),
            "rewards": (size, "float64"),
            "terminated": (size, "bool"),
            "truncated": (size, "bool"),
            "valid": (size, "bool"),
            "noise": ((*size, self.action_size), self.dtype),
            "actions": ((*size, self.action_size), self.dtype),
            "positions": ((self.n_workers, _LINE // 8), "int64"),  # present step and environment of each worker
            "cancelled": ((1,), "int64"),  # number of the latest abandoned request
        }

    def planes(self) -> Shapes:
        """Shape and dtype of the memory for planes of images, by their names, environment by environment."""
        return plane_shapes(self.codec, self.n_steps, self.n_envs)

    def planes_of(self, planes: Arrays, share: slice) -> Arrays:
        """The memory for planes of a share of the environments."""
        each = {name: len(array) // self.n_envs for name, array in planes.items()}
        return {name: array[share.start * each[name] : share.stop * each[name]] for name, array in planes.items()}

    def move_planes(self, arrays: Arrays, planes: Arrays, shares: Sequence[slice]) -> None:
        """Turn numbers in ``arrays`` of planes that each share counts from 0 to numbers in all ``planes``."""
        for name, memory in planes.items():
            index = arrays[index_name(name)]
            for share in shares:
                its = index[:, share]
                its[its != ZERO] += share.start * (len(memory) // self.n_envs)


def map_arrays(path: Path, shapes: Shapes) -> Arrays:
    """Map the arrays of ``shapes`` in the ``SharedFile`` at ``path``; those that are empty have memory of their own.

    Raises
    ------
    FileNotFoundError
        If it was closed, and the path names nothing or, reused, a file of another size.
    """
    arrays, offset = {}, 0
    with path.open("r+b") as file:
        if os.fstat(file.fileno()).st_size != _file_size(shapes):  # mapped, another file would become larger
            raise FileNotFoundError(f"shared arrays: expected a file of {_file_size(shapes)} bytes at {path}")
        for name, (shape, dtype) in shapes.items():
            if 0 in shape:
                arrays[name] = np.empty(shape, dtype)
                continue
            array: npt.NDArray[Any] = np.memmap(file, dtype, "r+", offset, shape)
            arrays[name] = array.view(np.ndarray)
            offset += _in_lines(array.nbytes)
    return arrays


def _file_size(shapes: Shapes) -> int:
    return sum(_in_lines(np.dtype(dtype).itemsize * math.prod(shape)) for shape, dtype in shapes.values())


def _in_lines(num_bytes: int) -> int:
    return -(-num_bytes // _LINE) * _LINE


def trajectories_of(layout: Layout, arrays: Arrays, planes: Arrays, *, is_filled: bool, **sparse: Any) -> Trajectories:
    """The trajectories in shared arrays, with ``sparse`` as the fields that are not arrays.

    ``is_filled`` says whether the arrays hold observations.
    """
    observations = buffer_in(layout.codec, arrays, planes, is_filled=is_filled)
    rewards, terminated, truncated, valid = (arrays[name] for name in _STEPS)
    return Trajectories(observations, rewards, terminated, truncated, valid, **sparse)


class SharedFile:
    """A file of zeros for arrays of ``shapes``. On Linux it is in memory and has no name in any folder.

    Memory that nobody writes to is not used.

    Attributes
    ----------
    path : Path
        Path that other processes open, valid until ``close``.
    """

    def __init__(self, shapes: Shapes) -> None:
        if sys.platform == "linux":
            self._fd = os.memfd_create("trpo_fast")
            self.path = Path(f"/proc/{os.getpid()}/fd/{self._fd}")
        else:
            self._fd, name = tempfile.mkstemp(prefix="trpo_fast_")
            self.path = Path(name)
        os.truncate(self._fd, _file_size(shapes))

    def forget(self) -> None:
        """Close the file in this process; it stays valid in the one that made it."""
        os.close(self._fd)

    def close(self) -> None:
        """Close the file, and remove it where it has a name."""
        os.close(self._fd)
        if sys.platform != "linux":
            self.path.unlink(missing_ok=True)


@contextmanager
def planes_for(layout: Layout) -> Iterator[tuple[Path | None, Arrays]]:
    """Memory for the planes of one rollout, which workers map by its path during the context; none without images.

    The arrays are freed with the last reference to them: a rollout is not copied.
    """
    shapes = layout.planes()
    if not shapes:
        yield None, {}
        return
    file = SharedFile(shapes)
    try:
        yield file.path, map_arrays(file.path, shapes)
    finally:
        file.close()
