"""New observation statistics reach a policy without moving it far."""

from typing import Any

import numpy.typing as npt

from trpo_fast.policies.policy import Policy
from trpo_fast.spaces.rows import Observations


def update_normalizer(
    policy: Policy, theta: npt.NDArray[Any], observations: Observations, max_kl: float
) -> tuple[Policy, npt.NDArray[Any], float]:
    """The policy whose normaliser includes ``observations``, and the theta that goes with it.

    New statistics change what theta computes. If that moves the policy by a mean KL divergence above ``max_kl`` nats on
    these observations, theta is rewritten so that the policy stays, except for rounding and clipped inputs. (The first
    statistics, and those of a column that had been constant, replace no others, and are not limited.) Observations that
    are not all finite leave everything as it is.

    Returns
    -------
    policy : Policy
    theta : ndarray, shape (P,)
    kl : float
        Mean KL divergence in nats between before and after.
    """
    if not (policy.normalizer.enabled and observations.is_finite):
        return policy, theta, 0.0
    before = policy.dist_params(theta, observations)
    normalizer = policy.normalizer.updated(observations.rows)
    updated = policy.with_normalizer(normalizer)

    def shift(theta: npt.NDArray[Any]) -> float:
        return float(policy.kl_divergence(before, updated.dist_params(theta, observations)).mean())

    kl = shift(theta)
    if kl > max_kl:
        renormalized = policy.renormalized(theta, normalizer)
        renormalized_kl = shift(renormalized)
        if renormalized_kl < kl:
            return updated, renormalized, renormalized_kl
    return updated, theta, kl
