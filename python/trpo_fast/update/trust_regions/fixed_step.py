"""No trust region: a step of fixed size, and no line search.

Along F⁻¹g this is the natural policy gradient (Kakade 2001), along g the plain policy gradient (Williams 1992).
"""

import numpy as np

from trpo_fast.update.line_search import LineSearchResult
from trpo_fast.update.trust_regions.local_model import LocalModel, Step


def fixed_step(model: LocalModel) -> Step:
    """The step ``step_size`` x, accepted if theta and the objective stay finite."""
    full = model.config.step_size * model.x
    theta = (model.theta + full).astype(model.theta.dtype)
    value = model.evaluate(theta)
    if not (np.isfinite(theta).all() and np.isfinite(value).all()):
        return Step(full, LineSearchResult(model.theta, model.start, False, 1))
    return Step(full, LineSearchResult(theta, value, True, 0))
