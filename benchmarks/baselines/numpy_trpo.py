"""TRPO in plain NumPy, float64: the formulas of the papers and nothing else.

The pure-Python baseline of the benchmarks and the independent oracle of the tests; it shares no code with
the package. Run it with

    python benchmarks/baselines/numpy_trpo.py CartPole-v1 --total-timesteps 50000

TRPO   Schulman et al., "Trust Region Policy Optimization", arXiv:1502.05477
GAE    Schulman et al., "High-Dimensional Continuous Control Using GAE", arXiv:1506.02438
CG     Saad, "Iterative Methods for Sparse Linear Systems", 2nd ed., algorithm 6.18
Chan   Chan, Golub, LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances", 1979
Adam   Kingma, Ba, "Adam: A Method for Stochastic Optimization", arXiv:1412.6980

Shapes: N rows, P parameters, K distribution parameters per row, d action dimensions, T steps, E environments.
theta (P,) holds per layer the weight (out, in) row-major, then the bias (out,); last log_std (d,) if any.
phi (N, K) is what the action distribution is made of. `_dot` marks a tangent (jvp), `_bar` a cotangent (vjp).
"""

import argparse
import copy
from itertools import pairwise

import gymnasium as gym
import numpy as np

LOG_STD_MIN, LOG_STD_MAX = -20.0, 2.0
MAX_LOG_RATIO = 20.0
MAX_TILT = 30.0  # beyond it the categorical KL switches to log-sum-exp, which cannot overflow
MAX_OBSERVATION = 10.0


def softplus(x):
    """log(1 + exp(x)) without overflow."""
    return np.logaddexp(0.0, x)


def sigmoid(x):
    """1 / (1 + exp(-x)), accurate in both tails."""
    return np.exp(-softplus(-x))


def expm1_minus_x(x):
    """exp(x) - 1 - x; where that cancels, the Taylor series x^2/2 (1 + x/3 (1 + x/4 (...)))."""
    small, series = np.clip(x, -0.5, 0.5), 1.0
    for k in range(17, 2, -1):
        series = 1.0 + small / k * series
    return np.where(np.abs(x) < 0.5, 0.5 * small**2 * series, np.expm1(x) - x)


def elu(z):
    return np.maximum(z, 0.0) + np.expm1(np.minimum(z, 0.0))


ACTIVATIONS = {  # name: (a = act(z), act'(z) from z and a)
    "tanh": (np.tanh, lambda z, a: 1.0 - a**2),
    "relu": (lambda z: np.maximum(z, 0.0), lambda z, a: z > 0.0),
    "elu": (elu, lambda z, a: 1.0 + np.minimum(a, 0.0)),
    "silu": (lambda z: z * sigmoid(z), lambda z, a: a + sigmoid(z) * (1.0 - a)),
    "identity": (lambda z: z, lambda z, a: 1.0),
}


def orthogonal(rng, num_rows, num_columns, gain):
    """(num_rows, num_columns) with orthonormal rows or columns, whichever are fewer, times gain."""
    q, r = np.linalg.qr(rng.standard_normal((max(num_rows, num_columns), min(num_rows, num_columns))))
    q = q * np.sign(np.diag(r))  # uniform over the orthogonal matrices
    return gain * (q if num_rows >= num_columns else q.T)


class MLP:
    """Dense layers y = act(x W^T + b), the last one linear; theta is an argument, never state."""

    def __init__(self, sizes, activation="tanh"):
        """sizes: (num_inputs, hidden..., num_outputs)."""
        self.shapes = [(fan_out, fan_in) for fan_in, fan_out in pairwise(sizes)]
        self.activations = [activation] * (len(self.shapes) - 1) + ["identity"]
        self.num_params = sum(fan_out * (fan_in + 1) for fan_out, fan_in in self.shapes)

    def initial_parameters(self, rng, output_gain):
        """(P,): orthogonal weights of gain sqrt(2), output_gain in the last layer; zero biases."""
        gains = [np.sqrt(2.0)] * (len(self.shapes) - 1) + [output_gain]
        weights = [orthogonal(rng, *shape, gain) for shape, gain in zip(self.shapes, gains, strict=True)]
        return np.concatenate([np.append(weight, np.zeros(len(weight))) for weight in weights])

    def unflatten(self, theta):
        """(P,) -> views [(weight (out, in), bias (out,)), ...]."""
        layers, start = [], 0
        for fan_out, fan_in in self.shapes:
            weight, bias, _ = np.split(theta[start:], [fan_out * fan_in, fan_out * (fan_in + 1)])
            layers.append((weight.reshape(fan_out, fan_in), bias))
            start += fan_out * (fan_in + 1)
        return layers

    def forward(self, theta, x):
        """x (N, num_inputs) -> y (N, num_outputs) and the tape [(layer input x, slope act'(z)), ...]."""
        tape = []
        for (weight, bias), name in zip(self.unflatten(theta), self.activations, strict=True):
            activation, derivative = ACTIVATIONS[name]
            z = x @ weight.T + bias
            y = activation(z)
            tape.append((x, derivative(z, y)))
            x = y
        return x, tape

    def jvp(self, theta, tape, theta_dot):
        """J theta_dot, (P,) -> (N, num_outputs); the data have no tangent."""
        y_dot = None
        layers = zip(self.unflatten(theta), self.unflatten(theta_dot), tape, strict=True)
        for (weight, _), (weight_dot, bias_dot), (x, slope) in layers:
            z_dot = x @ weight_dot.T + bias_dot  # z = x W^T + b
            if y_dot is not None:
                z_dot += y_dot @ weight.T
            y_dot = slope * z_dot  # y = act(z)
        return y_dot

    def vjp(self, theta, tape, y_bar):
        """J^T y_bar, (N, num_outputs) -> (P,), summed over the rows."""
        gradients = []
        for (weight, _), (x, slope) in zip(reversed(self.unflatten(theta)), reversed(tape), strict=True):
            z_bar = slope * y_bar  # y = act(z)
            gradients.append(np.append(z_bar.T @ x, z_bar.sum(axis=0)))  # z = x W^T + b
            if len(gradients) < len(tape):
                y_bar = z_bar @ weight
        return np.concatenate(gradients[::-1])


