"""The vine's objective: its estimators on an MDP with known gradient, its derivative, and its errors."""

import gymnasium as gym
import numpy as np
import pytest
from cases import all_cases, make_case, relative_error, tolerance

from trpo_fast import (
    InvalidArgumentError,
    Policy,
    SurrogateObjective,
    TRPOConfig,
    VineBatch,
    VineObjective,
    trpo_update,
)

GAMMA = 0.9


class TabularMDP:
    """Four states, three actions; a softmax policy whose logits are a table, and Q^pi exactly."""

    S, A = 4, 3

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.P = rng.dirichlet(np.ones(self.S), size=(self.S, self.A))
        self.r = rng.standard_normal((self.S, self.A))
        self.P_cumulative = self.P.cumsum(axis=2)
        self.weights = rng.dirichlet(np.ones(self.S))  # of the states in the rollout set
        self.policy = Policy(
            gym.spaces.Discrete(self.S), gym.spaces.Discrete(self.A), net_arch=(), dtype="float64",
            normalize_observations=False,
        )  # fmt: skip
        self.theta = 0.7 * rng.standard_normal(self.policy.num_params)
        self.pi = self.probabilities(self.theta)
        self.pi_cumulative = self.pi.cumsum(axis=1)
        P_pi = np.einsum("sa,sat->st", self.pi, self.P)
        V = np.linalg.solve(np.eye(self.S) - GAMMA * P_pi, (self.pi * self.r).sum(axis=1))
        self.Q = self.r + GAMMA * self.P @ V

    def probabilities(self, theta):
        phi = self.policy.dist_params(theta, np.eye(self.S))
        p = np.exp(phi - phi.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)

    def exact_gradient(self):
        """Gradient of sum_s weight(s) sum_a pi(a|s) Q(s, a), with Q fixed, by central differences."""

        def value(theta):
            return float(self.weights @ (self.probabilities(theta) * self.Q).sum(axis=1))

        h = 1e-6
        return np.array(
            [(value(self.theta + h * e) - value(self.theta - h * e)) / (2 * h) for e in np.eye(len(self.theta))]
        )

    def noisy_returns(self, states, actions, rng):
        """Discounted returns of 60 steps from (s, a) on, one episode each."""
        shape = states.shape
        s, a = states.ravel(), actions.ravel()
        total, discount = np.zeros(s.size), 1.0
        for _ in range(60):
            total += discount * self.r[s, a]
            discount *= GAMMA
            s = (self.P_cumulative[s, a] > rng.random((s.size, 1))).argmax(axis=1)
            a = (self.pi_cumulative[s] > rng.random((s.size, 1))).argmax(axis=1)
        return total.reshape(shape)

    def gradient(self, rng, n, n_actions, proposal, *, exact_returns=False):
        """The estimate from n states; ``n_actions`` 0 tries all actions."""
        states = rng.choice(self.S, size=n, p=self.weights)
        if n_actions == 0:
            actions = np.tile(np.arange(self.A), (n, 1))
        elif proposal == "policy":
            actions = (self.pi_cumulative[states][:, None] > rng.random((n, n_actions, 1))).argmax(axis=2)
        else:
            actions = rng.integers(self.A, size=(n, n_actions))
        tried = np.repeat(states[:, None], actions.shape[1], axis=1)
        returns = self.Q[tried, actions] if exact_returns else self.noisy_returns(tried, actions, rng)
        observations = np.eye(self.S)[states]
        return VineObjective(self.policy, self.theta, observations, actions, returns, proposal).gradient()


@pytest.fixture(scope="module")
def mdp():
    return TabularMDP()


@pytest.mark.slow
def test_full_enumeration_converges_to_the_exact_gradient_as_one_over_root_n(mdp):
    rng, exact = np.random.default_rng(1), mdp.exact_gradient()
    sizes = np.array([100, 400, 1600, 6400])
    errors = [
        np.sqrt(np.mean([np.sum((mdp.gradient(rng, n, 0, "uniform") - exact) ** 2) for _ in range(30)])) for n in sizes
    ]
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.1)
    assert errors[-1] < 0.05 * np.linalg.norm(exact)


@pytest.mark.parametrize("n_actions", [2, 3])
def test_self_normalised_with_the_policys_actions_converges_to_one_minus_one_over_k_of_the_gradient(mdp, n_actions):
    rng, exact = np.random.default_rng(2), mdp.exact_gradient()
    estimates = np.array([mdp.gradient(rng, 4000, n_actions, "policy") for _ in range(20)])
    expected = (1.0 - 1.0 / n_actions) * exact
    standard_error = estimates.std(axis=0) / np.sqrt(len(estimates))
    assert (np.abs(estimates.mean(axis=0) - expected) < 5.0 * standard_error + 1e-12).all()
    assert np.linalg.norm(standard_error) < 0.05 * np.linalg.norm(exact / n_actions)  # enough to tell it from exact


