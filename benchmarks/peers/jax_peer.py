"""TRPO in JAX, everything jitted; compile time is never in a figure, because agreement is checked first."""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness.measuring import Contender
from benchmarks.harness.problems import CriticProblem, PolicyProblem
from trpo_fast import TRPOConfig
from trpo_fast.trpo import joint_radius_and_damping

jax.config.update("jax_enable_x64", True)  # arrays keep the dtype of the problem
PRODUCTS = 10  # in one jit
Array = jax.Array
Product = Callable[[Array], Array]


def forward(sizes: tuple[int, ...], theta: Array, x: Array) -> Array:
    """A tanh network, theta (P,), x (N, in) -> (N, out)."""
    begin = 0
    for i, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        end = begin + fan_out * fan_in
        weight, bias = theta[begin:end].reshape(fan_out, fan_in), theta[end : end + fan_out]
        begin = end + fan_out
        x = x @ weight.T + bias
        if i < len(sizes) - 2:
            x = jnp.tanh(x)
    return x


def dist_params(sizes: tuple[int, ...], theta: Array, x: Array) -> tuple[Array, Array]:
    """Mean (N, d) and log standard deviation (d,)."""
    return forward(sizes, theta, x), theta[-sizes[-1] :]


def mean_kl(old: tuple[Array, Array], new: tuple[Array, Array]) -> Array:
    (mean, log_std), (new_mean, new_log_std) = old, new
    shift = ((mean - new_mean) ** 2).mean(axis=0)
    variances = jnp.exp(2.0 * (log_std - new_log_std))
    return (new_log_std - log_std + 0.5 * (variances + shift * jnp.exp(-2.0 * new_log_std) - 1.0)).sum()


# The forms of v -> F v at (theta, x). Each returns the product as a function, so that several share what is cached.


def jvp_of_grad(sizes: tuple[int, ...], theta: Array, x: Array) -> Product:
    old = jax.lax.stop_gradient(dist_params(sizes, theta, x))
    gradient = jax.grad(lambda t: mean_kl(old, dist_params(sizes, t, x)))
    return lambda v: jax.jvp(gradient, (theta,), (v,))[1]


def linearized_grad(sizes: tuple[int, ...], theta: Array, x: Array) -> Product:
    old = jax.lax.stop_gradient(dist_params(sizes, theta, x))
    return jax.linearize(jax.grad(lambda t: mean_kl(old, dist_params(sizes, t, x))), theta)[1]


def vjp_of_jvp(sizes: tuple[int, ...], theta: Array, x: Array) -> Product:
    outputs = partial(dist_params, sizes, x=x)
    (_, log_std), pull = jax.vjp(outputs, theta)

    def product(v: Array) -> Array:
        mean_dot, log_std_dot = jax.jvp(outputs, (theta,), (v,))[1]
        return pull((mean_dot * jnp.exp(-2.0 * log_std) / len(x), 2.0 * log_std_dot))[0]

    return product


def linearized(sizes: tuple[int, ...], theta: Array, x: Array) -> Product:
    (_, log_std), push = jax.linearize(partial(dist_params, sizes, x=x), theta)
    pull = jax.linear_transpose(push, theta)

    def product(v: Array) -> Array:
        mean_dot, log_std_dot = push(v)
        return pull((mean_dot * jnp.exp(-2.0 * log_std) / len(x), 2.0 * log_std_dot))[0]

    return product


FORMS = {form.__name__: form for form in (jvp_of_grad, linearized_grad, vjp_of_jvp, linearized)}


def fisher_product(p: PolicyProblem, v: np.ndarray) -> list[Contender]:
    theta, x, v = (jnp.asarray(a, p.theta.dtype) for a in (p.theta, p.inputs, v))
    contenders = []
    for name, form in FORMS.items():

        @jax.jit
        def one(theta: Array, x: Array, v: Array, form: Any = form) -> Array:
            return form(p.sizes, theta, x)(v) + p.damping * v

        @jax.jit
        def many(theta: Array, x: Array, vs: Array, form: Any = form) -> Array:
            product = form(p.sizes, theta, x)
            return jax.lax.map(lambda v: product(v) + p.damping * v, vs)[0]

        vs = jnp.stack([v] * PRODUCTS) * jnp.arange(1, PRODUCTS + 1, dtype=v.dtype)[:, None]
        contenders += [
            Contender("jax", name, lambda f=one: f(theta, x, v).block_until_ready()),
            Contender(
                "jax", f"{name}, {PRODUCTS} a jit", lambda f=many, vs=vs: f(theta, x, vs).block_until_ready(), PRODUCTS
            ),
        ]
    return contenders


