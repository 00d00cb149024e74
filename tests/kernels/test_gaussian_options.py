"""Squashed actions, by quadrature; and standard deviations that depend on the state."""

import gymnasium as gym
import numpy as np
import pytest

from trpo_fast import TRPO, FisherOperator, InvalidArgumentError, Policy, SurrogateObjective

LOW, HIGH = -1.0, 3.0
BOX = gym.spaces.Box(LOW, HIGH, (1,), np.float64)
FAST = {"n_steps": 64, "n_critic_updates": 2, "batch_size": 32, "seed": 3}


def to_env(u):
    return 0.5 * (LOW + HIGH) + 0.5 * (HIGH - LOW) * np.tanh(u)


class Squashed:
    """A policy with one squashed action at one state, two parameter vectors, and a midpoint rule over its actions."""

    n = 40_001

    def __init__(self):
        self.policy = Policy(gym.spaces.Box(-1.0, 1.0, (2,)), BOX, net_arch=(3,), squash=True, dtype="float64")
        rng = np.random.default_rng(5)
        self.theta = 0.4 * rng.standard_normal(self.policy.num_params)
        self.policy.unflatten(self.theta)["log_std"][:] = -1.0  # wide ones pile up at the bounds
        self.theta_new = self.theta + 0.2 * rng.standard_normal(self.policy.num_params)
        self.observation = np.array([[0.3, -0.8]])
        self.width = (HIGH - LOW) / self.n
        self.actions = LOW + self.width * (np.arange(self.n) + 0.5)
        self.u = np.arctanh((self.actions - 0.5 * (LOW + HIGH)) / (0.5 * (HIGH - LOW)))[:, None]

    def log_density(self, theta):
        return self.policy.log_prob(theta, np.tile(self.observation, (self.n, 1)), self.u)

    def integral(self, values):
        return float(values.sum() * self.width)


@pytest.fixture(scope="module")
def squashed():
    return Squashed()


def test_density_integrates_to_one_where_the_environment_has_it(squashed):
    for theta in (squashed.theta, squashed.theta_new):
        assert squashed.integral(np.exp(squashed.log_density(theta))) == pytest.approx(1.0, abs=1e-6)


def test_kl_is_that_of_the_actions(squashed):
    log_p, log_q = squashed.log_density(squashed.theta), squashed.log_density(squashed.theta_new)
    by_quadrature = squashed.integral(np.exp(log_p) * (log_p - log_q))
    p, q = (squashed.policy.dist_params(t, squashed.observation) for t in (squashed.theta, squashed.theta_new))
    kl = squashed.policy.kl_divergence(p, q)[0]
    assert kl > 0.01
    assert by_quadrature == pytest.approx(kl, rel=1e-5)


def test_gradient_is_that_of_the_expectation_over_actions(squashed):
    """d/dtheta of the integral of pi(a; theta) A(a), by differences, against the surrogate's at the nodes."""
    advantage = np.sin(2.0 * squashed.actions) + 0.3 * squashed.actions**2
    weight = squashed.n * squashed.width * np.exp(squashed.log_density(squashed.theta))
    observations = np.tile(squashed.observation, (squashed.n, 1))
    objective = SurrogateObjective(squashed.policy, squashed.theta, observations, squashed.u, weight * advantage)
    gradient, h = objective.gradient(), 1e-5
    for i in range(squashed.policy.num_params):
        step = h * np.eye(squashed.policy.num_params)[i]
        plus, minus = (
            squashed.integral(np.exp(squashed.log_density(squashed.theta + s * step)) * advantage) for s in (1, -1)
        )
        assert gradient[i] == pytest.approx((plus - minus) / (2 * h), abs=2e-6)


def test_fisher_is_that_of_the_actions(squashed):
    log_p = squashed.log_density(squashed.theta)
    h = 1e-4
    v = np.random.default_rng(6).standard_normal(squashed.policy.num_params)
    slope = (squashed.log_density(squashed.theta + h * v) - squashed.log_density(squashed.theta - h * v)) / (2 * h)
    F = FisherOperator(squashed.policy, squashed.theta, squashed.observation)
    assert squashed.integral(np.exp(log_p) * slope**2) == pytest.approx(v @ (F @ v), rel=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_actions_fill_the_bounds_and_never_leave_them(dtype):
    rng = np.random.default_rng(0)
    low, high = np.array([-0.1, -3.0, 0.0], dtype), np.array([0.3, 1e-3, 0.7], dtype)
    policy = Policy(gym.spaces.Box(-1.0, 1.0, (2,)), gym.spaces.Box(low, high, dtype=dtype), squash=True)
    rows = np.concatenate([20.0 * rng.standard_normal((1000, 3)), np.full((1, 3), 1e30), np.full((1, 3), -1e30)])
    actions = policy.codec.to_env(rows.astype(np.float32))
    assert all(policy.action_space.contains(action) for action in actions)
    np.testing.assert_allclose(actions[-2:], [high, low], rtol=0.0, atol=1e-15)
    small = policy.codec.to_env(np.float32([[0.0, 0.5, -0.25]]))[0].astype(float)
    expected = (low + high) / 2 + (high - low) / 2 * np.tanh([0.0, 0.5, -0.25])
    np.testing.assert_allclose(small, expected, rtol=1e-5)


def test_a_space_without_bounds_or_of_choices_is_refused():
    for space in (gym.spaces.Box(-1.0, np.inf, (2,)), gym.spaces.Discrete(2)):
        with pytest.raises(InvalidArgumentError, match="^squash: expected False, unless"):
            Policy(gym.spaces.Box(-1.0, 1.0, (2,)), space, squash=True)
    with pytest.raises(InvalidArgumentError, match="^state_dependent_std: expected False, unless"):
        Policy(gym.spaces.Box(-1.0, 1.0, (2,)), gym.spaces.Discrete(2), state_dependent_std=True)


def test_a_state_dependent_std_begins_as_asked_and_comes_to_depend_on_the_state():
    policy_kwargs = {"state_dependent_std": True, "log_std_init": -1.0, "net_arch": (16,)}
    model = TRPO("MlpPolicy", "Pendulum-v1", policy_kwargs=policy_kwargs, **FAST)
    observations = np.random.default_rng(0).standard_normal((50, 3))
    log_std = model.policy.dist_params(model.theta, observations)[:, 1]
    np.testing.assert_allclose(log_std, -1.0, atol=0.05)
    model.learn(640)
    log_std = model.policy.dist_params(model.theta, observations)[:, 1]
    assert log_std.std() > 0.01
    assert model.metrics["train/std"] == pytest.approx(np.exp(log_std).mean(), rel=0.2)


@pytest.mark.parametrize("options", [{"squash": True}, {"state_dependent_std": True, "squash": True}], ids=str)
def test_files_keep_the_options(options, tmp_path):
    model = TRPO("MlpPolicy", "Pendulum-v1", policy_kwargs=options, **FAST).learn(64)
    model.save(tmp_path / "model")
    loaded = TRPO.load(tmp_path / "model")
    observations = np.random.default_rng(0).standard_normal((50, 3))
    actions, again = (m.predict(observations, deterministic=True)[0] for m in (model, loaded))
    np.testing.assert_array_equal(actions, again)
    assert all(model.action_space.contains(action) for action in actions)
