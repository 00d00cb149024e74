"""The K-FAC preconditioner: agrees with its formula, is symmetric and positive definite, and saves iterations."""

import gymnasium as gym
import numpy as np
import numpy_trpo as oracle
import pytest
from cases import OBS_DIM, OutputStd, all_cases, make_case, relative_error, tolerance

from trpo_fast import (
    Batch,
    CGStatus,
    FisherOperator,
    InvalidArgumentError,
    KFACPreconditioner,
    Policy,
    SurrogateObjective,
    TRPOConfig,
    UpdateStatus,
    conjugate_gradient,
    trpo_update,
)

DAMPING = 0.1
NARROW, MIDDLING, WIDE = ((7,), "tanh"), ((20, 20), "tanh"), ((64, 64), "tanh")


def preconditioner(case, damping=DAMPING, **kwargs):
    return KFACPreconditioner(case.policy, case.theta, case.observations, case.actions, damping, **kwargs)


def fisher(case, damping=DAMPING):
    return FisherOperator(case.policy, case.theta, case.observations, damping)


def dense(operator):
    return np.stack([operator @ e for e in np.eye(operator.shape[0])], axis=1)


def inputs_and_cotangents(case):
    """Each layer's inputs x (N, m), or None for log_std, and its z_bar (N, n), by the oracle's formulas."""
    network, distribution = case.oracle.network, case.oracle.distribution
    weights, log_std = np.split(case.oracle_theta, [network.num_params])
    features = case.inputs[:, :OBS_DIM]  # without the mask
    _, tape = network.forward(weights, features)
    score = distribution.score(case.oracle.dist_params(case.oracle_theta, case.inputs), case.actions)
    if isinstance(case.oracle, OutputStd):
        phi, _, _ = oracle.Policy.linearize(case.oracle, case.oracle_theta, case.inputs)
        score = score * (phi == case.oracle.dist_params(case.oracle_theta, case.inputs))  # 0 beyond the clamp
    y_bar, log_std_bar = np.split(score, [distribution.num_outputs], axis=1)
    layers = [(features[:, :0], log_std_bar * (np.abs(log_std + 9.0) <= 11.0))] if len(log_std) else []
    for (weight, _), (x, slope) in zip(reversed(network.unflatten(weights)), reversed(tape), strict=True):
        z_bar = slope * y_bar
        layers.insert(0, (x, z_bar))
        y_bar = z_bar @ weight
    return layers


def kronecker_inverse(x, z_bar, damping):
    """(G + sqrt(damping)/pi)^-1 (x) (A + pi sqrt(damping))^-1 in the order of theta: W row-major, then b."""
    x1 = np.hstack([x, np.ones((len(x), 1))])
    A, G = x1.T @ x1 / len(x), z_bar.T @ z_bar / len(x)
    pi = np.sqrt(np.trace(A) / len(A) / (np.trace(G) / len(G)))
    A_inverse = np.linalg.inv(A + pi * np.sqrt(damping) * np.eye(len(A)))
    G_inverse = np.linalg.inv(G + np.sqrt(damping) / pi * np.eye(len(G)))
    V = np.arange(G.shape[0] * A.shape[0]).reshape(len(G), len(A))  # [W b]
    order = np.append(V[:, :-1], V[:, -1])
    return np.kron(G_inverse, A_inverse)[np.ix_(order, order)]


def oracle_matrix(case, damping=DAMPING):
    blocks = [kronecker_inverse(x, z_bar, damping) for x, z_bar in inputs_and_cotangents(case)]
    ends = np.cumsum([len(block) for block in blocks])
    matrix = np.zeros((ends[-1], ends[-1]))
    for block, end in zip(blocks, ends, strict=True):
        matrix[end - len(block) : end, end - len(block) : end] = block
    return matrix


@all_cases()
def test_product_agrees_with_the_oracle(spec):
    case = make_case(**spec)
    M, v = preconditioner(case), case.vector()
    assert relative_error(M @ v, oracle_matrix(case) @ v) < tolerance(spec["dtype"], 1e-9, 1e-4)
    assert M.identity_layers == ()


