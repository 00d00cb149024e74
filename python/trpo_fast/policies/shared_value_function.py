"""SharedValueFunction: the critic as a second head on the policy's features extractor."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast._core.floating_point import ignores_float_errors
from trpo_fast._core.modules import core, kernels
from trpo_fast._core.threads import resolve_threads
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.assembly import Assembly
from trpo_fast.policies.normalization import RunningMeanStd
from trpo_fast.policies.policy import Policy
from trpo_fast.policies.shared_plans import make_shared_plans
from trpo_fast.policies.value_function import CriticState, Targets, ValueFit, ValueFitStatus, ValueFunction
from trpo_fast.spaces.observations import NetworkInputs, Observations

MAX_ITERATIONS = 200  # of conjugate gradient in the fit of a linear head
RTOL = 1e-6


class SharedValueFunction(ValueFunction):
    """V(s; theta, w), in units of the return, with the policy's parameters theta and those of a value head, w.

    The state's ``theta`` is w. The policy's update moves the features extractor for both (``trpo_fast.update.joint``);
    a fit moves w alone, on features that do not change, so it cannot move the policy.

    Parameters
    ----------
    policy : Policy
        Its features extractor has parameters.
    net_arch : sequence of int
        Widths of the hidden layers of the value head.
    activation_fn, ortho_init, normalize_returns
        As for ``ValueFunction``.

    Attributes
    ----------
    joint : Assembly
        The network whose outputs are those of the policy, and the value; its parameters are theta, then w.
    value : Assembly
        The network whose output is the value, with the same parameters.
    distribution
        Of the joint network's outputs: the policy's, and a Gaussian of variance 1 around the value.
    value_distribution
        This Gaussian alone.
    is_linear : bool
        Whether the head has no hidden layers.

    Raises
    ------
    InvalidArgumentError
    """

    def __init__(
        self,
        policy: Policy,
        *,
        net_arch: Sequence[int],
        activation_fn: str,
        ortho_init: bool = True,
        normalize_returns: bool = True,
    ) -> None:
        plans = make_shared_plans(policy.plan, net_arch=net_arch, activation_fn=activation_fn)
        super().__init__(
            gym.spaces.Box(-np.inf, np.inf, (plans.head.num_features,)),
            net_arch=net_arch,
            activation_fn=activation_fn,
            ortho_init=ortho_init,
            normalize_returns=normalize_returns,
            dtype=policy.dtype,
        )
        options: dict[str, Any] = {"ortho_init": ortho_init, "output_gain": 1.0, "dtype": policy.dtype}
        self.value = Assembly(plans.value, **options)
        self.joint = Assembly(plans.joint, **options, is_masked=policy.action_masks is not None)
        self._features = Assembly(plans.features, **options)
        self.is_linear = len(plans.head.nodes) == 1
        core = kernels(policy.dtype)
        self.value_distribution = core.UnitGaussian(1)
        self.distribution = core.Product([policy.distribution, self.value_distribution])

    def joint_inputs(self, policy: Policy, observations: Observations) -> NetworkInputs:
        """Inputs of the joint network: as ``policy.normalize``, and a mask that lets the value through."""
        inputs = policy.normalize(observations)
        if policy.action_masks is None:
            return inputs
        rows, *images = inputs if isinstance(inputs, tuple) else (inputs,)
        rows = np.hstack([rows, np.ones((len(rows), 1), rows.dtype)])
        return (rows, *images) if images else rows

    def predict(
        self, state: CriticState, inputs: NetworkInputs, policy_theta: npt.NDArray[Any] | None = None
    ) -> npt.NDArray[np.float64]:
        """Values, float64 of shape (N,), in units of the return, at the policy's parameters ``policy_theta`` (P,).

        Raises
        ------
        InvalidArgumentError
            If ``policy_theta`` is not given, or an argument does not fit the network.
        """
        if policy_theta is None:
            raise InvalidArgumentError("policy_theta", "the policy's parameters, which the critic shares", "None")
        return self._in_returns(state, self.value.forward(self.joint_theta(state, policy_theta), inputs))

    def joint_theta(self, state: CriticState, policy_theta: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Parameters of the networks ``value`` and ``joint``."""
        return self.value.check_theta(np.concatenate([policy_theta, state.theta]))

    def features(self, policy_theta: npt.NDArray[Any], inputs: NetworkInputs) -> npt.NDArray[Any]:
        """What the value head reads, shape (N, F), at the policy's parameters."""
        return self._features.forward(policy_theta, inputs)

    @ignores_float_errors
    def value_head(self, state: CriticState, returns: npt.NDArray[np.float64]) -> "ValueHead | None":
        """The value head of ``state`` with its targets; None if a return is above 1e18 or a value is not finite."""
        targets = self.targets(state, returns)
        theta = None if targets is None else self.renormalized(state, targets.statistics)
        if targets is None or theta is None or not np.isfinite(theta).all():
            return None
        return ValueHead(self, state, replace(state, theta=theta), returns, targets)

    def renormalized(self, state: CriticState, statistics: RunningMeanStd) -> npt.NDArray[Any]:
        """Parameters w of the head that predict under ``statistics`` what ``state`` predicts (van Hasselt et al. 2016).

        Without old statistics they are those of ``state``.
        """
        old = state.target_statistics
        if not self.normalize_returns or old.count == 0.0:
            return state.theta
        theta = state.theta.copy()
        last = self._assembly.plan.last_layer
        parameters = self.unflatten(theta)
        weight, bias = parameters[f"{last}.weight"], parameters[f"{last}.bias"]
        weight[:] = weight * (old.std / statistics.std)
        bias[:] = (bias * old.std + old.mean - statistics.mean) / statistics.std
        return theta

    @ignores_float_errors
    def fit_linear(self, head: CriticState, features: npt.NDArray[Any], targets: Targets) -> ValueFit:
        """Fit a head without hidden layers by ridge regression toward ``head``; state and status are those of ``fit``.

        Minimises mean (v - y)^2 + r |w - w_0|^2, where r is the mean squared length of a row of features, with the 1
        that the bias reads, divided by the number of rows N. The change of w solves a linear system whose matrix is
        that of a Fisher operator, which conjugate gradient solves.
        """
        core_of_dtype, n_threads, n = kernels(self.dtype), resolve_threads(None), len(features)
        parts = self._assembly.network, self.value_distribution, head.theta, features
        gradient = np.empty(self.num_params)
        actions = targets.values[:, None]
        core_of_dtype.SurrogateObjective(*parts, actions, np.ones(n), 0.0, n_threads).gradient(gradient)
        ridge = (float(np.square(features).mean(dtype=np.float64)) * features.shape[1] + 1.0) / n
        matrix = core_of_dtype.FisherOperator(*parts, ridge, n_threads)
        change = core.conjugate_gradient(matrix, gradient, MAX_ITERATIONS, RTOL, None, 0.0)["x"]
        theta = (head.theta + change).astype(self.dtype)
        errors = self._assembly.forward(theta, features)[:, 0].astype(np.float64) - targets.values
        loss = float(np.square(errors).mean()) * targets.scale**2
        if not np.isfinite(theta).all() or not np.isfinite(loss):
            return ValueFit(head, ValueFitStatus.NON_FINITE, loss)
        fitted = replace(head, theta=theta, target_statistics=targets.statistics)
        return ValueFit(fitted, ValueFitStatus.COMMITTED, loss, targets.n_outliers)


