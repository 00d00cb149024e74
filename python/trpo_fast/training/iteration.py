"""One iteration: policy step with new observation statistics, concurrent critic fit."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from trpo_fast.config import TRPOConfig
from trpo_fast.monitoring.metrics import Clock
from trpo_fast.policies.shared_value_function import SharedValueFunction
from trpo_fast.policies.state import ModelState
from trpo_fast.policies.value_function import ValueFit, ValueFunction
from trpo_fast.protocols import Metrics
from trpo_fast.schedules import AdaptiveRadius
from trpo_fast.training.batching import IterationBatch
from trpo_fast.training.metrics import explained_variance, update_metrics
from trpo_fast.training.normalizer_update import NormalizerUpdate
from trpo_fast.trpo import joint_radius_and_damping, trpo_update
from trpo_fast.update.report import UpdateReport, UpdateStatus
from trpo_fast.validation import float_array


class IterationResult(NamedTuple):
    """Result of one iteration: the next learned state, with diagnostics."""

    state: ModelState
    report: UpdateReport
    metrics: Metrics


def run_iteration(
    batch: IterationBatch,
    state: ModelState,
    value_function: ValueFunction,
    config: TRPOConfig,
    minibatch_order: np.random.Generator,
    clock: Clock,
    adaptive: AdaptiveRadius | None = None,
) -> IterationResult:
    """Run one iteration on a batch that the policy of ``state`` collected.

    No argument is changed, except that ``minibatch_order`` is drawn from and ``clock`` records times.

    Parameters
    ----------
    batch : IterationBatch
    state : ModelState
        State before the iteration.
    value_function : ValueFunction
    config : TRPOConfig
        Settings with the present values of their schedules.
    minibatch_order : numpy.random.Generator
        Stream of the order of the critic's minibatches.
    clock : Clock
        Receives the times of the phases "critic" and "update".
    adaptive : AdaptiveRadius, optional
        Rule for the next radius.

    Raises
    ------
    InvalidArgumentError
        If an array of the batch has the wrong kind or shape.
    """
    policy, transitions = state.policy, batch.batch
    observations = policy.check_observations(transitions.observations)
    with clock.phase("critic"):
        order = minibatch_order.permuted(np.tile(batch.order, (config.n_critic_updates, 1)), axis=1)
        fit_options: Any = {"batch_size": config.batch_size, "learning_rate": config.learning_rate}
        value_head = fitting = None
        if isinstance(value_function, SharedValueFunction):  # it is fitted after the policy's step
            returns = float_array("returns", transitions.returns, (len(observations),), np.float64)
            value_head = value_function.value_head(state.critic, returns)
        else:
            inputs = policy.critic_inputs(observations)
            fitting = value_function.begin_fit(state.critic, inputs, transitions.returns, order, **fit_options)
    with clock.phase("update"):
        radius, _ = joint_radius_and_damping(policy, config)
        normalizer = NormalizerUpdate(policy, state.theta, observations, radius)
        next_kl = normalizer.kl_divergences if normalizer.has_statistics else None
        theta, report = trpo_update(policy, state.theta, batch.policy_batch, config, next_kl, value_head)
        is_refused = report.status is UpdateStatus.NON_FINITE_INPUT  # then nothing of the batch is used
        normalizer_kl = acting_kl = 0.0
        n_outliers = 0 if batch.reward_normalizer is state.reward_normalizer else batch.reward_normalizer.n_outliers
        if not is_refused:
            normalizer_kl = normalizer.shift
            acting_kl = normalizer.acting_kl(theta) if normalizer.has_statistics else report.mean_kl
            policy, theta = normalizer.next_policy, normalizer.next_theta(theta)
            n_outliers += policy.normalizer.n_outliers
    with clock.phase("critic"):
        fit = ValueFit.refused(state.critic)
        if fitting is not None and not is_refused:
            fit = fitting.result()
        elif value_head is not None and not is_refused:
            fit = value_head.refit(theta, policy.critic_inputs(observations), order, **fit_options)
    next_state = replace(
        state.with_policy(policy, theta),
        critic=fit.state,
        reward_normalizer=batch.reward_normalizer,
        radius=_next_radius(state.radius, report, config, adaptive),
        n_updates=state.n_updates + 1,
    )
    metrics: Metrics = {
        **update_metrics(report, fit),
        "train/explained_variance": explained_variance(batch.values, transitions.returns),
        "train/acting_kl": acting_kl,
        "train/normalizer_kl": normalizer_kl,
        "train/outliers": n_outliers + fit.n_outliers,
        "train/n_updates": next_state.n_updates,
        "train/std": policy.mean_std(theta, observations),
        "train/learning_rate": config.learning_rate,
        "train/target_kl": config.target_kl,
        "train/trust_region": radius,
        "train/lower_bound": report.lower_bound(config.gamma),
        **({"train/kl_penalty": report.kl_penalty} if config.trust_region == "penalty" else {}),
        **({"train/direction": report.direction} if isinstance(value_function, SharedValueFunction) else {}),
    }
    return IterationResult(next_state, report, metrics)


def _next_radius(
    radius: float | None, report: UpdateReport, config: TRPOConfig, adaptive: AdaptiveRadius | None
) -> float | None:
    if adaptive is None:
        return radius
    return adaptive.after(config.target_kl, report.quality(config.line_search_shrinking_factor))
