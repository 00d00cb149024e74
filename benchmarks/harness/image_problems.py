"""The convolutional policies that the benchmarks share."""

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from benchmarks.baselines import numpy_trpo
from benchmarks.harness.problems import sb3_order
from trpo_fast import CriticState, Policy, TRPOConfig, ValueFunction, nets
from trpo_fast.spaces.observations import Observations

PAPER = "paper 4x52x40", (4, 52, 40), nets.PaperCNN(), 8
NATURE = "NatureCNN 4x84x84", (4, 84, 84), nets.NatureCNN(512), 6
Case = tuple[str, tuple[int, int, int], nets.Sequential, int]


class ImageProblem(NamedTuple):
    """A categorical policy on images at its initial parameters, a batch, and the NumPy oracle of the same policy."""

    name: str
    layers: tuple[Any, ...]  # of trpo_fast.nets, down to the logits
    policy: Policy
    theta: np.ndarray  # (P,)
    pixels: np.ndarray  # (N, S, H, W) uint8
    observations: Observations  # the same
    actions: np.ndarray  # (N,)
    advantages: np.ndarray  # (N,)
    damping: float
    oracle: numpy_trpo.Policy

    def floats(self) -> np.ndarray:
        """The images as networks take them, (N, S, H, W) float32."""
        return self.pixels.astype(np.float32) / np.float32(255.0)

    @property
    def weights(self) -> tuple[int, int]:
        """Multiplications of a row's forward pass, and those without the first layer's."""
        counts = []
        for node in self.policy.plan.nodes:
            if node.kind == "conv2d":
                counts.append(node.output_size * node.channels * node.kernel_size[0] * node.kernel_size[1])
            elif node.kind == "dense":
                counts.append(node.output_size * node.input_size)
        return sum(counts), sum(counts[1:])

    @property
    def flops(self) -> dict[str, int]:
        """Work of a forward pass, a gradient and a Fisher-vector product; W weights, W2 without the first layer's."""
        w, w2 = self.weights
        n = len(self.pixels)
        return {"forward": n * 2 * w, "gradient": n * (4 * w + 2 * w2), "product": n * (4 * w + 4 * w2)}


class ImageCriticProblem(NamedTuple):
    """A critic of the same network, its regression targets, and the order of the rows in minibatches."""

    value_function: ValueFunction
    state: CriticState
    inputs: Any  # of the network
    targets: np.ndarray  # (N,)
    order: np.ndarray  # (n_epochs, N)
    batch_size: int
    learning_rate: float


def image_critic_problem(p: ImageProblem, config: TRPOConfig, seed: int = 7) -> ImageCriticProblem:
    """The critic of a problem; its order is what sb3-contrib's train() draws."""
    network = {name: p.policy.policy_kwargs[name] for name in ("features_extractor", "net_arch")}
    value_function = ValueFunction(p.policy.observation_space, normalize_returns=False, **network)
    targets = np.random.default_rng(seed).standard_normal(len(p.pixels))
    order = sb3_order(len(p.pixels), config.n_critic_updates, seed)
    state, inputs = value_function.initial_state(seed), p.policy.critic_inputs(p.observations)
    return ImageCriticProblem(value_function, state, inputs, targets, order, config.batch_size, config.learning_rate)


def image_problem(case: Case, n: int, damping: float = 0.1, seed: int = 7) -> ImageProblem:
    """A problem of ``n`` images of noise in blocks, as large as those of games."""
    name, (channels, height, width), net, n_actions = case
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (n, channels, -(-height // 4), -(-width // 4)), dtype=np.uint8)
    pixels = np.ascontiguousarray(blocks.repeat(4, axis=2).repeat(4, axis=3)[:, :, :height, :width])
    observation_space = gym.spaces.Box(0, 255, pixels.shape[1:], np.uint8)
    policy = Policy(observation_space, gym.spaces.Discrete(n_actions), features_extractor=net, net_arch=[])
    return ImageProblem(
        f"{name} N={n}",
        (*net.layers, nets.Dense(n_actions, "identity")),
        policy,
        policy.initial_parameters(seed),
        pixels,
        policy.check_observations(policy.rows(pixels)[0]),
        rng.integers(0, n_actions, n),
        rng.standard_normal(n),
        damping,
        numpy_trpo.Policy(0, numpy_trpo.Categorical([n_actions]), network=graph(policy)),
    )


def graph(policy: Policy) -> numpy_trpo.Graph:
    """The oracle's network of a policy on images, which reads them as (N, H W S)."""
    nodes = []
    for i, node in enumerate(policy.plan.nodes):
        image = node.height, node.width, node.channels
        if node.kind == "conv2d":
            options = node.stride, node.padding, node.activation
            layer = numpy_trpo.Conv2d(*image, node.filters, node.kernel_size, *options)
        elif node.kind == "flatten":
            layer = numpy_trpo.flatten(*image)
        else:
            layer = numpy_trpo.Dense(node.input_size, node.output_size, node.activation)
        nodes.append((layer, (i,)))
    return numpy_trpo.Graph(nodes)