@pytest.mark.parametrize("damping", [1e-4, 10.0])
@pytest.mark.parametrize("n", [64, 600, 5000])
def test_any_batch_size_and_damping(n, damping):
    case = make_case(network=((40, 33), "tanh"), n=n)
    v = case.vector()
    assert relative_error(preconditioner(case, damping) @ v, oracle_matrix(case, damping) @ v) < 1e-9


@all_cases()
def test_symmetric_and_positive_definite(spec):
    matrix = dense(preconditioner(make_case(**spec)))
    np.testing.assert_allclose(matrix, matrix.T, rtol=1e-12, atol=1e-12 * np.abs(matrix).max())
    assert np.linalg.eigvalsh(matrix).min() > 0.0


@pytest.mark.parametrize("damping", [1.0, DAMPING, 1e-3])
@pytest.mark.parametrize("space", ["Gaussian", "MultiDiscrete"])
def test_same_solution(space, damping):
    case = make_case(space, network=MIDDLING, n=600)
    F, M, b = fisher(case, damping), preconditioner(case, damping), case.vector()
    plain, other = (conjugate_gradient(F, b, 2000, rtol=1e-9, preconditioner=m) for m in (None, M))
    assert plain.status is other.status is CGStatus.CONVERGED
    assert relative_error(other.x, plain.x) < 1e-6
    assert other.quadratic_form == pytest.approx(plain.quadratic_form, rel=1e-6)


@pytest.mark.parametrize("space", ["Gaussian", "MultiDiscrete", "Bernoulli"])
def test_gets_further_in_half_the_iterations(space):
    """Measured by x^T F x of the damped F, which is 2 q(x) and largest at the solution."""
    case = make_case(space, network=MIDDLING, n=3000)
    F, M = fisher(case, 1e-3), preconditioner(case, 1e-3)
    g = SurrogateObjective(case.policy, case.theta, case.observations, case.actions, case.advantages).gradient()
    plain, better = conjugate_gradient(F, g, 10), conjugate_gradient(F, g, 5, preconditioner=M)
    assert better.quadratic_form > 1.2 * plain.quadratic_form


def test_exact_where_the_fisher_matrix_is_a_kronecker_product():
    """For a linear Gaussian policy and actions with exactly its moments, the approximation is exact."""
    policy = Policy(
        gym.spaces.Box(-np.inf, np.inf, (OBS_DIM,)), gym.spaces.Box(-1.0, 1.0, (2,)), net_arch=(), dtype="float64"
    )
    rng = np.random.default_rng(0)
    theta = 0.5 * rng.standard_normal(policy.num_params)
    observations = rng.standard_normal((360, OBS_DIM))
    nodes = np.sqrt(3.0) * np.array([-1.0, 0.0, 0.0, 0.0, 0.0, 1.0])  # Gauss-Hermite: moments 1 to 5 of a normal
    noise = np.tile(np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2), (10, 1))
    mean, log_std = np.split(policy.dist_params(theta, observations), 2, axis=1)
    M = KFACPreconditioner(policy, theta, observations, mean + np.exp(log_std) * noise, 0.0)
    F, b = FisherOperator(policy, theta, observations), rng.standard_normal(policy.num_params)
    result = conjugate_gradient(F, b, rtol=1e-9, preconditioner=M)
    assert (result.n_iter, result.status) == (1, CGStatus.CONVERGED)
    assert relative_error(F @ result.x, b) < 1e-9


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [257, 5000])
def test_any_number_of_threads_gives_the_same_bits(n, dtype):
    case = make_case(network=WIDE, dtype=dtype, n=n)
    v = case.vector()
    expected = (preconditioner(case, n_threads=1) @ v).tobytes()
    for n_threads in (2, 3, 4, 7):
        assert (preconditioner(case, n_threads=n_threads) @ v).tobytes() == expected


def test_rows():
    case = make_case()
    v, some = case.vector(), slice(None, None, 3)
    thinned = KFACPreconditioner(case.policy, case.theta, case.observations[some], case.actions[some], DAMPING)
    for rows in (some, np.arange(0, len(case.observations), 3)):
        np.testing.assert_array_equal(preconditioner(case, rows=rows) @ v, thinned @ v)


