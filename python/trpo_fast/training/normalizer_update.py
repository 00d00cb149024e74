"""Update a policy's observation statistics without moving the policy far."""

from typing import Any

import numpy.typing as npt

from trpo_fast.policies.policy import Policy
from trpo_fast.spaces.observations import Observations


def update_normalizer(
    policy: Policy, theta: npt.NDArray[Any], observations: Observations, radius: float
) -> tuple[Policy, npt.NDArray[Any], float]:
    """Include ``observations`` in the normaliser of ``policy``.

    New statistics change the policy that theta encodes. If they move it by a mean KL divergence above ``radius`` nats
    on these observations, theta is renormalized: the policy stays the same, except for rounding and clipped inputs.
    The first statistics, and those of a column that was constant so far, have no predecessor and are not limited. If an
    observation is not finite, or the statistics overflow, nothing changes.

    Returns
    -------
    policy : Policy
        Policy with the new normaliser.
    theta : ndarray, shape (P,)
        Parameters that belong to it.
    kl : float
        Mean KL divergence in nats from the old policy to the new one.
    """
    if not (policy.normalizer.enabled and observations.is_finite):
        return policy, theta, 0.0
    normalizer = policy.normalizer.updated(observations)
    if not normalizer.statistics.is_possible:
        return policy, theta, 0.0
    before = policy.dist_params(theta, observations)
    updated = policy.with_normalizer(normalizer)

    def shift(theta: npt.NDArray[Any]) -> float:
        return float(policy.kl_divergence(before, updated.dist_params(theta, observations)).mean())

    kl = shift(theta)
    if kl > radius:
        renormalized = policy.renormalized(theta, normalizer)
        renormalized_kl = shift(renormalized)
        if renormalized_kl < kl:
            return updated, renormalized, renormalized_kl
    return updated, theta, kl