class Dense:
    """y = act(x W^T + b); theta holds the weight (out, in) row-major, then the bias (out,)."""

    def __init__(self, num_inputs, num_outputs, activation="identity"):
        self.shape, self.activation = (num_outputs, num_inputs), activation
        self.num_params = num_outputs * (num_inputs + 1)

    def parameters(self, theta):
        """(P,) -> views of the weight (out, in) and the bias (out,)."""
        weight, bias = np.split(theta, [-self.shape[0]])
        return weight.reshape(self.shape), bias

    def inputs(self, x):
        """What the weight meets, (N, locations, in): x itself."""
        return x[:, None, :]

    def inputs_vjp(self, inputs_bar):
        return inputs_bar[:, 0, :]

    def forward(self, theta, x):
        """x (N, ...) -> y (N, locations * out), and the tape."""
        weight, bias = self.parameters(theta)
        inputs, (activation, derivative) = self.inputs(x), ACTIVATIONS[self.activation]
        z = inputs @ weight.T + bias
        y = activation(z)
        return y.reshape(len(x), -1), (inputs, derivative(z, y) * np.ones_like(z))

    def jvp(self, theta, tape, theta_dot, x_dot):
        (weight, _), (weight_dot, bias_dot), (inputs, slope) = self.parameters(theta), self.parameters(theta_dot), tape
        y_dot = slope * (self.inputs(x_dot) @ weight.T + inputs @ weight_dot.T + bias_dot)
        return y_dot.reshape(len(y_dot), -1)

    def vjp(self, theta, tape, y_bar):
        """-> theta_bar (P,), x_bar (N, ...)."""
        (weight, _), (inputs, slope) = self.parameters(theta), tape
        z_bar = slope * y_bar.reshape(slope.shape)
        weight_bar = np.einsum("nto,nti->oi", z_bar, inputs)
        return np.append(weight_bar, z_bar.sum(axis=(0, 1))), self.inputs_vjp(z_bar @ weight)


class Conv2d(Dense):
    """A dense layer on each patch of an image; x is (height, width, channels), y (rows, columns, filters), flattened.

    The weight is (filters, channels, kernel height, kernel width), as in PyTorch; x is 0 outside of the image.
    """

    def __init__(self, height, width, channels, filters, kernel_size, stride=1, padding=0, activation="identity"):
        super().__init__(channels * kernel_size[0] * kernel_size[1], filters, activation)
        self.image, self.kernel_size, self.padding = (height, width, channels), kernel_size, padding
        tops, lefts = (
            range(0, size + 2 * padding - kernel + 1, stride)
            for size, kernel in zip((height, width), kernel_size, strict=True)
        )
        self.corners = [(top, left) for top in tops for left in lefts]

    def patch(self, image, top, left):
        """A view of (N, channels, kernel height, kernel width)."""
        height, width = self.kernel_size
        return image[:, top : top + height, left : left + width].transpose(0, 3, 1, 2)

    def inputs(self, x):
        """The patches, (N, locations, channels * kernel height * kernel width)."""
        border = (self.padding, self.padding)
        image = np.pad(x.reshape(len(x), *self.image), ((0, 0), border, border, (0, 0)))
        return np.stack([self.patch(image, *corner).reshape(len(x), -1) for corner in self.corners], axis=1)

    def inputs_vjp(self, inputs_bar):
        """Adds each patch to the pixels that it was taken from."""
        height, width, channels = self.image
        n, p = len(inputs_bar), self.padding
        image = np.zeros((n, height + 2 * p, width + 2 * p, channels))
        for location, corner in enumerate(self.corners):
            view = self.patch(image, *corner)
            view += inputs_bar[:, location].reshape(view.shape)
        return image[:, p : p + height, p : p + width].reshape(n, -1)