@pytest.mark.slow
def test_self_normalised_with_uniform_actions_has_a_bias_that_falls_as_one_over_k(mdp):
    rng, exact = np.random.default_rng(3), mdp.exact_gradient()
    biases = []
    for n_actions in (4, 16, 64):
        estimates = [
            mdp.gradient(rng, 100_000 // n_actions, n_actions, "uniform", exact_returns=True) for _ in range(40)
        ]
        biases.append(np.linalg.norm(np.mean(estimates, axis=0) - exact))
    slope = np.polyfit(np.log([4, 16, 64]), np.log(biases), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.25)


def test_the_largest_advantage_is_the_mdps(mdp):
    """With every action tried once it is max |Q - V|, whatever their probabilities."""
    actions = np.tile(np.arange(mdp.A), (mdp.S, 1))
    objective = VineObjective(mdp.policy, mdp.theta, np.eye(mdp.S), actions, mdp.Q, "uniform")
    V = (mdp.pi * mdp.Q).sum(axis=1, keepdims=True)
    assert objective.largest_advantage == pytest.approx(np.abs(mdp.Q - V).max(), rel=1e-12)


@all_cases(dtype="float64")
def test_gradient_is_the_derivative(spec):
    case = make_case(**spec, n=40)
    objective = vine_of(case, "policy")
    v, h = case.vector(), 1e-6
    plus, minus = (objective.evaluate(case.theta + s * h * v).surrogate for s in (1, -1))
    g = objective.gradient()
    assert abs(g @ v - (plus - minus) / (2 * h)) < 1e-6 * np.linalg.norm(g) * np.linalg.norm(v) + 1e-10


@all_cases()
def test_a_constant_added_to_the_q_values_of_a_state_leaves_the_gradient(spec):
    case = make_case(**spec, n=40)
    shift = 10.0 * case.rng.standard_normal((40, 1))
    g, shifted = vine_of(case, "policy").gradient(), vine_of(case, "policy", shift).gradient()
    assert relative_error(shifted, g) < tolerance(spec["dtype"], 1e-10, 1e-4)


def vine_of(case, proposal, shift=0.0):
    rng = np.random.default_rng(11)
    observations = np.repeat(case.observations, 3, axis=0)
    noise = rng.standard_normal((len(observations), case.policy.codec.size)).astype(case.policy.dtype)
    rows = np.empty_like(noise)
    case.policy.act(case.theta, observations, noise, rows)
    actions = case.policy.codec.decode(rows)
    actions = actions.reshape(len(case.observations), 3, *actions.shape[1:])
    q_values = rng.standard_normal((len(case.observations), 3)) + shift
    return VineObjective(case.policy, case.theta, case.observations, actions, q_values, proposal)


def test_two_branches_that_differ_in_one_action_push_as_single_path_advantages_do():
    """With q = pi and K = 2 the gradient at theta is that of advantages +-(Q_1 - Q_2)/4 of the two actions."""
    case = make_case("Gaussian", n=30)
    rng = np.random.default_rng(0)
    actions, q_values = rng.standard_normal((30, 2, 3)), rng.standard_normal((30, 2))
    vine = VineObjective(case.policy, case.theta, case.observations, actions, q_values)
    halves = (q_values - q_values.mean(axis=1, keepdims=True)) / 2
    observations = np.repeat(case.observations, 2, axis=0)
    path = SurrogateObjective(case.policy, case.theta, observations, actions.reshape(60, 3), 2.0 * halves.ravel())
    np.testing.assert_allclose(vine.gradient(), path.gradient(), rtol=1e-10, atol=1e-14)


def test_a_batch_of_one_branch_of_other_shapes_or_of_nan_is_refused_or_a_status():
    case = make_case("Gaussian", n=10)
    actions, q_values = np.zeros((10, 3, 3)), np.zeros((10, 3))
    with pytest.raises(InvalidArgumentError, match="^q_values: expected two actions or more"):
        VineObjective(case.policy, case.theta, case.observations, actions[:, :1], q_values[:, :1])
    with pytest.raises(InvalidArgumentError, match=r"^actions: expected an array of shape \(10, 3, ...\)"):
        VineObjective(case.policy, case.theta, case.observations, actions[:, :2], q_values)
    with pytest.raises(InvalidArgumentError, match="^proposal: expected one of policy, uniform"):
        VineObjective(case.policy, case.theta, case.observations, actions, q_values, "pi")

    def status(q_values):
        batch = VineBatch(case.observations, actions, q_values)
        theta, report = trpo_update(case.policy, case.theta, batch, TRPOConfig())
        assert theta is case.theta
        return report.status.value

    assert status(q_values) == "no_signal"
    for bad in (np.nan, np.inf, -np.inf):
        assert status(np.where(np.arange(30).reshape(10, 3) == 4, bad, 1.0)) == "non_finite_input"
