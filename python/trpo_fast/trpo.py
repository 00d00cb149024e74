"""TRPO's policy update (Schulman et al. 2015, Section 6 and Appendix C). Start reading here.

    maximise  L(theta') = mean[ pi(a|s; theta') / pi(a|s; theta) · Â ]   subject to   mean KL(theta || theta') <= delta

With g = ∇L and F = ∇²KL at theta' = theta, the step is sqrt(2 delta / xᵀF x) · x with x = F⁻¹ g, then backtracking.
"""

from enum import Enum
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast.advantages import has_signal, normalize_advantages
from trpo_fast.config import TRPOConfig
from trpo_fast.conjugate_gradient import CGResult, conjugate_gradient
from trpo_fast.fisher import FisherOperator
from trpo_fast.kfac import KFACPreconditioner
from trpo_fast.line_search import backtracking_line_search
from trpo_fast.policy import Policy
from trpo_fast.surrogate import SurrogateObjective
from trpo_fast.validation import float_array

NO_VALUE = float("nan")
KFAC_SUB_SAMPLING = 4  # more rows of the Fisher matrix hardly make a better preconditioner (docs/algorithm.md)


class Batch(NamedTuple):
    """N transitions: observations (N, obs_dim) raw, actions as sampled, advantages (N,), returns (N,)."""

    observations: npt.NDArray[Any]
    actions: npt.NDArray[Any]
    advantages: npt.NDArray[np.float64]
    returns: npt.NDArray[np.float64]


class UpdateStatus(Enum):
    """How an update ended. Only COMMITTED changes theta; every other status leaves it bit for bit as it was."""

    COMMITTED = "committed"
    NO_SIGNAL = "no_signal"  # the advantages are all equal (or there is one only)
    NON_FINITE_INPUT = "non_finite_input"  # NaN or Inf in theta, observations, actions or advantages
    NON_FINITE_GRADIENT = "non_finite_gradient"  # the gradient overflowed
    ZERO_GRADIENT = "zero_gradient"
    SOLVER_FAILED = "solver_failed"  # conjugate gradient gave no finite ascent direction; its status says why
    LINE_SEARCH_FAILED = "line_search_failed"  # no step length improved the surrogate within the trust region


class UpdateReport(NamedTuple):
    """The evidence of an update. What was not reached is NaN (``cg``: None); where theta stayed, its KL is 0.

    KL divergences are joint, summed over action dimensions, whatever ``kl_reduction`` says of ``target_kl``.
    ``step_norm`` is the length ||theta_new - theta|| of the full step before backtracking, ``expected_improvement``
    gᵀ(step), the first-order prediction for it.
    """

    status: UpdateStatus
    surrogate_before: float = NO_VALUE
    surrogate_after: float = NO_VALUE
    expected_improvement: float = NO_VALUE
    mean_kl: float = 0.0
    max_kl: float = 0.0
    entropy: float = NO_VALUE
    gradient_norm: float = NO_VALUE
    step_norm: float = NO_VALUE
    n_backtracks: int = 0
    cg: CGResult | None = None

    @property
    def committed(self) -> bool:
        """Whether theta moved."""
        return self.status is UpdateStatus.COMMITTED

    def quality(self, shrinking_factor: float) -> float:
        """Actual over predicted improvement, of the step as it was shortened; 0 where no length was any good.

        NaN where there was no step to judge.
        """
        if self.status is UpdateStatus.LINE_SEARCH_FAILED:
            return 0.0
        predicted = self.expected_improvement * shrinking_factor**self.n_backtracks
        return (self.surrogate_after - self.surrogate_before) / predicted if self.committed else NO_VALUE


