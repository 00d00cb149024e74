"""The largest KL divergence over the batch is bounded, as in the theory (Schulman et al. 2015, Eq. 11)."""

import numpy as np

from trpo_fast.update.trust_regions.local_model import LocalModel, Step


def max_kl(model: LocalModel) -> Step:
    """The step of the mean, scaled to where the quadratic model has the largest KL at delta, then shortened.

    KL grows with the square of a step's length: one look at the mean's full step says how far the largest is.
    """
    full = np.sqrt(2.0 * model.max_kl / model.quadratic_form) * model.x
    largest = model.evaluate((model.theta + full).astype(model.theta.dtype)).max_kl
    if largest > model.max_kl and np.isfinite(largest):
        full = np.sqrt(model.max_kl / largest) * full
    return Step(full, model.search(full, max_kl=model.max_kl, bounded="max_kl"))
