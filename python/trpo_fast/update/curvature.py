"""The matrix that gives a step its direction: F⁻¹g is the natural gradient; the identity leaves the plain gradient."""

from trpo_fast.config import TRPOConfig
from trpo_fast.update.fisher import EmpiricalFisherOperator, fisher_operator_at
from trpo_fast.update.kfac import KFACPreconditioner
from trpo_fast.update.objectives import PolicyObjective
from trpo_fast.update.operators import Identity, KernelOperator

KFAC_SUB_SAMPLING = 4  # more rows of the Fisher matrix hardly make a better preconditioner (docs/algorithm.md)


def metric_operator(objective: PolicyObjective, damping: float, config: TRPOConfig) -> KernelOperator | Identity:
    """The matrix that ``config.metric`` names, at the objective's theta."""
    if config.metric == "identity":
        return Identity()
    if config.metric == "empirical_fisher":
        parts = objective.policy, objective.theta, objective.observations, objective.actions
        return EmpiricalFisherOperator(*parts, damping, rows=slice(None, None, config.sub_sampling_factor))
    return fisher_operator_at(objective, damping, every=config.sub_sampling_factor)


def preconditioner(objective: PolicyObjective, damping: float, config: TRPOConfig) -> KFACPreconditioner | None:
    """An approximate inverse of the damped Fisher matrix, if one is wanted, from every fourth of its rows."""
    if config.cg_preconditioner == "none":
        return None
    rows = slice(None, None, KFAC_SUB_SAMPLING * config.sub_sampling_factor)
    parts = objective.policy, objective.theta, objective.observations, objective.actions
    return KFACPreconditioner(*parts, damping, rows=rows)
