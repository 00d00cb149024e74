"""The matrix that gives a step its direction: F⁻¹g is the natural gradient, and for the identity the plain one."""

import numpy as np
import numpy.typing as npt

from trpo_fast.batches import Batch, VineBatch
from trpo_fast.config import TRPOConfig
from trpo_fast.fisher import FisherOperator
from trpo_fast.objective import PolicyObjective


class Identity:
    """v itself, in the place of F v."""

    damping = 0.0

    def __call__(self, v: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return v

    def __matmul__(self, v: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return v


def curvature(
    objective: PolicyObjective, batch: Batch | VineBatch, damping: float, config: TRPOConfig
) -> FisherOperator | Identity:
    """What ``config.metric`` names, at the objective's theta."""
    every = config.sub_sampling_factor
    if config.metric == "identity":
        return Identity()
    if config.metric == "empirical_fisher":
        parts = objective.policy, objective.theta, objective.observations, batch.actions
        return FisherOperator.empirical(*parts, damping, slice(None, None, every))
    return FisherOperator.at(objective, damping, every=every)
