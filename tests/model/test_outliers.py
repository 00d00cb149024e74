"""One absurd number: it must not spoil statistics for the rest of a run, or is refused where a space says so."""

import warnings

import gymnasium as gym
import numpy as np
import pytest

from trpo_fast import TRPO, EnvironmentFaultError, ValueFunction
from trpo_fast.policies.normalization import ObservationNormalizer, RunningMeanStd
from trpo_fast.policies.reward_normalization import RewardNormalizer

FAST = {"n_steps": 200, "n_critic_updates": 2, "policy_kwargs": {"net_arch": (8,)}, "seed": 4}
UNBOUNDED = gym.spaces.Box(-np.inf, np.inf, (4,), np.float64)


class Glitch(gym.Wrapper):
    """CartPole, or an environment like it, that corrupts one step of its life."""

    def __init__(self, at, observation=None, reward=None, space=UNBOUNDED):
        super().__init__(gym.make("CartPole-v1"))
        self.observation_space = space
        self.at, self.observation, self.reward = at, observation, reward
        self.n = 0

    def step(self, action):
        observation, reward, *rest = self.env.step(action)
        observation = observation.astype(self.observation_space.dtype)
        self.n += 1
        if self.n == self.at:
            if self.observation is not None:
                observation[2] = self.observation
            reward = reward if self.reward is None else self.reward
        return observation, reward, *rest


def learned(n=2000, **glitch):
    model = TRPO("MlpPolicy", Glitch(**glitch), normalize_reward=True, **{**FAST, "n_steps": 1000})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            model.learn(n, reset_num_timesteps=False)
    return model, [str(w.message) for w in caught]


def scales(model):
    critic, rewards = model.return_statistics, model._training.model.reward_normalizer.statistics
    return np.concatenate([s.std for s in (model.policy.normalizer.statistics, critic, rewards)])


@pytest.mark.parametrize("at", [150, 1900])  # in the first batch, and later
@pytest.mark.parametrize("glitch", [{"observation": -1e15}, {"reward": 1e7}, {"reward": -1e12}])
def test_one_absurd_number_spoils_no_statistics(at, glitch):
    (clean, no_warnings), (model, messages) = learned(at=0), learned(at=at, **glitch)
    assert no_warnings == []
    assert clean.metrics["train/outliers"] == 0
    assert [("outliers among observations" in m) for m in messages] == [True]  # once
    ratio = scales(model) / scales(clean)
    assert (ratio < 8.0).all()
    assert (ratio > 0.2).all()
    assert np.isfinite(model.theta).all()


def test_ordinary_numbers_enter_unchanged():
    rng = np.random.default_rng(0)
    normalizer, statistics = ObservationNormalizer(RunningMeanStd.initial(3)), RunningMeanStd.initial(3)
    for _ in range(3):
        samples = rng.standard_t(3, (500, 3)) * [1e-3, 1.0, 1e3]
        normalizer, statistics = normalizer.updated(samples), statistics.updated(samples)
        assert normalizer.n_outliers == 0
    assert (normalizer.statistics.mean == statistics.mean).all()
    assert (normalizer.statistics.var == statistics.var).all()


def test_a_column_that_begins_to_vary_is_no_outlier_and_choices_are_none():
    columns = np.array([True, False])
    normalizer = ObservationNormalizer(RunningMeanStd.initial(2), columns=columns).updated(np.zeros((300, 2)))
    samples = np.array([[0.0, 0.0]] * 400 + [[5.0, 1.0]])
    normalizer = normalizer.updated(samples)
    assert normalizer.n_outliers == 0
    assert normalizer.statistics.var[0] == pytest.approx(np.var(np.append(np.zeros(300), samples[:, 0])))
    first = ObservationNormalizer(RunningMeanStd.initial(2), columns=columns).updated(samples)
    assert first.n_outliers == 0


def test_fewer_than_1000_samples_call_nothing_an_outlier():
    samples = np.append(np.arange(599.0), 1e9)[:, None]
    first = ObservationNormalizer(RunningMeanStd.initial(1)).updated(samples[:-1])
    assert (first.n_outliers, first.updated(samples).n_outliers) == (0, 0)
    assert first.updated(samples[:-1]).updated(samples).n_outliers == 1


def test_outliers_are_clipped_at_300_standard_deviations_and_counted():
    rng = np.random.default_rng(1)
    normalizer = ObservationNormalizer(RunningMeanStd.initial(1)).updated(rng.normal(5.0, 2.0, (1000, 1)))
    limit = normalizer.statistics.mean + 300.0 * normalizer.statistics.std
    samples = rng.normal(5.0, 2.0, (100, 1))
    samples[[3, 50]] = 1e12
    updated = normalizer.updated(samples)
    samples[[3, 50]] = limit
    assert updated.n_outliers == 2
    assert updated.statistics.var == pytest.approx(normalizer.statistics.updated(samples).var)


