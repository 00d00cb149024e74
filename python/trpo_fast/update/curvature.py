"""The metric of an update: F⁻¹g is the natural gradient; with the identity the direction is the plain gradient."""

import numpy as np
import numpy.typing as npt

from trpo_fast._core.modules import core
from trpo_fast.config import TRPOConfig
from trpo_fast.update.fisher import EmpiricalFisherOperator
from trpo_fast.update.kfac import KFACPreconditioner
from trpo_fast.update.objectives import PolicyObjective
from trpo_fast.update.operators import Identity, KernelOperator

KFAC_RELATIVE_DAMPING = 1e-2  # of the curvature along the gradient, where F has no damping
KFAC_SUB_SAMPLING = 4  # the preconditioner uses every 4th row of F; more rows hardly improve it (docs/algorithm.md)


def metric_operator(objective: PolicyObjective, damping: float, config: TRPOConfig) -> KernelOperator | Identity:
    """The metric named by ``config.metric``, at the objective's theta."""
    if config.metric == "identity":
        return Identity()
    if config.metric == "empirical_fisher":
        parts = objective.policy, objective.theta, objective.observations, objective.actions
        return EmpiricalFisherOperator(*parts, damping, rows=slice(None, None, config.sub_sampling_factor))
    return objective.fisher_operator(damping, every=config.sub_sampling_factor)


def make_preconditioner(
    objective: PolicyObjective,
    F: KernelOperator | Identity,
    g: npt.NDArray[np.float64],
    damping: float,
    config: TRPOConfig,
) -> KFACPreconditioner | None:
    """The preconditioner named by ``config.cg_preconditioner``, from every fourth row of the Fisher matrix, or None.

    Without damping, F is singular, and the inverse of its approximation would add huge multiples of vectors that F maps
    to 0. The approximation is then damped relative to the curvature along the gradient g; this does not change the
    solution.
    """
    if config.cg_preconditioner == "none":
        return None
    if damping == 0.0:
        direction = g / core.norm(g)
        damping = KFAC_RELATIVE_DAMPING * float(core.dot(direction, F @ direction))
        damping = max(damping, 0.0) if np.isfinite(damping) else 0.0
    rows = slice(None, None, KFAC_SUB_SAMPLING * config.sub_sampling_factor)
    parts = objective.policy, objective.theta, objective.observations, objective.actions
    return KFACPreconditioner(*parts, damping, rows=rows)
