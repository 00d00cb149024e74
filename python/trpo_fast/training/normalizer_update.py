"""How new observation statistics reach a policy without moving it far."""

from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.policies.normalization import ObservationNormalizer
from trpo_fast.policies.policy import Policy


def merge_observations(
    policy: Policy,
    theta: npt.NDArray[Any],
    observations: npt.NDArray[np.float64],
    inputs: npt.NDArray[Any],
    max_kl: float,
) -> tuple[npt.NDArray[Any], ObservationNormalizer, float]:
    """The normaliser that has seen ``observations`` (N, obs_dim) too, and the theta that goes with it.

    ``inputs`` (N, obs_dim) are the observations under the present normaliser.

    New statistics change what theta computes. If that moves the policy by a mean KL divergence above ``max_kl`` nats on
    these rows, theta is rewritten so that the policy stays, but for rounding and clipped inputs. (The first statistics,
    and those of a column that had been constant, replace none: they are free.)

    Returns
    -------
    theta : ndarray, shape (P,)
    normalizer : ObservationNormalizer
    kl : float
        How far the two together move the policy, in nats.
    """
    if not policy.normalizer.enabled:
        return theta, policy.normalizer, 0.0
    normalizer = policy.normalizer.updated(observations)
    before = policy.forward(theta, inputs)

    def shift(theta: npt.NDArray[Any]) -> float:
        return float(policy.kl_divergence(before, policy.dist_params(theta, observations, normalizer)).mean())

    kl = shift(theta)
    if kl > max_kl:
        renormalized = policy.renormalized(theta, normalizer)
        renormalized_kl = shift(renormalized)
        if renormalized_kl < kl:
            return renormalized, normalizer, renormalized_kl
    return theta, normalizer, kl
