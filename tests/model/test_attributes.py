"""A model's attributes: assignments take effect or raise, and names of other libraries are answered."""

import warnings

import gymnasium as gym
import numpy as np
import pytest
from envs import CountingEnv, counting_factories

from trpo_fast import TRPO, AdaptiveRadius, InvalidArgumentError, LinearSchedule, TRPOConfig, TRPOFastError
from trpo_fast.errors import UnknownAttributeError

FAST = {"n_steps": 20, "n_critic_updates": 1, "policy_kwargs": {"net_arch": (4,)}, "seed": 0}


def make(env=None, **arguments):
    return TRPO("MlpPolicy", env or CountingEnv(), **{**FAST, **arguments})


CHANGES = {
    "learning_rate": 0.05, "gae_lambda": 0.5, "ent_coef": 0.1, "cg_damping": 0.3, "n_steps": 10, "batch_size": 7,
    "normalize_advantage": False, "step_norm": "damped", "target_kl": 0.05, "n_critic_updates": 3, "gamma": 0.5,
}  # fmt: skip


class TestSettings:
    @pytest.mark.parametrize("name", CHANGES)
    def test_an_assigned_setting_takes_effect(self, name):
        model, value = make(), CHANGES[name]
        setattr(model, name, value)
        assert getattr(model, name) == getattr(model.config, name) == value
        made = make(**{name: value})
        steps = 40 if name != "n_steps" else 20
        assert (model.learn(steps).theta == made.learn(steps).theta).all()
        assert (model.value_theta == made.value_theta).all()

    def test_during_training_too(self):
        rates = []

        class Changing:
            def write(self, metrics):
                rates.append(metrics["train/learning_rate"])
                model.learning_rate *= 0.5

        model = make(learning_rate=0.01)
        model.sinks.append(Changing())
        model.learn(60)
        assert rates == [0.01, 0.005, 0.0025]

    def test_schedules_can_be_assigned(self):
        model = make()
        model.target_kl, model.learning_rate = AdaptiveRadius(0.02), LinearSchedule(0.01)
        assert model.learn(40).metrics["train/learning_rate"] == 0.005

    @pytest.mark.parametrize(
        ("name", "value"), [("gamma", 1.5), ("n_steps", 0), ("target_kl", -1), ("method", "both"), ("n_steps", 1)]
    )
    def test_the_constructors_checks_apply(self, name, value):
        model = make()
        before = model.config
        with pytest.raises(InvalidArgumentError, match=name):
            setattr(model, name, value)
        assert model.config is before

    def test_all_of_them_at_once(self):
        model = make()
        model.config = TRPOConfig(n_steps=10, gamma=0.5)
        assert model.learn(10).num_timesteps == 10
        with pytest.raises(InvalidArgumentError, match="config: expected a TRPOConfig"):
            model.config = {"gamma": 0.5}

    def test_what_the_critic_was_made_with_stays(self):
        with pytest.raises(InvalidArgumentError, match="normalize_returns"):
            make().normalize_returns = False

    def test_rollouts_of_workers_have_the_length_they_were_started_for(self):
        model = make(counting_factories(2), n_workers=1)
        with pytest.raises(InvalidArgumentError, match="n_steps: expected 20"):
            model.n_steps = 10
        model.gamma = 0.5
        model.learn(40)
        model.env.close()

    def test_a_vine_that_is_impossible_is_refused(self):
        model = make(gym.make("CartPole-v1"))
        model.method = "vine"
        with pytest.raises(InvalidArgumentError, match="vine_states"):
            model.vine_states = 10**6


class TestOthers:
    def test_env(self):
        model, env = make(), CountingEnv(env_id=5)
        model.env = env
        model.learn(20)
        assert len(env.history) == 20
        with pytest.raises(InvalidArgumentError, match="env"):
            model.env = gym.make("CartPole-v1")

    def test_seed(self):
        model = make("CartPole-v1")
        model.seed = np.int64(7)
        assert model.seed == 7
        assert model._training.streams.environments == 7

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("policy", None), ("theta", np.zeros(3)), ("n_envs", 4), ("n_workers", 2), ("policy_kwargs", {}),
            ("observation_space", None), ("value_function", None), ("metrics", {}), ("verbose", -1), ("seed", -1),
            ("tensorboard_log", 3), ("logger", None),
        ],
    )  # fmt: skip
    def test_what_cannot_be_assigned_raises(self, name, value):
        with pytest.raises(InvalidArgumentError, match=name):
            setattr(make(), name, value)

    def test_verbose_takes_effect(self, capsys):
        model = make()
        model.verbose = 1
        model.learn(20)
        assert capsys.readouterr().out

    @pytest.mark.parametrize(
        ("name", "nearest"),
        [
            ("learnin_rate", "did you mean learning_rate"),
            ("num_timestep", "did you mean num_timesteps"),
            ("n_epochs", "TRPO has n_critic_updates"),
            ("clip_range", "TRPO has target_kl"),
            ("normalize_observations", "an argument, for when a model is made"),
            ("zzz", "has no attribute zzz$"),
        ],
    )
    def test_unknown_names_raise(self, name, nearest):
        model = make()
        with pytest.raises(UnknownAttributeError, match=nearest):
            setattr(model, name, 1)
        with pytest.raises(UnknownAttributeError, match=nearest):
            getattr(model, name)
        assert not hasattr(model, name)
        assert {"gamma", "learn"} <= set(dir(model))

    def test_a_class_of_the_users_may_have_more(self):
        class Mine(TRPO):
            def __init__(self, *args, **kwargs):
                super().__init__(*args, **kwargs)
                self.tag = "mine"

        model = Mine("MlpPolicy", CountingEnv(), **FAST)
        model.other = 3
        assert (model.tag, model.other) == ("mine", 3)
        with pytest.raises(UnknownAttributeError):
            model.unknown  # noqa: B018

    def test_repr(self):
        text = repr(make(counting_factories(2)).learn(40))
        assert text == "TRPO(Box(3,) -> Discrete(3), 2 environments, 40 steps, target_kl=0.01, gamma=0.99, seed=0)"
        assert repr(make().policy) == "Policy(Box(3,) -> Discrete(3), 4 tanh)"


