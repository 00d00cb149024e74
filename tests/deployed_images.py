"""Policies with images and features extractors that leave Python, and an oracle of their networks in NumPy."""

from dataclasses import replace
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from trpo_fast import Policy, save_policy
from trpo_fast.nets import Conv2d, Dense, Flatten, PaperCNN, Parallel, Sequential
from trpo_fast.policies.normalization import RunningMeanStd
from trpo_fast.spaces.leaves import images_of

N = 300


def image(*shape):
    return gym.spaces.Box(0, 255, shape, np.uint8)


PARTS = gym.spaces.Dict(
    camera=image(9, 8, 1), depth=image(2, 7, 5), goal=gym.spaces.Discrete(4), state=gym.spaces.Box(-5.0, 5.0, (3,))
)
BRANCHES = Parallel({"camera": Sequential(Conv2d(3, 3, stride=2), Flatten(), Dense(6)), "state": Dense(5)})
ODD = Sequential(
    Conv2d(5, (3, 2), stride=2, padding=1, activation_fn="tanh"),
    Conv2d(21, 2, activation_fn="elu"),
    Conv2d(33, (1, 3), padding=0, activation_fn="silu"),
)
# name -> observation space, action space, policy's options
IMAGE_CASES = {
    "nature": (image(36, 37, 3), gym.spaces.Box(-1.0, 1.0, (2,)), {"ortho_init": False}),
    "paper": (image(4, 26, 20), gym.spaces.Discrete(4), {"features_extractor": PaperCNN("tanh")}),
    "odd": (
        image(13, 9, 3),
        gym.spaces.Box(np.float32([-1.0, 0.0]), np.float32([1.0, 3.0])),
        {"features_extractor": ODD, "net_arch": [7], "squash": True, "state_dependent_std": True},
    ),
    "parts": (
        PARTS,
        gym.spaces.MultiDiscrete([3, 2]),
        {"features_extractor": BRANCHES, "net_arch": [16], "normalize_images": False, "use_masking": True},
    ),
    "vectors": (
        gym.spaces.Dict(goal=gym.spaces.Discrete(4), state=gym.spaces.Box(-5.0, 5.0, (3,))),
        gym.spaces.MultiBinary(3),
        {"features_extractor": Parallel({"state": Dense(9)})},
    ),
}


class Observed(NamedTuple):
    """Observations: numbers (n, D) of float32, images (n, channels, height, width), and both as the policy has them."""

    numbers: np.ndarray
    images: list[np.ndarray]
    encoded: Any


def made_of_images(name, dtype, path):
    """A policy of random parameters whose outputs are of size 1, with statistics far from 0 and 1; in a file."""
    observation_space, action_space, options = IMAGE_CASES[name]
    policy = Policy(observation_space, action_space, dtype=dtype, **options)
    rng = np.random.default_rng(list(name.encode()))
    theta = policy.initial_parameters(0)
    views = policy.unflatten(theta)
    views[f"{policy.plan.last_layer}.weight"][:] *= 100.0  # of 0.01 that they begin with
    if not policy.policy_kwargs.get("normalize_images", True):
        views["features.camera.0.weight"][:] /= 255.0
        views["layers.0.weight"][:, 6:76] /= 255.0  # of the other image, which is flattened
    for key, view in views.items():
        view += (0.3 if key.endswith("bias") or key == "log_std" else 0.0) * rng.standard_normal(view.shape)
    is_number = policy.observation_codec.is_continuous
    mean = np.where(is_number, 3.0 * rng.standard_normal(len(is_number)), 0.0)
    var = np.where(is_number, 10.0 ** rng.uniform(-2, 2, len(is_number)), 1.0)
    statistics = RunningMeanStd(mean, var, 10.0)
    policy = policy.with_normalizer(replace(policy.normalizer, statistics=statistics))
    save_policy(path, policy, theta)
    return policy, theta


