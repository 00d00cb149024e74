"""Networks that read images: with the bits of a network that reads the same pixels as floats."""

import gc
import weakref

import numpy as np
import pytest
from cases import DTYPES

from trpo_fast._core.modules import core, kernels

N, H, W, K = 130, 5, 7, 3  # rows: two blocks and a bit
SCALE = 1.0 / 255.0
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)
all_channels = pytest.mark.parametrize("channels", [1, 2, 3, 4, 6])


class Problem:
    """The same pixels as Images and as floats, and networks of the same parameters that read them."""

    def __init__(self, dtype, channels=4, n=N):
        self.k, self.rng, self.dtype = kernels(dtype), np.random.default_rng(channels), dtype
        size = H * W * channels
        planes = self.rng.integers(0, 256, (50, H, W), dtype=np.uint8)
        index = self.rng.integers(-1, 50, (n, channels), dtype=np.int32)
        self.images = core.Images(planes, index)
        pixels = np.where((index >= 0)[..., None, None], planes[index], 0).transpose(0, 2, 3, 1)
        self.floats = pixels.reshape(n, size).astype(dtype) * np.dtype(dtype).type(SCALE)
        layers = [self.k.Dense(size, 9, "tanh"), self.k.Dense(9, K, "identity")]
        self.of_floats = self.k.Network(layers)
        self.of_images = self.k.Network([(layers[0], 1), (layers[1], 2)], images=[(H, W, channels, SCALE)])
        self.distribution = self.k.Categorical(K)
        self.theta = self.scalars(self.of_images.num_params)
        self.actions = self.rng.integers(0, K, (n, 1)).astype(dtype)
        self.inputs = (np.zeros((n, 0), dtype), self.images)

    def scalars(self, *shape):
        return (0.3 * self.rng.standard_normal(shape)).astype(self.dtype)

    def both(self):
        """Each network with its inputs."""
        return (self.of_images, self.inputs), (self.of_floats, self.floats)


def product(operator):
    out = np.empty(operator.size)
    operator.multiply(np.linspace(-1.0, 1.0, operator.size), out)
    return [out]


def forward(p, network, x):
    out = np.empty((N, K), p.dtype)
    network.forward(p.theta, x, out)
    return [out]


def jvp_and_vjp(p, network, x):
    at, u, v = p.k.Linearization(network, p.theta, x), np.ones((N, K), p.dtype), np.empty_like(p.theta)
    dphi = np.empty_like(u)
    at.jvp(p.theta, dphi)
    at.vjp(u, v)
    return [dphi, v]


def surrogate(p, network, x):
    advantages = np.linspace(-1.0, 1.0, N)
    objective = p.k.SurrogateObjective(network, p.distribution, p.theta, x, p.actions, advantages, 0.1, 2)
    out = np.empty(p.theta.size)
    objective.gradient(out)
    return [out, np.array(objective.evaluate(1.1 * p.theta)), *product(p.k.FisherOperator(objective, 0.1, 2))]


def vine(p, network, x):
    q_values = np.linspace(-1.0, 1.0, N)[:, None]
    objective = p.k.VineObjective(network, p.distribution, p.theta, x, p.actions, q_values, "policy", 0.1, 2)
    out = np.empty(p.theta.size)
    objective.gradient(out)
    return [out, np.array(objective.evaluate(1.1 * p.theta))]


def fisher(p, network, x):
    return product(p.k.FisherOperator(network, p.distribution, p.theta, x, 0.1, 2))


def empirical_fisher(p, network, x):
    return product(p.k.EmpiricalFisherOperator(network, p.distribution, p.theta, x, p.actions, 0.1, 2))


def kfac(p, network, x):
    return product(p.k.KFACPreconditioner(network, p.distribution, p.theta, x, p.actions, 0.1, 2))


@both_dtypes
@all_channels
@pytest.mark.parametrize("compute", [forward, jvp_and_vjp, surrogate, vine, fisher, empirical_fisher, kfac])
def test_images_give_the_bits_of_their_pixels_as_floats(compute, channels, dtype):
    p = Problem(dtype, channels)
    got, expected = (compute(p, network, x) for network, x in p.both())
    assert all(np.isfinite(array).all() for array in got)
    assert [array.tobytes() for array in got] == [array.tobytes() for array in expected]


