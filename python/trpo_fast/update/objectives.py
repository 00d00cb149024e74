"""The surrogate objectives of an update: of a single path (SurrogateObjective) and of a vine (VineObjective)."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast._core.modules import core, kernels
from trpo_fast._core.threads import resolve_threads
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.policy import Policy
from trpo_fast.validation import check_choice, check_real, describe, float_array


class SurrogateValue(NamedTuple):
    """The surrogate at theta_new, KL(old || new) over the batch, and the new policy's mean entropy, in nats."""

    surrogate: float
    mean_kl: float
    max_kl: float
    entropy: float


class PolicyObjective:
    """L(theta') at a policy's theta, whatever estimates the return.

    Attributes
    ----------
    policy : Policy
    theta : ndarray, shape (P,)
    observations : ndarray, shape (N, obs_dim), raw
    largest_advantage : float
        The largest magnitude of an advantage: epsilon of Schulman et al. 2015, Eq. 8.
    scale : float
        The mean magnitude of what L is a sum of, by which its rounding is judged.
    """

    def __init__(
        self,
        policy: Policy,
        theta: npt.NDArray[Any],
        observations: npt.NDArray[np.float64],
        advantages: npt.NDArray[np.float64],
        kernel: core.float32.PolicyObjective | core.float64.PolicyObjective,
    ) -> None:
        self.policy = policy
        self.theta = theta
        self.observations = observations
        magnitudes = np.abs(advantages)
        self.largest_advantage = float(magnitudes.max())
        self.scale = float(magnitudes.mean())
        self.kernel = kernel

    def gradient(self) -> npt.NDArray[np.float64]:
        """The gradient of L at theta' = theta, shape (P,)."""
        out = np.empty(self.policy.num_params)
        self.kernel.gradient(out)
        return out

    def evaluate(self, theta_new: npt.NDArray[Any]) -> SurrogateValue:
        """L, mean and largest KL(theta || theta_new), and entropy, in one pass; non-finite values are passed on."""
        return SurrogateValue(*self.kernel.evaluate(self.policy.check_theta(theta_new, "theta_new")))


class SurrogateObjective(PolicyObjective):
    """L(theta') = mean_n pi(a_n|s_n; theta') / pi(a_n|s_n; theta) * A_n + ent_coef * mean entropy (theta').

    Schulman et al. 2015, Eq. 14, with an entropy bonus if one is wanted.

    Parameters
    ----------
    policy : Policy
    theta : ndarray, shape (P,)
        The policy that took the actions.
    observations : ndarray, shape (N, obs_dim), raw
    actions : ndarray, as the policy's batches have them
    advantages : ndarray, shape (N,)
        Used as given.
    n_threads : int, optional
        Threads of a call; ``get_num_threads()`` by default. The results do not depend on it.
    ent_coef : float
        Weight of the entropy, in nats.

    Raises
    ------
    InvalidArgumentError
    """

    def __init__(
        self,
        policy: Policy,
        theta: npt.NDArray[Any],
        observations: npt.NDArray[Any],
        actions: npt.NDArray[Any],
        advantages: npt.NDArray[Any],
        n_threads: int | None = None,
        ent_coef: float = 0.0,
    ) -> None:
        theta = policy.check_theta(theta).copy()
        observations, rows = policy.check_transitions(observations, actions)
        advantages = float_array("advantages", advantages, (len(observations),), np.float64)
        kernel = kernels(policy.dtype).SurrogateObjective(
            policy.network, policy.distribution, theta, policy.normalize(observations), rows, advantages,
            check_real("ent_coef", ent_coef, at_least=0.0), resolve_threads(n_threads),
        )  # fmt: skip
        super().__init__(policy, theta, observations, advantages, kernel)


PROPOSALS = ("policy", "uniform")


