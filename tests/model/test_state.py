"""Learned state is one value, streams have names, and the steps of ``learn`` by hand give the same result."""

import dataclasses

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from trpo_fast import TRPO, Batch, InvalidArgumentError, LinearSchedule, UpdateStatus
from trpo_fast.training.streams import Streams

FAST = {"n_steps": 64, "n_critic_updates": 2, "batch_size": 32, "policy_kwargs": {"net_arch": (8,)}, "seed": 5}


def test_an_update_replaces_the_state_and_leaves_the_former_one_as_it_was():
    model = TRPO("MlpPolicy", "Pendulum-v1", **FAST).learn(64)
    before, theta = model._training.model, model.theta.copy()
    statistics, value_theta = model.policy.normalizer.statistics, before.critic.theta.copy()
    policy, actor = model.policy, model.actor
    model.learn(64, reset_num_timesteps=False)
    after = model._training.model
    assert after is not before
    assert (model.theta != theta).any()
    np.testing.assert_array_equal(before.theta, theta)
    np.testing.assert_array_equal(before.critic.theta, value_theta)
    assert before.policy is policy
    assert before.actor is actor
    assert policy.normalizer.statistics is statistics
    assert (after.n_updates, before.n_updates) == (2, 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        after.radius = 1.0
    with pytest.raises(AttributeError):
        model.policy.normalizer = policy.normalizer
    with pytest.raises(ValueError, match="read-only"):
        model.theta[0] = 0.0


@pytest.mark.parametrize("settings", [{}, {"normalize_reward": True, "n_envs": 3}, {"n_envs": 2, "n_workers": 2}])
def test_sampling_batching_and_updating_by_hand_is_what_learn_does(settings):
    settings = {**FAST, **settings, "learning_rate": LinearSchedule(1e-3, 5e-4)}
    learned = TRPO("MlpPolicy", "Pendulum-v1", **settings)
    n = 64 * learned.n_envs
    learned.learn(3 * n)
    by_hand = TRPO("MlpPolicy", "Pendulum-v1", **settings)
    for i in range(3):
        by_hand.progress_remaining = 1.0 - i / 3
        rollout = by_hand.sample_rollout(reset=i == 0)
        batch = by_hand.make_batch(rollout)
        assert batch.batch is batch.policy_batch
        assert batch.values.shape == batch.batch.returns.shape == (n,)
        assert by_hand.update(batch) is by_hand.report
    np.testing.assert_array_equal(by_hand.theta, learned.theta)
    np.testing.assert_array_equal(by_hand.value_theta, learned.value_theta)
    assert by_hand.num_timesteps == learned.num_timesteps == 3 * n
    assert by_hand.ep_info_buffer == learned.ep_info_buffer
    for model in (learned, by_hand):
        model.env.close()


def test_a_rollout_needs_environments():
    made = TRPO("MlpPolicy", "CartPole-v1", **FAST)
    model = TRPO("MlpPolicy", (made.observation_space, made.action_space), **FAST)
    with pytest.raises(InvalidArgumentError, match="env: expected an environment to learn in"):
        model.sample_rollout()


def test_a_schedule_is_evaluated_once_an_iteration():
    calls = []

    def schedule(progress_remaining):
        calls.append(progress_remaining)
        return 0.01

    TRPO("MlpPolicy", "CartPole-v1", **FAST, target_kl=schedule).learn(4 * 64)
    assert calls == [1.0, 0.75, 0.5, 0.25]


def test_streams_differ_from_each_other_and_depend_on_the_seed_alone():
    def draws(streams):
        generators = [streams.minibatch_order, streams.prediction, streams.vine, *streams.action_noise]
        seeds = [np.random.default_rng(streams.policy), np.random.default_rng(streams.critic)]
        return [generator.random() for generator in generators + seeds]

    first = draws(Streams(3, 4))
    assert len(set(first)) == len(first) == 9
    assert draws(Streams(3, 4)) == first
    assert draws(Streams(3, 2))[:5] == first[:5]  # another environment changes no other stream
    assert not set(draws(Streams(4, 4))) & set(first)


def model_and_batch():
    """A model without environments, and a batch of random transitions."""
    spaces = gym.spaces.Box(-np.inf, np.inf, (3,)), gym.spaces.Box(-1.0, 1.0, (2,))
    rng = np.random.default_rng(0)
    actions = rng.standard_normal((64, 2)).astype(np.float32)
    batch = Batch(rng.standard_normal((64, 3)), actions, rng.standard_normal(64), rng.standard_normal(64))
    return TRPO("MlpPolicy", spaces, **FAST), batch


@pytest.mark.parametrize("wrong", ["observations", "actions", "advantages", "returns"])
def test_an_invalid_batch_leaves_no_trace(wrong):
    (model, batch), (other, _) = model_and_batch(), model_and_batch()
    with pytest.raises(InvalidArgumentError, match=wrong if wrong != "observations" else "actions"):
        model.update(batch._replace(**{wrong: getattr(batch, wrong)[:5]}))
    model.update(batch)
    other.update(batch)  # the same bits: no stream was drawn from
    np.testing.assert_array_equal(model.theta, other.theta)
    np.testing.assert_array_equal(model.value_theta, other.value_theta)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200])  # the square of the last is no float64
def test_an_observation_that_is_not_finite_changes_neither_policy_nor_critic_nor_statistics(value):
    model, batch = model_and_batch()
    theta, value_theta, statistics = model.theta, model.value_theta, model.policy.normalizer.statistics
    batch.observations[3, 1] = value
    assert model.update(batch).status is UpdateStatus.NON_FINITE_INPUT
    assert model.metrics["train/value_status"] == "non_finite"
    np.testing.assert_array_equal(model.theta, theta)
    np.testing.assert_array_equal(model.value_theta, value_theta)
    assert model.policy.normalizer.statistics is statistics


def test_a_rollout_of_autoreset_steps_only_makes_no_batch():
    def make():
        return gym.wrappers.TimeLimit(gym.make("CartPole-v1").unwrapped, 1)

    env = SyncVectorEnv([make, make], autoreset_mode=AutoresetMode.NEXT_STEP)
    model = TRPO("MlpPolicy", env, **{**FAST, "n_steps": 1})
    model.update(model.make_batch(model.sample_rollout(reset=True)))
    rollout = model.sample_rollout()
    assert rollout.num_transitions == 0
    with pytest.raises(InvalidArgumentError, match="rollout: expected one or more transitions"):
        model.make_batch(rollout)


def test_settings_that_a_sink_replaces_apply_from_the_next_iteration():
    model, radii = TRPO("MlpPolicy", "CartPole-v1", **FAST), []

    class Halve:
        def write(self, metrics):
            radii.append(metrics["train/target_kl"])
            model.config = dataclasses.replace(model.config, target_kl=model.config.target_kl / 2)

    model.sinks.append(Halve())
    model.learn(3 * 64)
    assert radii == [0.01, 0.005, 0.0025]
