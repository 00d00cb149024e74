"""A convolutional policy in JAX, everything jitted; images are float32 already, NHWC, which suits it best."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness.image_problems import ImageProblem
from benchmarks.harness.measuring import Contender
from trpo_fast import nets

Array = jax.Array
Product = Callable[[Array], Array]


def logits(p: ImageProblem, theta: Array, x: Array) -> Array:
    """theta (P,), x (N, H, W, S) -> (N, number of actions)."""
    begin = 0

    def take(*shape: int) -> Array:
        nonlocal begin
        size = int(np.prod(shape))
        begin += size
        return theta[begin - size : begin].reshape(shape)

    for layer in p.layers:
        if isinstance(layer, nets.Flatten):
            x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
            continue
        if isinstance(layer, nets.Conv2d):
            weight, bias = take(layer.filters, x.shape[3], *layer.kernel_size), take(layer.filters)
            strides, padding = (layer.stride,) * 2, [(layer.padding,) * 2] * 2
            x = jax.lax.conv_general_dilated(
                x, weight.transpose(2, 3, 1, 0), strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
        else:
            weight, bias = take(layer.width, x.shape[1]), take(layer.width)
            x = x @ weight.T
        x = {"relu": jax.nn.relu, "tanh": jnp.tanh, "identity": lambda z: z}[layer.activation_fn](x + bias)
    return x


def metric(phi: Array, phi_dot: Array) -> Array:
    """The categorical's metric, of a mean over rows."""
    probs = jax.nn.softmax(phi)
    return probs * (phi_dot - (probs * phi_dot).sum(axis=1, keepdims=True)) / len(phi)


def jvp_of_grad(f: Callable[[Array], Array], theta: Array) -> Product:
    old = jax.lax.stop_gradient(jax.nn.log_softmax(f(theta)))
    kl = jax.grad(lambda t: (jnp.exp(old) * (old - jax.nn.log_softmax(f(t)))).sum(axis=1).mean())
    return lambda v: jax.jvp(kl, (theta,), (v,))[1]


def vjp_of_jvp(f: Callable[[Array], Array], theta: Array) -> Product:
    phi, pull = jax.vjp(f, theta)
    return lambda v: pull(metric(phi, jax.jvp(f, (theta,), (v,))[1]))[0]


def linearized(f: Callable[[Array], Array], theta: Array) -> Product:
    phi, push = jax.linearize(f, theta)
    pull = jax.linear_transpose(push, theta)
    return lambda v: pull(metric(phi, push(v)))[0]


FORMS = {form.__name__: form for form in (jvp_of_grad, vjp_of_jvp, linearized)}


def _inputs(p: ImageProblem) -> tuple[Array, Array]:
    return jnp.asarray(p.theta, jnp.float32), jnp.asarray(p.floats().transpose(0, 2, 3, 1))


def image_forward(p: ImageProblem) -> list[Contender]:
    theta, x = _inputs(p)
    f = jax.jit(partial(logits, p))
    return [Contender("jax", "", lambda: f(theta, x).block_until_ready())]


def image_gradient(p: ImageProblem) -> list[Contender]:
    theta, x = _inputs(p)
    actions, advantages = jnp.asarray(p.actions), jnp.asarray(p.advantages, jnp.float32)

    @jax.jit
    def gradient(theta: Array, x: Array, actions: Array, advantages: Array) -> Array:
        def objective(t: Array) -> Array:
            log_prob = jnp.take_along_axis(jax.nn.log_softmax(logits(p, t, x)), actions[:, None], axis=1)[:, 0]
            return (jnp.exp(log_prob - jax.lax.stop_gradient(log_prob)) * advantages).mean()

        return jax.grad(objective)(theta)

    return [Contender("jax", "", lambda: gradient(theta, x, actions, advantages).block_until_ready())]


def image_product(p: ImageProblem, v: np.ndarray) -> list[Contender]:
    """One product a jit: in a loop of several, XLA's convolutions take a hundred times as long on a CPU."""
    theta, x = _inputs(p)
    vector = jnp.asarray(v, jnp.float32)
    contenders = []
    for name, form in FORMS.items():

        @jax.jit
        def product(theta: Array, x: Array, v: Array, form: Any = form) -> Array:
            return form(lambda t: logits(p, t, x), theta)(v) + p.damping * v

        contenders.append(Contender("jax", name, lambda f=product: f(theta, x, vector).block_until_ready()))
    return contenders
