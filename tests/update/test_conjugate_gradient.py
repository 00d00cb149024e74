"""Conjugate gradient: solution, diagnostics and statuses."""

import numpy as np
import numpy_trpo as oracle
import pytest
from cases import all_cases, make_case, relative_error
from scipy.sparse import linalg

from trpo_fast import CGStatus, FisherOperator, InvalidArgumentError, conjugate_gradient


def spd(n, condition=10.0, seed=0):
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.standard_normal((n, n)))
    return q @ np.diag(np.geomspace(1.0, condition, n)) @ q.T, rng.standard_normal(n)


@pytest.mark.parametrize("n", [1, 2, 7, 20])
def test_solves_an_n_by_n_system_in_n_steps(n):
    A, b = spd(n)
    result = conjugate_gradient(A, b, max_iter=n, rtol=1e-13)
    assert result.n_iter <= n
    assert relative_error(result.x, np.linalg.solve(A, b)) < 1e-9


@pytest.mark.parametrize("k", [1, 3, 10])
def test_diagnostics_match_their_definitions_and_the_oracle(k):
    A, b = spd(30, condition=1e3)
    result = conjugate_gradient(A, b, max_iter=k)
    assert result.status is CGStatus.MAX_ITER
    assert result.n_iter == k
    assert result.residual_norm == pytest.approx(np.linalg.norm(b - A @ result.x), rel=1e-9)
    assert result.quadratic_form == pytest.approx(result.x @ A @ result.x, rel=1e-10)
    x, n_iter, residual_norm, quadratic_form, status = oracle.conjugate_gradient(lambda v: A @ v, b, k)
    assert relative_error(result.x, x) < 1e-10
    assert (n_iter, status) == (k, "max_iter")
    assert (residual_norm, quadratic_form) == pytest.approx((result.residual_norm, result.quadratic_form), rel=1e-9)


@pytest.mark.parametrize("scale", [1e-150, 1e-30, 1.0, 1e30, 1e150])
def test_the_scale_of_the_right_hand_side_does_not_matter(scale):
    A, b = spd(10)
    reference, scaled = (conjugate_gradient(A, s * b, max_iter=5) for s in (1.0, scale))
    assert relative_error(scaled.x / scale, reference.x) < 1e-12
    assert scaled.status is reference.status


def test_stops_at_the_relative_tolerance():
    A, b = spd(30)
    loose, tight = (conjugate_gradient(A, b, max_iter=100, rtol=rtol) for rtol in (1e-2, 1e-8))
    assert loose.status is tight.status is CGStatus.CONVERGED
    assert loose.n_iter < tight.n_iter
    assert loose.residual_norm <= 1e-2 * np.linalg.norm(b)


def test_preconditioner_cuts_iterations_and_not_the_answer():
    A, b = spd(40, condition=1.0)
    scales = np.geomspace(1.0, 1e4, 40)
    A = scales[:, None] * A * scales
    plain = conjugate_gradient(A, b, max_iter=200, rtol=1e-8)
    better = conjugate_gradient(A, b, max_iter=200, rtol=1e-8, preconditioner=lambda v: v / np.diag(A))
    assert better.n_iter < plain.n_iter
    assert relative_error(better.x, np.linalg.solve(A, b)) < 1e-5


@pytest.mark.parametrize("progress_rtol", [0.2, 0.02, 0.002])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("preconditioned", [False, True])
def test_stops_when_the_predicted_improvement_grows_slowly(preconditioned, scale, progress_rtol):
    A, b = spd(40, condition=100.0)
    b, M = scale * b, np.diag(1.0 / np.diag(A)) if preconditioned else None
    products = range(1, 41)
    predicted = [np.sqrt(b @ conjugate_gradient(A, b, max_iter=k, preconditioner=M).x) for k in products]
    growth = np.diff(predicted) / predicted[1:]  # of products 2, 3, ...
    result = conjugate_gradient(A, b, max_iter=40, preconditioner=M, progress_rtol=progress_rtol)
    assert result.status is CGStatus.SLOW_PROGRESS
    assert result.n_iter == 2 + np.argmax(growth < progress_rtol)


