"""copy, deepcopy and pickle of models and policies, through the content of their files."""

import copy
import pickle

import gymnasium as gym
import numpy as np
import pytest
from envs import CountingEnv

from trpo_fast import TRPO, AdaptiveRadius, InvalidArgumentError, Policy, load_policy

FAST = {"n_steps": 20, "n_critic_updates": 1, "policy_kwargs": {"net_arch": (4,)}, "seed": 0}
WAYS = {"copy": copy.copy, "deepcopy": copy.deepcopy, "pickle": lambda thing: pickle.loads(pickle.dumps(thing))}
every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
OBSERVATIONS = np.random.default_rng(0).standard_normal((9, 4))


def rate(remaining):
    return 0.01 * remaining + 1e-5


@every_way
class TestModel:
    def test_a_copy_has_a_life_of_its_own(self, way):
        model = TRPO("MlpPolicy", "CartPole-v1", target_kl=AdaptiveRadius(0.02), verbose=0, **FAST).learn(40)
        twin, before = way(model), model.num_episodes
        assert (twin.theta == model.theta).all()
        assert (twin.num_timesteps, twin.num_episodes, twin.config) == (40, before, model.config)
        model.learn(40, reset_num_timesteps=False)
        assert (twin.num_timesteps, twin.num_episodes) == (40, before)
        assert (twin.theta != model.theta).any()

    def test_a_copy_continues_as_the_model_once_it_has_environments(self, way):
        model = TRPO("MlpPolicy", "CartPole-v1", **FAST).learn(40)
        twin = way(model)
        with pytest.raises(InvalidArgumentError, match="env: expected an environment to learn in"):
            twin.learn(20)
        twin.set_env("CartPole-v1")
        model.learn(40, reset_num_timesteps=False)
        twin.learn(40, reset_num_timesteps=False)
        assert (twin.theta == model.theta).all()

    def test_schedules_that_are_functions_are_kept(self, way):
        assert way(TRPO("MlpPolicy", CountingEnv(), learning_rate=rate, **FAST)).config.learning_rate is rate

    def test_a_class_of_the_users_is_kept(self, way):
        assert type(way(Mine("MlpPolicy", CountingEnv(), **FAST))) is Mine


def test_a_schedule_that_no_pickle_takes_is_named():
    model = TRPO("MlpPolicy", CountingEnv(), learning_rate=lambda remaining: 0.1 * remaining + 0.1, **FAST)
    assert copy.deepcopy(model).learning_rate is model.learning_rate
    with pytest.raises(
        InvalidArgumentError, match="learning_rate: expected a LinearSchedule, or a function of a module"
    ):
        pickle.dumps(model)


class Mine(TRPO):
    pass


@every_way
@pytest.mark.parametrize(
    ("space", "options"),
    [
        (gym.spaces.Discrete(3), {"use_masking": True, "net_arch": (8, 8)}),
        (gym.spaces.Box(-1, 1, (2,)), {"squash": True, "state_dependent_std": True, "dtype": "float64"}),
        (gym.spaces.Box(-1, 1, (2,)), {"normalize_observations": False, "activation_fn": "relu"}),
    ],
)
def test_policies(way, space, options):
    policy = Policy(gym.spaces.Box(-1, 1, (4,)), space, **options)
    if policy.normalizer.enabled:
        policy = policy.with_normalizer(policy.normalizer.updated(policy.rows(OBSERVATIONS)[0]))
    theta = policy.initial_parameters(1)
    twin = way(policy)
    rows = policy.rows(OBSERVATIONS)[0]
    np.testing.assert_array_equal(twin.dist_params(theta, rows), policy.dist_params(theta, rows))
    actor = way(policy.actor(theta))
    np.testing.assert_array_equal(actor.env_actions(rows), policy.actor(theta).env_actions(rows))


@every_way
def test_loaded_policies(way, tmp_path):
    model = TRPO("MlpPolicy", "CartPole-v1", **FAST)
    model.save(tmp_path / "model")
    loaded = load_policy(tmp_path / "model")
    expected = model.predict(OBSERVATIONS, deterministic=True)[0]
    assert (way(loaded).predict(OBSERVATIONS, deterministic=True)[0] == expected).all()
    policy, theta = way(loaded)
    assert (policy.predict(OBSERVATIONS, theta)[0] == expected).all()
    assert loaded.predict(OBSERVATIONS[0])[0] in (0, 1)
    with pytest.raises(InvalidArgumentError, match="theta: expected the policy's parameters"):
        policy.predict(OBSERVATIONS)
