"""A model that is trained in a VecNormalize is evaluated and saved with its statistics."""

import warnings

import pytest
from envs import CountingEnv, FakeVecEnv, Monitor, VecNormalize

from trpo_fast import TRPO, InvalidArgumentError, evaluate, evaluate_policy
from trpo_fast.callbacks import BaseCallback, CheckpointCallback, EvalCallback

FAST = {"n_steps": 40, "n_critic_updates": 1, "policy_kwargs": {"net_arch": (4,)}, "seed": 0}


def normalized(monitored=True, **settings):
    env = CountingEnv(lengths=(3, 5))
    return VecNormalize(FakeVecEnv([Monitor(env) if monitored else env]), **settings)


class Playing(FakeVecEnv):
    """A wrapper that passes everything on."""

    def __getattr__(self, name):
        return getattr(self.__dict__["venv"], name)

    def reset(self):
        return self.venv.reset()

    def step_async(self, actions):
        self.venv.step_async(actions)

    def step_wait(self):
        return self.venv.step_wait()


@pytest.fixture
def model():
    return TRPO("MlpPolicy", normalized(), normalize_observations=False, **FAST)


def statistics(vec_env):
    return vec_env.obs_rms.mean, vec_env.obs_rms.var, vec_env.obs_rms.count


def test_it_is_found_among_wrappers(model):
    assert model.get_vec_normalize_env() is model.get_env()
    wrapped = TRPO("MlpPolicy", Playing(venv=normalized()), **FAST)
    assert wrapped.get_vec_normalize_env() is wrapped.get_env().venv
    assert TRPO("MlpPolicy", CountingEnv(), **FAST).get_vec_normalize_env() is None


def test_eval_callback_takes_the_statistics_and_leaves_them(model):
    eval_env = normalized(norm_reward=False)  # training=True, as a user forgets it
    seen = []
    after = type("After", (BaseCallback,), {"_on_step": lambda self: seen.append(statistics(eval_env)) or True})
    callback = EvalCallback(eval_env, None, after(), eval_freq=20, n_eval_episodes=4, verbose=0)
    now = []
    model.learn(40, callback=[callback, lambda *_: now.append(statistics(model.get_env()))])
    assert seen == [now[19], now[39]]
    assert eval_env.training
    assert eval_env.obs_rms is not model.get_env().obs_rms


@pytest.mark.parametrize(
    "eval_env",
    [CountingEnv(), FakeVecEnv([CountingEnv()]), normalized(norm_obs=False), None],
    ids=["Env", "VecEnv", "rewards only", "another clip"],
)
def test_an_evaluation_that_would_see_other_observations_is_refused(model, eval_env):
    if eval_env is None:
        eval_env = normalized()
        eval_env.clip_obs = 5.0
    model.learn(40)
    with pytest.raises(InvalidArgumentError, match="VecNormalize"):
        model.learn(40, callback=EvalCallback(eval_env, verbose=0))
    with pytest.raises(InvalidArgumentError, match="VecNormalize"):
        evaluate_policy(model, eval_env, 1)


def test_a_model_without_one_is_not_evaluated_in_one():
    model = TRPO("MlpPolicy", CountingEnv(), **FAST)
    with pytest.raises(InvalidArgumentError, match="no VecNormalize of observations"):
        evaluate(model, normalized(), 1)
    evaluate(model, normalized(norm_obs=False), 1)


def test_a_new_one_gets_the_statistics_and_a_loaded_one_keeps_its_own(model):
    model.learn(80)
    new, loaded = normalized(training=False), normalized(training=False)
    loaded.obs_rms.mean, loaded.obs_rms.count = 7.0, 100.0
    before = statistics(loaded)
    evaluate(model, new, 2)
    evaluate(model, loaded, 2)
    assert statistics(new) == statistics(model.get_env())
    assert statistics(loaded) == before


@pytest.mark.filterwarnings("ignore:training continues")
def test_evaluating_in_the_training_environments_does_not_change_their_statistics(model):
    model.learn(40)
    before = statistics(model.get_env())
    assert evaluate(model, model.get_env(), 4).mean > 1.0
    assert statistics(model.get_env()) == before
    model.learn(40, reset_num_timesteps=False)
    assert statistics(model.get_env())[2] > before[2] + 39


def test_sums_of_normalised_rewards_are_named(model):
    with pytest.warns(UserWarning, match="normalised rewards"):
        evaluate_policy(model, normalized(monitored=False), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate_policy(model, normalized(monitored=False), 1, warn=False)
        evaluate_policy(model, normalized(), 1)
        evaluate_policy(model, normalized(monitored=False, norm_reward=False), 1)


def test_checkpoint_callback_writes_the_statistics(model, tmp_path):
    model.learn(40, callback=CheckpointCallback(20, tmp_path, "run", save_vecnormalize=True))
    mean, _, count = statistics(model.get_env())
    assert (tmp_path / "run_vecnormalize_40_steps.pkl").read_text() == f"{mean} {count}"
    assert (tmp_path / "run_vecnormalize_20_steps.pkl").exists()
    plain = TRPO("MlpPolicy", CountingEnv(), **FAST)
    plain.learn(40, callback=CheckpointCallback(20, tmp_path / "plain", save_vecnormalize=True))
    assert not list((tmp_path / "plain").glob("*.pkl"))


def test_statistics_of_rewards_alone_are_left_as_they_are():
    model = TRPO("MlpPolicy", normalized(norm_obs=False), **FAST).learn(40)
    eval_env = normalized(norm_obs=False)
    before = eval_env.ret_rms
    evaluate(model, eval_env, 1)
    assert eval_env.ret_rms is before
