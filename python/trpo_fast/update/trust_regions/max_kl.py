"""The largest KL divergence over the batch is bounded, as in the theory (Schulman et al. 2015, Eq. 11)."""

import numpy as np

from trpo_fast.update.trust_regions.local_model import LocalModel, Step


def max_kl(model: LocalModel) -> Step:
    """The step for the mean KL, scaled to where the quadratic model has the largest KL at the radius, then backtracked.

    KL grows with the square of a step's length: one evaluation at the mean's full step says how far the largest is.
    """
    full = np.sqrt(2.0 * model.radius / model.quadratic_form) * model.x
    largest = model.evaluate((model.theta + full).astype(model.theta.dtype)).max_kl
    if largest > model.radius and np.isfinite(largest):
        full = np.sqrt(model.radius / largest) * full
    return Step(full, model.backtrack(full, radius=model.radius, bounded="max_kl"))