class TestArguments:
    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("n_epochs", "n_critic_updates"),
            ("clip_range", "target_kl"),
            ("max_grad_norm", "target_kl"),
            ("vf_lr", "learning_rate"),
            ("lam", "gae_lambda"),
            ("net_arch", "policy_kwargs"),
            ("buffer_size", "n_steps"),
            ("gama", "did you mean gamma"),
            ("n_env", "n_envs"),
            ("use_maskin", "did you mean use_masking"),
        ],
    )
    def test_other_words_name_the_nearest_argument(self, name, meant):
        with pytest.raises(InvalidArgumentError, match=rf"^{name}: expected an argument of TRPO.*{meant}"):
            make(**{name: 3})

    def test_settings_by_position_are_those_of_sb3_contrib(self):
        model = TRPO("MlpPolicy", CountingEnv(), 0.5, 32, 16, 0.9, 7, 0.2, 0.6, 5, 4, 0.8)
        got = model.config
        assert (got.learning_rate, got.n_steps, got.batch_size, got.gamma, got.cg_max_steps) == (0.5, 32, 16, 0.9, 7)
        assert (got.cg_damping, got.line_search_shrinking_factor, got.line_search_max_iter) == (0.2, 0.6, 5)
        assert (got.n_critic_updates, got.gae_lambda) == (4, 0.8)
        with pytest.raises(InvalidArgumentError, match="learning_rate: expected one value"):
            TRPO("MlpPolicy", CountingEnv(), 0.5, learning_rate=0.1)
        with pytest.raises(InvalidArgumentError, match="by name"):
            TRPO("MlpPolicy", CountingEnv(), *range(1, 13))

    def test_arguments_without_meaning_here_are_taken_or_refused(self):
        make(sde_sample_freq=4, rollout_buffer_class=None, rollout_buffer_kwargs=None)
        with pytest.raises(InvalidArgumentError, match="rollout_buffer_class"):
            make(rollout_buffer_class=dict)

    def test_forms_of_net_arch(self):
        old = make(policy_kwargs={"net_arch": [{"pi": [8], "vf": [4]}]})
        assert old.policy_kwargs["net_arch"] == {"pi": [8], "vf": [4]}

    def test_no_reports(self, capsys):
        make(verbose=1).learn(20, log_interval=None)
        assert capsys.readouterr().out == ""

    def test_floats_that_are_whole_count_steps(self):
        assert make().learn(4e1).num_timesteps == 40
        assert make().learn(np.float32(20)).num_timesteps == 20
        with pytest.raises(InvalidArgumentError, match="total_timesteps"):
            make().learn(20.5)


class TestFiles:
    @pytest.fixture
    def path(self, tmp_path):
        make().learn(40).save(tmp_path / "model")
        return tmp_path / "model"

    def test_load_takes_the_arguments_of_sb3(self, path, capsys):
        with pytest.warns(UserWarning, match="holds no clip_range, which is ignored; TRPO has target_kl"):
            model = TRPO.load(path, custom_objects={"gamma": 0.5, "clip_range": 0.2}, print_system_info=True)
        assert model.gamma == 0.5
        assert TRPO.load(path, None, "cpu").num_timesteps == 40
        assert "numpy" in capsys.readouterr().out
        with pytest.raises(InvalidArgumentError, match="learning_rate"):
            TRPO.load(path, custom_objects={"learning_rate": 0.0})
        with pytest.raises(InvalidArgumentError, match="TRPO has n_critic_updates"):
            TRPO.load(path, n_epochs=3)

    def test_force_reset_begins_new_episodes(self, tmp_path):
        first = make("CartPole-v1").learn(30)
        first.save(tmp_path / "model")
        resumed, reset = (
            TRPO.load(tmp_path / "model", env="CartPole-v1", force_reset=force).learn(20, reset_num_timesteps=False)
            for force in (False, True)
        )
        assert (first.learn(20, reset_num_timesteps=False).theta == resumed.theta).all()
        assert (reset.theta != resumed.theta).any()

    def test_a_selection_is_ignored_with_a_warning(self, tmp_path, path):
        with pytest.warns(UserWarning, match=r"exclude=\['env'\] is ignored"):
            TRPO.load(path).save(tmp_path / "other", exclude=["env"])
        assert TRPO.load(tmp_path / "other").num_timesteps == 40

    def test_load_on_a_model_says_that_it_makes_another(self, path):
        model = make(seed=3)
        with pytest.warns(UserWarning, match=r"write model = TRPO\.load\(path\)"):
            loaded = model.load(path)
        assert loaded.num_timesteps == 40
        assert model.num_timesteps == 0
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert TRPO.load(path).num_timesteps == 40


def test_every_error_is_one_of_ours():
    for arguments in ({"n_epochs": 3}, {"policy_kwargs": 3}, {"use_sde": True}):
        with pytest.raises(TRPOFastError):
            make(**arguments)