@both_dtypes
def test_a_fit_reads_images_in_any_order(dtype):
    p = Problem(dtype)
    last, results = p.k.Dense(9, 1, "identity"), []
    first = p.k.Dense(p.floats.shape[1], 9, "tanh")
    order, targets = np.stack([p.rng.permutation(N) for _ in range(3)]), p.floats[:, 0].copy()
    theta = p.theta[: first.num_params + last.num_params]
    for network, x in (
        (p.k.Network([(first, 1), (last, 2)], images=[(H, W, 4, SCALE)]), p.inputs),
        (p.k.Network([first, last]), p.floats),
    ):
        state = [theta.copy(), np.zeros_like(theta), np.zeros_like(theta)]
        fit = p.k.ValueFit(network, x, targets, order, 100, 0.01, *state, 0)
        fit.finish()
        results.append((fit.read(*state), *(array.tobytes() for array in state)))
    assert results[0] == results[1]


@both_dtypes
@pytest.mark.parametrize("n", [1, 70])
def test_acting_on_images(n, dtype):
    p, taken = Problem(dtype, n=n), []
    action_range = core.ActionRange(np.zeros(1), np.full(1, K - 1.0), np.zeros(1, np.int64))
    for network, observations in (
        (p.of_images, (np.zeros((n, 0)), p.images)),
        (p.of_floats, p.floats.astype(np.float64)),
    ):
        size = network.input_size
        normalizer = core.Normalizer(np.zeros(size), np.ones(size), 10.0)
        actor, out = p.k.Actor(network, p.distribution, normalizer, action_range, p.theta), np.empty((n, 1), dtype)
        for noise in (None, p.rng.standard_normal((n, 1)).astype(dtype) * 0):
            actor.act(observations, noise, out)
            taken.append(out.copy())
    assert taken[0].tobytes() == taken[2].tobytes()
    assert taken[1].tobytes() == taken[3].tobytes()


@both_dtypes
def test_a_network_of_images_and_a_vector_with_a_fork(dtype):
    p = Problem(dtype)
    k, vector = p.k, p.scalars(N, 5)
    size, other = H * W * 4, p.images
    nodes = [
        (k.Dense(size, 6, "tanh"), 1),
        (k.Dense(2 * size + 5, 4, "tanh"), (2, 0, 1)),  # of all inputs
        (k.Dense(6, 3, "silu"), 3),
        (k.Dense(18, 5, "elu"), (5, 0, 4, 3)),  # of nodes and the vector; node 0 is read three times
        (k.Dense(11, K, "identity"), (3, 6)),
    ]
    network = k.Network(nodes, images=[(H, W, 4, SCALE), (H, W, 4, 2.0 * SCALE)])
    assert network.input_size == 5
    theta = p.scalars(network.num_params)
    x = (vector, p.images, other)

    def oracle(theta, dtheta=None):
        """phi, and its slope along dtheta by complex steps."""
        parameters = theta.astype(np.float64) + (0.0 if dtheta is None else 1e-30j * dtheta)
        functions = {"tanh": np.tanh, "silu": lambda z: z / (1.0 + np.exp(-z)), "identity": lambda z: z,
                     "elu": lambda z: np.where(z.real > 0.0, z, np.exp(z) - 1.0)}  # fmt: skip
        pixels = p.floats.astype(np.float64)
        buffers = [vector.astype(np.float64), pixels, 2.0 * pixels]
        activations = ["tanh", "tanh", "silu", "elu", "identity"]
        begin = 0
        for (layer, read), activation in zip(nodes, activations, strict=True):
            inputs = np.hstack([buffers[b] for b in ((read,) if isinstance(read, int) else read)])
            weights = layer.input_size * layer.output_size
            w = parameters[begin : begin + weights].reshape(layer.output_size, layer.input_size)
            b = parameters[begin + weights : begin + layer.num_params]
            buffers.append(functions[activation](inputs @ w.T + b))
            begin += layer.num_params
        return buffers[-1].imag / 1e-30 if dtheta is not None else buffers[-1]

    tolerance = 1e-13 if dtype == "float64" else 2e-6
    out, v, u = np.empty((N, K), dtype), p.scalars(theta.size), p.scalars(N, K)
    network.forward(theta, x, out)
    expected = oracle(theta)
    assert np.linalg.norm(out - expected) <= tolerance * np.linalg.norm(expected)
    at, dphi, bar = k.Linearization(network, theta, x), np.empty_like(u), np.empty_like(theta)
    at.jvp(v, dphi)
    expected = oracle(theta, v.astype(np.float64))
    assert np.linalg.norm(dphi - expected) <= tolerance * np.linalg.norm(expected)
    at.vjp(u, bar)
    scale = np.linalg.norm(u) * np.linalg.norm(dphi)
    assert abs(float((u.astype(np.float64) * dphi).sum()) - float(bar.astype(np.float64) @ v)) <= tolerance * scale


