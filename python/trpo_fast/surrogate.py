"""SurrogateObjective: what TRPO maximises, and the KL divergence that bounds it."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast._ext import kernels
from trpo_fast.policy import Policy
from trpo_fast.threads import resolve_threads
from trpo_fast.validation import check_real, float_array


class SurrogateValue(NamedTuple):
    """The surrogate at theta_new, KL(old || new) over the batch, and the new policy's mean entropy, in nats."""

    surrogate: float
    mean_kl: float
    max_kl: float
    entropy: float


class SurrogateObjective:
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
        self.policy = policy
        self.theta = theta = policy.check_theta(theta).copy()
        self.observations = policy.check_observations(observations)
        inputs = policy.normalize(self.observations)
        rows = policy.codec.to_rows(actions, len(inputs))
        if policy.action_masks is not None:
            policy.action_masks.check_actions(rows, self.observations[:, -policy.action_masks.size :])
        advantages = float_array("advantages", advantages, (len(inputs),), np.float64)
        self.kernel = kernels(policy.dtype).SurrogateObjective(
            policy.network, policy.distribution, theta, inputs, rows, advantages,
            check_real("ent_coef", ent_coef, at_least=0.0), resolve_threads(n_threads),
        )  # fmt: skip

    def gradient(self) -> npt.NDArray[np.float64]:
        """The gradient of L at theta' = theta, shape (P,): the mean of advantage times score, and of the entropy's."""
        out = np.empty(self.policy.num_params)
        self.kernel.gradient(out)
        return out

    def evaluate(self, theta_new: npt.NDArray[Any]) -> SurrogateValue:
        """L, mean and largest KL(theta || theta_new), and entropy, in one pass; non-finite values are passed on."""
        return SurrogateValue(*self.kernel.evaluate(self.policy.check_theta(theta_new, "theta_new")))
