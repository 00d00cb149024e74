"""Reward normalisation, against VecNormalize's definition step by step; and what an entropy bonus does."""

import gymnasium as gym
import numpy as np
import pytest
from envs import counting_factories

from trpo_fast import TRPO
from trpo_fast.environments.interface import Trajectories
from trpo_fast.policies.reward_normalization import RewardNormalizer
from trpo_fast.spaces.observation_codec import ObservationCodec

FAST = {"n_steps": 40, "n_critic_updates": 2, "batch_size": 32, "policy_kwargs": {"net_arch": (8,)}, "seed": 3}


def random_trajectories(rng, n_steps=50, n=3):
    codec = ObservationCodec(gym.spaces.Box(-1.0, 1.0, (1,)))
    trajectories = Trajectories.of_steps(n_steps, n, codec)
    trajectories.rewards[:] = 5.0 + 3.0 * rng.standard_normal((n_steps, n))
    trajectories.terminated[:] = rng.random((n_steps, n)) < 0.05
    trajectories.truncated[:] = rng.random((n_steps, n)) < 0.05
    return trajectories


def updated(normalizer, rollout, gamma):
    return normalizer.updated(rollout.rewards, rollout.terminated | rollout.truncated, rollout.valid, gamma)


def test_statistics_are_those_of_discounted_returns_running_through_episodes():
    rng, gamma = np.random.default_rng(0), 0.9
    rollouts = [random_trajectories(rng) for _ in range(3)]
    normalizer, running, seen = RewardNormalizer.initial(3), np.zeros(3), []
    for rollout in rollouts:
        normalizer = updated(normalizer, rollout, gamma)
        for t in range(50):
            for i in range(3):
                running[i] = gamma * running[i] + rollout.rewards[t, i]
                seen.append(running[i])
                if rollout.terminated[t, i] or rollout.truncated[t, i]:
                    running[i] = 0.0
    std = np.sqrt(np.var(seen) + 1e-8)
    assert normalizer.statistics.std[0] == pytest.approx(std, rel=1e-12)
    np.testing.assert_allclose(normalizer.returns, running, rtol=1e-12)
    rewards = np.array([0.0, 1.0, -2.0, 1e6, -1e6])
    np.testing.assert_allclose(normalizer.scaled(rewards), [0.0, 1.0 / std, -2.0 / std, 10.0, -10.0], rtol=1e-12)


def test_steps_of_an_autoreset_do_not_count():
    rng = np.random.default_rng(1)
    trajectories = random_trajectories(rng)
    trajectories.terminated[20, 1], trajectories.rewards[21, 1], trajectories.valid[21, 1] = True, 0.0, False
    assert updated(RewardNormalizer.initial(3), trajectories, 0.9).statistics.count == 149


@pytest.mark.parametrize(
    ("name", "value"), [("returns", np.nan), ("returns", -np.inf), ("mean", np.inf), ("var", -1.0)]
)
def test_a_state_that_no_training_leaves_is_refused(name, value):
    normalizer = updated(RewardNormalizer.initial(3), random_trajectories(np.random.default_rng(2)), 0.9)
    state = normalizer.get_state()
    assert (normalizer.with_state(state).returns == normalizer.returns).all()
    spoilt = state[name].copy()
    spoilt[-1] = value
    with pytest.raises(ValueError, match="invalid statistics of rewards"):
        normalizer.with_state({**state, name: spoilt})


def test_learning_does_not_depend_on_the_unit_of_rewards():
    def thetas(scale):
        class Scaled(type(counting_factories(1)[0]())):
            def step(self, action):
                observation, reward, *rest = super().step(action)
                return observation, scale * reward, *rest

        model = TRPO("MlpPolicy", [lambda: Scaled(2)], normalize_reward=True, normalize_returns=False, **FAST)
        model.learn(200)
        assert model.metrics["rollout/ep_rew_mean"] > 100.0 * scale  # what is reported is not normalised
        return model.theta, model.value_theta

    for one, other in zip(thetas(1.0), thetas(1024.0), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_the_same_bits_in_workers():
    models = [
        TRPO("MlpPolicy", counting_factories(3), normalize_reward=True, n_workers=k, **FAST).learn(500) for k in (0, 2)
    ]
    models[1].env.close()
    assert np.array_equal(models[0].value_theta, models[1].value_theta)


def test_an_entropy_bonus_keeps_the_policy_from_narrowing():
    entropy = {
        ent_coef: TRPO("MlpPolicy", "CartPole-v1", ent_coef=ent_coef, n_steps=500, seed=0).learn(5000).report.entropy
        for ent_coef in (0.0, 1.0)
    }
    assert entropy[1.0] > entropy[0.0] + 0.1  # at most log 2 = 0.693
