"""The matrix that gives a step its direction: F⁻¹g is the natural gradient, and for the identity the plain one."""

from trpo_fast.config import TRPOConfig
from trpo_fast.update.batches import Batch, VineBatch
from trpo_fast.update.fisher import FisherOperator
from trpo_fast.update.objectives import PolicyObjective
from trpo_fast.update.operators import Identity


def metric_operator(
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
