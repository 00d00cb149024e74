"""Make the batch of an iteration, from a rollout or from arrays."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast._core.floating_point import ignores_float_errors
from trpo_fast.config import TRPOConfig
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.policy import Policy
from trpo_fast.policies.reward_normalization import RewardNormalizer
from trpo_fast.policies.state import ModelState
from trpo_fast.policies.value_function import ValueFunction
from trpo_fast.sampling.rollouts import Branches, Rollout
from trpo_fast.sampling.vine import proposal_of
from trpo_fast.spaces.observations import Observations, by_environment, by_time, stack
from trpo_fast.training.advantages import gae, rewards_to_go
from trpo_fast.update.batches import Batch, VineBatch
from trpo_fast.validation import float_array

PredictValues = Callable[[Observations], npt.NDArray[np.float64]]  # N observations -> values (N,)


class IterationBatch(NamedTuple):
    """All data of one iteration.

    Parameters
    ----------
    batch : Batch
        Transitions for the critic and the observation statistics; also for the policy, except with a vine.
    values : ndarray, shape (N,)
        The critic's values of these observations, before its fit.
    order : ndarray of int64, shape (N,)
        Indices of the transitions in time order, the environments of a step side by side.
    policy_batch : Batch or VineBatch
        Batch for the policy's update.
    reward_normalizer : RewardNormalizer
        Reward normaliser that includes the rewards of this batch.
    """

    batch: Batch
    values: npt.NDArray[np.float64]
    order: npt.NDArray[np.int64]
    policy_batch: Batch | VineBatch
    reward_normalizer: RewardNormalizer


@ignores_float_errors
def make_iteration_batch(
    rollout: Rollout, state: ModelState, value_function: ValueFunction, config: TRPOConfig
) -> IterationBatch:
    """Make the batch of a rollout that the policy of ``state`` collected.

    Raises
    ------
    InvalidArgumentError
        If the rollout has no transitions.
    """
    if rollout.num_transitions == 0:
        raise InvalidArgumentError("rollout", "one or more transitions", "autoreset steps only")
    predict_values = partial(_predict_values, state, value_function)
    trajectories, reward_normalizer = rollout.trajectories, state.reward_normalizer
    rewards = trajectories.rewards
    if config.normalize_reward:
        done = trajectories.terminated | trajectories.truncated
        reward_normalizer = reward_normalizer.reset_envs(list(rollout.reset_envs))
        reward_normalizer = reward_normalizer.updated(rewards, done, trajectories.valid, config.gamma)
        rewards = reward_normalizer.scaled(rewards)
    batch, values = to_batch(rollout, rewards, state.policy, predict_values, config)
    policy_batch: Batch | VineBatch = batch
    if rollout.branches is not None:
        policy_batch = _vine_batch(rollout.branches, state.policy, predict_values, reward_normalizer, config)
    order = _time_order(trajectories.valid)
    return IterationBatch(batch, values, order, policy_batch, reward_normalizer)


@ignores_float_errors
def iteration_batch_of_arrays(batch: Batch, state: ModelState, value_function: ValueFunction) -> IterationBatch:
    """Make the batch of an iteration from transitions with given advantages and returns.

    Raises
    ------
    InvalidArgumentError
        If an array has the wrong kind or shape.
    """
    observations, _ = state.policy.check_transitions(batch.observations, batch.actions)
    advantages = float_array("advantages", batch.advantages, (len(observations),), np.float64)
    returns = float_array("returns", batch.returns, (len(observations),), np.float64)
    batch = Batch(observations, batch.actions, advantages, returns)
    values = _predict_values(state, value_function, observations)
    return IterationBatch(batch, values, np.arange(len(returns)), batch, state.reward_normalizer)


def to_batch(
    rollout: Rollout,
    rewards: npt.NDArray[np.float64],
    policy: Policy,
    predict_values: PredictValues,
    config: TRPOConfig,
) -> tuple[Batch, npt.NDArray[np.float64]]:
    """Turn a rollout into a batch of its transitions, with advantages and returns.

    Parameters
    ----------
    rollout : Rollout
    rewards : ndarray, shape (T, n)
        The rollout's rewards, or normalised ones.
    policy : Policy
        Decodes the actions.
    predict_values : callable
        N observations -> values (N,).
    config : TRPOConfig

    Returns
    -------
    batch : Batch
        N transitions, environment by environment.
    values : ndarray, shape (N,)
        The critic's values of their observations.
    """
    trajectories = rollout.trajectories
    terminated, valid = trajectories.terminated, trajectories.valid
    observations = trajectories.observations.transitions(valid)
    values = predict_values(observations)
    values_in_time = by_time(values, valid)
    next_values = np.concatenate([values_in_time[1:], predict_values(trajectories.observations.last())[None]])
    if trajectories.final_observations:
        t, i = np.array(list(trajectories.final_observations)).T
        next_values[t, i] = predict_values(stack(trajectories.final_observations.values()))
    next_values[terminated] = 0.0
    done = terminated | trajectories.truncated
    if config.advantage == "gae":
        advantages, returns = gae(rewards, values_in_time, next_values, done, config.gamma, config.gae_lambda)
    else:
        advantages, returns = rewards_to_go(rewards, values_in_time, next_values, done, config.gamma)
    actions = policy.codec.decode(by_environment(rollout.actions, valid))
    return Batch(observations, actions, by_environment(advantages, valid), by_environment(returns, valid)), values


def _predict_values(
    state: ModelState, value_function: ValueFunction, observations: Observations
) -> npt.NDArray[np.float64]:
    return value_function.predict(state.critic, state.policy.critic_inputs(observations), state.theta)


def _time_order(valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Indices of the ``valid`` (T, n) steps in time order, into a batch that is environment-major."""
    numbers: npt.NDArray[np.int64] = by_time(np.arange(np.count_nonzero(valid)), valid)[valid]
    return numbers


def _vine_batch(
    branches: Branches,
    policy: Policy,
    predict_values: PredictValues,
    reward_normalizer: RewardNormalizer,
    config: TRPOConfig,
) -> VineBatch:
    """Turn branches into a batch, with rewards in the critic's units."""
    rewards = reward_normalizer.scaled(branches.rewards) if config.normalize_reward else branches.rewards
    n, m, n_actions, horizon = rewards.shape
    q_values = (rewards * config.gamma ** np.arange(horizon)).sum(axis=-1)  # not @: its bits depend on a BLAS
    if config.vine_bootstrap:
        q_values += branches.tail_discounts * predict_values(branches.tails).reshape(n, m, n_actions)
    actions = policy.codec.decode(branches.actions.reshape(n * m * n_actions, -1))
    return VineBatch(
        branches.observations,
        actions.reshape(n * m, n_actions, *actions.shape[1:]),
        q_values.reshape(n * m, n_actions),
        "policy" if proposal_of(policy, config)[1] == "policy" else "uniform",
    )