class GRU:
    """Gated recurrent units in PyTorch's convention, on given sequences of rows.

    theta holds W (3 d, in), U (3 d, d), b (3 d), each in the order r, z, n, then c (d).
    """

    def __init__(self, num_inputs, num_outputs, lanes, starts, states):
        """lanes: (n, L) row numbers, each lane's in order of time; starts: (N,) bool; states: (n, num_outputs)."""
        self.num_inputs, self.num_outputs = num_inputs, num_outputs
        self.num_params = 3 * num_outputs * (num_inputs + num_outputs + 1) + num_outputs
        self.lanes, self.starts, self.states = lanes, starts, states

    def parameters(self, theta):
        """(P,) -> [W_r, W_z, W_n], [U_r, U_z, U_n], [b_r, b_z, b_n], c."""
        d, i = self.num_outputs, self.num_inputs
        w, u, b, c = np.split(theta, np.cumsum([3 * d * i, 3 * d * d, 3 * d]))
        return w.reshape(3, d, i), u.reshape(3, d, d), b.reshape(3, d), c

    def forward(self, theta, x):
        (w_r, w_z, w_n), (u_r, u_z, u_n), (b_r, b_z, b_n), c = self.parameters(theta)
        y, tape, h = np.zeros((len(x), self.num_outputs)), [], self.states
        for rows in self.lanes.T:
            before = np.where(self.starts[rows, None], 0.0, h)
            r = sigmoid(x[rows] @ w_r.T + b_r + before @ u_r.T)
            z = sigmoid(x[rows] @ w_z.T + b_z + before @ u_z.T)
            m = before @ u_n.T + c
            n = np.tanh(x[rows] @ w_n.T + b_n + r * m)
            y[rows] = h = (1.0 - z) * n + z * before
            tape.append((rows, x[rows], before, r, z, m, n))
        return y, tape

    def jvp(self, theta, tape, theta_dot, x_dot):
        w, u, _, _ = self.parameters(theta)
        w_dot, u_dot, b_dot, c_dot = self.parameters(theta_dot)
        y_dot, h_dot = np.zeros((len(x_dot), self.num_outputs)), 0.0 * self.states
        for rows, x, before, r, z, m, n in tape:
            before_dot = np.where(self.starts[rows, None], 0.0, h_dot)
            a_r, a_z, a_n = (x @ w_dot[k].T + x_dot[rows] @ w[k].T + b_dot[k] for k in range(3))
            g_r, g_z, g_n = (before @ u_dot[k].T + before_dot @ u[k].T for k in range(3))
            r_dot, z_dot = r * (1.0 - r) * (a_r + g_r), z * (1.0 - z) * (a_z + g_z)
            n_dot = (1.0 - n**2) * (a_n + r_dot * m + r * (g_n + c_dot))
            y_dot[rows] = h_dot = (1.0 - z) * n_dot + z_dot * (before - n) + z * before_dot
        return y_dot

    def vjp(self, theta, tape, y_bar):
        w, u, _, _ = self.parameters(theta)
        theta_bar = np.zeros(self.num_params)
        w_bar, u_bar, b_bar, c_bar = self.parameters(theta_bar)  # views
        x_bar, h_bar = np.zeros((len(y_bar), self.num_inputs)), 0.0 * self.states
        for rows, x, before, r, z, m, n in reversed(tape):
            h_bar = h_bar + y_bar[rows]
            n_bar = h_bar * (1.0 - z) * (1.0 - n**2)
            m_bar = n_bar * r
            r_bar, z_bar = n_bar * m * r * (1.0 - r), h_bar * (before - n) * z * (1.0 - z)
            h_bar = h_bar * z
            for k, (from_x, from_h) in enumerate(((r_bar, r_bar), (z_bar, z_bar), (n_bar, m_bar))):
                w_bar[k] += from_x.T @ x
                u_bar[k] += from_h.T @ before
                b_bar[k] += from_x.sum(axis=0)
                x_bar[rows] += from_x @ w[k]
                h_bar += from_h @ u[k]
            c_bar += m_bar.sum(axis=0)
            h_bar = np.where(self.starts[rows, None], 0.0, h_bar)
        return theta_bar, x_bar


class Gather:
    """Some columns of x in another order: a layer without parameters."""

    num_params = 0

    def __init__(self, num_inputs, columns):
        self.num_inputs, self.columns = num_inputs, np.asarray(columns)

    def forward(self, theta, x):
        return x[:, self.columns], None

    def jvp(self, theta, tape, theta_dot, x_dot):
        return x_dot[:, self.columns]

    def vjp(self, theta, tape, y_bar):
        x_bar = np.zeros((len(y_bar), self.num_inputs))
        x_bar[:, self.columns] = y_bar
        return theta[:0], x_bar


def flatten(height, width, channels):
    """(height, width, channels) -> (channels, height, width)."""
    columns = np.arange(height * width * channels).reshape(height, width, channels)
    return Gather(columns.size, columns.transpose(2, 0, 1).ravel())


def columns(num_inputs, first, count):
    """x[:, first : first + count]."""
    return Gather(num_inputs, range(first, first + count))


class Graph:
    """Layers that read each other's outputs; theta holds their parameters one after the other.

    nodes: pairs of a layer and the numbers of the buffers that it reads, side by side. The inputs are the first
    buffers, the output of node j is buffer num_inputs + j, and the last output is the network's.
    """

    def __init__(self, nodes, num_inputs=1):
        self.nodes, self.num_inputs = nodes, num_inputs
        self.num_params = sum(layer.num_params for layer, _ in nodes)

    def split(self, theta):
        """(P,) -> the parameters of each node."""
        return np.split(theta, np.cumsum([layer.num_params for layer, _ in self.nodes])[:-1])

    def forward(self, theta, x):
        """x, an array (N, ...) or a tuple of them -> y (N, num_outputs), and the tape: buffers and tapes of layers."""
        buffers, tapes = list(x) if isinstance(x, tuple) else [x], []
        for (layer, read), parameters in zip(self.nodes, self.split(theta), strict=True):
            y, tape = layer.forward(parameters, np.hstack([buffers[i] for i in read]))
            buffers.append(y)
            tapes.append(tape)
        return buffers[-1], (buffers, tapes)

    def jvp(self, theta, tape, theta_dot):
        """J theta_dot, (P,) -> (N, num_outputs); the data have no tangent."""
        buffers, tapes = tape
        dots = [np.zeros_like(x) for x in buffers[: self.num_inputs]]
        parts = zip(self.nodes, tapes, self.split(theta), self.split(theta_dot), strict=True)
        for (layer, read), layer_tape, parameters, parameters_dot in parts:
            dots.append(layer.jvp(parameters, layer_tape, parameters_dot, np.hstack([dots[i] for i in read])))
        return dots[-1]

    def vjp(self, theta, tape, y_bar):
        """J^T y_bar, (N, num_outputs) -> (P,), summed over the rows."""
        buffers, tapes = tape
        bars = [np.zeros_like(x) for x in buffers[:-1]] + [y_bar]
        gradients = []
        parts = list(zip(self.nodes, tapes, self.split(theta), bars[self.num_inputs :], strict=True))
        for (layer, read), layer_tape, parameters, bar in reversed(parts):
            gradient, x_bar = layer.vjp(parameters, layer_tape, bar)
            gradients.append(gradient)
            ends = np.cumsum([buffers[i].shape[1] for i in read])
            for i, part in zip(read, np.split(x_bar, ends[:-1], axis=1), strict=True):
                bars[i] += part
        return np.concatenate(gradients[::-1])


