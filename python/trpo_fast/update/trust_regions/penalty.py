"""Penalise the mean KL divergence with coefficient C instead of bounding it (Schulman et al. 2015, Section 4)."""

import numpy as np

from trpo_fast.update.trust_regions.local_model import LocalModel, Step, no_longer_than


def penalty(model: LocalModel) -> Step:
    """The step x / C, the maximum of gᵀd - C dᵀF d / 2 over d, shortened until L - C KL improves.

    An adaptive C is the batch's Lagrange multiplier sqrt(xᵀF x / (2 radius)): the maximum of the quadratic model then
    has a KL divergence equal to the radius.
    """
    C = model.config.kl_penalty
    if isinstance(C, str):
        C = float(np.sqrt(model.quadratic_form / (2.0 * model.radius)))
    full = no_longer_than(model.theta, model.x / C)
    return Step(full, model.backtrack(full, radius=np.inf, kl_penalty=C), C)
