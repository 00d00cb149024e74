"""Networks of convolutions in the compiled core, with a batch, and the oracle of each."""

from typing import Any, NamedTuple

import numpy as np
import numpy_trpo as oracle
from cases import relative_error

from trpo_fast._core.modules import kernels

N = 65  # one row over a block
DAMPING = 0.1
# height, width, channels of x, then filters, kernel_size, stride, padding and activation of each convolution
CONVOLUTIONS = {
    "one": ((5, 4, 1), [(3, (2, 3), 1, 0, "tanh")]),
    "does not divide": ((9, 8, 3), [(5, (3, 2), 2, 0, "relu"), (4, (2, 2), 1, 0, "elu")]),
    "padded": ((6, 7, 4), [(20, (3, 3), 2, 1, "silu"), (7, (2, 3), 1, 2, "tanh")]),
    "stride beyond the kernel": ((8, 10, 2), [(16, (2, 2), 3, 0, "tanh"), (8, (1, 2), 1, 1, "identity")]),
    "covers the image": ((4, 3, 2), [(9, (4, 3), 1, 0, "tanh")]),
}


class Case(NamedTuple):
    """A network of convolutions, Flatten and a dense layer, with a batch, and its oracle."""

    core: Any
    network: Any
    distribution: Any
    theta: np.ndarray
    x: np.ndarray
    actions: np.ndarray
    advantages: np.ndarray
    oracle: oracle.Policy
    rng: np.random.Generator

    @property
    def oracle_batch(self):
        """Theta and x in float64."""
        return self.theta.astype(np.float64), self.x.astype(np.float64)

    @property
    def choices(self):
        return self.actions[:, 0].astype(np.int64)

    def vector(self):
        return self.rng.standard_normal(self.network.num_params)

    def forward(self, x):
        out = np.empty((len(x), self.network.output_size), x.dtype)
        self.network.forward(self.theta, x, out)
        return out

    def gradient(self):
        batch = self.theta, self.x, self.actions, self.advantages, 0.0, 2
        out = np.empty(self.network.num_params)
        self.core.SurrogateObjective(self.network, self.distribution, *batch).gradient(out)
        return out

    def fisher(self, n_threads=2):
        return self.core.FisherOperator(self.network, self.distribution, self.theta, self.x, DAMPING, n_threads)

    def kfac(self, n_threads=2):
        batch = self.theta, self.x, self.actions, DAMPING, n_threads
        return self.core.KFACPreconditioner(self.network, self.distribution, *batch)

    def product(self, operator, v):
        out = np.empty(self.network.num_params)
        operator.multiply(v, out)
        return out


def make_case(name, dtype="float64", n=N):
    """A policy of 4 choices. In front of the convolutions, ``Columns`` drops a column at each end."""
    rng, core = np.random.default_rng(0), kernels(dtype)
    (height, width, channels), convolutions = CONVOLUTIONS[name]
    size = height * width * channels
    layers, nodes = [core.Columns(size + 2, 1, size)], [oracle.columns(size + 2, 1, size)]
    for filters, kernel_size, stride, padding, activation in convolutions:
        arguments = height, width, channels, filters, kernel_size, stride, padding, activation
        layers.append(core.Conv2d(*arguments))
        nodes.append(oracle.Conv2d(*arguments))
        height, width = ((a + 2 * padding - k) // stride + 1 for a, k in zip((height, width), kernel_size, strict=True))
        channels = filters
    layers += [core.Flatten(height, width, channels), core.Dense(height * width * channels, 4, "identity")]
    nodes += [oracle.flatten(height, width, channels), oracle.Dense(height * width * channels, 4)]
    network = core.Network(layers)
    theta = (0.3 * rng.standard_normal(network.num_params)).astype(dtype)
    x = rng.standard_normal((n, size + 2)).astype(dtype)
    actions = rng.integers(4, size=(n, 1)).astype(dtype)
    graph = oracle.Graph([(node, (i,)) for i, node in enumerate(nodes)])
    policy = oracle.Policy(size + 2, oracle.Categorical([4]), network=graph)
    return Case(core, network, core.Categorical(4), theta, x, actions, rng.standard_normal(n), policy, rng)


def check_linearization(case, dtype, bound):
    """Compare phi, J v and J^T u with the oracle's; returns u, v, J v and J^T u."""
    phi, jvp, vjp = case.oracle.linearize(*case.oracle_batch)
    v, u = case.vector().astype(dtype), case.rng.standard_normal(phi.shape).astype(dtype)
    dphi, theta_bar = np.empty_like(u), np.empty_like(v)
    at = case.core.Linearization(case.network, case.theta, case.x)
    at.jvp(v, dphi)
    at.vjp(u, theta_bar)
    assert relative_error(case.forward(case.x), phi) < bound
    assert relative_error(dphi, jvp(v.astype(np.float64))) < bound
    assert relative_error(theta_bar, vjp(u.astype(np.float64))) < bound
    return u, v, dphi, theta_bar
