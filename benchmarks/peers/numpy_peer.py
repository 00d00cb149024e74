"""TRPO in NumPy as fast as NumPy allows: activations cached, every buffer allocated once, biases inside the products.

A column of ones is appended to a layer's input, (N, in + 1), so that one product with [W | b] (out, in + 1) does both,
and one product gives the gradients of both.
"""

from itertools import pairwise

import numpy as np

from benchmarks.baselines.numpy_trpo import MAX_LOG_RATIO, backtracking_line_search, conjugate_gradient
from benchmarks.harness.measuring import GEMM, GEMM_SIZE, Contender
from benchmarks.harness.problems import CriticProblem, PolicyProblem
from trpo_fast import TRPOConfig
from trpo_fast.trpo import joint_radius_and_damping


class Network:
    """A tanh network on N rows, with the buffers of its products."""

    def __init__(self, sizes: tuple[int, ...], n: int, dtype: np.dtype) -> None:
        self.pairs = list(pairwise(sizes))
        self.inputs = [np.ones((n, fan_in + 1), dtype) for fan_in, _ in self.pairs]  # H = [A | 1]
        self.packed = [np.empty((fan_out, fan_in + 1), dtype) for fan_in, fan_out in self.pairs]  # [W | b]
        self.packed_dot = [np.empty_like(packed) for packed in self.packed]
        self.weights = [np.empty((fan_out, fan_in), dtype) for fan_in, fan_out in self.pairs]  # W, contiguous
        self.slopes = [np.empty((n, fan_out), dtype) for _, fan_out in self.pairs[:-1]]  # 1 - A^2
        self.tangents = [np.empty((n, fan_out), dtype) for _, fan_out in self.pairs]
        self.scratch = [np.empty((n, fan_out), dtype) for _, fan_out in self.pairs]
        self.gradients = [np.empty_like(packed) for packed in self.packed]

    def forward(self, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
        """theta (P,), x (N, in) -> outputs (N, out), in a buffer of ours; keeps what jvp and vjp need."""
        self.pack(theta, self.packed)
        self.inputs[0][:, :-1] = x
        for i, (packed, scratch) in enumerate(zip(self.packed, self.scratch, strict=True)):
            self.weights[i][:] = packed[:, :-1]
            np.matmul(self.inputs[i], packed.T, out=scratch)
            if i < len(self.slopes):
                np.tanh(scratch, out=scratch)
                self.inputs[i + 1][:, :-1] = scratch
                np.multiply(scratch, scratch, out=self.slopes[i])
                np.subtract(1.0, self.slopes[i], out=self.slopes[i])
        return self.scratch[-1]

    def jvp(self, theta_dot: np.ndarray) -> np.ndarray:
        """J theta_dot, (P,) -> (N, out), in a buffer of ours."""
        self.pack(theta_dot, self.packed_dot)
        for i, z_dot in enumerate(self.tangents):
            np.matmul(self.inputs[i], self.packed_dot[i].T, out=z_dot)  # z = [A | 1] [W | b]^T
            if i > 0:
                np.matmul(self.tangents[i - 1], self.weights[i].T, out=self.scratch[i])
                z_dot += self.scratch[i]
            if i < len(self.slopes):
                z_dot *= self.slopes[i]  # A = tanh(z)
        return self.tangents[-1]

    def vjp(self, z_bar: np.ndarray, out: np.ndarray) -> None:
        """J^T z_bar, (N, out) -> (P,), summed over the rows."""
        end = len(out)
        for i in reversed(range(len(self.pairs))):
            np.matmul(z_bar.T, self.inputs[i], out=self.gradients[i])  # z = [A | 1] [W | b]^T
            (fan_out, fan_in), size = self.weights[i].shape, self.packed[i].size
            layer = out[end - size : end]
            layer[:-fan_out].reshape(fan_out, fan_in)[:] = self.gradients[i][:, :-1]
            layer[-fan_out:] = self.gradients[i][:, -1]
            end -= size
            if i > 0:
                z_bar = np.matmul(z_bar, self.weights[i], out=self.scratch[i - 1])
                z_bar *= self.slopes[i - 1]  # A = tanh(z)

    def pack(self, theta: np.ndarray, packed: list[np.ndarray]) -> None:
        """theta (P,), or the beginning of a longer vector, into matrices [W | b]."""
        begin = 0
        for p in packed:
            fan_out, fan_in = p.shape[0], p.shape[1] - 1
            end = begin + fan_out * fan_in
            p[:, :-1] = theta[begin:end].reshape(fan_out, fan_in)
            p[:, -1] = theta[end : end + fan_out]
            begin = end + fan_out


class GaussianPolicy:
    """A policy problem's network with log standard deviations at the end of theta."""

    def __init__(self, p: PolicyProblem, damping: float) -> None:
        self.p, self.damping, self.n, dtype = p, damping, len(p.inputs), p.inputs.dtype
        self.network = Network(p.sizes, self.n, dtype)
        self.mean = self.network.forward(p.theta, p.inputs).copy()
        self.log_std = p.theta[-p.sizes[-1] :].astype(np.float64)
        self.precision = np.exp(-2.0 * self.log_std)
        self.weight = (self.precision / self.n).astype(dtype)

    def fisher_product(self, v: np.ndarray) -> np.ndarray:
        """(P,) float64 -> (P,) float64."""
        d, out = len(self.log_std), np.empty_like(v)
        phi_bar = self.network.jvp(v[:-d])
        phi_bar *= self.weight
        self.network.vjp(phi_bar, out[:-d])
        out[-d:] = 2.0 * v[-d:]
        out += self.damping * v
        return out

    def gradient(self, advantages: np.ndarray) -> np.ndarray:
        """Of the surrogate at theta itself, (P,) float64."""
        d, out = len(self.log_std), np.empty(len(self.p.theta))
        change = self.p.actions - self.mean
        weights = (advantages / self.n).astype(change.dtype)
        out[-d:] = self.precision * (weights @ change**2) - weights.sum()
        change *= weights[:, None]
        change *= self.precision.astype(change.dtype)
        self.network.vjp(change, out[:-d])
        return out

    def objective(self, advantages: np.ndarray):
        """theta_new (P,) -> (surrogate, mean_kl): what the line search asks; the network's tape is overwritten."""
        old = (self.p.actions - self.mean) ** 2 @ self.precision

        def evaluate(theta: np.ndarray) -> tuple[float, float]:
            mean = self.network.forward(theta, self.p.inputs)
            log_std = theta[-len(self.log_std) :].astype(np.float64)
            precision, change = np.exp(-2.0 * log_std), log_std - self.log_std
            log_ratio = 0.5 * (old - (self.p.actions - mean) ** 2 @ precision) - change.sum()
            ratio = np.exp(np.minimum(log_ratio, MAX_LOG_RATIO))
            shift = ((mean - self.mean) ** 2 @ precision).mean()
            return ratio @ advantages / self.n, 0.5 * (shift + (np.expm1(-2.0 * change) + 2.0 * change).sum())

        return evaluate


def gemm(dtype: str) -> list[Contender]:
    a, b = np.random.default_rng(0).standard_normal((2, GEMM_SIZE, GEMM_SIZE)).astype(dtype)
    out = np.empty_like(a)
    return [Contender(GEMM, "numpy", lambda: np.matmul(a, b, out=out))]


def fisher_product(p: PolicyProblem, v: np.ndarray) -> list[Contender]:
    policy = GaussianPolicy(p, p.damping)
    return [Contender("numpy", "", lambda: policy.fisher_product(v))]


def bare_products(p: PolicyProblem) -> list[Contender]:
    """The control: the matrix products and tanh slopes of a Fisher-vector product, and nothing else."""
    net = GaussianPolicy(p, p.damping).network
    last = len(net.slopes)

    def call() -> np.ndarray:
        for i, z_dot in enumerate(net.tangents):
            np.matmul(net.inputs[i], net.packed_dot[i].T, out=z_dot)
            if i > 0:
                np.matmul(net.tangents[i - 1], net.weights[i].T, out=net.scratch[i])
            if i < last:
                np.multiply(z_dot, net.slopes[i], out=z_dot)
        z_bar = net.tangents[-1]
        for i in reversed(range(last + 1)):
            np.matmul(z_bar.T, net.inputs[i], out=net.gradients[i])
            if i > 0:
                z_bar = np.matmul(z_bar, net.weights[i], out=net.scratch[i - 1])
                np.multiply(z_bar, net.slopes[i - 1], out=z_bar)
        return z_bar

    for packed in net.packed_dot:
        packed[:] = 0.01
    return [Contender("numpy, bare products", "", call)]


def solve(p: PolicyProblem, b: np.ndarray, n_iterations: int) -> list[Contender]:
    policy = GaussianPolicy(p, p.damping)

    def call() -> np.ndarray:
        policy.network.forward(p.theta, p.inputs)
        return conjugate_gradient(policy.fisher_product, b, n_iterations)[0]

    return [Contender("numpy", "", call)]


def fit_critic(c: CriticProblem) -> list[Contender]:
    network = Network(c.sizes, c.batch_size, c.inputs.dtype)
    minibatches, targets = c.minibatches(), c.targets.astype(c.inputs.dtype)[:, None]

    def call() -> np.ndarray:
        theta = c.state.theta.copy()
        m, v, gradient, step, root = np.zeros((5, len(theta)), theta.dtype)
        for k, rows in enumerate(minibatches, start=1):
            errors = network.forward(theta, c.inputs[rows])
            errors -= targets[rows]
            errors *= 2.0 / c.batch_size
            network.vjp(errors, gradient)
            m += 0.1 * (gradient - m)
            np.multiply(gradient, gradient, out=step)
            step -= v
            step *= 0.001
            v += step
            np.sqrt(v, out=root)
            root *= (1.0 - 0.999**k) ** -0.5
            root += 1e-5
            np.divide(m, root, out=step)
            step *= c.learning_rate / (1.0 - 0.9**k)
            theta -= step
        return theta

    return [Contender("numpy", "", call, c.n_steps)]


def update(p: PolicyProblem, c: CriticProblem, config: TRPOConfig) -> list[Contender]:
    radius, damping = joint_radius_and_damping(p.policy, config)
    policy = GaussianPolicy(p, damping)
    (fit,) = fit_critic(c)

    def policy_step() -> np.ndarray:
        advantages = (p.advantages - p.advantages.mean()) / (p.advantages.std() + 1e-8)
        policy.network.forward(p.theta, p.inputs)
        gradient = policy.gradient(advantages)
        x, _, _, x_f_x, _ = conjugate_gradient(policy.fisher_product, gradient, config.cg_max_steps)
        step = (np.sqrt(2.0 * radius / x_f_x) * x).astype(p.theta.dtype)
        theta, _, _ = backtracking_line_search(
            policy.objective(advantages), p.theta, step, (advantages.mean(), 0.0), target_kl=radius,
            min_improvement=0.0, shrink=config.line_search_shrinking_factor, max_iter=config.line_search_max_iter,
        )  # fmt: skip
        return theta - p.theta

    return [Contender("numpy", "", lambda: (policy_step(), fit.call()))]


def act(p: PolicyProblem) -> list[Contender]:
    network = Network(p.sizes, 1, p.inputs.dtype)
    network.pack(p.theta, network.packed)
    *hidden, (last, last_bias) = [(packed[:, :-1].T.copy(), packed[:, -1].copy()) for packed in network.packed]
    x = p.inputs[0]

    def call() -> np.ndarray:
        a = x
        for weight, bias in hidden:
            a = np.tanh(a @ weight + bias)
        return a @ last + last_bias

    return [Contender("numpy", "", call)]
