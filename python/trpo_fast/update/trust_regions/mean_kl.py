"""TRPO's own: the mean KL divergence over the batch is bounded (Schulman et al. 2015, Eq. 12 and Appendix C)."""

import numpy as np

from trpo_fast.update.trust_regions.local_model import LocalModel, Step


def mean_kl(model: LocalModel) -> Step:
    """sqrt(2 delta / xᵀF x) x, shortened until the mean KL is within delta and the surrogate better."""
    full = np.sqrt(2.0 * model.max_kl / model.quadratic_form) * model.x
    return Step(full, model.search(full, max_kl=model.max_kl))