# The distributions map phi (N, K) and actions to log_prob, kl(old || new) and entropy, (N,), each summed over
# the action dimensions; to the score, d log_prob / d phi, (N, K); and phi_dot to its product with the metric,
# the Fisher information E[score score^T], (N, K). The first num_outputs columns of phi come from the network,
# the other num_log_std from theta itself.


class Gaussian:
    """Independent normal actions (N, d); phi = (mean, log_std), (N, 2d)."""

    def __init__(self, num_dims):
        self.num_outputs = self.num_log_std = num_dims

    def sample(self, phi, rng):
        mean, log_std = np.split(phi, 2, axis=1)
        return mean + np.exp(log_std) * rng.standard_normal(mean.shape)

    def log_prob(self, phi, actions):
        mean, log_std = np.split(phi, 2, axis=1)
        noise = (actions - mean) * np.exp(-log_std)
        return -(0.5 * noise**2 + log_std + 0.5 * np.log(2.0 * np.pi)).sum(axis=1)

    def score(self, phi, actions):
        mean, log_std = np.split(phi, 2, axis=1)
        noise = (actions - mean) * np.exp(-log_std)
        return np.hstack([noise * np.exp(-log_std), noise**2 - 1.0])

    def metric(self, phi, phi_dot):
        _, log_std = np.split(phi, 2, axis=1)
        mean_dot, log_std_dot = np.split(phi_dot, 2, axis=1)
        return np.hstack([np.exp(-2.0 * log_std) * mean_dot, 2.0 * log_std_dot])

    def kl(self, phi_old, phi_new):
        """(exp(x) - 1 - x)/2 + (change of the mean)^2 / (2 var_new), where exp(x) = var_old / var_new."""
        mean_change, log_std_change = np.split(phi_new - phi_old, 2, axis=1)
        _, log_std_new = np.split(phi_new, 2, axis=1)
        shift = mean_change**2 * np.exp(-2.0 * log_std_new)
        return 0.5 * (expm1_minus_x(-2.0 * log_std_change) + shift).sum(axis=1)

    def entropy(self, phi):
        _, log_std = np.split(phi, 2, axis=1)
        return (log_std + 0.5 * np.log(2.0 * np.pi * np.e)).sum(axis=1)


class Categorical:
    """Blocks of logits side by side, one softmax each, phi (N, n_1 + ... + n_d); actions count from 0.

    sizes: (n_1,) for Discrete, actions (N,); (n_1, ..., n_d) for MultiDiscrete, actions (N, d).
    """

    num_log_std = 0

    def __init__(self, sizes):
        self.sizes = np.array(sizes)
        self.starts = np.cumsum(self.sizes) - self.sizes
        self.num_outputs = int(self.sizes.sum())

    def reduce(self, ufunc, x):
        """Each block to one number, (N, K) -> (N, d)."""
        return ufunc.reduceat(x, self.starts, axis=1)

    def repeat(self, x):
        """Each number to the columns of its block, (N, d) -> (N, K)."""
        return np.repeat(x, self.sizes, axis=1)

    def centre(self, phi):
        """Logits less their block's largest: the softmax is the same, and huge ones keep their differences."""
        return phi - self.repeat(self.reduce(np.maximum, phi))

    def log_softmax(self, phi):
        centred = self.centre(phi)
        return centred - self.repeat(np.log(self.reduce(np.add, np.exp(centred))))

    def columns(self, actions):
        """The columns of phi that the actions chose, (N, d)."""
        return self.starts + actions.reshape(len(actions), -1)

    def sample(self, phi, rng):
        perturbed = phi + rng.gumbel(size=phi.shape)  # its argmax has the softmax distribution
        choices = [block.argmax(axis=1) for block in np.split(perturbed, self.starts[1:], axis=1)]
        return choices[0] if len(choices) == 1 else np.stack(choices, axis=1)

    def log_prob(self, phi, actions):
        return np.take_along_axis(self.log_softmax(phi), self.columns(actions), axis=1).sum(axis=1)

    def score(self, phi, actions):
        one_hot = np.zeros_like(phi)
        np.put_along_axis(one_hot, self.columns(actions), 1.0, axis=1)
        return one_hot - np.exp(self.log_softmax(phi))

    def metric(self, phi, phi_dot):
        p = np.exp(self.log_softmax(phi))
        return p * (phi_dot - self.repeat(self.reduce(np.add, p * phi_dot)))

    def kl(self, phi_old, phi_new):
        """log E_old[exp(e)], where e is the change of the logits less its mean under the old policy."""
        log_p, change = self.log_softmax(phi_old), self.centre(phi_new) - self.centre(phi_old)
        p = np.exp(log_p)
        e = change - self.repeat(self.reduce(np.add, p * change))
        near = np.log1p(self.reduce(np.add, p * expm1_minus_x(np.minimum(e, MAX_TILT))))  # as E_old[e] = 0
        top = self.reduce(np.maximum, log_p + e)
        far = top + np.log(self.reduce(np.add, np.exp(log_p + e - self.repeat(top))))
        return np.where(self.reduce(np.maximum, e) <= MAX_TILT, near, far).sum(axis=1)

    def entropy(self, phi):
        log_p = self.log_softmax(phi)
        return -(np.exp(log_p) * log_p).sum(axis=1)


