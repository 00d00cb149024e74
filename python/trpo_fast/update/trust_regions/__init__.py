"""How far to go along a direction: the forms of the trust region that TRPO is compared with.

Each is a function from the local model to a step, and a value of the setting ``trust_region``.
"""

from collections.abc import Callable

from trpo_fast.update.trust_regions.fixed_step import fixed_step
from trpo_fast.update.trust_regions.local_model import LocalModel, Step
from trpo_fast.update.trust_regions.max_kl import max_kl
from trpo_fast.update.trust_regions.mean_kl import mean_kl
from trpo_fast.update.trust_regions.penalty import penalty

__all__ = ["TRUST_REGIONS", "LocalModel", "Step"]

TRUST_REGIONS: dict[str, Callable[[LocalModel], Step]] = {
    "mean_kl": mean_kl,
    "max_kl": max_kl,
    "penalty": penalty,
    "none": fixed_step,
}
