"""The rest of sb3-contrib's interface: environments, parameters and seeds that are replaced, TensorBoard."""

import gymnasium as gym
import numpy as np
import pytest
from envs import CountingEnv, counting_factories

from trpo_fast import TRPO, InvalidArgumentError
from trpo_fast.policies.normalization import RunningMeanStd

FAST = {"n_steps": 20, "n_critic_updates": 1, "policy_kwargs": {"net_arch": (4,)}, "seed": 0}


def make(env=None, **arguments):
    return TRPO("MlpPolicy", env or CountingEnv(), **{**FAST, **arguments})


class TestSetEnv:
    @pytest.mark.filterwarnings("ignore:iteration .*outliers")  # its first number is 5 instead of 0
    def test_learns_in_the_new_one(self):
        model = make().learn(20)
        env = CountingEnv(env_id=5)
        model.set_env(env)
        model.learn(20, reset_num_timesteps=False)
        assert len(env.history) == 20
        assert env.seeds[0] == model.seed
        assert model.num_timesteps == 40

    def test_a_loaded_model_learns_once_it_has_one(self, tmp_path):
        make().save(tmp_path / "model")
        model = TRPO.load(tmp_path / "model")
        assert model.get_env() is None
        model.set_env(CountingEnv())
        assert model.learn(20).num_timesteps == 20

    @pytest.mark.parametrize(
        "env", ["CartPole-v1", CountingEnv(action_space=gym.spaces.Discrete(4)), counting_factories(2)]
    )
    def test_others_are_refused(self, env):
        model = make().learn(20)
        before = model.env
        with pytest.raises(InvalidArgumentError, match="env"):
            model.set_env(env)
        assert model.env is before

    def test_not_with_workers(self):
        model = make("CartPole-v1", n_workers=1)
        with pytest.raises(InvalidArgumentError, match="n_workers"):
            model.set_env("CartPole-v1")
        model.env.close()


class TestParameters:
    def test_those_of_another_model(self):
        model, other = make(), make(seed=1).learn(40)
        model.set_parameters(other.get_parameters())
        np.testing.assert_array_equal(model.theta, other.theta)
        np.testing.assert_array_equal(model.value_theta, other.value_theta)
        observations = np.random.default_rng(0).standard_normal((20, 3))
        expected = make(seed=1)
        expected.set_parameters(other.get_parameters())
        for a, b in zip(*(m.predict(observations, deterministic=True) for m in (model, expected)), strict=True):
            np.testing.assert_array_equal(a, b)

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda p: p.pop("policy"),
            lambda p: p["policy"].pop("layers.0.bias"),
            lambda p: p["policy"].update({"layers.0.bias": np.zeros(3, np.float32)}),
            lambda p: p["value_function"]["layers.0.bias"].fill(np.nan),
        ],
        ids=["part", "name", "shape", "NaN"],
    )
    def test_what_does_not_fit_changes_nothing(self, spoil):
        model = make()
        before = model.theta, model.value_theta
        parameters = make(seed=1).get_parameters()
        spoil(parameters)
        with pytest.raises(InvalidArgumentError):
            model.set_parameters(parameters)
        np.testing.assert_array_equal(model.theta, before[0])
        np.testing.assert_array_equal(model.value_theta, before[1])

    def test_observation_statistics(self):
        model = make()
        mean, var = np.arange(3.0), np.array([1.0, 4.0, 9.0])
        model.set_observation_statistics(RunningMeanStd(mean, var, 7.0))
        np.testing.assert_allclose(model.policy.normalize(mean[None] + 2.0), 2.0 / np.sqrt(var)[None], rtol=1e-6)

    @pytest.mark.parametrize(
        ("statistics", "options"),
        [
            (RunningMeanStd(np.zeros(2), np.ones(2)), {}),
            (RunningMeanStd(np.zeros(3), -np.ones(3)), {}),
            (RunningMeanStd(np.full(3, np.nan), np.ones(3)), {}),
            (RunningMeanStd(np.zeros(3), np.ones(3), np.nan), {}),
            (RunningMeanStd(np.zeros(3), np.ones(3), -1.0), {}),
            (RunningMeanStd(np.zeros(3), np.ones(3)), {"normalize_observations": False}),
        ],
    )
    def test_other_observation_statistics_are_refused(self, statistics, options):
        with pytest.raises(InvalidArgumentError):
            make(**options).set_observation_statistics(statistics)


def test_set_random_seed_restarts_every_stream():
    runs = []
    for first_seed in (1, 2):
        model = make("CartPole-v1", seed=first_seed).learn(40)
        model.set_random_seed(5)
        model.set_parameters(make("CartPole-v1", seed=5).get_parameters())
        assert model.seed == 5
        rollout_noise = [stream.standard_normal() for stream in model._training.streams.action_noise]
        runs.append((rollout_noise, model.predict(np.zeros((9, 4)))[0].tolist()))
    assert runs[0] == runs[1]


def test_attributes_of_sb3():
    model = make(counting_factories(2)).learn(40)
    assert model.n_envs == 2
    assert model.observation_space.shape == (3,)
    assert model.action_space.n == 3
    assert {"r", "l"} == model.ep_info_buffer[0].keys()
    assert model.ep_info_buffer[-1]["l"] in (1, 2, 3, 4)
    assert model.get_vec_normalize_env() is None


@pytest.mark.parametrize("value", [True, 1, "yes"])
def test_state_dependent_exploration_is_refused(value):
    with pytest.raises(InvalidArgumentError, match="use_sde"):
        make(use_sde=value)


def test_device_and_init_setup_model_are_accepted():
    make(device="cpu", _init_setup_model=True)


def test_an_activation_may_be_a_class_of_its_name(tmp_path):
    model = make(policy_kwargs={"activation_fn": type("ReLU", (), {}), "net_arch": (4,)})
    model.save(tmp_path / "model")
    assert TRPO.load(tmp_path / "model").policy_kwargs["activation_fn"] == "relu"


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    model = make(tensorboard_log=tmp_path)
    model.learn(60)
    model.learn(20)
    model.learn(20, reset_num_timesteps=False)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["TRPO_1", "TRPO_2"]
    (events,) = (tmp_path / "TRPO_1").iterdir()
    assert b"rollout/ep_rew_mean" in events.read_bytes()
    assert b"train/kl_divergence_loss" in events.read_bytes()