class Bernoulli:
    """Independent bits, actions (N, d) in {0, 1}; phi holds the logits of 1, (N, d)."""

    num_log_std = 0

    def __init__(self, num_dims):
        self.num_outputs = num_dims

    def sample(self, phi, rng):
        return (rng.random(phi.shape) < sigmoid(phi)).astype(np.int8)

    def log_prob(self, phi, actions):
        return (actions * phi - softplus(phi)).sum(axis=1)

    def score(self, phi, actions):
        return actions - sigmoid(phi)

    def metric(self, phi, phi_dot):
        return sigmoid(phi) * sigmoid(-phi) * phi_dot

    def kl(self, phi_old, phi_new):
        """A bit is a choice between two with the logits (0, phi)."""
        old, new = (np.stack([0.0 * phi, phi], axis=2).reshape(len(phi), -1) for phi in (phi_old, phi_new))
        return Categorical([2] * self.num_outputs).kl(old, new)

    def entropy(self, phi):
        return (sigmoid(phi) * softplus(-phi) + sigmoid(-phi) * softplus(phi)).sum(axis=1)


class Policy:
    """theta (P,) and normalised observations (N, obs_dim) -> phi (N, K) -> a distribution over actions."""

    def __init__(self, obs_dim, distribution, net_arch=(64, 64), activation="tanh", network=None):
        """network: a Graph instead of the MLP."""
        self.network = network or MLP((obs_dim, *net_arch, distribution.num_outputs), activation)
        self.distribution = distribution
        self.num_params = self.network.num_params + distribution.num_log_std

    def initial_parameters(self, rng, log_std_init=0.0):
        log_std = np.full(self.distribution.num_log_std, log_std_init)
        return np.append(self.network.initial_parameters(rng, output_gain=0.01), log_std)

    def linearize(self, theta, obs):
        """phi (N, K), and for theta -> phi the functions jvp: (P,) -> (N, K) and vjp: (N, K) -> (P,)."""
        weights, log_std = np.split(theta, [self.network.num_params])
        inside = (log_std >= LOG_STD_MIN) & (log_std <= LOG_STD_MAX)
        outputs, tape = self.network.forward(weights, obs)

        def with_log_std(columns, log_std):
            return np.hstack([columns, np.tile(log_std, (len(columns), 1))])

        def jvp(theta_dot):
            weights_dot, log_std_dot = np.split(theta_dot, [self.network.num_params])
            return with_log_std(self.network.jvp(weights, tape, weights_dot), inside * log_std_dot)

        def vjp(phi_bar):
            outputs_bar, log_std_bar = np.split(phi_bar, [self.distribution.num_outputs], axis=1)
            return np.append(self.network.vjp(weights, tape, outputs_bar), inside * log_std_bar.sum(axis=0))

        return with_log_std(outputs, np.clip(log_std, LOG_STD_MIN, LOG_STD_MAX)), jvp, vjp

    def dist_params(self, theta, obs):
        """phi (N, K)."""
        return self.linearize(theta, obs)[0]

    def log_prob(self, theta, obs, actions):
        """(N,)."""
        return self.distribution.log_prob(self.dist_params(theta, obs), actions)

    def fisher_operator(self, theta, obs, damping):
        """v (P,) -> mean_n J_n^T M(phi_n) J_n v + damping v (TRPO, appendix C.1); one forward pass in all."""
        phi, jvp, vjp = self.linearize(theta, obs)
        return lambda v: vjp(self.distribution.metric(phi, jvp(v))) / len(obs) + damping * v

    def fisher_vector_product(self, theta, obs, v, damping=0.0):
        """(P,)."""
        return self.fisher_operator(theta, obs, damping)(v)

    def surrogate_gradient(self, theta, obs, actions, advantages):
        """(P,): mean of advantage * d log_prob / d theta, the gradient of the surrogate at theta itself."""
        phi, _, vjp = self.linearize(theta, obs)
        return vjp(advantages[:, None] * self.distribution.score(phi, actions)) / len(obs)

    def surrogate_objective(self, theta_old, obs, actions, advantages):
        """theta_new (P,) -> (surrogate, mean_kl, max_kl, entropy): TRPO eq. 14, with KL(old || new)."""
        phi_old = self.dist_params(theta_old, obs)
        log_prob_old = self.distribution.log_prob(phi_old, actions)

        def evaluate(theta_new):
            phi_new = self.dist_params(theta_new, obs)
            log_ratio = self.distribution.log_prob(phi_new, actions) - log_prob_old
            # clamped where that makes the surrogate a lower bound
            ratio = np.exp(np.where(advantages < 0.0, log_ratio, np.minimum(log_ratio, MAX_LOG_RATIO)))
            kl, entropy = self.distribution.kl(phi_old, phi_new), self.distribution.entropy(phi_new)
            return np.mean(ratio * advantages), kl.mean(), kl.max(), entropy.mean()

        return evaluate

    def evaluate(self, theta_new, theta_old, obs, actions, advantages):
        """(surrogate, mean_kl, max_kl, entropy of theta_new)."""
        return self.surrogate_objective(theta_old, obs, actions, advantages)(theta_new)