def conjugate_gradient(product: Product, b: Array, n_iterations: int) -> Array:
    def body(_: int, state: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        x, r, direction, rr = state
        image = product(direction)
        alpha = rr / (direction @ image)
        x, r = x + alpha * direction, r - alpha * image
        rr_new = r @ r
        return x, r, r + rr_new / rr * direction, rr_new

    return jax.lax.fori_loop(0, n_iterations, body, (jnp.zeros_like(b), b, b, b @ b))[0]


def solve(p: PolicyProblem, b: np.ndarray, n_iterations: int) -> list[Contender]:
    theta, x, b = (jnp.asarray(a, p.theta.dtype) for a in (p.theta, p.inputs, b))

    def contender(name: str) -> Contender:
        @jax.jit
        def call(theta: Array, x: Array, b: Array) -> Array:
            product = FORMS[name](p.sizes, theta, x)
            return conjugate_gradient(lambda v: product(v) + p.damping * v, b, n_iterations)

        return Contender("jax", f"{name}, one jit", lambda: call(theta, x, b).block_until_ready())

    return [contender(name) for name in FORMS]


def adam_fit(c: CriticProblem, theta: Array, inputs: Array, targets: Array, order: Array) -> Array:
    """All minibatch steps in one scan."""

    def loss(theta: Array, x: Array, y: Array) -> Array:
        return jnp.mean((forward(c.sizes, theta, x)[:, 0] - y) ** 2)

    def step(state: tuple[Array, Array, Array, Array], rows: Array) -> tuple[tuple[Array, Array, Array, Array], None]:
        theta, m, v, k = state
        gradient = jax.grad(loss)(theta, inputs[rows], targets[rows])
        m, v, k = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2, k + 1
        root = jnp.sqrt(v / (1.0 - 0.999**k)) + 1e-5
        return (theta - c.learning_rate / (1.0 - 0.9**k) * m / root, m, v, k), None

    zeros = jnp.zeros_like(theta)
    return jax.lax.scan(step, (theta, zeros, zeros, jnp.zeros((), theta.dtype)), order)[0][0]


def _critic_arrays(c: CriticProblem) -> tuple[Array, ...]:
    dtype = c.inputs.dtype
    return (*(jnp.asarray(a, dtype) for a in (c.state.theta, c.inputs, c.targets)), jnp.asarray(c.minibatches()))


def fit_critic(c: CriticProblem) -> list[Contender]:
    fit, arrays = jax.jit(partial(adam_fit, c)), _critic_arrays(c)
    return [Contender("jax", "scan over minibatches", lambda: fit(*arrays).block_until_ready(), c.n_steps)]


def policy_step(p: PolicyProblem, config: TRPOConfig, form: Any, theta: Array, x: Array, a: Array, adv: Array) -> Array:
    """The step that the line search accepts, or zeros."""
    radius, damping = joint_radius_and_damping(p.policy, config)
    adv = (adv - adv.mean()) / (adv.std() + 1e-8)
    old = jax.lax.stop_gradient(dist_params(p.sizes, theta, x))

    def log_prob(phi: tuple[Array, Array]) -> Array:
        mean, log_std = phi
        return (-0.5 * ((a - mean) * jnp.exp(-log_std)) ** 2 - log_std).sum(axis=1)

    def surrogate(phi: tuple[Array, Array]) -> Array:
        return (jnp.exp(log_prob(phi) - log_prob(old)) * adv).mean()

    before, gradient = jax.value_and_grad(lambda t: surrogate(dist_params(p.sizes, t, x)))(theta)
    product = form(p.sizes, theta, x)
    direction = conjugate_gradient(lambda v: product(v) + damping * v, gradient, config.cg_max_steps)
    x_f_x = direction @ (product(direction) + damping * direction)
    step = jnp.sqrt(2.0 * radius / x_f_x) * direction

    def rejected(k: Array) -> Array:
        phi = dist_params(p.sizes, theta + config.line_search_shrinking_factor**k * step, x)
        return ~((mean_kl(old, phi) <= radius) & (surrogate(phi) > before))

    def search(state: tuple[Array, Array]) -> tuple[Array, Array]:
        return state[0] + 1, rejected(state[0] + 1)

    start = jnp.zeros((), jnp.int32)
    tries = config.line_search_max_iter
    k, failed = jax.lax.while_loop(lambda s: s[1] & (s[0] + 1 < tries), search, (start, rejected(start)))
    return jnp.where(failed, 0.0, config.line_search_shrinking_factor**k * step).astype(theta.dtype)


def update(p: PolicyProblem, c: CriticProblem, config: TRPOConfig) -> list[Contender]:
    dtype = p.theta.dtype
    arrays = [jnp.asarray(a, dtype) for a in (p.theta, p.inputs, p.actions, p.advantages)]
    critic_arrays = _critic_arrays(c)

    def contender(name: str) -> Contender:
        @jax.jit
        def whole(arrays: list[Array], critic_arrays: tuple[Array, ...]) -> tuple[Array, Array]:
            return policy_step(p, config, FORMS[name], *arrays), adam_fit(c, *critic_arrays)

        return Contender("jax", f"{name}, one jit", lambda: jax.block_until_ready(whole(arrays, critic_arrays)))

    return [contender(name) for name in FORMS]