def test_an_absurd_reward_leaves_the_running_return():
    rng = np.random.default_rng(2)
    rewards, done = 1.0 + rng.random((600, 2)), np.zeros((600, 2), np.bool_)
    normalizer = RewardNormalizer.initial(2).updated(rewards, done, ~done, 0.99)
    absurd = rewards.copy()
    absurd[590, 1] = 1e9
    updated = normalizer.updated(absurd, done, ~done, 0.99)
    assert updated.n_outliers == 10
    assert updated.returns[0] == normalizer.updated(rewards, done, ~done, 0.99).returns[0]
    assert updated.returns[1] <= normalizer.statistics.mean[0] + 50.0 * normalizer.statistics.std[0]
    assert normalizer.updated(rewards, done, ~done, 0.99).n_outliers == 0


def returns_of_a_critic(seed, mean, std, n):
    """A critic's initial state, its fit as a function of (state, returns), and n returns at random."""
    critic, rng = ValueFunction(UNBOUNDED, net_arch=(8,)), np.random.default_rng(seed)
    inputs, returns = rng.normal(size=(n, 4)).astype(np.float32), rng.normal(mean, std, n)

    def fit(state, returns):
        return critic.fit(state, inputs, returns, np.arange(n)[None], batch_size=50, learning_rate=1e-3)

    return critic.initial_state(0), fit, returns


@pytest.mark.parametrize("is_first", [True, False])
def test_absurd_returns_do_not_spoil_the_statistics_of_the_critic(is_first):
    state, fit, returns = returns_of_a_critic(5, 50.0, 5.0, 1000)
    state = state if is_first else fit(state, returns).state
    absurd = returns.copy()
    absurd[100:160] = 1e7 * 0.9 ** np.arange(60)  # as one absurd reward leaves them
    clean, spoilt = fit(state, returns), fit(state, absurd)
    assert (clean.n_outliers, 50 < spoilt.n_outliers <= 60) == (0, True)
    assert spoilt.state.target_statistics.std[0] < 20.0 * clean.state.target_statistics.std[0]


def test_absurd_returns_are_targets_at_30_standard_deviations():
    state, fit, returns = returns_of_a_critic(7, 50.0, 5.0, 1000)
    state = fit(state, returns).state
    statistics = state.target_statistics
    returns[[3, 500]] = [1e9, -1e12]
    absurd = fit(state, returns)
    returns[[3, 500]] = statistics.mean + [30.0, -30.0] * statistics.std
    clipped = fit(state, returns)
    assert (absurd.n_outliers, clipped.n_outliers) == (2, 0)
    assert absurd.loss == clipped.loss
    np.testing.assert_array_equal(absurd.state.theta, clipped.state.theta)


def test_returns_that_a_policy_can_reach_are_no_outliers():
    """A policy that has found a reward 100 times the ordinary ones: the critic's targets are not clipped."""
    state, fit, returns = returns_of_a_critic(6, 1.0, 1.0, 2000)
    state = fit(state, returns).state
    returns[::20] += 100.0
    found = fit(state, returns)
    assert found.n_outliers == 0
    assert found.state.target_statistics.var == pytest.approx(state.target_statistics.updated(returns[:, None]).var)


def test_workers_change_nothing():
    def make(n_workers=0):
        factories = [lambda: Glitch(at=750, observation=1e13), lambda: Glitch(at=800, reward=1e8)]
        return TRPO("MlpPolicy", factories, normalize_reward=True, n_workers=n_workers, **{**FAST, "n_steps": 500})

    with pytest.warns(RuntimeWarning, match="outliers"):
        whole = make().learn(2000)
    with pytest.warns(RuntimeWarning, match="outliers"):
        parallel = make(n_workers=1).learn(2000)
    parallel.env.close()
    np.testing.assert_array_equal(parallel.theta, whole.theta)
    np.testing.assert_array_equal(parallel.value_theta, whole.value_theta)


SMALL = gym.spaces.Box(-10.0, 10.0, (4,), np.float64)


@pytest.mark.parametrize(
    ("observation", "is_refused", "n_workers"), [(1e6, True, 0), (1e6, True, 1), (-3e3, True, 0), (-1900.0, False, 0)]
)
def test_observations_far_outside_of_finite_bounds_are_refused(observation, is_refused, n_workers):
    factories = [lambda: Glitch(at=230, observation=observation, space=SMALL)]
    model = TRPO("MlpPolicy", factories, n_workers=n_workers, **FAST)
    model.learn(200)
    before = model.theta.copy()
    if is_refused:
        with pytest.raises(EnvironmentFaultError, match="environment 0, step 230.*from -2010 to 2010 at index 2") as e:
            model.learn(200, reset_num_timesteps=False)
        assert (e.value.env_index, e.value.step, e.value.field) == (0, 230, "observation")
        np.testing.assert_array_equal(model.theta, before)
        model.learn(200, reset_num_timesteps=False)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.learn(200, reset_num_timesteps=False)
    assert (model.theta != before).any()
    model.env.close()
