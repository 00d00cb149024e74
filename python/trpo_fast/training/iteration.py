"""What an iteration learns from a rollout: the policy's step, beside it the critic's fit, and last new statistics."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast.config import TRPOConfig
from trpo_fast.monitoring.metrics import Clock
from trpo_fast.policies.normalization import ObservationNormalizer
from trpo_fast.policies.policy import Policy
from trpo_fast.policies.value_function import CriticState, ValueFunction
from trpo_fast.protocols import Metrics
from trpo_fast.schedules import AdaptiveRadius
from trpo_fast.training.batching import IterationBatch
from trpo_fast.training.metrics import explained_variance, update_metrics
from trpo_fast.training.normalizer_update import merge_observations
from trpo_fast.training.state import Training
from trpo_fast.trpo import joint_radius_and_damping, trpo_update
from trpo_fast.update.report import UpdateReport

NORMALIZER_SHARE = 0.25  # of the trust region: how far new observation statistics alone may move the policy


class Learned(NamedTuple):
    """What belongs together: all of it is committed, or none."""

    theta: npt.NDArray[Any]
    critic: CriticState
    normalizer: ObservationNormalizer


class Iteration(NamedTuple):
    """What a lesson taught, and the evidence."""

    learned: Learned
    radius: float | None
    report: UpdateReport
    metrics: Metrics


def learn(
    lesson: IterationBatch,
    policy: Policy,
    value_function: ValueFunction,
    theta: npt.NDArray[Any],
    critic: CriticState,
    training: Training,
    settings: TRPOConfig,
    progress_remaining: float,
    clock: Clock,
) -> Iteration:
    """One iteration's learning from a lesson about the policy ``theta``; nothing that it is given changes.

    (Only the stream that orders the critic's minibatches moves on.)
    """
    config, batch = settings.at(progress_remaining, training.radius), lesson.batch
    with clock.phase("critic"):
        inputs = policy.normalize(batch.observations)
        indices = np.arange(len(batch.returns))
        order = training.order_stream.permuted(np.tile(indices, (config.n_critic_updates, 1)), axis=1)
        fitting = value_function.begin_fit(
            critic, policy.features(inputs), batch.returns, order,
            batch_size=config.batch_size, learning_rate=config.learning_rate,
        )  # fmt: skip
    with clock.phase("update"):
        theta, report = trpo_update(policy, theta, lesson.policy_batch, config)
    with clock.phase("critic"):
        fit = fitting.result()
    with clock.phase("update"):
        max_kl, _ = joint_radius_and_damping(policy, config)
        max_shift = NORMALIZER_SHARE * max_kl
        normalizer, normalizer_kl = policy.normalizer, 0.0
        if np.isfinite(inputs).all():
            theta, normalizer, normalizer_kl = merge_observations(policy, theta, batch.observations, inputs, max_shift)
    radius = training.radius
    if isinstance(settings.target_kl, AdaptiveRadius):
        radius = settings.target_kl.after(config.target_kl, report.quality(config.line_search_shrinking_factor))
    metrics: Metrics = {
        **update_metrics(report, fit),
        "train/explained_variance": explained_variance(lesson.values, batch.returns),
        "train/normalizer_kl": normalizer_kl,
        "train/n_updates": training.n_updates + 1,
        "train/std": policy.mean_std(theta, batch.observations, normalizer),
        "train/learning_rate": config.learning_rate,
        "train/target_kl": config.target_kl,
        "train/trust_region": max_kl,
        "train/lower_bound": report.lower_bound(config.gamma),
        **({"train/kl_penalty": report.kl_penalty} if config.trust_region == "penalty" else {}),
    }
    return Iteration(Learned(theta, fit.state, normalizer), radius, report, metrics)