def check_branches(
    policy: Policy, observations: Any, actions: Any, q_values: Any
) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Observations (N, obs_dim), kernel rows (N * K, A) and Q (N, K), as a vine's objective reads them.

    InvalidArgumentError if an array is of another kind or shape, or a state has but one action.
    """
    observations = policy.check_observations(observations)
    n = len(observations)
    q_values = float_array("q_values", q_values, (n, None), np.float64)
    n_actions = q_values.shape[1]
    if n_actions < 2:
        raise InvalidArgumentError("q_values", "two actions or more of every state", f"{n_actions}")
    is_fit = isinstance(actions, np.ndarray) and actions.shape[:2] == (n, n_actions)
    if not is_fit:
        raise InvalidArgumentError("actions", f"an array of shape ({n}, {n_actions}, ...)", describe(actions))
    return observations, policy.codec.encode(actions.reshape(n * n_actions, *actions.shape[2:])), q_values


class VineObjective(PolicyObjective):
    """L(theta') = mean_n sum_k w_nk Q_nk / sum_k w_nk, with w_nk = pi(a_nk|s_n; theta') / q(a_nk|s_n).

    Schulman et al. 2015, Eq. 16. A constant added to the Q of a state changes no gradient: there is no baseline. With
    uniform proposals and every action tried once it is sum_a pi(a|s_n; theta') Q(s_n, a), Eq. 15.

    Parameters
    ----------
    policy : Policy
    theta : ndarray, shape (P,)
        The policy that acted before and after.
    observations : ndarray, shape (N, obs_dim), raw
        Of the rollout set.
    actions : ndarray, shape (N, K, ...)
        K actions of every state, each as the policy's batches have them.
    q_values : ndarray, shape (N, K)
        What came of them.
    proposal : {"policy", "uniform"}
        What the actions were drawn from: the policy theta, or all actions alike.
    n_threads, ent_coef
        As for ``SurrogateObjective``.

    Raises
    ------
    InvalidArgumentError
        With a single action of a state too: its weight is 1 whatever theta' is.
    """

    def __init__(
        self,
        policy: Policy,
        theta: npt.NDArray[Any],
        observations: npt.NDArray[Any],
        actions: npt.NDArray[Any],
        q_values: npt.NDArray[Any],
        proposal: str = "policy",
        n_threads: int | None = None,
        ent_coef: float = 0.0,
    ) -> None:
        theta = policy.check_theta(theta).copy()
        observations, rows, q_values = check_branches(policy, observations, actions, q_values)
        n, n_actions = q_values.shape
        if policy.action_masks is not None:
            policy.check_possible(rows, np.repeat(observations, n_actions, axis=0))
        kernel = kernels(policy.dtype).VineObjective(
            policy.network, policy.distribution, theta, policy.normalize(observations), rows.reshape(n, -1), q_values,
            check_choice("proposal", proposal, PROPOSALS), check_real("ent_coef", ent_coef, at_least=0.0),
            resolve_threads(n_threads),
        )  # fmt: skip
        weights = (
            np.ones_like(q_values) if proposal == "policy" else _probabilities(policy, theta, observations, rows, n)
        )
        values = (weights * q_values).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)  # L of each state
        super().__init__(policy, theta, observations, q_values - values, kernel)


def _probabilities(
    policy: Policy, theta: npt.NDArray[Any], observations: npt.NDArray[np.float64], rows: npt.NDArray[Any], n: int
) -> npt.NDArray[np.float64]:
    """Of the actions of each of n states, (n, K), over that of the most probable one."""
    phi = np.repeat(policy.dist_params(theta, observations), len(rows) // n, axis=0)
    log_prob = np.empty((n, len(rows) // n))
    policy.distribution.log_prob(phi, rows, log_prob.reshape(-1))
    with np.errstate(invalid="ignore"):  # of a network that overflows: the update has a status for it
        probabilities: npt.NDArray[np.float64] = np.exp(log_prob - log_prob.max(axis=1, keepdims=True))
    return probabilities