def conjugate_gradient(matvec, b, max_iter=10, rtol=1e-10):
    """Solve A x = b, A symmetric positive definite, from x = 0 on b / ||b|| (Saad, algorithm 6.18).

    Returns x (P,), n_iter, residual_norm ||b - A x||, quadratic_form x^T A x = x^T (b - r), and a status:
    "converged" (||r|| <= rtol ||b||), "max_iter", "zero_rhs", or "negative_curvature" and "non_finite", which
    keep the last good x.
    """
    scale, x, n_iter = np.linalg.norm(b), np.zeros_like(b), 0
    if scale == 0.0 or not np.isfinite(scale):
        return x, n_iter, scale, 0.0, "zero_rhs" if scale == 0.0 else "non_finite"
    r = p = b = b / scale
    while np.linalg.norm(r) > rtol and n_iter < max_iter:
        Ap = matvec(p)
        pAp = p @ Ap
        if not (np.isfinite(pAp) and pAp > 0.0):
            status = "negative_curvature" if np.isfinite(pAp) else "non_finite"
            break
        rr_old = r @ r
        alpha = rr_old / pAp
        x = x + alpha * p
        r = r - alpha * Ap
        p = r + (r @ r) / rr_old * p
        n_iter += 1
    else:
        status = "converged" if np.linalg.norm(r) <= rtol else "max_iter"
    return scale * x, n_iter, scale * np.linalg.norm(r), scale**2 * (x @ (b - r)), status


def backtracking_line_search(evaluate, theta, step, before, *, target_kl, min_improvement, shrink, max_iter):
    """The first theta + shrink^k step, k < max_iter, that improves and stays in the trust region.

    before: the (surrogate, mean_kl, max_kl, entropy) of theta. Returns theta_new (P,), the same of it, and k;
    or theta, before and max_iter if none is accepted.
    """
    for k in range(max_iter):
        theta_new = theta + shrink**k * step
        after = evaluate(theta_new)
        surrogate, mean_kl = after[:2]
        finite = np.isfinite(surrogate) and np.isfinite(mean_kl)
        if finite and mean_kl <= target_kl and surrogate - before[0] > min_improvement:
            return theta_new, after, k
    return theta, before, max_iter


EVALUATION = "surrogate_after", "mean_kl", "max_kl", "entropy"
CG_RESULT = "x", "n_iter", "residual_norm", "quadratic_form", "status"


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # what is not finite is rejected below
def trpo_update(
    policy, theta, observations, actions, advantages, *, target_kl=0.01, cg_max_steps=15, cg_rtol=1e-10,
    cg_damping=0.1, line_search_shrinking_factor=0.8, line_search_max_iter=10, sub_sampling_factor=1,
    normalize_advantage=True, step_norm="undamped",
):  # fmt: skip
    """One policy step (TRPO, appendix C): theta (P,) -> theta_new (P,) and a report of all that led to it.

    report["status"]: "accepted"; else theta_new is theta and it is "no_signal" (all advantages are the same),
    "no_step" (no finite step; report["cg"] shows why) or "line_search_failed".
    """
    if step_norm not in ("undamped", "damped"):
        raise ValueError(f"step_norm must be 'undamped' or 'damped', got {step_norm!r}")
    std = advantages.std()
    no_signal = std <= np.finfo(np.float32).eps * np.sqrt(len(advantages)) * np.abs(advantages).max()
    if normalize_advantage and not no_signal:
        advantages = (advantages - advantages.mean()) / (std + 1e-8)

    evaluate = policy.surrogate_objective(theta, observations, actions, advantages)
    before = evaluate(theta)
    report = dict(zip(EVALUATION, before, strict=True), surrogate_before=before[0], n_backtracks=0)
    if no_signal:
        return theta, report | dict(status="no_signal", gradient=None, cg=None, step=None)

    gradient = policy.surrogate_gradient(theta, observations, actions, advantages)
    fisher = policy.fisher_operator(theta, observations[::sub_sampling_factor], cg_damping)
    cg = conjugate_gradient(fisher, gradient, cg_max_steps, cg_rtol)
    x, _, _, xAx, _ = cg
    xFx = xAx - (cg_damping if step_norm == "undamped" else 0.0) * (x @ x)
    step = np.sqrt(2.0 * target_kl / xFx) * x
    report |= dict(gradient=gradient, cg=dict(zip(CG_RESULT, cg, strict=True)), step=step)
    if not (xFx > 0.0 and np.isfinite(step).all()):
        return theta, report | dict(status="no_step")

    min_improvement = np.finfo(np.float64).eps * np.abs(advantages).sum()
    theta_new, after, n_backtracks = backtracking_line_search(
        evaluate, theta, step, before, target_kl=target_kl, min_improvement=min_improvement,
        shrink=line_search_shrinking_factor, max_iter=line_search_max_iter,
    )  # fmt: skip
    report |= dict(zip(EVALUATION, after, strict=True), n_backtracks=n_backtracks)
    accepted = n_backtracks < line_search_max_iter
    return theta_new, report | dict(status="accepted" if accepted else "line_search_failed")


