"""The policy update of TRPO (Schulman et al. 2015, Section 6 and Appendix C). Start reading here.

    maximise  L(theta') = mean[ pi(a|s; theta') / pi(a|s; theta) · Â ]   subject to   mean KL(theta || theta') <= delta

With g = ∇L and F = ∇²KL at theta' = theta, the step is sqrt(2 delta / xᵀF x) · x with x = F⁻¹ g, then backtracking.

(The class ``TRPO``, which collects the batches, is in ``learner.py``.)
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trpo_fast._core.floating_point import ignores_float_errors
from trpo_fast._core.modules import core  # dot and norm, in a fixed order of additions (NumPy's depends on its BLAS)
from trpo_fast.config import TRPOConfig
from trpo_fast.policies.policy import Policy
from trpo_fast.policies.shared_value_function import ValueHead
from trpo_fast.update.batches import Batch, VineBatch
from trpo_fast.update.conjugate_gradient import CGResult, conjugate_gradient
from trpo_fast.update.curvature import make_preconditioner, metric_operator
from trpo_fast.update.joint import joint_step
from trpo_fast.update.line_search import backtracking_line_search
from trpo_fast.update.objectives import PolicyObjective
from trpo_fast.update.operators import Identity, KernelOperator
from trpo_fast.update.report import UpdateReport, UpdateStatus
from trpo_fast.update.step_check import KLDivergences, StepCheck
from trpo_fast.update.trust_regions import OTHER_TRUST_REGIONS, LocalModel, Step, no_longer_than


@ignores_float_errors
def trpo_update(
    policy: Policy,
    theta: npt.NDArray[Any],
    batch: Batch | VineBatch,
    config: TRPOConfig,
    next_kl: KLDivergences | None = None,
    value_head: ValueHead | None = None,
) -> tuple[npt.NDArray[Any], UpdateReport]:
    """Take one trust-region step on a batch that the policy ``theta`` collected.

    The settings ``trust_region`` and ``metric`` select alternatives to TRPO's own form.

    Parameters
    ----------
    policy : Policy
    theta : ndarray, shape (P,)
        Parameters, in the policy's dtype; not changed.
    batch : Batch or VineBatch
    config : TRPOConfig
        Settings whose schedules are evaluated (``TRPOConfig.at``).
    next_kl : callable, optional
        theta -> KL divergences (N,) from the policy that acted to the one that would act with this theta, if its
        observation statistics change with the update. Their mean is bounded by the radius, too.
    value_head : ValueHead, optional
        The critic's head on the policy's features extractor, if they share it (``update/joint.py``).

    Returns
    -------
    theta_new : ndarray, shape (P,)
        ``theta`` itself, unless the report's status is COMMITTED. Then: finite parameters with a better surrogate and
        mean KL(old || new) within the radius (``target_kl``, scaled for ``kl_reduction="mean"``). Other values of
        ``trust_region`` bound the step in another way.
    report : UpdateReport
        Status and diagnostics.

    Raises
    ------
    InvalidArgumentError
        If an array has the wrong kind, dtype or shape. Numerical failures are a status instead.
    """
    theta = policy.check_theta(theta)
    objective = batch.objective(policy, theta, config)
    if not objective.is_finite:
        return theta, UpdateReport(UpdateStatus.NON_FINITE_INPUT)
    if not objective.has_signal and config.ent_coef == 0.0:
        return theta, UpdateReport(UpdateStatus.NO_SIGNAL)
    radius, damping = joint_radius_and_damping(policy, config)  # radius = delta

    start = objective.evaluate(theta)
    g = objective.gradient()  # g = ∇L
    make_report = partial(
        UpdateReport,
        surrogate_before=start.surrogate,
        surrogate_after=start.surrogate,
        entropy=start.entropy,
        gradient_norm=core.norm(g),
        largest_advantage=objective.largest_advantage,
    )
    if not np.isfinite(g).all() or not np.isfinite(start).all():
        return theta, make_report(UpdateStatus.NON_FINITE_GRADIENT)
    if not g.any():
        return theta, make_report(UpdateStatus.ZERO_GRADIENT)

    check = StepCheck(objective, config.trust_region, radius, next_kl)
    backtrack = partial(
        backtracking_line_search,
        objective.evaluate,
        theta,
        start=start,
        min_improvement=_rounding_error(objective, config.ent_coef * start.entropy),
        shrinking_factor=config.line_search_shrinking_factor,
        max_iter=config.line_search_max_iter,
        check=check if config.trust_region in ("mean_kl", "max_kl") else None,
    )
    F = metric_operator(objective, damping, config)  # F = ∇²KL + damping, by default
    if value_head is not None and config.vf_coef > 0.0:  # policy and critic share a features extractor
        joint = joint_step(objective, value_head, F, g, radius, backtrack, config)
        if joint is not None:
            return joint.step.search.theta, _report_step(make_report, g, *joint, direction="joint")
    cg = conjugate_gradient(  # x ≈ F⁻¹ g
        F,
        g,
        max_iter=config.cg_max_steps,
        preconditioner=make_preconditioner(objective, F, g, damping, config),
        progress_rtol=config.cg_progress_rtol,
    )
    xFx = _quadratic_form(F, cg, config.step_norm)
    if not (xFx > 0.0 and np.isfinite(xFx)):  # an x that is not finite has no finite xᵀFx
        return theta, make_report(UpdateStatus.SOLVER_FAILED, cg=cg)

    if config.trust_region == "mean_kl":
        full_step = no_longer_than(theta, np.sqrt(2.0 * radius / xFx) * cg.x)  # mean KL(theta || theta + step) ≈ delta
        step = Step(full_step, backtrack(full_step, radius=radius))
    else:
        other_form = OTHER_TRUST_REGIONS[config.trust_region]
        step = other_form(LocalModel(objective.evaluate, theta, cg.x, xFx, radius, backtrack, start, config))
    failure = UpdateStatus.UNRESOLVED if check.found_unresolved else UpdateStatus.LINE_SEARCH_FAILED
    return step.search.theta, _report_step(make_report, g, step, cg, failure)


def joint_radius_and_damping(policy: Policy, config: TRPOConfig) -> tuple[float, float]:
    """Radius (in nats) and damping for the joint KL divergence, which is summed over action dimensions.

    With ``kl_reduction="mean"``, ``target_kl`` and ``cg_damping`` mean what they mean in sb3-contrib, which averages
    the KL divergence of a Box or MultiBinary action over its d dimensions: a radius of 0.01 and a damping of 0.1 are
    0.01 d and 0.1 d for the joint KL divergence.
    """
    per_dimension = config.kl_reduction == "mean" and policy.codec.sums_independent_dimensions
    scale = policy.codec.size if per_dimension else 1
    return config.target_kl * scale, config.cg_damping * scale


def _report_step(
    make_report: Callable[..., UpdateReport],
    g: npt.NDArray[np.float64],
    step: Step,
    cg: CGResult,
    failure: UpdateStatus = UpdateStatus.LINE_SEARCH_FAILED,
    direction: Literal["policy", "joint"] = "policy",
) -> UpdateReport:
    """The report of a step, whose status is ``failure`` if it was not accepted."""
    search = step.search
    return make_report(
        UpdateStatus.COMMITTED if search.accepted else failure,
        surrogate_after=search.value.surrogate,
        expected_improvement=core.dot(g, step.full),
        mean_kl=search.value.mean_kl,
        max_kl=search.value.max_kl,
        entropy=search.value.entropy,
        step_norm=core.norm(step.full),
        n_backtracks=search.n_backtracks,
        cg=cg,
        kl_penalty=step.kl_penalty,
        direction=direction,
    )


def _quadratic_form(F: KernelOperator | Identity, cg: CGResult, step_norm: str) -> float:
    """xᵀF x with or without the damping of F, from the solver's recurrences: it costs no product."""
    if step_norm == "damped":
        return cg.quadratic_form
    return cg.quadratic_form - F.damping * core.dot(cg.x, cg.x)


def _rounding_error(objective: PolicyObjective, bonus: float) -> float:
    """Rounding error of L, which includes ``bonus``: from the policy's outputs and from the sum over rows."""
    of_outputs = float(np.finfo(objective.policy.dtype).eps)
    of_sum = objective.num_rows * float(np.finfo(np.float64).eps)
    return max(of_outputs, of_sum) * (objective.scale + abs(bonus))
