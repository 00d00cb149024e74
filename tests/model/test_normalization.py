"""Running statistics, and networks that stay the same function when the statistics move."""

import gymnasium as gym
import numpy as np
import pytest
from cases import make_case, tolerance

from trpo_fast import TRPO
from trpo_fast.policies.normalization import ObservationNormalizer, RunningMeanStd


def test_merging_batches_equals_the_statistics_of_all_data():
    rng = np.random.default_rng(0)
    batches = [rng.normal(1e3, 10.0 ** rng.integers(-2, 3), (int(n), 3)) for n in (1, 5, 200, 33)]
    statistics = RunningMeanStd.initial(3)
    for batch in batches:
        statistics = statistics.updated(batch)
    everything = np.concatenate(batches)
    np.testing.assert_allclose(statistics.mean, everything.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(statistics.var, everything.var(axis=0), rtol=1e-9)
    assert statistics.count == len(everything)


def test_inputs_are_standardised_and_clipped():
    case = make_case()
    policy = case.policy.with_statistics(RunningMeanStd(np.full(5, 2.0), np.full(5, 9.0), 1.0))
    observations = np.array([[2.0, 5.0, -1.0, 1e6, -1e6]])
    np.testing.assert_allclose(policy.normalize(observations), [[0.0, 1.0, -1.0, 10.0, -10.0]], rtol=1e-8)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_renormalized_networks_are_the_same_functions(dtype):
    case = make_case("Gaussian", network=((13, 3), "tanh"), dtype=dtype)
    rng = np.random.default_rng(1)
    old = case.policy.normalizer.updated(rng.normal(1.0, 2.0, (50, 5)))
    new = old.updated(rng.normal(-1.0, 0.3, (400, 5)))
    policy, updated = case.policy.with_normalizer(old), case.policy.with_normalizer(new)
    before = policy.dist_params(case.theta, case.observations)
    theta = policy.renormalized(case.theta, new)
    after = updated.dist_params(theta, case.observations)
    np.testing.assert_allclose(after, before, atol=tolerance(dtype, 1e-12, 1e-5))
    assert np.abs(updated.dist_params(case.theta, case.observations) - before).max() > 1e-3


def test_nothing_is_renormalized_for_the_first_data_or_without_normalisation():
    case = make_case()
    assert case.policy.renormalized(case.theta, case.policy.normalizer.updated(case.observations)) is case.theta
    policy = case.policy.with_normalizer(ObservationNormalizer(RunningMeanStd.initial(5), enabled=False))
    assert policy.renormalized(case.theta, policy.normalizer.updated(case.observations)) is case.theta


def test_a_column_that_begins_to_vary_keeps_its_weights():
    case = make_case()
    rng = np.random.default_rng(2)
    constant = rng.normal(size=(50, 5)) * [1, 1, 0, 1, 1]
    old = case.policy.normalizer.updated(constant)
    theta = case.policy.with_normalizer(old).renormalized(case.theta, old.updated(rng.normal(size=(50, 5))))
    first, before = (case.policy.unflatten(t)["layers.0.weight"] for t in (theta, case.theta))
    np.testing.assert_array_equal(first[:, 2], before[:, 2])
    assert np.abs(first).max() < 10 * np.abs(before).max()


class Drifting(gym.Env):
    """Observations whose mean wanders off; the reward wants the action to follow the deviation from it."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gym.spaces.Box(-1.0, 1.0, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.mean = getattr(self, "mean", 0.0) + 1.0
        self.deviation = self.np_random.normal()
        return np.array([self.mean + self.deviation]), {}

    def step(self, action):
        reward = -((float(action[0]) - self.deviation) ** 2)
        self.deviation = self.np_random.normal()
        return np.array([self.mean + self.deviation]), reward, False, False, {}


def test_new_statistics_move_the_policy_by_no_more_than_a_quarter_of_the_trust_region():
    shifts = []

    class Shifts:
        def write(self, metrics):
            shifts.append(metrics["train/normalizer_kl"])

    model = TRPO("MlpPolicy", gym.wrappers.TimeLimit(Drifting(), 100), seed=0, n_steps=200, gamma=0.0)
    model.sinks.append(Shifts())
    model.learn(6000)
    assert len(shifts) == 30
    assert max(shifts[1:]) <= 0.25 * model.config.target_kl  # the first data are free


@pytest.mark.parametrize(
    ("env", "settings"),
    [
        ("CartPole-v1", {}),
        ("drifting", {"gamma": 0.0}),
        ("drifting", {"gamma": 0.0, "trust_region": "max_kl", "target_kl": 0.05, "dtype": "float64"}),
    ],
)
def test_the_trust_region_covers_the_policy_that_acts_next(env, settings):
    """Judged from outside: the policy before and after each iteration, with the statistics that each of them had."""
    env = gym.wrappers.TimeLimit(Drifting(), 100) if env == "drifting" else env
    model = TRPO("MlpPolicy", env, seed=3, n_steps=300, n_critic_updates=2, **settings)
    reduce, n_free, n_moved_by_statistics = np.max if "trust_region" in settings else np.mean, 0, 0
    for i in range(20):
        batch = model.make_batch(model.sample_rollout(reset=i == 0))
        acted, theta = model.policy, model.theta.copy()
        report = model.update(batch)
        observations = batch.batch.observations
        before = acted.dist_params(theta, observations)
        kl = acted.kl_divergence(before, model.policy.dist_params(model.theta.copy(), observations))
        assert model.metrics["train/acting_kl"] == pytest.approx(kl.mean(), rel=1e-9)
        if model.metrics["train/normalizer_kl"] > 0.25 * model.config.target_kl:
            n_free += 1
        else:
            assert reduce(kl) <= model.config.target_kl
        n_moved_by_statistics += kl.mean() != report.mean_kl
    assert n_free <= 1  # the first statistics
    assert n_moved_by_statistics > 15