# rewards, values = V(obs_t), next_values = V(the observation step t led to, before any reset), terminated and
# truncated are (T, E) or (T,). What follows a terminated step is worth 0, even if it is truncated as well.


def gae(rewards, values, next_values, terminated, truncated, gamma=0.99, gae_lambda=0.95):
    """Generalized advantage estimation (GAE, eq. 16): advantages and returns A + V, (T, E)."""
    deltas = rewards + gamma * np.where(terminated, 0.0, next_values) - values
    decay = gamma * gae_lambda * (1.0 - np.logical_or(terminated, truncated))
    advantages, following = np.zeros_like(deltas), 0.0
    for t in reversed(range(len(deltas))):
        advantages[t] = following = deltas[t] + decay[t] * following
    return advantages, advantages + values


def rewards_to_go(rewards, values, next_values, terminated, truncated, gamma=0.99):
    """Discounted returns G, bootstrapped where an episode or the rollout is cut: G - V and G, (T, E)."""
    returns, following = np.zeros_like(values), next_values[-1]
    for t in reversed(range(len(returns))):
        following = np.where(truncated[t], next_values[t], following)
        returns[t] = following = rewards[t] + gamma * np.where(terminated[t], 0.0, following)
    return returns - values, returns


def fit_critic(network, theta, adam, observations, targets, order, batch_size=128, learning_rate=1e-3):
    """Regress the output of network on targets (N,) by Adam (algorithm 1) in consecutive slices of an epoch.

    adam: (first moment (P,), second moment (P,), number of steps), to begin with (0.0, 0.0, 0).
    order: (n_epochs, N), a permutation of the rows per epoch.
    Returns theta (P,), adam, and the last epoch's mean squared error, each row before its minibatch's step.
    """
    m, v, n_steps = adam
    loss = np.nan
    for epoch in order:
        loss = 0.0
        for start in range(0, len(epoch), batch_size):
            rows = epoch[start : start + batch_size]
            values, tape = network.forward(theta, observations[rows])
            errors = values - targets[rows, None]
            gradient = network.vjp(theta, tape, 2.0 * errors / len(rows))
            m = 0.9 * m + 0.1 * gradient
            v = 0.999 * v + 0.001 * gradient**2
            n_steps += 1
            m_hat, v_hat = m / (1.0 - 0.9**n_steps), v / (1.0 - 0.999**n_steps)
            theta = theta - learning_rate * m_hat / (np.sqrt(v_hat) + 1e-5)
            loss += np.sum(errors**2) / len(epoch)
    return theta, (m, v, n_steps), loss


class RunningMeanStd:
    """Mean and population variance (obs_dim,) of the rows merged so far; mean 0, variance 1 before any."""

    def __init__(self, obs_dim):
        self.mean, self.var, self.count = np.zeros(obs_dim), np.ones(obs_dim), 0

    def merge(self, rows):
        """Take in rows (N, obs_dim) (Chan)."""
        rows = np.asarray(rows, dtype=np.float64)
        total, delta = self.count + len(rows), rows.mean(axis=0) - self.mean
        sum_squares = self.var * self.count + rows.var(axis=0) * len(rows)
        self.var = (sum_squares + delta**2 * self.count * len(rows) / total) / total
        self.mean = self.mean + delta * len(rows) / total
        self.count = total

    @property
    def std(self):
        """(obs_dim,)."""
        return np.sqrt(self.var + 1e-8)

    def normalize(self, rows):
        """(..., obs_dim) -> (..., obs_dim)."""
        return np.clip((rows - self.mean) / self.std, -MAX_OBSERVATION, MAX_OBSERVATION)


def merge_observations(normalizer, policy, theta, rows, max_kl):
    """Let the normalizer take in rows (N, obs_dim); theta (P,) that makes up for it.

    That is theta itself if the policy moves by a mean KL of at most max_kl on these rows. Else the first layer is
    rewritten so that it stays: z = W (x - mean)/std + b under the old statistics and the new ones.
    """
    before, old = policy.dist_params(theta, normalizer.normalize(rows)), copy.copy(normalizer)
    normalizer.merge(rows)

    def moved(theta):
        return policy.distribution.kl(before, policy.dist_params(theta, normalizer.normalize(rows))).mean()

    if old.count == 0 or moved(theta) <= max_kl:
        return theta
    rewritten = theta.copy()
    weight, bias = policy.network.unflatten(rewritten)[0]
    varied = old.var > 1e-8  # a constant column had input 0 and no scale to keep
    bias += weight @ np.where(varied, (normalizer.mean - old.mean) / old.std, 0.0)
    weight *= np.where(varied, normalizer.std / old.std, 1.0)
    return rewritten if moved(rewritten) < moved(theta) else theta


def make_distribution(space):
    """The action distribution for a gymnasium space."""
    if isinstance(space, gym.spaces.Box):
        return Gaussian(int(np.prod(space.shape)))
    if isinstance(space, gym.spaces.Discrete):
        return Categorical([space.n])
    if isinstance(space, gym.spaces.MultiDiscrete):
        return Categorical(space.nvec.ravel())
    if isinstance(space, gym.spaces.MultiBinary):
        return Bernoulli(int(np.prod(space.shape)))
    raise TypeError(f"expected a Box, Discrete, MultiDiscrete or MultiBinary action space, got {space}")


