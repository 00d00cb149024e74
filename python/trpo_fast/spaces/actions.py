"""Action spaces: which distribution a space gets, and how its actions travel between batch, kernels and env.step."""

import math
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast._core.modules import core, kernels
from trpo_fast.errors import InvalidArgumentError, UnsupportedSpaceError
from trpo_fast.spaces.kinds import num_choices
from trpo_fast.validation import FLOAT_TYPES, describe

_SUPPORTED = "expected Box (floating point, 1-D or more), Discrete, MultiDiscrete (1-D) or MultiBinary"


def count_dist_params(space: gym.Space[Any]) -> int:
    """How many distribution parameters a policy over ``space`` has; nothing is allocated."""
    choices = num_choices(space)
    size = int(choices.sum()) if choices.size else math.prod(space.shape or ())
    return 2 * size if isinstance(space, gym.spaces.Box) else size


class ActionCodec:
    """One action space: its distribution, and its actions as batches, as kernel rows and as env.step wants them.

    In a batch an action is what the policy sampled: Box (N, d) unclipped, Discrete (N,) int64, MultiDiscrete (N, k)
    int64, MultiBinary (N, k) int8. The kernels work on rows (N, A) of the policy's dtype with choices counted from 0.

    A squashed Box action u reaches the environment as low + (high - low) (1 + tanh u) / 2. The map is one to one, so
    that ratios and KL divergences are those of the Gaussian u; the density is another.

    Parameters
    ----------
    space : gymnasium.Space
    dtype : float32 or float64
    squash : bool
        Stretch actions of a bounded Box over its bounds by tanh, instead of clipping them.

    Attributes
    ----------
    distribution
        Of the kernels.
    size : int
        Columns A of a kernel row, and of its noise.
    num_choices : ndarray of int64, shape (A,)
        Of Discrete and MultiDiscrete; else empty.
    start : ndarray of int64, shape (A,)
        What is added to choices, counted from 0, for an environment; else 0.
    range
        Of the kernels: what an environment takes for a row.

    Raises
    ------
    UnsupportedSpaceError
        If no distribution exists for the space.
    InvalidArgumentError
        If ``squash`` has no bounds.
    """

    def __init__(self, space: gym.Space[Any], dtype: npt.DTypeLike, squash: bool = False) -> None:
        self._kernels = kernel = kernels(dtype)
        self.space = space
        self.dtype = np.dtype(dtype)
        self.is_box = isinstance(space, gym.spaces.Box)
        self.num_choices = num_choices(space)
        start: Any = 0
        self._env_dtype: np.dtype[Any] = np.dtype(np.int64)
        low, high = np.array(0.0), np.array(np.inf)
        if isinstance(space, gym.spaces.Box):
            if not np.issubdtype(space.dtype, np.floating) or not space.shape or 0 in space.shape:
                raise UnsupportedSpaceError(f"action space: {_SUPPORTED}, got {space}")
            self.distribution = kernel.DiagGaussian(int(np.prod(space.shape)))
            self._env_dtype = space.dtype if space.dtype in FLOAT_TYPES else np.dtype(np.float64)
            low, high = space.low.ravel(), space.high.ravel()
        elif isinstance(space, gym.spaces.Discrete):
            start = space.start
            self.distribution = kernel.Categorical(int(space.n))
        elif isinstance(space, gym.spaces.MultiDiscrete) and space.nvec.ndim == 1 and space.nvec.size:
            start = space.start
            self.distribution = kernel.Product([kernel.Categorical(n) for n in self.num_choices.tolist()])
        elif isinstance(space, gym.spaces.MultiBinary) and len(space.shape) == 1:
            self.distribution = kernel.Bernoulli(int(space.shape[0]))
        else:
            raise UnsupportedSpaceError(f"action space: {_SUPPORTED}, got {space}")
        self.size = int(self.distribution.action_size)
        low, high = (np.resize(bound, self.size).astype(np.float64) for bound in (low, high))
        self.start = np.resize(start, self.size).astype(np.int64)
        if squash and not (self.is_box and np.isfinite(low).all() and np.isfinite(high).all()):
            raise InvalidArgumentError(
                "squash", "False, unless the action space is a Box with bounds", f"True for {space}"
            )
        self.squash = squash
        self._half_width = (high - low) / 2
        self.range = core.ActionRange(low, high, self.start, squash)

    @property
    def has_log_std(self) -> bool:
        """Whether the distribution is a Gaussian, whose second half of parameters are log standard deviations."""
        return self.is_box

    @property
    def sums_independent_dimensions(self) -> bool:
        """Whether the distribution is a product over the columns of one kind (Box, MultiBinary)."""
        return self.is_box or isinstance(self.space, gym.spaces.MultiBinary)

    def log_slope(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """log |d action / d row| (N,), between kernel rows (N, A) and the actions that they are to an environment."""
        if not self.squash:
            return np.zeros(len(rows))
        u = rows.astype(np.float64)
        log_derivative = 2.0 * (np.log(2.0) - np.logaddexp(u, -u))  # of tanh, log(1 - tanh(u)^2)
        slopes: npt.NDArray[np.float64] = (np.log(self._half_width) + log_derivative).sum(axis=1)
        return slopes

    def encode(self, actions: Any, n: int | None = None) -> npt.NDArray[Any]:
        """Batch actions as kernel rows (N, A); ``n`` is the N expected, None for any.

        Raises
        ------
        InvalidArgumentError
            If the array's kind or shape is not that of a batch, or a discrete action is outside the space.
        """
        batch_dtype, shape = self._batch_layout()
        is_array = isinstance(actions, np.ndarray) and actions.ndim == len(shape) and actions.shape[1:] == shape[1:]
        kind_fits = is_array and actions.dtype.kind in ("f" if self.is_box else "iu")
        if not kind_fits or len(actions) != (n or len(actions)) or len(actions) == 0:
            expected = f"a {batch_dtype} array of shape {str(shape).replace('-1', str(n or 'N'))}"
            raise InvalidArgumentError("actions", expected, describe(actions))
        with np.errstate(over="ignore"):
            if not self.is_box:
                actions = actions.astype(np.int64) - self.start
            rows = actions.reshape(len(actions), self.size).astype(self.dtype)
        if not self.is_box:
            self._check_inside(rows, actions)
        return np.ascontiguousarray(rows)

    def decode(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Kernel rows (N, A) as batch actions."""
        batch_dtype, shape = self._batch_layout()
        actions: npt.NDArray[Any] = rows.reshape(shape).astype(batch_dtype)
        return actions if self.is_box else (actions + self.start).astype(batch_dtype, copy=False)

    def to_env(self, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Kernel rows (N, A) as (N, *space.shape) actions of the space: clipped to its bounds and in its dtype."""
        actions = self.empty_env_actions(len(rows))
        self._kernels.to_env(self.range, rows, actions.reshape(len(rows), self.size))
        return self.in_space(actions)

    def empty_env_actions(self, *size: int) -> npt.NDArray[Any]:
        """Memory (*size, *space.shape) for actions of the space, of a dtype that the kernels can write."""
        return np.empty((*size, *(self.space.shape or ())), dtype=self._env_dtype)

    def in_space(self, actions: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Such actions in the dtype of the space."""
        return actions.astype(self.space.dtype, copy=False)

    def _batch_layout(self) -> tuple[np.dtype[Any], tuple[int, ...]]:
        if self.is_box:
            return self.dtype, (-1, self.size)
        if isinstance(self.space, gym.spaces.Discrete):
            return np.dtype(np.int64), (-1,)
        return np.dtype(np.int8 if isinstance(self.space, gym.spaces.MultiBinary) else np.int64), (-1, self.size)

    def _check_inside(self, rows: npt.NDArray[Any], actions: npt.NDArray[Any]) -> None:
        choices = self.num_choices if self.num_choices.size else 2
        outside = ((rows < 0) | (rows >= choices)).any(axis=1)
        if outside.any():
            row = int(np.argmax(outside))
            raise InvalidArgumentError("actions", f"actions of {self.space}", f"{actions[row]} in row {row}")
