"""The caller's floating-point settings: NumPy's errors, flushed subnormal numbers, Python's flags."""

import ctypes
import platform
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

from trpo_fast import TRPO, Batch, UpdateStatus, ValueFunction

FAST = {"n_steps": 40, "n_critic_updates": 2, "batch_size": 16, "policy_kwargs": {"net_arch": (6,)}, "seed": 2}
TINY, HUGE = 3e-308, 1e17


class Extreme(gym.Env):
    """Observations and rewards that underflow or overflow where they are squared or rounded to float32."""

    observation_space = gym.spaces.Dict(
        {"tiny": gym.spaces.Box(-1.0, 1.0, (2,), np.float64), "huge": gym.spaces.Box(-np.inf, np.inf, (1,), np.float64)}
    )

    def __init__(self, action_space):
        self.action_space = action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.left = 7
        return self._observe(), {}

    def step(self, action):
        self.left -= 1
        reward = sum(map(float, np.ravel(action))) * (TINY if self.left % 2 else 1e-40)
        return self._observe(), reward, self.left == 0, False, {}

    def _observe(self):
        tiny = [TINY * number for number in self.np_random.uniform(-1.0, 1.0, 2).tolist()]
        return {"tiny": np.array(tiny), "huge": HUGE * self.np_random.standard_normal(1)}


ACTIONS = [gym.spaces.Discrete(3), gym.spaces.Box(-1.0, 1.0, (2,)), gym.spaces.MultiBinary(2)]


def learned(actions, **settings):
    model = TRPO("MultiInputPolicy", Extreme(actions), **{**FAST, **settings}).learn(120)
    model.predict(model.observation_space.sample())
    return np.concatenate([model.theta, model.value_theta])


@pytest.mark.parametrize("actions", ACTIONS, ids=lambda space: type(space).__name__)
@pytest.mark.parametrize("settings", [{}, {"normalize_reward": True, "dtype": "float64", "ent_coef": 0.01}])
def test_the_callers_error_settings_do_not_apply_inside(actions, settings):
    expected = learned(actions, **settings)
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(learned(actions, **settings), expected)


def test_the_callers_error_settings_apply_in_his_environment():
    class Raises(Extreme):
        def step(self, action):
            np.float64(1e-300) * np.float64(1e-300)
            return super().step(action)

    with np.errstate(all="raise"), pytest.raises(Exception, match="underflow"):
        TRPO("MultiInputPolicy", Raises(ACTIONS[0]), **FAST).learn(40)
    with np.errstate(all="ignore"):
        TRPO("MultiInputPolicy", Raises(ACTIONS[0]), **FAST).learn(40)
    assert np.geterr()["under"] == "ignore"


def test_numerical_trouble_is_a_status_and_neither_raises_nor_warns():
    spaces = gym.spaces.Box(-np.inf, np.inf, (3,)), gym.spaces.Box(-1.0, 1.0, (2,))
    model, rng = TRPO("MlpPolicy", spaces, **FAST), np.random.default_rng(0)
    rows, actions, advantages = rng.normal(size=(20, 3)), rng.normal(size=(20, 2)), rng.normal(size=20)
    for factor in (1e-320, 1e200, 1e308, np.inf):
        with np.errstate(all="ignore"):
            batch = Batch(rows, actions * factor, advantages * factor, advantages * factor)
        for kind in ("warn", "raise"):
            with np.errstate(all=kind):
                report = model.update(batch)
        assert isinstance(report.status, UpdateStatus)
    critic, inputs, order = ValueFunction(spaces[0]), rows.astype(np.float32), np.arange(20)[None]
    with np.errstate(all="raise"):
        fit = critic.fit(critic.initial_state(0), inputs, advantages * 1e200, order, batch_size=5, learning_rate=1e-3)
    assert np.isfinite(fit.state.theta).all()


def set_mxcsr(bits):
    """Set bits of the processor's floating-point control register, as a library built with -ffast-math does."""
    libm, environment = ctypes.CDLL(None), (ctypes.c_uint32 * 8)()  # fenv_t of x86-64; MXCSR is its last word
    libm.fegetenv(environment)
    before, environment[7] = environment[7], bits(environment[7])
    libm.fesetenv(environment)
    return before


@pytest.mark.skipif(sys.platform != "linux" or platform.machine() != "x86_64", reason="sets a register of x86-64")
def test_flushing_of_subnormal_numbers_set_by_others_changes_no_bit():
    def train():
        return TRPO("MlpPolicy", "Pendulum-v1", **{**FAST, "n_steps": 300}).learn(900).theta

    expected = train()
    before = set_mxcsr(lambda word: word | 0x8040)  # flush to zero, denormals are zero
    try:
        assert np.float64(1e-310) * 1.0 == 0.0
        np.testing.assert_array_equal(train(), expected)
    finally:
        set_mxcsr(lambda word: before)


SCRIPT = """
from trpo_fast import TRPO
model = TRPO("MlpPolicy", "CartPole-v1", n_steps=32, n_envs=2, seed=0).learn(128)
print(model.num_timesteps, __debug__)
"""


@pytest.mark.slow  # the development mode makes imports slow
def test_it_runs_without_asserts_with_warnings_as_errors_and_in_development_mode():
    command = [sys.executable, "-O", "-X", "dev", "-W", "error", "-c", SCRIPT]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.split(), run.stderr) == (0, ["128", "False"], "")
