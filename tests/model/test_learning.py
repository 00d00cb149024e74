"""Small end-to-end trainings, which a wrong sign, mask or bootstrap would fail."""

import gymnasium as gym
import numpy as np
import pytest

from trpo_fast import TRPO

slow = pytest.mark.slow


def train(env, steps, **kwargs):
    model = TRPO("MlpPolicy", env, seed=1, **kwargs)
    model.learn(steps)
    return model


@pytest.mark.parametrize("dtype", ["float32", pytest.param("float64", marks=slow)])
def test_cartpole_is_learned(dtype):
    model = train("CartPole-v1", 15_000, n_steps=1024, dtype=dtype)
    assert model.metrics["rollout/ep_rew_mean"] > 60  # a random policy has 22


@slow
@pytest.mark.parametrize("mode", list(gym.vector.AutoresetMode))
def test_cartpole_is_learned_in_a_vector_environment(mode):
    env = gym.make_vec("CartPole-v1", num_envs=4, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode})
    model = train(env, 15_000, n_steps=256)
    env.close()
    assert model.metrics["rollout/ep_rew_mean"] > 60


@slow
def test_continuous_actions_are_learned():
    model = train("Pendulum-v1", 60_000, gamma=0.9, n_envs=2, n_steps=1000, target_kl=0.05)
    assert model.metrics["rollout/ep_rew_mean"] > -950  # a random policy has -1200


@slow
@pytest.mark.parametrize("space", [gym.spaces.MultiDiscrete([3, 3]), gym.spaces.MultiBinary(2)])
def test_factored_discrete_actions_are_learned(space):
    class Match(gym.Env):
        """One step long: the reward counts action components that match the observation's signs."""

        observation_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float64)
        action_space = space

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            self.goal = self.np_random.uniform(-1.0, 1.0, 2)
            return self.goal, {}

        def step(self, action):
            reward = float((np.asarray(action) == (self.goal > 0)).mean())
            return self.goal, reward, True, False, {}

    model = train([Match] * 2, 20_000, n_steps=512, target_kl=0.05)
    assert model.metrics["rollout/ep_rew_mean"] > 0.75


@slow
def test_rewards_to_go_and_normalised_returns_learn_too():
    model = train("CartPole-v1", 15_000, n_steps=1024, advantage="rewards_to_go", normalize_returns=True)
    assert model.metrics["rollout/ep_rew_mean"] > 60


def test_mujoco_runs():
    pytest.importorskip("mujoco")
    model = train("Hopper-v5", 1000, n_steps=500)
    assert model.report.committed
    action, _ = model.predict(np.zeros(11), deterministic=True)
    assert model.env.action_space.contains(action)
