"""Settings that change over training."""

import math

import numpy as np
import pytest
from envs import CountingEnv

from trpo_fast import TRPO, AdaptiveRadius, InvalidArgumentError, LinearSchedule, TRPOConfig, UpdateReport, UpdateStatus

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


def test_a_second_learn_restarts_or_continues():
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
def test_a_schedule_that_returns_no_number_ends_training(value):
    model = TRPO("MlpPolicy", CountingEnv(), learning_rate=lambda _: value, **FAST)
    before = model.theta
    with pytest.raises(InvalidArgumentError, match="learning_rate"):
        model.learn(20)
    np.testing.assert_array_equal(model.theta, before)


def test_an_adaptive_radius_follows_the_quality_of_its_model():
    rule = AdaptiveRadius(0.01, lowest=0.004, highest=0.02)
    assert [rule.after(0.01, quality) for quality in (-1.0, 0.0, 0.24)] == [0.005] * 3
    assert [rule.after(0.01, quality) for quality in (0.25, 0.5, 0.75, math.nan)] == [0.01] * 4
    assert [rule.after(0.01, quality) for quality in (0.76, 1.0, 9.0)] == [0.015] * 3
    assert rule.after(0.018, 1.0) == 0.02
    assert rule.after(0.005, 0.0) == 0.004


def test_quality_is_actual_over_predicted_improvement_of_the_step_taken():
    report = UpdateReport(
        UpdateStatus.COMMITTED, surrogate_before=1.0, surrogate_after=1.3, expected_improvement=2.0, n_backtracks=2
    )
    assert report.quality(0.5) == pytest.approx(0.3 / 0.5)
    assert report._replace(status=UpdateStatus.LINE_SEARCH_FAILED).quality(0.5) == 0.0
    assert math.isnan(report._replace(status=UpdateStatus.NO_SIGNAL).quality(0.5))


def test_training_with_an_adaptive_radius_moves_it_within_bounds_and_resumes(tmp_path):
    rule = AdaptiveRadius(0.01, lowest=0.002, highest=0.05)

    def model():
        return TRPO("MlpPolicy", "CartPole-v1", target_kl=rule, n_steps=100, n_critic_updates=1, seed=0)

    seen, whole = [], model()

    class Radius:
        def write(self, metrics):
            seen.append((metrics["train/target_kl"], metrics["train/kl_divergence_loss"]))

    whole.sinks.append(Radius())
    whole.learn(2000)
    radii = [radius for radius, _ in seen]
    assert radii[0] == 0.01
    assert len(set(radii)) > 3
    assert all(0.002 <= radius <= 0.05 for radius in radii)
    assert all(kl <= radius for radius, kl in seen)
    model().learn(1000).save(tmp_path / "model")
    resumed = TRPO.load(tmp_path / "model", "CartPole-v1")
    assert resumed.config.target_kl == rule
    resumed.learn(1000, reset_num_timesteps=False)
    assert (resumed.theta == whole.theta).all()


def test_another_target_kl_given_to_load_counts(tmp_path):
    rule = AdaptiveRadius(0.01, lowest=0.005, highest=0.05)
    settings = {"n_steps": 100, "n_critic_updates": 1, "seed": 0}
    TRPO("MlpPolicy", "CartPole-v1", target_kl=rule, **settings).learn(1000).save(tmp_path / "model")
    model = TRPO.load(tmp_path / "model", "CartPole-v1", target_kl=0.002).learn(100, reset_num_timesteps=False)
    assert model.metrics["train/target_kl"] == 0.002
    narrow = AdaptiveRadius(0.001, lowest=0.0005, highest=0.003)
    model = TRPO.load(tmp_path / "model", "CartPole-v1", target_kl=narrow).learn(100, reset_num_timesteps=False)
    assert model.metrics["train/target_kl"] == 0.003


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("target_kl", AdaptiveRadius(0.0, 0.0)),
        ("target_kl", AdaptiveRadius(0.01, 0.02)),
        ("target_kl", AdaptiveRadius(0.01, 0.001, 0.009)),
        ("target_kl", AdaptiveRadius(math.nan)),
        ("learning_rate", AdaptiveRadius()),
    ],
)
def test_a_bad_adaptive_radius_is_refused(name, bad):
    with pytest.raises(InvalidArgumentError, match=name):
        TRPOConfig(**{name: bad})
