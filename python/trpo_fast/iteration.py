"""What an iteration learns from a rollout: the policy's step, beside it the critic's fit, and last new statistics."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast.batches import Batch, VineBatch
from trpo_fast.config import TRPOConfig
from trpo_fast.metrics import Clock, Metrics, explained_variance, update_metrics
from trpo_fast.normalization import ObservationNormalizer
from trpo_fast.observation_statistics import merge_observations
from trpo_fast.policy import Policy
from trpo_fast.reward_normalization import RewardNormalizer
from trpo_fast.rollout import Rollout, to_batch
from trpo_fast.schedules import AdaptiveRadius
from trpo_fast.training import Training
from trpo_fast.trpo import trpo_update, trust_region
from trpo_fast.update_report import UpdateReport
from trpo_fast.validation import float_array
from trpo_fast.value_function import CriticState, ValueFunction
from trpo_fast.vine import Branches

NORMALIZER_SHARE = 0.25  # of the trust region: how far new observation statistics alone may move the policy


class Learned(NamedTuple):
    """What belongs together: all of it is committed, or none."""

    theta: npt.NDArray[Any]
    critic: CriticState
    normalizer: ObservationNormalizer


class Lesson(NamedTuple):
    """What an iteration learns from.

    ``batch`` is for the critic, and ``values`` (N,) are its own before that; ``to_improve_on`` is for the policy;
    ``rewards`` has seen the rewards. Observations that are not all finite teach the normaliser nothing.
    """

    batch: Batch
    values: npt.NDArray[np.float64]
    to_improve_on: Batch | VineBatch
    rewards: RewardNormalizer


class Iteration(NamedTuple):
    """What a lesson taught, and the evidence."""

    learned: Learned
    radius: float | None
    report: UpdateReport
    metrics: Metrics


def lesson_of(
    rollout: Rollout,
    policy: Policy,
    value_function: ValueFunction,
    critic: CriticState,
    rewards: RewardNormalizer,
    config: TRPOConfig,
) -> Lesson:
    """What a rollout of the policy teaches; ``rewards`` has seen those of the rollouts before."""
    predict_values = partial(_predict_values, policy, value_function, critic)
    to_learn_from = rollout.trajectories.rewards
    if config.normalize_reward:
        begun_anew = rewards.begun_anew(list(rollout.begun_anew))
        rewards = begun_anew.seen(rollout.trajectories, config.gamma)
        to_learn_from = rewards.scaled(to_learn_from)
    batch, values = to_batch(rollout, to_learn_from, policy, predict_values, config)
    to_improve_on: Batch | VineBatch = batch
    if rollout.branches is not None:
        to_improve_on = _vine_batch(rollout.branches, policy, predict_values, rewards, config)
    return Lesson(batch, values, to_improve_on, rewards)


def lesson_from(
    batch: Batch, policy: Policy, value_function: ValueFunction, critic: CriticState, rewards: RewardNormalizer
) -> Lesson:
    """What a batch teaches whose advantages and returns are known.

    Raises
    ------
    InvalidArgumentError
        If an array of it is of another kind or shape.
    """
    observations, _, _ = batch.checked(policy)
    batch = batch._replace(
        observations=observations, returns=float_array("returns", batch.returns, (len(observations),), np.float64)
    )
    return Lesson(batch, _predict_values(policy, value_function, critic, observations), batch, rewards)


def _predict_values(
    policy: Policy, value_function: ValueFunction, critic: CriticState, observations: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    return value_function.predict(critic, policy.features(policy.normalize(observations)))


def learn(
    lesson: Lesson,
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
        theta, report = trpo_update(policy, theta, lesson.to_improve_on, config)
    with clock.phase("critic"):
        fit = fitting.result()
    with clock.phase("update"):
        max_kl, _ = trust_region(policy, config)
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


def _vine_batch(
    branches: Branches,
    policy: Policy,
    predict_values: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
    rewards: RewardNormalizer,
    config: TRPOConfig,
) -> VineBatch:
    """Branches as a batch, in the units of what the critic has learned from."""
    if config.normalize_reward:
        branches = branches._replace(rewards=rewards.scaled(branches.rewards))
    size = branches.tail_discounts.size
    if not config.vine_bootstrap:
        return branches.batch(policy, np.zeros(size), config)
    return branches.batch(policy, predict_values(branches.tails.reshape(size, -1)), config)
