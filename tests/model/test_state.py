"""Learned state is one value, streams have names, and the steps of ``learn`` by hand give the same result."""

import dataclasses

import numpy as np
import pytest

from trpo_fast import TRPO, InvalidArgumentError, LinearSchedule
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