def observed_images(policy, n, rng):
    """Observations with images of blocks of random shades and with noise."""
    codec, statistics = policy.observation_codec, policy.normalizer.statistics
    numbers = statistics.mean + np.sqrt(statistics.var) * rng.standard_normal((n, codec.size))
    numbers[:, ~codec.is_continuous] = rng.integers(2, size=(n, int((~codec.is_continuous).sum())))
    if policy.action_masks is not None:
        numbers[:, -policy.action_masks.size :] = rng.integers(2, size=(n, policy.action_masks.size))
        numbers[:, [-1, -3]] = 1.0  # a choice at least
    numbers = numbers.astype(np.float32)
    images = []
    for leaf in images_of(policy.observation_space):
        blocks = rng.integers(180, size=(n, leaf.channels, -(-leaf.height // 5), -(-leaf.width // 5)))
        blocks = blocks.repeat(5, axis=2).repeat(5, axis=3)[:, :, : leaf.height, : leaf.width]
        images.append((blocks + rng.integers(76, size=blocks.shape)).astype(np.uint8))
    encoded = numbers.astype(np.float64)
    if images:
        encoded = np.empty(n, codec.dtype)
        encoded["vector"] = numbers
        for leaf, pixels in zip(codec.images, images, strict=True):
            encoded[leaf.name] = pixels
    return Observed(numbers, images, encoded)


def in_their_space(policy, images):
    """Images as the space has them, by name."""
    leaves = images_of(policy.observation_space)
    return {
        leaf.name: np.ascontiguousarray(np.moveaxis(pixels, 1, -1) if leaf.is_channels_last else pixels)
        for leaf, pixels in zip(leaves, images, strict=True)
    }


ACTIVATIONS = {
    "identity": lambda z: z,
    "relu": lambda z: np.maximum(z, 0.0),
    "tanh": np.tanh,
    "elu": lambda z: np.where(z > 0.0, z, np.expm1(np.minimum(z, 0.0))),
    "silu": lambda z: z / (1.0 + np.exp(-z)),
}


def convolved(x, weight, bias, stride, padding):
    """Channels first, (n, C, H, W) to (n, O, OH, OW), a patch at a time."""
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    _, _, kernel_height, kernel_width = weight.shape
    rows = range(0, x.shape[2] - kernel_height + 1, stride)
    columns = range(0, x.shape[3] - kernel_width + 1, stride)
    out = np.empty((len(x), len(weight), len(rows), len(columns)))
    for i, top in enumerate(rows):
        for j, left in enumerate(columns):
            patch = x[:, :, top : top + kernel_height, left : left + kernel_width]
            out[:, :, i, j] = np.einsum("nchw,ochw->no", patch, weight) + bias
    return out


def forwarded(net, x, parameters, name, activation):
    """What a network of ``trpo_fast.nets`` makes of x: an array, or a dict of arrays by key."""
    if isinstance(net, Sequential):
        for i, layer in enumerate(net.layers):
            x = forwarded(layer, x, parameters, f"{name}.{i}", activation)
        return x
    if isinstance(net, Parallel):
        nets = dict(net.nets)
        names = {key: f"{name}.{key}" for key in x}
        parts = []
        for key, part in x.items():
            branch = nets.get(key, Flatten())
            single = isinstance(branch, Dense | Conv2d)
            out = forwarded(branch, part, parameters, names[key] + ".0" * single, activation)
            parts.append(out.reshape(len(out), -1))
        return np.concatenate(parts, axis=1)
    if isinstance(net, Flatten):
        return x.reshape(len(x), -1)
    weight, bias = (parameters[f"{name}.{part}"].astype(np.float64) for part in ("weight", "bias"))
    activate = ACTIVATIONS[net.activation_fn or activation]
    if isinstance(net, Conv2d):
        return activate(convolved(x, weight, bias, net.stride, net.padding))
    return activate(x.reshape(len(x), -1) @ weight.T + bias)
