"""Surrogate objectives of an update: SurrogateObjective for single paths, VineObjective for a vine."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast._core.floating_point import ignores_float_errors
from trpo_fast._core.modules import core, kernels
from trpo_fast._core.threads import resolve_threads
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.policy import Policy
from trpo_fast.spaces.observations import Observations
from trpo_fast.update.fisher import FisherOperator
from trpo_fast.update.operators import KernelOperator
from trpo_fast.validation import check_choice, check_integer, check_real, describe, float_array


class SurrogateValue(NamedTuple):
    """Values at theta_new: the surrogate, mean and largest KL(old || new) over states, and mean entropy, in nats."""

    surrogate: float
    mean_kl: float
    max_kl: float
    entropy: float


class PolicyObjective:
    """The objective L(theta') of an update from a policy theta; everything that ``trpo_update`` needs of a batch.

    Attributes
    ----------
    policy : Policy
    theta : ndarray, shape (P,)
        Parameters of the policy that collected the batch.
    observations : Observations
    actions : ndarray
        Actions as in the batch.
    is_finite : bool
        Whether theta, observations, actions and advantages are finite, and observations of magnitude up to 1e18.
    has_signal : bool
        Whether some advantage is not 0.
    largest_advantage : float
        Largest magnitude of an advantage: epsilon of Schulman et al. 2015, Eq. 8.
    scale : float
        Mean magnitude of the terms of L, to which its rounding error is relative.
    kernel
        Objective of the compiled core.
    """

    @ignores_float_errors
    def __init__(
        self,
        policy: Policy,
        theta: npt.NDArray[Any],
        observations: Observations,
        actions: npt.NDArray[Any],
        encoded: npt.NDArray[Any],
        advantages: npt.NDArray[np.float64],
        kernel: core.float32.PolicyObjective | core.float64.PolicyObjective,
    ) -> None:
        self.policy = policy
        self.theta = theta
        self.observations = observations
        self.actions = actions.copy()
        self.is_finite = observations.is_finite and all(
            bool(np.isfinite(a).all()) for a in (theta, encoded, advantages)
        )
        self.has_signal = bool(advantages.any())
        magnitudes = np.abs(advantages)
        self.largest_advantage = float(magnitudes.max())
        self.scale = float(magnitudes.mean())
        self.kernel = kernel

    @property
    def num_rows(self) -> int:
        """Number N of observations."""
        return len(self.observations)

    def fisher_operator(self, damping: float = 0.0, every: int = 1) -> KernelOperator:
        """The Fisher operator at theta, on every k-th of the observations with k = ``every``.

        With k = 1 it shares the objective's forward pass.

        Raises
        ------
        InvalidArgumentError
        """
        if check_integer("every", every, at_least=1) > 1:
            thinned = slice(None, None, every)
            return FisherOperator(self.policy, self.theta, self.observations, damping, thinned)
        damping = check_real("damping", damping, at_least=0.0)
        kernel = kernels(self.policy.dtype).FisherOperator(self.kernel, damping, resolve_threads(None))
        return KernelOperator(kernel, self.policy.dtype, damping)

    def gradient(self) -> npt.NDArray[np.float64]:
        """Gradient of L at theta' = theta, shape (P,)."""
        out = np.empty(self.policy.num_params)
        self.kernel.gradient(out)
        return out

    def evaluate(self, theta_new: npt.NDArray[Any]) -> SurrogateValue:
        """Evaluate L, KL(theta || theta_new) and entropy in one pass; the values may be NaN or Inf.

        Raises
        ------
        InvalidArgumentError
            If ``theta_new`` has the wrong dtype or shape.
        """
        return SurrogateValue(*self.kernel.evaluate(self.policy.check_theta(theta_new, "theta_new")))


class SurrogateObjective(PolicyObjective):
    """L(theta') = mean_n pi(a_n|s_n; theta') / pi(a_n|s_n; theta) * A_n + ent_coef * mean entropy (theta').

    Schulman et al. 2015, Eq. 14, with an optional entropy bonus.

    Parameters
    ----------
    policy : Policy
    theta : ndarray, shape (P,)
        Parameters of the policy that took the actions.
    observations : Observations, or ndarray of float32 or float64, shape (N, obs_dim)
        Raw observations.
    actions : ndarray
        N actions as in a ``Batch``.
    advantages : ndarray, shape (N,)
        Advantages A_n, used as given.
    n_threads : int, optional
        Threads of a call; ``get_num_threads()`` by default. The results do not depend on it.
    ent_coef : float
        Weight of the mean entropy in nats.

    Raises
    ------
    InvalidArgumentError
        If an array has the wrong kind or shape, or a number is out of its range.
    """

    def __init__(
        self,
        policy: Policy,
        theta: npt.NDArray[Any],
        observations: Observations | npt.NDArray[Any],
        actions: npt.NDArray[Any],
        advantages: npt.NDArray[Any],
        n_threads: int | None = None,
        ent_coef: float = 0.0,
    ) -> None:
        theta = policy.check_theta(theta).copy()
        observations, encoded = policy.check_transitions(observations, actions)
        advantages = float_array("advantages", advantages, (len(observations),), np.float64)
        kernel = kernels(policy.dtype).SurrogateObjective(
            policy.network, policy.distribution, theta, policy.normalize(observations), encoded, advantages,
            check_real("ent_coef", ent_coef, at_least=0.0), resolve_threads(n_threads),
        )  # fmt: skip
        super().__init__(policy, theta, observations, actions, encoded, advantages, kernel)


PROPOSALS = ("policy", "uniform")


class VineObjective(PolicyObjective):
    """L(theta') = mean_n sum_k w_nk Q_nk / sum_k w_nk, with w_nk = pi(a_nk|s_n; theta') / q(a_nk|s_n).

    Schulman et al. 2015, Eq. 16. A constant added to all Q values of a state does not change the gradient, so no
    baseline is needed. With uniform proposals and every action tried once, L is mean_n sum_a pi(a|s_n; theta')
    Q(s_n, a), Eq. 15.

    Parameters
    ----------
    policy : Policy
    theta : ndarray, shape (P,)
        Parameters of the policy that followed the trunk and the branches.
    observations : Observations, or ndarray of float32 or float64, shape (N, obs_dim)
        Raw observations of the rollout set.
    actions : ndarray, shape (N, K, ...)
        K actions of each state, as in a ``Batch``.
    q_values : ndarray, shape (N, K)
        Discounted returns after these actions.
    proposal : {"policy", "uniform"}
        Distribution q that the actions were drawn from: the policy theta, or uniform.
    n_threads, ent_coef
        As for ``SurrogateObjective``.

    Raises
    ------
    InvalidArgumentError
        If an array has the wrong kind or shape, a number is out of its range, or K is 1: the weight of a single action
        is 1 for every theta'.
    """

    @ignores_float_errors
    def __init__(
        self,
        policy: Policy,
        theta: npt.NDArray[Any],
        observations: Observations | npt.NDArray[Any],
        actions: npt.NDArray[Any],
        q_values: npt.NDArray[Any],
        proposal: str = "policy",
        n_threads: int | None = None,
        ent_coef: float = 0.0,
    ) -> None:
        theta = policy.check_theta(theta).copy()
        observations = policy.check_observations(observations)
        q_values = float_array("q_values", q_values, (len(observations), None), np.float64)
        n, n_actions = q_values.shape
        if n_actions < 2:
            raise InvalidArgumentError("q_values", "two actions or more for each state", f"{n_actions}")
        if not isinstance(actions, np.ndarray) or actions.shape[:2] != (n, n_actions):
            raise InvalidArgumentError("actions", f"an array of shape ({n}, {n_actions}, ...)", describe(actions))
        encoded = policy.codec.encode(actions.reshape(n * n_actions, *actions.shape[2:]))
        if policy.action_masks is not None:
            policy.check_possible(encoded, observations[np.repeat(np.arange(n), n_actions)])
        kernel = kernels(policy.dtype).VineObjective(
            policy.network, policy.distribution, theta, policy.normalize(observations), encoded.reshape(n, -1),
            q_values, check_choice("proposal", proposal, PROPOSALS), check_real("ent_coef", ent_coef, at_least=0.0),
            resolve_threads(n_threads),
        )  # fmt: skip
        weights = np.ones_like(q_values)
        if proposal == "uniform":
            weights = _probabilities(policy, theta, observations, encoded)
        total = weights.sum(axis=1, keepdims=True)
        advantages = q_values - (weights * q_values).sum(axis=1, keepdims=True) / total  # Q - L of its state
        super().__init__(policy, theta, observations, actions, encoded, advantages, kernel)


def _probabilities(
    policy: Policy, theta: npt.NDArray[Any], observations: Observations, encoded: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Probabilities of the actions in each of n states, shape (n, K), relative to the most probable of them."""
    n = len(observations)
    phi = np.repeat(policy.dist_params(theta, observations), len(encoded) // n, axis=0)
    log_prob = np.empty((n, len(encoded) // n))
    policy.distribution.log_prob(phi, encoded, log_prob.reshape(-1))
    probabilities: npt.NDArray[np.float64] = np.exp(log_prob - log_prob.max(axis=1, keepdims=True))
    return probabilities
