"""Convolutions in networks, Fisher products, gradients and K-FAC, against the oracle's explicit patches."""

import numpy as np
import numpy_trpo as oracle
import pytest
from cases import DTYPES, relative_error, tolerance
from convolutions import CONVOLUTIONS, DAMPING, N, check_linearization, make_case

from trpo_fast._core.modules import kernels


def all_cases(function):
    function = pytest.mark.parametrize("name", CONVOLUTIONS)(function)
    return pytest.mark.parametrize("dtype", DTYPES)(function)


@all_cases
def test_network_agrees_with_the_oracle(name, dtype):
    check_linearization(make_case(name, dtype), dtype, tolerance(dtype, 1e-13, 3e-6))


@all_cases
def test_update_agrees_with_the_oracle(name, dtype):
    case, bound = make_case(name, dtype), tolerance(dtype, 1e-12, 1e-5)
    v, (theta, x) = case.vector(), case.oracle_batch
    gradient = case.oracle.surrogate_gradient(theta, x, case.choices, case.advantages)
    assert relative_error(case.gradient(), gradient) < bound
    product = case.oracle.fisher_vector_product(theta, x, v, DAMPING)
    assert relative_error(case.product(case.fisher(), v), product) < bound


def layers_with_cotangents(case):
    """For each layer with parameters its inputs and z_bar, (N, locations, ...), by the oracle's tapes."""
    graph, (theta, x) = case.oracle.network, case.oracle_batch
    phi, (_, tapes) = graph.forward(theta, x)
    bar, layers = case.oracle.distribution.score(phi, case.choices), []
    for (layer, _), tape, parameters in reversed(list(zip(graph.nodes, tapes, graph.split(theta), strict=True))):
        if layer.num_params:
            inputs, slope = tape
            layers.insert(0, (inputs, slope * bar.reshape(slope.shape)))
        _, bar = layer.vjp(parameters, tape, bar)
    return layers


def damped_inverses(A, G, damping):
    """(A + pi sqrt(damping))^-1 and (G + sqrt(damping)/pi)^-1."""
    pi = np.sqrt(np.trace(A) / len(A) / (np.trace(G) / len(G)))
    A, G = A + pi * np.sqrt(damping) * np.eye(len(A)), G + np.sqrt(damping) / pi * np.eye(len(G))
    return np.linalg.inv(A), np.linalg.inv(G)


def kfac_product(case, v):
    """The K-FAC formula of Grosse & Martens: A summed over the locations, G their mean."""
    products = []
    for inputs, z_bar in layers_with_cotangents(case):
        n, locations, m = inputs.shape
        x1 = np.concatenate([inputs, np.ones((n, locations, 1))], axis=2)
        A = np.einsum("nti,ntj->ij", x1, x1) / n
        G = np.einsum("nti,ntj->ij", z_bar, z_bar) / (n * locations)
        A, G = damped_inverses(A, G, DAMPING)
        weight, bias, v = np.split(v, [m * len(G), (m + 1) * len(G)])
        product = G @ np.hstack([weight.reshape(len(G), m), bias[:, None]]) @ A
        products += [product[:, :m].ravel(), product[:, m]]
    return np.concatenate(products)


@all_cases
def test_kfac_agrees_with_the_oracle(name, dtype):
    case = make_case(name, dtype)
    v, M = case.vector(), case.kfac()
    assert relative_error(case.product(M, v), kfac_product(case, v)) < tolerance(dtype, 1e-9, 1e-4)
    assert list(M.identity_layers) == []


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_large_factor_is_a_multiple_of_the_identity(dtype):
    rng, core, m = np.random.default_rng(1), kernels(dtype), 2048  # with the 1 that is appended, one too many
    network = core.Network([core.Dense(m, 2, "identity")])
    theta, x = (0.02 * rng.standard_normal(network.num_params)).astype(dtype), rng.standard_normal((N, m)).astype(dtype)
    actions = rng.integers(2, size=(N, 1)).astype(dtype)
    M = core.KFACPreconditioner(network, core.Categorical(2), theta, x, actions, DAMPING, 2)
    v, out = rng.standard_normal(network.num_params), np.empty(network.num_params)
    M.multiply(v, out)
    policy = oracle.Policy(m, oracle.Categorical([2]), ())
    x1 = np.hstack([x.astype(np.float64), np.ones((N, 1))])
    z_bar = policy.distribution.score(policy.dist_params(theta.astype(np.float64), x1[:, :m]), actions.astype(np.int64))
    A = np.eye(m + 1) * (x1**2).sum() / (N * (m + 1))
    pi = np.sqrt(A[0, 0] / (np.trace(z_bar.T @ z_bar) / (2 * N)))
    G = np.linalg.inv(z_bar.T @ z_bar / N + np.sqrt(DAMPING) / pi * np.eye(2))
    V = np.hstack([v[: 2 * m].reshape(2, m), v[2 * m :, None]])
    expected = G @ V / (A[0, 0] + pi * np.sqrt(DAMPING))
    assert relative_error(out, np.append(expected[:, :m], expected[:, m])) < tolerance(dtype, 1e-12, 1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [257, 2100])
def test_any_number_of_threads_gives_the_same_bits(n, dtype):
    case = make_case("does not divide", dtype, n)
    v, results = case.vector(), []
    for n_threads in (1, 2, 3):
        operators = case.fisher(n_threads), case.kfac(n_threads)
        results.append([case.product(operator, v).tobytes() for operator in operators])
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_has_the_same_bits_in_any_batch(dtype):
    for name in CONVOLUTIONS:
        case = make_case(name, dtype)
        whole = case.forward(case.x)
        for n in (1, 63, 64):
            assert case.forward(case.x[N - n :]).tobytes() == whole[N - n :].tobytes()


def test_a_stride_beyond_the_image_is_as_one_of_its_size():
    results, core, rng = [], kernels("float64"), np.random.default_rng(0)
    x, u = rng.standard_normal((3, 30)), rng.standard_normal((3, 2))
    for stride in (5, 7, 2**31 - 1):
        inner, outer = core.Dense(30, 30, "tanh"), core.Conv2d(5, 3, 2, 2, (4, 3), stride, 0, "tanh")
        network = core.Network([inner, outer])
        theta = np.random.default_rng(1).standard_normal(network.num_params)
        theta_bar = np.empty_like(theta)
        core.Linearization(network, theta, x).vjp(u, theta_bar)
        results.append(theta_bar.tobytes())
    assert results[0] == results[1] == results[2]


def test_a_network_of_too_many_parameters_is_refused():
    core = kernels("float32")
    with pytest.raises(MemoryError):
        core.Network([core.Dense(70_000, 70_000, "identity")])
