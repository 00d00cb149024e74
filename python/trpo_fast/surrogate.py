"""SurrogateObjective: single-path sampling."""

from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast._ext import kernels
from trpo_fast.objective import PolicyObjective
from trpo_fast.policy import Policy
from trpo_fast.threads import resolve_threads
from trpo_fast.validation import check_real, float_array


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
        observations, rows = policy.check_taken(observations, actions)
        advantages = float_array("advantages", advantages, (len(observations),), np.float64)
        kernel = kernels(policy.dtype).SurrogateObjective(
            policy.network, policy.distribution, theta, policy.normalize(observations), rows, advantages,
            check_real("ent_coef", ent_coef, at_least=0.0), resolve_threads(n_threads),
        )  # fmt: skip
        super().__init__(policy, theta, observations, advantages, kernel)