def to_env(space, action):
    """One row of actions as env.step wants it: Box clipped to its bounds, integers from space.start on."""
    action = np.reshape(action, space.shape)
    if isinstance(space, gym.spaces.Box):
        action = np.clip(action, space.low, space.high)
    if isinstance(space, gym.spaces.Discrete | gym.spaces.MultiDiscrete):
        action = action + space.start
    return action.astype(space.dtype)


class Sampler:
    """Steps a list of environments, and resets each at once when its episode ends."""

    def __init__(self, envs, seed):
        self.envs = envs
        self.observations = np.stack([env.reset(seed=seed + i)[0] for i, env in enumerate(envs)])
        self.running_returns = np.zeros(len(envs))
        self.episode_returns = []

    def rollout(self, act, n_steps):
        """act: observations (E, obs_dim) -> actions (E, ...).

        Returns (n_steps, E, ...) of observations, actions, rewards, the observations the steps led to (before any
        reset), terminated, truncated.
        """
        steps = []
        for _ in range(n_steps):
            actions = act(self.observations)
            pairs = zip(self.envs, actions, strict=True)
            results = [env.step(to_env(env.action_space, action))[:4] for env, action in pairs]
            following, rewards, terminated, truncated = map(np.array, zip(*results, strict=True))
            steps.append((self.observations, actions, rewards, following, terminated, truncated))
            self.observations = following.copy()
            self.running_returns += rewards
            for i in np.flatnonzero(terminated | truncated):
                self.episode_returns.append(float(self.running_returns[i]))
                self.running_returns[i] = 0.0
                self.observations[i], _ = self.envs[i].reset()
        return [np.array(column) for column in zip(*steps, strict=True)]


def train(
    env_id, *, total_timesteps=50_000, n_envs=1, n_steps=2048, gamma=0.99, gae_lambda=0.95, net_arch=(64, 64),
    activation="tanh", n_critic_updates=10, batch_size=128, learning_rate=1e-3, seed=0, verbose=False,
    **trpo_settings,
):  # fmt: skip
    """Train on env_id, with trpo_settings for trpo_update.

    The package's defaults: returns are normalised for the critic, and new observation statistics alone move the
    policy by no more than a quarter of target_kl.

    Returns theta, value_theta, normalizer and the returns of all finished episodes.
    """
    rng = np.random.default_rng(seed)
    sampler = Sampler([gym.wrappers.FlattenObservation(gym.make(env_id)) for _ in range(n_envs)], seed)
    obs_dim = sampler.observations.shape[1]
    normalizer, target_statistics = RunningMeanStd(obs_dim), RunningMeanStd(1)
    max_shift = 0.25 * trpo_settings.get("target_kl", 0.01)
    policy = Policy(obs_dim, make_distribution(sampler.envs[0].action_space), net_arch, activation)
    critic = MLP((obs_dim, *net_arch, 1), activation)
    theta, value_theta = policy.initial_parameters(rng, -0.5), critic.initial_parameters(rng, output_gain=1.0)
    adam, timesteps = (0.0, 0.0, 0), 0

    def act(observations):
        return policy.distribution.sample(policy.dist_params(theta, normalizer.normalize(observations)), rng)

    def value(observations):
        rows = normalizer.normalize(observations).reshape(-1, obs_dim)
        values = critic.forward(value_theta, rows)[0] * target_statistics.std + target_statistics.mean
        return values.reshape(observations.shape[:-1])

    while timesteps < total_timesteps:
        observations, actions, rewards, following, *ends = sampler.rollout(act, n_steps)
        advantages, returns = gae(rewards, value(observations), value(following), *ends, gamma, gae_lambda)

        rows = observations.reshape(-1, obs_dim)
        inputs, actions = normalizer.normalize(rows), actions.reshape(len(rows), *actions.shape[2:])
        theta, report = trpo_update(policy, theta, inputs, actions, advantages.ravel(), **trpo_settings)
        order = [rng.permutation(len(rows)) for _ in range(n_critic_updates)]
        target_statistics.merge(returns.reshape(-1, 1))
        targets = (returns.ravel() - target_statistics.mean) / target_statistics.std
        value_theta, adam, value_loss = fit_critic(
            critic, value_theta, adam, inputs, targets, order, batch_size, learning_rate
        )
        theta = merge_observations(normalizer, policy, theta, rows, max_shift)
        timesteps += len(rows)
        if verbose:
            mean_return = np.mean(sampler.episode_returns[-100:] or [np.nan])
            print(f"{timesteps:9d} steps  return {mean_return:9.2f}  kl {report['mean_kl']:.5f}  ", end="")
            print(f"entropy {report['entropy']:7.3f}  value_loss {value_loss:10.3f}  {report['status']}")
    for env in sampler.envs:
        env.close()
    return theta, value_theta, normalizer, sampler.episode_returns


def main():
    parser = argparse.ArgumentParser(description="Train TRPO in plain NumPy.")
    parser.add_argument("env_id", help="gymnasium id, for example CartPole-v1")
    parser.add_argument("-n", "--total-timesteps", type=int, default=50_000)
    parser.add_argument("--n-envs", type=int, default=1)
    parser.add_argument("--n-steps", type=int, default=2048, help="steps per environment and update")
    parser.add_argument("--target-kl", type=float, default=0.01)
    parser.add_argument("--cg-damping", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    train(**vars(parser.parse_args()), verbose=True)


if __name__ == "__main__":
    main()
