"""Batches of an iteration, from rollouts and from arrays."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast.config import TRPOConfig
from trpo_fast.policies.policy import Policy
from trpo_fast.policies.value_function import CriticState, ValueFunction
from trpo_fast.sampling.rollouts import Branches, Rollout
from trpo_fast.sampling.vine import proposal_of
from trpo_fast.training.advantages import gae, rewards_to_go
from trpo_fast.training.reward_normalization import RewardNormalizer
from trpo_fast.update.batches import Batch, VineBatch
from trpo_fast.validation import float_array


def to_batch(
    rollout: Rollout,
    rewards: npt.NDArray[np.float64],
    policy: Policy,
    predict_values: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
    config: TRPOConfig,
) -> tuple[Batch, npt.NDArray[np.float64]]:
    """A rollout as a batch of its transitions, with advantages and returns; and the values (N,) behind them.

    Parameters
    ----------
    rewards : ndarray, shape (T, n)
        To learn from: the rollout's, or what is made of them.
    predict_values : callable
        Raw observations (N, obs_dim) -> values (N,).
    """
    trajectories = rollout.trajectories
    terminated, keep = trajectories.terminated, trajectories.valid
    n_steps, n = rewards.shape
    observations = trajectories.observations.reshape(n_steps + 1, n, -1)
    values = predict_values(observations.reshape(-1, observations.shape[-1])).reshape(n_steps + 1, n)
    values, next_values = values[:-1], values[1:].copy()
    if trajectories.final_observations:
        t, i = np.array(list(trajectories.final_observations)).T
        finals = np.stack(list(trajectories.final_observations.values()))
        next_values[t, i] = predict_values(finals.reshape(len(finals), -1))
    next_values[terminated] = 0.0
    done = terminated | trajectories.truncated
    if config.advantage == "gae":
        advantages, returns = gae(rewards, values, next_values, done, config.gamma, config.gae_lambda)
    else:
        advantages, returns = rewards_to_go(rewards, values, next_values, done, config.gamma)
    batch = Batch(observations[:-1][keep], policy.codec.decode(rollout.actions[keep]), advantages[keep], returns[keep])
    return batch, values[keep]


class IterationBatch(NamedTuple):
    """What an iteration learns from.

    ``batch`` is for the critic, and ``values`` (N,) are its own before that; ``policy_batch`` is for the policy;
    ``rewards`` has seen the rewards. Observations that are not all finite teach the normaliser nothing.
    """

    batch: Batch
    values: npt.NDArray[np.float64]
    policy_batch: Batch | VineBatch
    rewards: RewardNormalizer


def make_iteration_batch(
    rollout: Rollout,
    policy: Policy,
    value_function: ValueFunction,
    critic: CriticState,
    rewards: RewardNormalizer,
    config: TRPOConfig,
) -> IterationBatch:
    """What a rollout of the policy teaches; ``rewards`` has seen those of the rollouts before."""
    predict_values = partial(_predict_values, policy, value_function, critic)
    to_learn_from = rollout.trajectories.rewards
    if config.normalize_reward:
        reset_envs = rewards.reset_envs(list(rollout.reset_envs))
        rewards = reset_envs.updated(rollout.trajectories, config.gamma)
        to_learn_from = rewards.scaled(to_learn_from)
    batch, values = to_batch(rollout, to_learn_from, policy, predict_values, config)
    policy_batch: Batch | VineBatch = batch
    if rollout.branches is not None:
        policy_batch = _vine_batch(rollout.branches, policy, predict_values, rewards, config)
    return IterationBatch(batch, values, policy_batch, rewards)


def iteration_batch_of_arrays(
    batch: Batch, policy: Policy, value_function: ValueFunction, critic: CriticState, rewards: RewardNormalizer
) -> IterationBatch:
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
    return IterationBatch(batch, _predict_values(policy, value_function, critic, observations), batch, rewards)


def _predict_values(
    policy: Policy, value_function: ValueFunction, critic: CriticState, observations: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    return value_function.predict(critic, policy.features(policy.normalize(observations)))


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
    n, m, n_actions, horizon = branches.rewards.shape
    q_values = branches.rewards @ config.gamma ** np.arange(horizon)
    if config.vine_bootstrap:
        values = predict_values(branches.tails.reshape(n * m * n_actions, -1))
        q_values += branches.tail_discounts * values.reshape(n, m, n_actions)
    actions = policy.codec.decode(branches.actions.reshape(n * m * n_actions, -1))
    return VineBatch(
        branches.observations.reshape(n * m, -1),
        actions.reshape(n * m, n_actions, *actions.shape[1:]),
        q_values.reshape(n * m, n_actions),
        "policy" if proposal_of(policy, config)[1] == "policy" else "uniform",
    )