def trpo_update(
    policy: Policy, theta: npt.NDArray[Any], batch: Batch, config: TRPOConfig
) -> tuple[npt.NDArray[Any], UpdateReport]:
    """One trust-region step on a batch that the policy ``theta`` collected.

    Returns
    -------
    theta_new : ndarray, shape (P,)
        Finite, with a better surrogate and mean KL(old || new) within the radius (``target_kl``, or what
        ``kl_reduction="mean"`` makes of it); or ``theta`` itself, untouched.
    report : UpdateReport
        What happened and why.

    Raises
    ------
    InvalidArgumentError
        If an array has the wrong kind, dtype or shape. Numerical trouble is a status instead.
    """
    theta = policy.check_theta(theta)
    observations = policy.check_observations(batch.observations)
    actions = policy.codec.to_rows(batch.actions, len(observations))
    advantages = float_array("advantages", batch.advantages, (len(observations),), np.float64)
    if not all(np.isfinite(a).all() for a in (theta, observations, actions, advantages)):
        return theta, UpdateReport(UpdateStatus.NON_FINITE_INPUT)
    if not has_signal(advantages):
        return theta, UpdateReport(UpdateStatus.NO_SIGNAL)
    if config.normalize_advantage:
        advantages = normalize_advantages(advantages)
    target_kl, damping = trust_region(policy, config)

    objective = SurrogateObjective(policy, theta, observations, batch.actions, advantages, ent_coef=config.ent_coef)
    start = objective.evaluate(theta)
    g = objective.gradient()
    report = partial(
        UpdateReport,
        surrogate_before=start.surrogate,
        surrogate_after=start.surrogate,
        entropy=start.entropy,
        gradient_norm=float(np.linalg.norm(g)),
    )
    if not np.isfinite(g).all() or not np.isfinite(start).all():
        return theta, report(UpdateStatus.NON_FINITE_GRADIENT)
    if not g.any():
        return theta, report(UpdateStatus.ZERO_GRADIENT)

    F = FisherOperator.at(objective, damping, every=config.sub_sampling_factor)
    M = _preconditioner(policy, theta, batch, damping, config)
    cg = conjugate_gradient(  # x ≈ F⁻¹ g
        F, g, max_iter=config.cg_max_steps, preconditioner=M, progress_rtol=config.cg_progress_rtol
    )
    xFx = _quadratic_form(F, cg, config.step_norm)
    if not (xFx > 0.0 and np.isfinite(xFx) and np.isfinite(cg.x).all()):
        return theta, report(UpdateStatus.SOLVER_FAILED, cg=cg)
    step = np.sqrt(2.0 * target_kl / xFx) * cg.x
    scale = float(np.abs(advantages).mean()) + config.ent_coef * abs(start.entropy)  # of the surrogate's terms
    search = backtracking_line_search(
        objective.evaluate,
        theta,
        step,
        start=start,
        max_kl=target_kl,
        min_improvement=_rounding(policy.dtype, len(advantages)) * scale,
        shrinking_factor=config.line_search_shrinking_factor,
        max_iter=config.line_search_max_iter,
    )
    return search.theta, report(
        UpdateStatus.COMMITTED if search.accepted else UpdateStatus.LINE_SEARCH_FAILED,
        surrogate_after=search.value.surrogate,
        expected_improvement=float(g @ step),
        mean_kl=search.value.mean_kl,
        max_kl=search.value.max_kl,
        entropy=search.value.entropy,
        step_norm=float(np.linalg.norm(step)),
        n_backtracks=search.n_backtracks,
        cg=cg,
    )


def trust_region(policy: Policy, config: TRPOConfig) -> tuple[float, float]:
    """The joint KL radius and damping that ``config`` means.

    sb3-contrib averages the KL of a Box or MultiBinary action over its d dimensions: its radius 0.01 and damping 0.1
    are 0.01 d and 0.1 d of the joint KL divergence.
    """
    per_dimension = config.kl_reduction == "mean" and policy.codec.sums_independent_dimensions
    scale = policy.codec.size if per_dimension else 1
    return config.target_kl * scale, config.cg_damping * scale


def _preconditioner(
    policy: Policy, theta: npt.NDArray[Any], batch: Batch, damping: float, config: TRPOConfig
) -> KFACPreconditioner | None:
    """About the inverse of the damped Fisher matrix, if it is wanted, from every fourth of that matrix's rows."""
    if config.cg_preconditioner == "none":
        return None
    rows = slice(None, None, KFAC_SUB_SAMPLING * config.sub_sampling_factor)
    return KFACPreconditioner(policy, theta, batch.observations, batch.actions, damping, rows=rows)


def _quadratic_form(F: FisherOperator, cg: CGResult, step_norm: str) -> float:
    """xᵀF x of the damped operator, or without its damping: both come out of the solver's recurrences."""
    if step_norm == "damped":
        return cg.quadratic_form
    undamped = cg.quadratic_form - F.damping * float(cg.x @ cg.x)
    if undamped > 1e-3 * cg.quadratic_form:
        return undamped
    # the difference is mostly rounding: spend one product
    return float(cg.x @ (F @ cg.x)) - F.damping * float(cg.x @ cg.x)


def _rounding(dtype: np.dtype[Any], n: int) -> float:
    """Relative rounding error of a surrogate over n rows: of the policy's outputs, and of the sum in float64."""
    return max(float(np.finfo(dtype).eps), n * float(np.finfo(np.float64).eps))
