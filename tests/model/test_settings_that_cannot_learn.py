"""Settings with which no update can change the policy are refused, or a warning says so after ten updates."""

import warnings
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from envs import CountingEnv

from trpo_fast import TRPO, InvalidArgumentError

FAST = {"n_critic_updates": 1, "policy_kwargs": {"net_arch": (8,)}, "seed": 1}


def test_one_transition_an_iteration_is_refused(tmp_path):
    with pytest.raises(InvalidArgumentError, match="n_steps: expected >= 2 with one environment"):
        TRPO("MlpPolicy", CountingEnv(), n_steps=1)
    TRPO("MlpPolicy", [CountingEnv, CountingEnv], n_steps=1, **FAST)  # advantages of two
    TRPO("MlpPolicy", CountingEnv(), n_steps=1, ent_coef=0.01, **FAST)  # the entropy alone
    model = TRPO("MlpPolicy", (CountingEnv().observation_space, gym.spaces.Discrete(3)), n_steps=1, **FAST)
    model.save(tmp_path / "model")  # transitions from outside: n_steps does not matter
    TRPO.load(tmp_path / "model")
    with pytest.raises(InvalidArgumentError, match="n_steps"):
        TRPO.load(tmp_path / "model", CountingEnv())
    TRPO.load(tmp_path / "model", CountingEnv(), n_steps=8)


@pytest.mark.parametrize(
    ("n_actions", "settings", "reason"),
    [
        (3, {"n_steps": 1}, "no_signal: all advantages of a batch are equal"),
        (1, {}, "zero_gradient: the policy has no choice"),
        (3, {"trust_region": "penalty", "kl_penalty": 1e30}, "line_search_failed: is target_kl too small"),
    ],
)
def test_a_run_that_does_not_learn_says_so_once(n_actions, settings, reason):
    env = CountingEnv(action_space=gym.spaces.Discrete(n_actions))
    model = TRPO("MlpPolicy", env, n_steps=16, normalize_observations=False, **FAST)
    model._config = replace(model.config, **settings)  # an assignment of n_steps=1 is refused
    before = model.theta
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.learn(9 * model.config.n_steps)
    with pytest.warns(RuntimeWarning, match=f"none of the first 10 updates changed the policy.*{reason}") as caught:
        model.learn(16 * model.config.n_steps, reset_num_timesteps=False)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(model.theta, before)


def test_a_run_that_learned_before_is_left_alone(tmp_path):
    model = TRPO("MlpPolicy", CountingEnv(), n_steps=16, **FAST).learn(16)
    assert model.report.committed
    model.save(tmp_path / "model")
    loaded = TRPO.load(tmp_path / "model", CountingEnv())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for stuck in (model, loaded):
            stuck.config = replace(stuck.config, trust_region="penalty", kl_penalty=1e30)
            stuck.learn(12 * 16)
            assert not stuck.report.committed