def test_a_solution_is_converged_however_slow_the_last_step():
    A, b = np.diag([1.0, 1.0, 1e6]), np.array([1.0, 1.0, 1e-3])
    result = conjugate_gradient(A, b, progress_rtol=0.5)
    assert result.status is CGStatus.CONVERGED
    assert relative_error(A @ result.x, b) < 1e-9


def test_statuses():
    n = 4
    assert conjugate_gradient(np.eye(n), np.zeros(n)).status is CGStatus.ZERO_RHS
    indefinite = conjugate_gradient(np.diag([1.0, 2.0, -3.0, 4.0]), np.ones(n))
    assert indefinite.status is CGStatus.NEGATIVE_CURVATURE
    assert np.isfinite(indefinite.x).all()
    for bad in (np.nan, np.inf):
        poisoned = conjugate_gradient(lambda v, bad=bad: v * bad, np.ones(n))
        assert poisoned.status is CGStatus.NON_FINITE
        assert not poisoned.x.any()
        assert conjugate_gradient(np.eye(n), np.array([1.0, bad, 0.0, 0.0])).status is CGStatus.NON_FINITE


def test_numerical_failures_keep_the_last_valid_iterate():
    A, b = spd(10, condition=100.0)
    calls = []

    def product(v):
        calls.append(1)
        return A @ v if len(calls) <= 3 else np.full_like(v, np.nan)

    result = conjugate_gradient(product, b)
    assert result.status is CGStatus.NON_FINITE
    np.testing.assert_allclose(result.x, conjugate_gradient(A, b, max_iter=3).x)


@all_cases(dtype="float64")
def test_natural_gradient_solves_the_damped_fisher_system(spec):
    case = make_case(**spec, n=300)
    F, b = FisherOperator(case.policy, case.theta, case.observations, 0.1), case.vector()
    result = conjugate_gradient(F, b, max_iter=3 * len(b), rtol=1e-11)
    assert result.status is CGStatus.CONVERGED
    assert relative_error(F @ result.x, b) < 1e-9


def test_operators_of_every_kind_agree():
    case = make_case()
    F, b = FisherOperator(case.policy, case.theta, case.observations, 0.1), case.vector()
    dense = np.stack([F @ e for e in np.eye(len(b))])
    expected = conjugate_gradient(F, b).x
    for operator in (dense, F.matvec, lambda v: F @ v, linalg.aslinearoperator(F), linalg.aslinearoperator(dense)):
        np.testing.assert_allclose(conjugate_gradient(operator, b).x, expected, rtol=1e-6)


def test_misuse_and_errors_of_the_operator():
    with pytest.raises(InvalidArgumentError, match=r"^F: expected an operator of shape \(3, 3\)"):
        conjugate_gradient(np.eye(4), np.ones(3))
    with pytest.raises(InvalidArgumentError, match="^b: "):
        conjugate_gradient(np.eye(3), [1.0, 2.0, 3.0])
    with pytest.raises(InvalidArgumentError, match="^max_iter: "):
        conjugate_gradient(np.eye(3), np.ones(3), max_iter=0)
    with pytest.raises(InvalidArgumentError, match="^rtol: "):
        conjugate_gradient(np.eye(3), np.ones(3), rtol=float("nan"))
    for bad in (-0.1, 1.1, None):
        with pytest.raises(InvalidArgumentError, match="^progress_rtol: "):
            conjugate_gradient(np.eye(3), np.ones(3), progress_rtol=bad)
    with pytest.raises(InvalidArgumentError, match=r"^preconditioner: expected an operator of shape \(3, 3\)"):
        conjugate_gradient(np.eye(3), np.ones(3), preconditioner=np.eye(4))
    with pytest.raises(InvalidArgumentError, match="^F: "):
        conjugate_gradient("F", np.ones(3))
    with pytest.raises(ZeroDivisionError):
        conjugate_gradient(lambda v: v * (1 // 0), np.ones(3))
    with pytest.raises(ValueError, match="the operator's product"):
        conjugate_gradient(lambda v: v[:2], np.ones(3))