class ValueHead(NamedTuple):
    """A value head in an update: before it, in the units of its targets, and these.

    Parameters
    ----------
    value_function : SharedValueFunction
    before : CriticState
        The head before the update.
    head : CriticState
        The head that predicts the same in the units of the targets; its statistics are those of before.
    returns : ndarray, shape (N,)
    targets : Targets
        The returns in these units.
    """

    value_function: SharedValueFunction
    before: CriticState
    head: CriticState
    returns: npt.NDArray[np.float64]
    targets: Targets

    def refit(
        self,
        policy_theta: npt.NDArray[Any],
        inputs: NetworkInputs,
        order: npt.NDArray[np.int64],
        *,
        batch_size: int,
        learning_rate: float,
    ) -> ValueFit:
        """Fit the head to the targets, on the features at ``policy_theta``, which do not change.

        A head without hidden layers is fitted by ridge regression; one with hidden layers by minibatch Adam. The other
        parameters are those of ``ValueFunction.fit``; if a value is not finite, the state is that of before.
        """
        value_function = self.value_function
        features = value_function.features(policy_theta, inputs)
        if value_function.is_linear:
            fit = value_function.fit_linear(self.head, features, self.targets)
        else:
            fit = value_function.fit(
                self.head, features, self.returns, order, batch_size=batch_size, learning_rate=learning_rate
            )
        return fit if fit.status is ValueFitStatus.COMMITTED else fit._replace(state=self.before)
