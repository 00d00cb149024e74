"""No bound: the mean KL divergence costs C times itself (the Lagrangian form; Schulman et al. 2015, Section 4)."""

import numpy as np

from trpo_fast.update.trust_regions.local_model import LocalModel, Step


def penalty(model: LocalModel) -> Step:
    """x / C, the maximum of gᵀd - C dᵀF d / 2, shortened until L - C KL is better.

    An adaptive C is the Lagrange multiplier sqrt(xᵀF x / (2 radius)) of the batch: the maximum then lies at a KL of the
    radius, as far as the quadratic model holds.
    """
    C = model.config.kl_penalty
    if isinstance(C, str):
        C = float(np.sqrt(model.quadratic_form / (2.0 * model.radius)))
    full = model.x / C
    return Step(full, model.backtrack(full, radius=np.inf, kl_penalty=C), C)
