"""Environments with action masks: no impossible action reaches them, and invalid masks are named."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from envs import TAXI, MaskedEnv
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from trpo_fast import TRPO, EnvironmentFaultError, InvalidArgumentError, evaluate

SPACES = {
    "Discrete": gym.spaces.Discrete(4),
    "Discrete from 3": gym.spaces.Discrete(4, start=3),
    "MultiDiscrete": gym.spaces.MultiDiscrete([3, 2, 4]),
}
FAST = {"n_steps": 40, "n_critic_updates": 2, "batch_size": 32, "policy_kwargs": {"net_arch": (8,)}, "seed": 3}


def factories(n=3, **arguments):
    return [partial(MaskedEnv, i, **arguments) for i in range(n)]


def model_of(env, **settings):
    return TRPO("MlpPolicy", env, use_masking=True, **{**FAST, **settings})


@pytest.mark.parametrize("by", ["info", "method"])
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_no_impossible_action_reaches_an_environment(space, by):
    model = model_of(factories(action_space=space, by=by)).learn(500)
    assert model.report.committed
    evaluate(model, factories(action_space=space, by=by), 6, deterministic=False)


@pytest.mark.parametrize("by", ["info", "method"])
@pytest.mark.parametrize("mode", AutoresetMode)
def test_vector_environments(mode, by):
    envs = SyncVectorEnv(factories(by=by, action_space=SPACES["Discrete"]), autoreset_mode=mode)
    if mode is AutoresetMode.NEXT_STEP:  # acts, but to no effect, in the step that resets
        model = model_of(envs).learn(500)
        assert model.report.committed
    else:
        one_by_one = model_of(factories(by=by, action_space=SPACES["Discrete"])).learn(500)
        assert np.array_equal(model_of(envs).learn(500).theta, one_by_one.theta)


def test_the_same_bits_in_workers():
    expected = model_of(factories(by="method")).learn(500)
    model = model_of(factories(by="method"), n_workers=2).learn(500)
    model.env.close()
    assert np.array_equal(model.theta, expected.theta)


def test_taxi_offers_masks():
    assert model_of(TAXI, n_steps=200).learn(400).report.committed


@pytest.mark.parametrize(
    ("spoil", "got"),
    [
        (lambda mask: None, "None"),
        (lambda mask: mask[:-1], "shape"),
        (lambda mask: 0 * mask, "int8"),
        (lambda mask: 2 * mask, "int8"),
        (lambda mask: "all", "all"),
        (lambda mask: [1, [1, 1]], r"\[1, \[1, 1\]\]"),
    ],
)
def test_an_invalid_mask_names_environment_and_step(spoil, got):
    class Spoiling(MaskedEnv):
        def _next_info(self):
            info = super()._next_info()
            return {"action_mask": spoil(info["action_mask"])} if (self.env_id, self.t) == (1, 3) else info

    envs = [partial(Spoiling, i, action_space=SPACES["Discrete"]) for i in range(2)]
    with pytest.raises(EnvironmentFaultError, match=rf"^environment 1, step 3, action mask: expected 4 .*{got}"):
        model_of(envs).learn(100)


def test_a_method_that_raises_is_named():
    class Raising(MaskedEnv):
        def __init__(self):
            super().__init__(by="none")

        def action_masks(self):
            raise AttributeError("board")

    with pytest.raises(EnvironmentFaultError, match=r"^environment 0, step 0, action mask: .*board"):
        model_of([Raising]).learn(100)


def test_an_environment_without_masks_is_refused():
    with pytest.raises(
        EnvironmentFaultError, match=r"^environment 0, step 0, action mask: .*action_masks\(\), got None"
    ):
        model_of("CartPole-v1").learn(100)
    with pytest.raises(InvalidArgumentError, match="^use_masking: expected False, unless"):
        model_of("Pendulum-v1")


def test_predict_takes_masks():
    model = model_of(factories(action_space=SPACES["Discrete from 3"])).learn(40)
    one, batch = np.zeros(3), np.zeros((2, 3))
    only = np.eye(4)
    assert [int(model.predict(one, action_masks=mask)[0]) for mask in only] == [3, 4, 5, 6]
    assert model.predict(batch, deterministic=True, action_masks=only[[2, 0]])[0].tolist() == [5, 3]
    assert 3 <= model.predict(one)[0] <= 6
    for bad in (np.zeros(4), np.ones(3), only):
        with pytest.raises(InvalidArgumentError, match="^action_masks: expected 1 masks of 4"):
            model.predict(one, action_masks=bad)
    with pytest.raises(InvalidArgumentError, match="^action_masks: expected None"):
        TRPO("MlpPolicy", "CartPole-v1").predict(np.zeros(4), action_masks=np.ones(2))


def test_resumes_bit_for_bit(tmp_path):
    envs = factories(action_space=SPACES["MultiDiscrete"])
    whole = model_of(envs).learn(480)
    model_of(envs).learn(240).save(tmp_path / "model")
    resumed = TRPO.load(tmp_path / "model", envs).learn(240, reset_num_timesteps=False)
    assert np.array_equal(resumed.theta, whole.theta)
    assert np.array_equal(resumed.value_theta, whole.value_theta)
