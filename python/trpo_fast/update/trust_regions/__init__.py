"""Alternative forms of the trust region; TRPO's own is in ``trpo.py``. Each turns the local model into a step.

The keys of ``OTHER_TRUST_REGIONS`` are values of the setting ``trust_region``.
"""

from collections.abc import Callable

from trpo_fast.update.trust_regions.fixed_step import fixed_step
from trpo_fast.update.trust_regions.local_model import LocalModel, Step, no_longer_than
from trpo_fast.update.trust_regions.max_kl import max_kl
from trpo_fast.update.trust_regions.penalty import penalty

__all__ = ["OTHER_TRUST_REGIONS", "LocalModel", "Step", "no_longer_than"]

OTHER_TRUST_REGIONS: dict[str, Callable[[LocalModel], Step]] = {
    "max_kl": max_kl,
    "penalty": penalty,
    "none": fixed_step,
}
