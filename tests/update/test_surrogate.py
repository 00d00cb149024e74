"""The surrogate objective: gradient by finite differences and by the oracle, value and KL by the oracle."""

import gymnasium as gym
import numpy as np
import pytest
from cases import BATCH_SIZES, all_cases, make_case, relative_error, tolerance

from trpo_fast import Policy, SurrogateObjective


def objective(case, ent_coef=0.0):
    batch = case.observations, case.actions, case.advantages
    return SurrogateObjective(case.policy, case.theta, *batch, ent_coef=ent_coef)


@all_cases(images=True, dtype="float64")
@pytest.mark.parametrize("ent_coef", [0.0, 0.3])
def test_gradient_is_the_derivative(spec, ent_coef):
    case = make_case(**spec, n=60)
    v, h = case.vector(), 1e-6
    plus, minus = (objective(case, ent_coef).evaluate(case.theta + s * h * v).surrogate for s in (1, -1))
    g = objective(case, ent_coef).gradient()
    assert abs(g @ v - (plus - minus) / (2 * h)) < 1e-7 * np.linalg.norm(g) * np.linalg.norm(v)


@all_cases(images=True)
def test_gradient_agrees_with_the_oracle(spec):
    case = make_case(**spec)
    expected = case.oracle.surrogate_gradient(case.oracle_theta, case.inputs, case.actions, case.advantages)
    assert relative_error(objective(case).gradient(), expected) < tolerance(spec["dtype"], 1e-11, 1e-4)


@all_cases(images=True)
@pytest.mark.parametrize("distance", [1e-3, 0.1])
def test_evaluation_agrees_with_the_oracle(spec, distance):
    case = make_case(**spec)
    theta_new = (case.theta + distance * case.vector()).astype(spec["dtype"])
    value = objective(case).evaluate(theta_new)
    expected = case.oracle.evaluate(
        theta_new.astype(np.float64), case.oracle_theta, case.inputs, case.actions, case.advantages
    )
    tol = tolerance(spec["dtype"], 1e-9, 1e-4 if distance == 0.1 else 5e-3)
    np.testing.assert_allclose(value[1:], expected[1:], rtol=tol)
    assert value.surrogate == pytest.approx(expected[0], abs=tol * np.abs(case.advantages).mean())


@all_cases(images=True)
def test_an_entropy_bonus_adds_the_mean_entropy(spec):
    case = make_case(**spec)
    theta_new = (case.theta + 0.1 * case.vector()).astype(spec["dtype"])
    plain, with_bonus = (objective(case, ent_coef).evaluate(theta_new) for ent_coef in (0.0, 0.5))
    assert with_bonus == plain._replace(surrogate=plain.surrogate + 0.5 * plain.entropy)


@pytest.mark.parametrize("n", BATCH_SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_at_theta_the_surrogate_is_the_mean_advantage_and_kl_is_exactly_zero(n, dtype):
    case = make_case("MultiDiscrete", n=n, dtype=dtype)
    value = objective(case).evaluate(case.theta)
    assert value.surrogate == pytest.approx(case.advantages.mean(), rel=1e-12, abs=1e-15)
    assert (value.mean_kl, value.max_kl) == (0.0, 0.0)


def test_ratio_is_clamped_and_non_finite_values_are_passed_on():
    case = make_case("Gaussian", n=50)
    far = case.theta.copy()
    case.policy.unflatten(far)["layers.1.bias"][:] = 1e6
    assert np.isfinite(objective(case).evaluate(far)).all()
    far[0] = np.nan
    assert np.isnan(objective(case).evaluate(far).mean_kl)
    assert np.isnan(objective(case).evaluate(far).max_kl)


def test_an_objective_keeps_what_it_was_given():
    """Whatever the caller does with his arrays afterwards."""
    rng = np.random.default_rng(0)
    space = gym.spaces.Box(-1.0, 1.0, (3,))
    policy = Policy(space, space, net_arch=(4,))
    given = {
        "theta": policy.initial_parameters(0), "observations": rng.standard_normal((20, 3)),
        "actions": rng.standard_normal((20, 3)).astype(np.float32), "advantages": rng.standard_normal(20),
    }  # fmt: skip
    objective = SurrogateObjective(policy, **given)
    copies = {name: array.copy() for name, array in given.items()}
    for array in given.values():
        array[...] = -7.0
    for name in ("theta", "observations", "actions"):
        np.testing.assert_array_equal(np.asarray(getattr(objective, name)), copies[name])
    other, v = SurrogateObjective(policy, **copies), rng.standard_normal(policy.num_params)
    np.testing.assert_array_equal(objective.gradient(), other.gradient())
    np.testing.assert_array_equal(objective.fisher_operator(0.1, 3) @ v, other.fisher_operator(0.1, 3) @ v)
