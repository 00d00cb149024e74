"""Settings that ask for more memory than there is are named, and nothing that was learned is lost."""

import time

import numpy as np
import pytest

from trpo_fast import TRPO, InsufficientMemoryError, InvalidArgumentError, TRPOFastError
from trpo_fast.monitoring.metrics import Clock
from trpo_fast.sampling.rollouts import Seconds

SMALL = {"policy_kwargs": {"net_arch": [4]}, "n_critic_updates": 1, "seed": 0}
VINE = {"method": "vine", "vine_trunk_steps": 64, "vine_states": 8}


@pytest.mark.parametrize(
    "settings",
    [
        {"n_steps": 1 << 44}, {"n_steps": (1 << 62) + 1}, {"n_critic_updates": 1 << 45, "n_steps": 16},
        {"policy_kwargs": {"net_arch": [1 << 21, 1 << 21]}},
        {"policy_kwargs": {"net_arch": {"pi": [2], "vf": [1 << 21] * 2}}}, {**VINE, "vine_horizon": 1 << 44},
    ],
    ids=str,
)  # fmt: skip
def test_a_memory_error_names_the_setting(settings):
    with pytest.raises(MemoryError, match=list(settings)[-1].replace("policy_kwargs", "net_arch")) as caught:
        TRPO("MlpPolicy", "CartPole-v1", **{**SMALL, **settings}).learn(1)
    assert isinstance(caught.value, InsufficientMemoryError)
    assert isinstance(caught.value, TRPOFastError)


def test_what_was_learned_is_kept(tmp_path):
    model = TRPO("MlpPolicy", "CartPole-v1", n_steps=16, **SMALL).learn(16)
    theta = model.theta.copy()
    model.config = type(model.config)(n_steps=1 << 44, n_critic_updates=1)
    with pytest.raises(InsufficientMemoryError):
        model.learn(16)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(TRPO.load(tmp_path / "model").theta, theta)


def test_a_width_that_no_kernel_has_is_refused():
    with pytest.raises(InvalidArgumentError, match="net_arch"):
        TRPO("MlpPolicy", "CartPole-v1", policy_kwargs={"net_arch": [1 << 40]})


def test_a_clock_that_does_not_move_divides_nothing_by_0(monkeypatch):
    monkeypatch.setattr(time, "perf_counter", lambda: 3.0)
    times = Clock(0).read(1, 64, Seconds(0.0, 0.0))
    assert times["time/fps"] == times["time/time_elapsed"] == times["time/share_of_update"] == 0.0
    assert TRPO("MlpPolicy", "CartPole-v1", n_steps=16, **SMALL).learn(16).num_timesteps == 16
