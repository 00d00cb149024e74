"""ValueFunction: the critic, a separate network fitted by minibatch Adam."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast import nets
from trpo_fast._core.floating_point import ignores_float_errors
from trpo_fast._core.modules import core, kernels
from trpo_fast._core.threads import get_num_threads
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.assembly import Assembly
from trpo_fast.policies.network_options import network_options
from trpo_fast.policies.normalization import QUARTER, RunningMeanStd
from trpo_fast.spaces.observations import NetworkInputs
from trpo_fast.validation import check_integer, check_real, describe, float_array

OUTLIER = 300.0  # standard deviations from which a return is an outlier; ordinary training was seen to reach 76
CLIPPED = 30.0  # standard deviations at which an outlier is taken in


@dataclass(frozen=True)
class CriticState:
    """Learned state of the critic. Immutable, so it is committed completely or not at all.

    Parameters
    ----------
    theta : ndarray, shape (P,)
        Parameters.
    first_moment, second_moment : ndarray, shape (P,)
        Adam's moments of the gradient.
    n_steps : int
        Adam steps taken.
    target_statistics : RunningMeanStd
        Statistics of the returns, one column; used with ``normalize_returns``.
    """

    theta: npt.NDArray[Any]
    first_moment: npt.NDArray[Any]
    second_moment: npt.NDArray[Any]
    n_steps: int
    target_statistics: RunningMeanStd


class ValueFitStatus(Enum):
    """How a fit of the critic ended."""

    COMMITTED = "committed"
    NON_FINITE = "non_finite"  # a target above 1e18, or a value that is not finite: the state is unchanged


class ValueFit(NamedTuple):
    """Result of a fit: state, status, and mean squared error over the last pass, in squared units of the return.

    ``n_outliers`` is the number of returns that were clipped first (``normalize_returns``).
    """

    state: CriticState
    status: ValueFitStatus
    loss: float
    n_outliers: int = 0

    @classmethod
    def refused(cls, state: CriticState) -> "ValueFit":
        """The result for data that are not finite: ``state`` unchanged."""
        return cls(state, ValueFitStatus.NON_FINITE, float("nan"))


class Targets(NamedTuple):
    """Targets of a fit.

    Parameters
    ----------
    values : ndarray, shape (N,)
        The returns in units of ``scale``, relative to their mean with ``normalize_returns``; in the critic's dtype.
    statistics : RunningMeanStd
        Statistics of the returns, including these.
    scale : float
        Standard deviation by which returns were divided; 1 without ``normalize_returns``.
    n_outliers : int
        Returns that were clipped first.
    """

    values: npt.NDArray[Any]
    statistics: RunningMeanStd
    scale: float
    n_outliers: int


class ValueFunction:
    """V(s; theta), in units of the return.

    Parameters
    ----------
    observation_space : gymnasium.Space
        As for ``Policy``.
    net_arch, activation_fn, features_extractor, normalize_images, ortho_init, dtype
        As for ``Policy``; the last layer has gain 1. The features extractor is one of its own.
    normalize_returns : bool
        Fit to targets normalised by their running mean and standard deviation; outliers are clipped.

    Raises
    ------
    InvalidArgumentError, UnsupportedSpaceError
    """

    def __init__(
        self,
        observation_space: gym.Space[Any],
        *,
        net_arch: Sequence[int] | None = None,
        activation_fn: str = "tanh",
        features_extractor: nets.Net | Mapping[str, Any] | None = None,
        normalize_images: bool = True,
        ortho_init: bool = True,
        normalize_returns: bool = True,
        dtype: npt.DTypeLike = "float32",
    ) -> None:
        options = network_options(
            observation_space,
            net_arch=net_arch,
            activation_fn=activation_fn,
            features_extractor=features_extractor,
            normalize_images=normalize_images,
        )
        self._assembly = Assembly(options.plan(1), ortho_init=ortho_init, output_gain=1.0, dtype=dtype)
        self.dtype = self._assembly.dtype
        self.normalize_returns = normalize_returns

    @property
    def num_params(self) -> int:
        """Length P of theta."""
        return self._assembly.num_params

    def initial_state(self, seed: int | np.random.SeedSequence | None) -> CriticState:
        """Initial state: drawn parameters (0 without a seed), Adam's moments at 0, no target statistics."""
        theta = np.zeros(self.num_params, self.dtype)
        if seed is not None:
            theta = self._assembly.initial_parameters(np.random.default_rng(seed))
        return CriticState(theta, np.zeros_like(theta), np.zeros_like(theta), 0, RunningMeanStd.initial(1))

    def unflatten(self, theta: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """Views of theta (P,) by name, as ``Policy.unflatten``."""
        return self._assembly.unflatten(theta)

    @ignores_float_errors
    def predict(
        self, state: CriticState, inputs: NetworkInputs, policy_theta: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[np.float64]:
        """Values, float64 of shape (N,), in units of the return.

        Parameters
        ----------
        inputs : ndarray, shape (N, obs_dim)
            Network inputs, from ``Policy.critic_inputs``.
        policy_theta : ndarray, shape (P,), optional
            The policy's parameters; not read by a critic that shares nothing with it.

        Raises
        ------
        InvalidArgumentError
            If ``inputs`` or ``state`` does not fit the network.
        """
        return self._in_returns(state, self._assembly.forward(self._assembly.check_theta(state.theta), inputs))

    def _in_returns(self, state: CriticState, outputs: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """The network's outputs (N, 1) as values (N,) in units of the return."""
        values: npt.NDArray[np.float64] = outputs[:, 0].astype(np.float64)
        if self.normalize_returns:
            values = values * state.target_statistics.std[0] + state.target_statistics.mean[0]
        return values

    @ignores_float_errors
    def targets(self, state: CriticState, returns: npt.NDArray[np.float64]) -> Targets | None:
        """Targets of a fit to ``returns`` (N,), or None if one of them is above 1e18 or not finite."""
        if not (np.abs(returns) <= core.MAX_MAGNITUDE).all():
            return None
        scale, statistics, n_outliers = 1.0, state.target_statistics, 0
        if self.normalize_returns:
            samples, is_outlier = statistics.without_outliers(returns[:, None], OUTLIER, CLIPPED, QUARTER)
            n_outliers, returns = int(np.count_nonzero(is_outlier)), samples[:, 0]
            statistics = statistics.updated(samples)
            scale = float(statistics.std[0])
            returns = (returns - statistics.mean[0]) / scale
        return Targets(returns.astype(self.dtype), statistics, scale, n_outliers)

    def fit(
        self,
        state: CriticState,
        inputs: NetworkInputs,
        returns: npt.NDArray[np.float64],
        order: npt.NDArray[np.int64],
        *,
        batch_size: int,
        learning_rate: float,
    ) -> ValueFit:
        """Minimise mean((V - return)^2) by minibatch Adam.

        Parameters
        ----------
        state : CriticState
            Where the fit starts; not changed.
        inputs : ndarray, shape (N, obs_dim)
            Network inputs, from ``Policy.critic_inputs``.
        returns : ndarray, shape (N,)
            Targets.
        order : ndarray of int64, shape (n_critic_updates, N)
            Order of the rows in each pass; consecutive ``batch_size`` of them are a minibatch.
        batch_size : int
            Rows in a minibatch.
        learning_rate : float
            Adam's step size.

        Returns
        -------
        ValueFit
            With a new state, or ``state`` itself if a value was not finite.

        Raises
        ------
        InvalidArgumentError
            If an array has the wrong kind or shape, or a number is out of its range.
        """
        return self.begin_fit(
            state, inputs, returns, order, batch_size=batch_size, learning_rate=learning_rate
        ).result()

    @ignores_float_errors
    def begin_fit(
        self,
        state: CriticState,
        inputs: NetworkInputs,
        returns: npt.NDArray[np.float64],
        order: npt.NDArray[np.int64],
        *,
        batch_size: int,
        learning_rate: float,
    ) -> "PendingFit":
        """Start ``fit``, on another thread if the package may use one (``set_num_threads``).

        Parameters and errors are those of ``fit``; ``PendingFit.result`` returns its result.
        """
        check_integer("batch_size", batch_size, at_least=1)
        check_real("learning_rate", learning_rate, above=0.0)
        inputs, n = self._assembly.check_inputs(inputs)
        returns = float_array("returns", returns, (n,), np.float64)
        is_order = isinstance(order, np.ndarray) and order.dtype == np.int64 and order.ndim == 2 and order.size > 0
        if not is_order or order.shape[1] != n:
            expected = f"an int64 array of shape (n_critic_updates, {n})"
            raise InvalidArgumentError("order", expected, describe(order))
        order = np.require(order, requirements=["C", "ALIGNED"])
        targets = self.targets(state, returns)
        if targets is None:
            return PendingFit(state)
        task = kernels(self.dtype).ValueFit(
            self._assembly.network, inputs, targets.values, order, batch_size, learning_rate,
            state.theta, state.first_moment, state.second_moment, state.n_steps,
        )  # fmt: skip
        if get_num_threads() > 1:
            task.start()
        return PendingFit(state, targets, task)


class PendingFit:
    """A fit of the critic that may run on another thread; ``result`` returns what ``ValueFunction.fit`` returns.

    The initial state is not changed. Deleting the object stops the fit at its next minibatch.
    """

    def __init__(self, state: CriticState, targets: Targets | None = None, task: Any = None) -> None:
        self._state = state
        self._targets = targets
        self._task = task

    @ignores_float_errors
    def result(self) -> ValueFit:
        """Wait for the fit to end, or run it in this thread if no other thread has started it."""
        if self._targets is None:
            return ValueFit.refused(self._state)
        self._task.finish()
        theta, m, v = (np.empty_like(self._state.theta) for _ in range(3))
        loss, n_steps, finite = self._task.read(theta, m, v)
        loss *= self._targets.scale**2
        if not finite or not np.isfinite(loss):
            return ValueFit(self._state, ValueFitStatus.NON_FINITE, loss)
        fitted = CriticState(theta, m, v, n_steps, self._targets.statistics)
        return ValueFit(fitted, ValueFitStatus.COMMITTED, loss, self._targets.n_outliers)
