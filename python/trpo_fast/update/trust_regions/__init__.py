"""Other forms of the trust region than TRPO's own, which ``trpo.py`` has: each from the local model to a step.

The keys are values of the setting ``trust_region``.
"""

from collections.abc import Callable

from trpo_fast.update.trust_regions.fixed_step import fixed_step
from trpo_fast.update.trust_regions.local_model import LocalModel, Step
from trpo_fast.update.trust_regions.max_kl import max_kl
from trpo_fast.update.trust_regions.penalty import penalty

__all__ = ["OTHER_TRUST_REGIONS", "LocalModel", "Step"]

OTHER_TRUST_REGIONS: dict[str, Callable[[LocalModel], Step]] = {
    "max_kl": max_kl,
    "penalty": penalty,
    "none": fixed_step,
}