def test_a_layer_without_gradient_is_solved_for_its_damping():
    """Dead units: the layer's block of F is 0."""
    case = make_case(network=((7,), "relu"))
    case.policy.unflatten(case.theta)["layers.0.bias"][:] = -1e3
    M, v = preconditioner(case), np.zeros(case.policy.num_params)
    first = slice(0, 7 * OBS_DIM + 7)
    v[first] = case.vector()[first]
    assert M.identity_layers == ()
    np.testing.assert_allclose(M @ v, v / DAMPING, rtol=1e-12)
    np.testing.assert_allclose(fisher(case) @ v, v * DAMPING, rtol=1e-12)


def test_a_clamped_log_std_stays():
    case = make_case()
    case.policy.unflatten(case.theta)["log_std"][:] = [0.1, 5.0, -0.2]
    g = fisher(case, 0.0) @ case.vector()
    result = conjugate_gradient(fisher(case), g, 3, preconditioner=preconditioner(case))
    assert case.policy.unflatten(g)["log_std"][1] == 0.0
    assert case.policy.unflatten(result.x)["log_std"][1] == 0.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers_with_non_finite_moments_use_the_identity(dtype):
    case = make_case(network=NARROW, dtype=dtype)
    case.policy.unflatten(case.theta)["layers.1.weight"][0, 0] = np.inf
    M, v = preconditioner(case), case.vector()
    assert 0 in M.identity_layers
    first = slice(0, 7 * OBS_DIM + 7)
    np.testing.assert_array_equal((M @ v)[first], v[first])
    assert np.isfinite(M @ v).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 3])
def test_singular_moments_without_damping_are_inverted_all_the_same(n, dtype):
    case = make_case(network=NARROW, dtype=dtype, n=n)
    M, v = preconditioner(case, 0.0), case.vector()
    product = M @ v
    assert M.identity_layers == ()
    assert np.isfinite(product).all()
    assert v @ product > 0.0


@pytest.mark.parametrize("step_norm", ["undamped", "damped"])
def test_an_update_takes_the_same_step(step_norm):
    case = make_case(network=MIDDLING, n=400)
    batch = Batch(case.observations, case.actions, case.advantages, case.advantages)
    thetas = {}
    for name in ("none", "kfac"):
        config = TRPOConfig(cg_preconditioner=name, cg_max_steps=300, step_norm=step_norm)
        thetas[name], report = trpo_update(case.policy, case.theta, batch, config)
        assert report.status is UpdateStatus.COMMITTED
        assert report.cg.status is CGStatus.CONVERGED
    assert relative_error(thetas["kfac"] - case.theta, thetas["none"] - case.theta) < 1e-6


def test_an_update_needs_fewer_products_for_an_equal_step():
    case = make_case(network=MIDDLING, n=400)
    batch = Batch(case.observations, case.actions, case.advantages, case.advantages)
    plain = trpo_update(case.policy, case.theta, batch, TRPOConfig())[1]
    config = TRPOConfig(cg_preconditioner="kfac", cg_progress_rtol=0.005)
    early = trpo_update(case.policy, case.theta, batch, config)[1]
    assert early.cg.status is CGStatus.SLOW_PROGRESS
    assert early.cg.n_iter < plain.cg.n_iter
    assert early.expected_improvement > 0.99 * plain.expected_improvement


def test_misuse():
    case = make_case()
    arguments = {
        "policy": case.policy, "theta": case.theta, "observations": case.observations, "actions": case.actions,
        "damping": DAMPING,
    }  # fmt: skip
    for name, bad in [
        ("theta", case.theta[:-1]),
        ("observations", case.observations[:, :-1]),
        ("actions", case.actions[:-1]),
        ("actions", case.actions.astype(np.int64)),
        ("damping", -0.1),
        ("damping", np.nan),
        ("n_threads", 0),
    ]:
        with pytest.raises(InvalidArgumentError, match=f"^{name}: expected .+, got .+"):
            KFACPreconditioner(**{**arguments, name: bad})
    with pytest.raises(InvalidArgumentError, match="^v: "):
        KFACPreconditioner(**arguments) @ np.ones(3)
    other = KFACPreconditioner(**{**arguments})
    with pytest.raises(InvalidArgumentError, match="^preconditioner: expected an operator of shape"):
        conjugate_gradient(np.eye(3), np.ones(3), preconditioner=other)
