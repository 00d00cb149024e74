"""Action spaces: the distribution of a space, and conversion of actions between batches, kernels and environments."""

import math
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast._core.floating_point import ignores_float_errors
from trpo_fast._core.modules import core, kernels
from trpo_fast.errors import InvalidArgumentError, UnsupportedSpaceError
from trpo_fast.spaces.kinds import num_choices
from trpo_fast.validation import FLOAT_TYPES, describe

_SUPPORTED = "expected Box (floating point, 1-D or more), Discrete, MultiDiscrete (1-D) or MultiBinary"


def count_dist_params(space: gym.Space[Any]) -> int:
    """Number of distribution parameters of a policy over ``space``, computed without allocating anything."""
    choices = num_choices(space)
    size = int(choices.sum()) if choices.size else math.prod(space.shape or ())
    return 2 * size if isinstance(space, gym.spaces.Box) else size


class ActionCodec:
    """One action space: its distribution, and its actions in batches, encoded for the kernels, and for ``env.step``.

    A batch holds actions as the policy sampled them: Box (N, d) unclipped, Discrete (N,) int64, MultiDiscrete (N, k)
    int64, MultiBinary (N, k) int8. Encoded actions are (N, A) of the policy's dtype, with choices counted from 0.

    A squashed Box action u reaches the environment as low + (high - low) (1 + tanh u) / 2. The map is one to one, so
    probability ratios and KL divergences are those of the Gaussian u; the density differs (``log_slope``).

    Parameters
    ----------
    space : gymnasium.Space
    dtype : float32 or float64
        Dtype of encoded actions.
    squash : bool
        Map actions of a bounded Box into its bounds by tanh instead of clipping them.

    Attributes
    ----------
    distribution
        Distribution of the compiled core.
    size : int
        Columns A of encoded actions and of their noise.
    num_choices : ndarray of int64, shape (A,)
        Choices of each part of a Discrete or MultiDiscrete; empty for other spaces.
    start : ndarray of int64, shape (A,)
        Offset added to choices for the environment; 0 for other spaces.
    squash : bool
    range
        Action range of the compiled core, which turns encoded actions into actions for the environment.

    Raises
    ------
    UnsupportedSpaceError
        If no distribution exists for the space.
    InvalidArgumentError
        If ``squash`` is True and the space is not a Box with finite bounds.
    """

    def __init__(self, space: gym.Space[Any], dtype: npt.DTypeLike, squash: bool = False) -> None:
        self._kernels = kernel = kernels(dtype)
        self.space = space
        self.dtype = np.dtype(dtype)
        self._is_box = isinstance(space, gym.spaces.Box)
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
        if squash and not (self._is_box and np.isfinite(low).all() and np.isfinite(high).all()):
            raise InvalidArgumentError(
                "squash", "False, unless the action space is a Box with bounds", f"True for {space}"
            )
        self.squash = squash
        self._half_width = (high - low) / 2
        self.range = core.ActionRange(low, high, self.start, squash)

    @property
    def has_log_std(self) -> bool:
        """Whether the distribution is a Gaussian: the second half of its parameters are log standard deviations."""
        return self._is_box

    @property
    def sums_independent_dimensions(self) -> bool:
        """Whether the action dimensions are independent and of one kind (Box, MultiBinary)."""
        return self._is_box or isinstance(self.space, gym.spaces.MultiBinary)

    @ignores_float_errors
    def log_slope(self, encoded: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """log |d action / d encoded|, shape (N,), summed over dimensions: 0 unless actions are squashed."""
        if not self.squash:
            return np.zeros(len(encoded))
        u = encoded.astype(np.float64)
        log_derivative = 2.0 * (np.log(2.0) - np.logaddexp(u, -u))  # log(1 - tanh(u)^2), the derivative of tanh
        slopes: npt.NDArray[np.float64] = (np.log(self._half_width) + log_derivative).sum(axis=1)
        return slopes

    @ignores_float_errors
    def encode(self, actions: Any, n: int | None = None) -> npt.NDArray[Any]:
        """Encode the actions of a batch.

        Parameters
        ----------
        actions : ndarray
            N actions as in a ``Batch``.
        n : int, optional
            Expected N; any number of actions by default.

        Returns
        -------
        encoded : ndarray of the policy's dtype, shape (N, A)

        Raises
        ------
        InvalidArgumentError
            If the array has another kind or shape, or a discrete action is outside the space.
        """
        batch_dtype, shape = self._batch_layout()
        is_array = isinstance(actions, np.ndarray) and actions.ndim == len(shape) and actions.shape[1:] == shape[1:]
        kind_fits = is_array and actions.dtype.kind in ("f" if self._is_box else "iu")
        if not kind_fits or len(actions) != (n or len(actions)) or len(actions) == 0:
            expected = f"a {batch_dtype} array of shape {str(shape).replace('-1', str(n or 'N'))}"
            raise InvalidArgumentError("actions", expected, describe(actions))
        if not self._is_box:
            actions = actions.astype(np.int64) - self.start
        encoded = actions.reshape(len(actions), self.size).astype(self.dtype)
        if not self._is_box:
            self._check_inside(encoded, actions)
        return np.ascontiguousarray(encoded)

    def decode(self, encoded: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Turn encoded actions (N, A) into the actions of a batch; the inverse of ``encode``."""
        batch_dtype, shape = self._batch_layout()
        actions: npt.NDArray[Any] = encoded.reshape(shape).astype(batch_dtype)
        return actions if self._is_box else (actions + self.start).astype(batch_dtype, copy=False)

    def to_env(self, encoded: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Turn encoded actions (N, A) into actions for ``env.step``, shape (N, *space.shape), in the space's dtype.

        Box actions are clipped to the bounds, or squashed into them.
        """
        actions = self.empty_env_actions(len(encoded))
        self._kernels.to_env(self.range, encoded, actions.reshape(len(encoded), self.size))
        return self.in_space(actions)

    def empty_env_actions(self, *size: int) -> npt.NDArray[Any]:
        """Uninitialised array (*size, *space.shape) for actions of the space, in a dtype that the kernels can write."""
        return np.empty((*size, *(self.space.shape or ())), dtype=self._env_dtype)

    def in_space(self, actions: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Convert actions from ``empty_env_actions`` to the dtype of the space; a copy only if it differs."""
        return actions.astype(self.space.dtype, copy=False)

    def _batch_layout(self) -> tuple[np.dtype[Any], tuple[int, ...]]:
        if self._is_box:
            return self.dtype, (-1, self.size)
        if isinstance(self.space, gym.spaces.Discrete):
            return np.dtype(np.int64), (-1,)
        return np.dtype(np.int8 if isinstance(self.space, gym.spaces.MultiBinary) else np.int64), (-1, self.size)

    def _check_inside(self, encoded: npt.NDArray[Any], actions: npt.NDArray[Any]) -> None:
        choices = self.num_choices if self.num_choices.size else 2
        outside = ((encoded < 0) | (encoded >= choices)).any(axis=1)
        if outside.any():
            row = int(np.argmax(outside))
            raise InvalidArgumentError("actions", f"actions of {self.space}", f"{actions[row]} in row {row}")
