"""The Fisher operator: symmetric, positive semi-definite, linear, and the Hessian of the mean KL divergence."""

import numpy as np
import pytest
from cases import BATCH_SIZES, all_cases, make_case, relative_error, tolerance

from trpo_fast import FisherOperator, SurrogateObjective


def operator(case, damping=0.0, **kwargs):
    return FisherOperator(case.policy, case.theta, case.observations, damping, **kwargs)


@all_cases(images=True)
def test_product_agrees_with_the_oracle(spec):
    case = make_case(**spec)
    v = case.vector()
    expected = case.oracle.fisher_vector_product(case.oracle_theta, case.inputs, v, 0.1)
    assert relative_error(operator(case, 0.1) @ v, expected) < tolerance(spec["dtype"], 1e-12, 1e-5)


@all_cases(images=True)
def test_symmetric_positive_semidefinite_and_linear(spec):
    case = make_case(**spec)
    F, u, v = operator(case), case.vector(), case.vector()
    Fu, Fv = F @ u, F @ v
    scale = np.linalg.norm(u) * np.linalg.norm(Fv)
    tol = tolerance(spec["dtype"], 1e-13, 5e-6)
    assert abs(u @ Fv - v @ Fu) < tol * scale
    assert v @ Fv >= 0.0
    assert u @ Fu >= 0.0
    assert relative_error(F @ (2.0 * u - 3.0 * v), 2.0 * Fu - 3.0 * Fv) < tol


@all_cases(images=True, dtype="float64")
def test_hessian_of_the_mean_kl(spec):
    """uᵀFv against the mixed second difference of KL(theta || theta'), which is 0 with zero gradient at theta."""
    case = make_case(**spec, n=40)
    objective = SurrogateObjective(case.policy, case.theta, case.observations, case.actions, case.advantages)
    u, v, h = case.vector(), case.vector(), 1e-6  # small: a ReLU must not change sides

    def kl(a, b):
        return objective.evaluate(case.theta + h * (a * u + b * v)).mean_kl

    second = (kl(1, 1) - kl(1, -1) - kl(-1, 1) + kl(-1, -1)) / (4 * h * h)
    scale = abs(u @ (operator(case) @ u)) + abs(v @ (operator(case) @ v))
    assert abs(u @ (operator(case) @ v) - second) < 1e-5 * scale


def test_dense_matrix_is_the_mean_of_jacobian_metric_jacobian():
    case = make_case("Categorical", n=20)
    F = operator(case)
    dense = np.stack([F @ e for e in np.eye(case.policy.num_params)])
    oracle = np.stack(
        [case.oracle.fisher_vector_product(case.oracle_theta, case.inputs, e) for e in np.eye(case.policy.num_params)]
    )
    np.testing.assert_allclose(dense, oracle, atol=1e-14)
    assert np.linalg.eigvalsh(dense).min() > -1e-14


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_log_std_block_is_two(dtype):
    case = make_case("Gaussian", dtype=dtype)
    v = np.zeros(case.policy.num_params)
    case.policy.unflatten(v)["log_std"][:] = [1.0, -2.0, 0.5]
    np.testing.assert_allclose(operator(case) @ v, 2.0 * v, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("n", BATCH_SIZES)
@pytest.mark.parametrize("space", ["Gaussian", "MultiDiscrete"])
def test_any_batch_size(space, n):
    case = make_case(space, network=((13, 3), "elu"), n=n)
    v = case.vector()
    expected = case.oracle.fisher_vector_product(case.oracle_theta, case.inputs, v)
    assert relative_error(operator(case) @ v, expected) < 1e-12


def test_damping_and_rows():
    case = make_case()
    v = case.vector()
    np.testing.assert_allclose(operator(case, 0.3) @ v, operator(case) @ v + 0.3 * v, rtol=1e-12)
    thinned = FisherOperator(case.policy, case.theta, case.observations[::5])
    for rows in (slice(None, None, 5), np.arange(0, len(case.observations), 5)):
        np.testing.assert_array_equal(operator(case, rows=rows) @ v, thinned @ v)


def test_dtype_and_shape_of_a_product_follow_the_vector():
    F = operator(make_case(dtype="float32"))
    v = np.ones(F.shape[0], dtype=np.float32)
    assert (F @ v).dtype == np.float32
    assert (F @ v.astype(np.float64)).dtype == np.float64
    assert F.matvec(v[:, None]).shape == (F.shape[0], 1)


def test_an_operator_keeps_what_it_was_built_from():
    case = make_case()
    F, v = operator(case), case.vector()
    before = F @ v
    case.theta[:] = 0.0
    case.observations[:] = 0.0
    np.testing.assert_array_equal(F @ v, before)


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("space", ["Gaussian", "MultiDiscrete"])
def test_the_operator_at_an_objective_is_the_operator(space, every):
    case = make_case(space, n=600)
    objective = SurrogateObjective(case.policy, case.theta, case.observations, case.actions, case.advantages)
    F, v = objective.fisher_operator(0.1, every=every), case.vector()
    expected = operator(case, 0.1, rows=slice(None, None, every)) @ v
    del objective  # the operator keeps what it shares
    np.testing.assert_array_equal(F @ v, expected)
    assert F.damping == 0.1
