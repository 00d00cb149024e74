"""The network and its linearisation: values against the oracle, derivatives by identities and finite differences."""

import numpy as np
import pytest
from cases import BATCH_SIZES, IMPOSSIBLE, all_cases, make_case, relative_error, tolerance

from trpo_fast._core.modules import kernels


def linearize(case):
    core = kernels(case.policy.dtype)
    inputs = case.policy.normalize(case.observations)
    return core.Linearization(case.policy.network, case.theta, inputs)


def jvp(case, lin, v):
    out = np.empty((len(case.observations), case.policy.network.output_size), dtype=case.policy.dtype)
    lin.jvp(v.astype(case.policy.dtype), out)
    return out.astype(np.float64)


def vjp(case, lin, u):
    out = np.empty(case.policy.num_params, dtype=case.policy.dtype)
    lin.vjp(u.astype(case.policy.dtype), out)
    return out.astype(np.float64)


@all_cases(images=True)
def test_forward_agrees_with_the_oracle(spec):
    case = make_case(**spec)
    phi = case.policy.dist_params(case.theta, case.observations)
    expected = case.oracle.dist_params(case.oracle_theta, case.inputs)
    possible = expected > IMPOSSIBLE
    assert np.isneginf(phi[~possible]).all()
    assert relative_error(phi[possible], expected[possible]) < tolerance(spec["dtype"], 1e-13, 1e-5)


@all_cases(images=True)
def test_vjp_is_the_transpose_of_jvp(spec):
    case = make_case(**spec)
    lin = linearize(case)
    v = case.vector()
    u = case.rng.standard_normal((len(case.observations), case.policy.network.output_size))
    left, right = float((u * jvp(case, lin, v)).sum()), float(vjp(case, lin, u) @ v)
    scale = np.linalg.norm(u) * np.linalg.norm(jvp(case, lin, v))
    assert abs(left - right) < tolerance(spec["dtype"], 1e-13, 2e-6) * scale


@all_cases(images=True, dtype="float64")
def test_jvp_is_the_directional_derivative(spec):
    case = make_case(**spec)
    v, h = case.vector(), 1e-6
    plus, minus = (case.policy.dist_params(case.theta + s * h * v, case.observations) for s in (1, -1))
    possible = np.isfinite(plus)
    expected = (plus[possible] - minus[possible]) / (2 * h)
    assert relative_error(jvp(case, linearize(case), v)[possible], expected) < 1e-7


@pytest.mark.parametrize("n", BATCH_SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_jvp_and_vjp_at_any_batch_size(n, dtype):
    case = make_case(network=((13, 3), "tanh"), dtype=dtype, n=n)
    lin = linearize(case)
    v = case.vector()
    u = case.rng.standard_normal((n, case.policy.network.output_size))
    scale = np.linalg.norm(u) * np.linalg.norm(jvp(case, lin, v))
    assert abs((u * jvp(case, lin, v)).sum() - vjp(case, lin, u) @ v) < tolerance(dtype, 1e-13, 2e-6) * scale


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_is_made_of_layers_or_of_layers_with_the_buffers_they_read(dtype):
    k, rng = kernels(dtype), np.random.default_rng(0)
    hidden, unused, last = k.Dense(3, 7, "tanh"), k.Dense(7, 2, "relu"), k.Dense(7, 4, "identity")
    theta, x = rng.standard_normal(76).astype(dtype), rng.standard_normal((5, 3)).astype(dtype)

    def forward(layers, theta):
        network, out = k.Network(layers), np.empty((5, 4), dtype)
        assert (network.input_size, network.output_size, network.num_params) == (3, 4, theta.size)
        network.forward(theta, x, out)
        return out

    without_unused = np.concatenate([theta[:28], theta[44:]])
    expected = forward([hidden, last], without_unused)
    assert (forward([(hidden, 0), (last, 1)], without_unused) == expected).all()
    assert (forward([(hidden, 0), (unused, 1), (last, 1)], theta) == expected).all()


@pytest.mark.parametrize("bad", [[(None, 0)], [(1, 0)], [(0,)], [("layer", 1)]])
def test_invalid_nodes_are_rejected(bad):
    with pytest.raises(TypeError, match="layers"):
        kernels("float32").Network(bad)


@pytest.mark.parametrize(("first", "second"), [(1, 1), (-1, 1), (0, 2), (0, -1)])
def test_a_layer_reads_an_earlier_buffer(first, second):
    k = kernels("float32")
    layer = k.Dense(3, 3, "tanh")
    with pytest.raises(ValueError, match=r"^layers: expected layer [01] to read a buffer in 0\.\.[01], got "):
        k.Network([(layer, first), (layer, second)])


def test_log_std_is_clamped_with_zero_derivative_outside():
    case = make_case("Gaussian")
    log_std = case.policy.unflatten(case.theta)["log_std"]
    log_std[:] = [-25.0, 0.5, 3.0]
    phi = case.policy.dist_params(case.theta, case.observations)
    assert (phi[:, 3:] == [-20.0, 0.5, 2.0]).all()
    u = np.zeros_like(phi)
    u[:, 3:] = 1.0
    gradient = case.policy.unflatten(vjp(case, linearize(case), u))["log_std"]
    assert gradient.tolist() == [0.0, len(phi), 0.0]
    v = np.zeros(case.policy.num_params)
    case.policy.unflatten(v)["log_std"][:] = 1.0
    assert (jvp(case, linearize(case), v)[:, 3:] == [0.0, 1.0, 0.0]).all()


def test_unflatten_names_shapes_and_order():
    case = make_case("Gaussian", network=((7, 4), "tanh"))
    theta = np.arange(case.policy.num_params, dtype=np.float64)
    views = case.policy.unflatten(theta)
    assert {name: view.shape for name, view in views.items()} == {
        "layers.0.weight": (7, 5),
        "layers.0.bias": (7,),
        "layers.1.weight": (4, 7),
        "layers.1.bias": (4,),
        "layers.2.weight": (3, 4),
        "layers.2.bias": (3,),
        "log_std": (3,),
    }
    assert (np.concatenate([view.ravel() for view in views.values()]) == theta).all()
    views["log_std"][:] = -1.0
    assert (theta[-3:] == -1.0).all()


@pytest.mark.parametrize("network", [((64, 64), "tanh"), ((3, 17), "relu")])
def test_orthogonal_initialisation(network):
    case = make_case("Gaussian", network=network)
    views = case.policy.unflatten(case.policy.initial_parameters(3))
    for name, gain in [("layers.0.weight", np.sqrt(2)), ("layers.1.weight", np.sqrt(2)), ("layers.2.weight", 0.01)]:
        w = views[name]
        gram = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
        np.testing.assert_allclose(gram, gain**2 * np.eye(len(gram)), atol=1e-12)
        assert not views[name.replace("weight", "bias")].any()
    assert (views["log_std"] == -0.5).all()