@both_dtypes
def test_inputs_that_do_not_fit_are_refused(dtype):
    p = Problem(dtype)
    array, images = p.inputs
    narrow = core.Images(images.planes, images.index[:, :3].copy())
    short = core.Images(images.planes, images.index[:-1].copy())
    turned = core.Images(images.planes.transpose(0, 2, 1).copy(), images.index)
    wanted = rf"^x: expected a tuple of a {dtype} array of shape \(N, 0\) and 1 Images, got "
    for bad, error, message in (
        (array, TypeError, wanted + "ndarray"),
        ([array, images], TypeError, wanted + "list"),
        ((array,), TypeError, wanted + "a tuple of ndarray$"),
        ((images, array), TypeError, "^x: expected a C-contiguous .* got Images"),
        ((array, images.index), TypeError, wanted + "a tuple of ndarray ndarray"),
        ((array, images, images), TypeError, wanted + "a tuple of ndarray Images Images"),
        ((array, narrow), ValueError, r"^x: expected Images of shape \(130, 4, 5, 7\), got \(130, 3, 5, 7\)"),
        ((array, short), ValueError, r"^x: expected Images of shape \(130, 4, 5, 7\), got \(129, 4, 5, 7\)"),
        ((array, turned), ValueError, r"^x: expected Images of shape \(130, 4, 5, 7\), got \(130, 4, 7, 5\)"),
        ((p.floats, images), ValueError, r"^x: expected .* of shape \(N, 0\), got"),
    ):
        for compute in (forward, jvp_and_vjp, surrogate, vine, fisher, empirical_fisher, kfac):
            with pytest.raises(error, match=message):
                compute(p, p.of_images, bad)
    with pytest.raises(TypeError, match="^x: expected a C-contiguous .* got tuple"):
        forward(p, p.of_floats, (p.floats,))


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([((), 24)], "expected layer 0 to read a buffer, got none"),
        ([((2,), 24)], r"expected layer 0 to read a buffer in 0\.\.1, got 2"),
        ([((1,), 24), ((3,), 3)], r"expected layer 1 to read a buffer in 0\.\.2, got 3"),
        ([((1, 1), 48)], "expected layer 0 to read buffer 1 once, got it twice"),
        ([((1,), 23)], "expected a layer with input size 24, got 23"),
        ([((0, 1), 24)], "expected a layer with input size 25 or more, got 24"),
        ([((0, 1), 29), ((0,), 4)], "expected a layer with input size 5, got 4"),
        ([((0, 1), 29), ((2, 0), 7)], "expected a layer with input size 8, got 7"),
    ],
)
def test_nodes_that_do_not_fit_are_refused(nodes, message):
    k = kernels("float32")
    layers = [(k.Dense(size, 3, "tanh"), buffers) for buffers, size in nodes]
    with pytest.raises(ValueError, match=f"^layers: {message}"):
        k.Network(layers, images=[(2, 3, 4, 1.0)])


@pytest.mark.parametrize("bad", [(0, 3, 4, 1.0), (2, -1, 4, 1.0), (2, 3, 0, 1.0), (2**20, 2**20, 1, 1.0),
                                 (2, 3, 2**30, 1.0), (2, 3, 4, float("nan"))])  # fmt: skip
def test_images_that_make_no_sense_are_refused(bad):
    k = kernels("float32")
    with pytest.raises(ValueError, match="^images: expected "):
        k.Network([(k.Dense(24, 3, "tanh"), 1)], images=[bad])


@both_dtypes
def test_objects_keep_their_images_alive_and_no_longer(dtype):
    p = Problem(dtype)
    array, theta, actions = p.inputs[0], p.theta, p.actions
    critic = p.k.Network([(p.k.Dense(H * W * 4, 1, "identity"), 1)], images=[(H, W, 4, SCALE)])
    targets, order, weights = np.zeros(N, dtype), np.arange(N)[None], p.scalars(critic.num_params)
    both = p.of_images, p.distribution
    for make in (
        lambda x: p.k.Linearization(p.of_images, theta, x),
        lambda x: p.k.SurrogateObjective(*both, theta, x, actions, np.ones(N), 0.0, 1),
        lambda x: p.k.VineObjective(*both, theta, x, actions, np.ones((N, 1)), "policy", 0.0, 1),
        lambda x: p.k.FisherOperator(*both, theta, x, 0.1, 1),
        lambda x: p.k.EmpiricalFisherOperator(*both, theta, x, actions, 0.1, 1),
        lambda x: p.k.ValueFit(critic, x, targets, order, 50, 0.01, weights, weights, np.abs(weights), 0),
    ):
        planes = p.images.planes.copy()
        alive = weakref.ref(planes)
        made = make((array, core.Images(planes, p.images.index)))
        del planes
        gc.collect()
        assert alive() is not None
        del made
        gc.collect()
        assert alive() is None
