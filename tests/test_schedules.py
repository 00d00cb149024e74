"""Settings that change over training."""

import numpy as np
import pytest
from envs import CountingEnv

from trpo_fast import TRPO, InvalidArgumentError, LinearSchedule, TRPOConfig

FAST = {"n_steps": 20, "n_critic_updates": 1, "policy_kwargs": {"net_arch": (4,)}, "seed": 0}


class Record:
    def __init__(self):
        self.rows = []

    def write(self, metrics):
        self.rows.append((metrics["train/learning_rate"], metrics["train/target_kl"]))


def recorded(model, *learns):
    record = Record()
    model.sinks.append(record)
    for arguments in learns:
        model.learn(**arguments)
    return record.rows


def test_values_by_the_part_that_remains_when_an_iteration_begins():
    model = TRPO("MlpPolicy", CountingEnv(), learning_rate=LinearSchedule(0.8), target_kl=lambda p: 0.01 + p, **FAST)
    rows = recorded(model, {"total_timesteps": 80})
    np.testing.assert_allclose(rows, [(0.8 * p, 0.01 + p) for p in (1.0, 0.75, 0.5, 0.25)])


def test_a_second_learn_begins_anew_or_goes_on():
    model = TRPO("MlpPolicy", CountingEnv(), learning_rate=lambda p: p, **FAST)
    once = {"total_timesteps": 40}
    rows = recorded(model, once, once, {**once, "reset_num_timesteps": False})
    np.testing.assert_allclose([row[0] for row in rows], [1.0, 0.5, 1.0, 0.5, 0.5, 0.25])


def test_a_constant_function_is_the_number():
    a = TRPO("MlpPolicy", "CartPole-v1", learning_rate=lambda _: 1e-3, target_kl=lambda _: 0.02, **FAST).learn(100)
    b = TRPO("MlpPolicy", "CartPole-v1", learning_rate=1e-3, target_kl=0.02, **FAST).learn(100)
    np.testing.assert_array_equal(a.theta, b.theta)
    np.testing.assert_array_equal(a.value_theta, b.value_theta)


def test_the_trust_region_follows():
    """The KL divergence of committed steps is near the radius of the time."""
    kls = []

    class Sink:
        def write(self, metrics):
            kls.append(metrics["train/kl_divergence_loss"] / metrics["train/target_kl"])

    model = TRPO("MlpPolicy", "Pendulum-v1", n_steps=1024, seed=1, target_kl=LinearSchedule(0.05, 0.001))
    model.sinks.append(Sink())
    model.learn(10 * 1024)
    assert all(kl <= 1.0 for kl in kls)
    assert np.median(kls) > 0.3


def test_files_keep_a_line(tmp_path):
    model = TRPO("MlpPolicy", CountingEnv(), target_kl=LinearSchedule(0.02, 0.01), **FAST).learn(20)
    model.save(tmp_path / "model")
    assert TRPO.load(tmp_path / "model").config.target_kl == LinearSchedule(0.02, 0.01)


def test_files_keep_the_present_value_of_a_function(tmp_path):
    model = TRPO("MlpPolicy", CountingEnv(), target_kl=lambda p: 0.02 * p, **FAST).learn(40)
    model.save(tmp_path / "model")
    assert TRPO.load(tmp_path / "model").config.target_kl == pytest.approx(0.01)
    function = lambda p: 0.5  # noqa: E731
    assert TRPO.load(tmp_path / "model", target_kl=function).config.target_kl is function


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), "lin_3", {"first": 1.0}, LinearSchedule(-1.0), None])
@pytest.mark.parametrize("name", ["learning_rate", "target_kl"])
def test_what_is_neither_is_refused(name, value):
    with pytest.raises(InvalidArgumentError, match=name):
        TRPOConfig(**{name: value})


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), "a", None])
def test_a_function_that_gives_no_number_ends_training(value):
    model = TRPO("MlpPolicy", CountingEnv(), learning_rate=lambda _: value, **FAST)
    before = model.theta
    with pytest.raises(InvalidArgumentError, match="learning_rate"):
        model.learn(20)
    np.testing.assert_array_equal(model.theta, before)
