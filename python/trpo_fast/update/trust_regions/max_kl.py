"""Bound the largest KL divergence over states instead of the mean, as in the theory (Schulman et al. 2015, Eq. 11)."""

import numpy as np

from trpo_fast.update.trust_regions.local_model import LocalModel, Step, no_longer_than


def max_kl(model: LocalModel) -> Step:
    """The step for the mean KL, shortened until the largest KL is predicted to equal the radius, then backtracked.

    KL grows with the square of a step's length, so one evaluation at the full step for the mean KL gives the factor.
    """
    full = no_longer_than(model.theta, np.sqrt(2.0 * model.radius / model.quadratic_form) * model.x)
    largest = model.evaluate((model.theta + full).astype(model.theta.dtype)).max_kl
    if largest > model.radius and np.isfinite(largest):
        full = np.sqrt(model.radius / largest) * full
    return Step(full, model.backtrack(full, radius=model.radius, bounded="max_kl"))
