"""The product that every property runs over: networks x distributions x dtypes. A new one costs one line here."""

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import numpy_trpo as oracle
import pytest

from trpo_fast import Policy
from trpo_fast.nets import Conv2d, Dense, Flatten, Parallel, Sequential
from trpo_fast.policies.plan import Plan, PlannedNode

OBS_DIM = 5
# net_arch, activation: depths 0-3, widths that are multiples of nothing
NETWORKS = [((), "tanh"), ((7,), "tanh"), ((13, 3), "relu"), ((9, 11), "elu"), ((6, 5, 4), "silu"), ((8,), "identity")]
CAMERA = gym.spaces.Dict(camera=gym.spaces.Box(0, 255, (7, 9, 3), np.uint8), vector=gym.spaces.Box(-9, 9, (OBS_DIM,)))
CONVOLUTIONS = Conv2d(3, (3, 2), 2, activation_fn="tanh"), Conv2d(5, 2, padding=1, activation_fn="elu")
# net_arch, activation, features extractor of CAMERA: sizes and strides that divide nothing
IMAGE_NETWORKS = [
    ((6,), "tanh", Parallel({"camera": Sequential(*CONVOLUTIONS, Flatten(), Dense(4))})),
    ((), "silu", Parallel({"camera": Conv2d(2, 4, 3), "vector": Dense(3)})),
]
ACTION_SPACES = {
    "Gaussian": gym.spaces.Box(-1.0, 1.0, (3,), np.float32),
    "Gaussian1": gym.spaces.Box(-1.0, 1.0, (1,), np.float32),
    "Categorical": gym.spaces.Discrete(4),
    "MultiDiscrete": gym.spaces.MultiDiscrete([2, 5, 3]),
    "Bernoulli": gym.spaces.MultiBinary(4),
    "GaussianOutputStd": gym.spaces.Box(-1.0, 1.0, (2,), np.float32),
    "GaussianSquashed": gym.spaces.Box(-1.0, 3.0, (2,), np.float32),
    "CategoricalMasked": gym.spaces.Discrete(5),
    "MultiDiscreteMasked": gym.spaces.MultiDiscrete([2, 4, 3]),
}
OPTIONS = {
    "GaussianOutputStd": {"state_dependent_std": True},
    "GaussianSquashed": {"squash": True},
    "CategoricalMasked": {"use_masking": True},
    "MultiDiscreteMasked": {"use_masking": True},
}
DTYPES = ("float32", "float64")
BATCH_SIZES = (1, 3, 257, 600)  # one row, below a block, one over a block, several blocks


class Case(NamedTuple):
    """A policy at random parameters, a batch of its own actions, and the NumPy oracle of the same policy."""

    policy: Policy
    theta: np.ndarray
    observations: np.ndarray
    actions: np.ndarray
    advantages: np.ndarray
    oracle: oracle.Policy
    rng: np.random.Generator

    @property
    def oracle_theta(self) -> np.ndarray:
        return self.theta.astype(np.float64)

    @property
    def inputs(self) -> np.ndarray:
        """What the oracle reads: the vector, pixels (height, width, channels) if there are any, and masks."""
        inputs = self.policy.normalize(self.observations)
        if not isinstance(inputs, tuple):
            return inputs.astype(np.float64)
        pixels = self.observations["camera"].transpose(0, 2, 3, 1).reshape(len(self.observations), -1) / 255.0
        vector, masks = np.split(inputs[0].astype(np.float64), [OBS_DIM], axis=1)
        return np.hstack([vector, pixels, masks])

    def vector(self) -> np.ndarray:
        return self.rng.standard_normal(self.policy.num_params)


class OutputStd(oracle.Policy):
    """The oracle of a Gaussian whose log standard deviations are outputs of the network, clipped."""

    def __init__(self, obs_dim: int, distribution: Any, net_arch: Any, activation: str) -> None:
        distribution.num_outputs, distribution.num_log_std = 2 * distribution.num_log_std, 0
        super().__init__(obs_dim, distribution, net_arch, activation)

    def linearize(self, theta: np.ndarray, obs: np.ndarray) -> Any:
        phi, jvp, vjp = super().linearize(theta, obs)
        is_log_std = np.arange(phi.shape[1]) >= phi.shape[1] // 2
        clipped = np.where(is_log_std, np.clip(phi, oracle.LOG_STD_MIN, oracle.LOG_STD_MAX), phi)
        slope = clipped == phi
        return clipped, lambda v: slope * jvp(v), lambda phi_bar: vjp(slope * phi_bar)


IMPOSSIBLE = -1e9  # a logit whose exp is 0


class Masked(oracle.Policy):
    """The oracle of choices of which some are impossible: their logits are so low that exp gives 0."""

    def linearize(self, theta: np.ndarray, obs: np.ndarray) -> Any:
        obs, mask = np.split(obs, [-self.distribution.num_outputs], axis=1)
        phi, jvp, vjp = super().linearize(theta, obs)
        possible = mask != 0.0
        return np.where(possible, phi, IMPOSSIBLE), lambda v: possible * jvp(v), lambda phi_bar: vjp(possible * phi_bar)


class PlanOracle(oracle.Graph):
    """The network of a plan, which reads vector and pixels side by side."""

    def __init__(self, plan: Plan) -> None:
        nodes = [(self._layer(node), node.buffers) for node in plan.nodes if not node.kind.endswith("log_std")]
        super().__init__(nodes, 1 + len(plan.images))
        self._ends = np.cumsum([plan.num_features, *(height * width * s for height, width, s, _ in plan.images)])

    @staticmethod
    def _layer(node: PlannedNode) -> Any:
        if node.kind == "dense":
            return oracle.Dense(node.input_size, node.output_size, node.activation)
        image = node.height, node.width, node.channels
        if node.kind == "conv2d":
            window = node.kernel_size, node.stride, node.padding
            return oracle.Conv2d(*image, node.filters, *window, node.activation)
        return (
            oracle.flatten(*image)
            if node.kind == "flatten"
            else oracle.columns(node.input_size, node.first, node.output_size)
        )

    def forward(self, theta: np.ndarray, x: np.ndarray) -> Any:
        return super().forward(theta, tuple(np.split(x, self._ends[:-1], axis=1)))


SCALES = {"GaussianOutputStd": 0.6}  # log standard deviations of +-6 make any function of them ill-conditioned
ORACLES = {"GaussianOutputStd": OutputStd, "CategoricalMasked": Masked, "MultiDiscreteMasked": Masked}


def random_masks(action_space: gym.Space[Any], n: int, rng: np.random.Generator) -> np.ndarray:
    """(n, K) zeros and ones; of every choice at least one is left, in about one row of eight no more than that."""
    parts = [int(action_space.n)] if isinstance(action_space, gym.spaces.Discrete) else action_space.nvec.tolist()
    scores = [rng.random((n, size)) for size in parts]
    return np.hstack([(s < rng.random((n, 1))) | (s == s.min(axis=1, keepdims=True)) for s in scores]).astype(float)


def oracle_distribution(space: gym.Space[Any]) -> Any:
    if isinstance(space, gym.spaces.Box):
        return oracle.Gaussian(int(np.prod(space.shape)))
    if isinstance(space, gym.spaces.Discrete):
        return oracle.Categorical([int(space.n)])
    if isinstance(space, gym.spaces.MultiDiscrete):
        return oracle.Categorical(space.nvec.tolist())
    return oracle.Bernoulli(int(space.shape[0]))


def make_case(
    space: str = "Gaussian",
    network: tuple[Any, ...] = ((7,), "tanh"),
    dtype: str = "float64",
    n: int = 257,
    seed: int = 0,
    scale: float = 0.5,
) -> Case:
    """``scale`` is the standard deviation of theta: 0.5 puts every layer well into its nonlinearity."""
    rng = np.random.default_rng([seed, n, len(network[0])])
    action_space = ACTION_SPACES[space]
    net_arch, activation, *extractors = network
    policy = Policy(
        CAMERA if extractors else gym.spaces.Box(-np.inf, np.inf, (OBS_DIM,)),
        action_space,
        net_arch=net_arch,
        activation_fn=activation,
        features_extractor=extractors[0] if extractors else None,
        dtype=dtype,
        **OPTIONS.get(space, {}),
    )
    scale *= SCALES.get(space, 1.0)
    theta = (scale * rng.standard_normal(policy.num_params)).astype(dtype)
    observations = rng.standard_normal((n, OBS_DIM))
    if policy.action_masks is not None:
        observations = np.hstack([observations, random_masks(action_space, n, rng)])
    if extractors:
        vectors, observations = observations, np.zeros(n, policy.observation_codec.dtype)
        observations["vector"] = vectors
        observations["camera"] = rng.integers(0, 256, (n, 3, 7, 9))
    noise = rng.standard_normal((n, policy.codec.size)).astype(dtype)
    rows = np.empty_like(noise)
    policy.act(theta, observations, noise, rows)
    graph = {"network": PlanOracle(policy.plan)} if extractors else {}
    distribution = oracle_distribution(action_space)
    reference = ORACLES.get(space, oracle.Policy)(OBS_DIM, distribution, net_arch, activation, **graph)
    advantages = rng.standard_normal(n)
    return Case(policy, theta, observations, policy.codec.decode(rows), advantages, reference, rng)


def all_cases(images: bool = False, **fixed: Any) -> Any:
    """Parametrise a test over networks x distributions x dtypes (those not ``fixed``); with networks on images, too."""
    spaces = [fixed["space"]] if "space" in fixed else ACTION_SPACES
    cases = [(space, network, network[1]) for space in spaces for network in NETWORKS]
    if images:
        cases += [
            (space, network, "images") for space in ("Gaussian", "CategoricalMasked") for network in IMAGE_NETWORKS
        ]
    marks = [
        pytest.param({"space": space, "network": network, "dtype": dtype, **fixed}, id=f"{space}-{name}-{dtype}")
        for space, network, name in cases
        for dtype in ([fixed["dtype"]] if "dtype" in fixed else DTYPES)
    ]
    return pytest.mark.parametrize("spec", marks)


def relative_error(actual: Any, expected: Any) -> float:
    """||actual - expected|| / ||expected||, absolute where expected is 0."""
    expected = np.asarray(expected, dtype=np.float64)
    difference = float(np.linalg.norm(np.asarray(actual, dtype=np.float64) - expected))
    return difference / (float(np.linalg.norm(expected)) or 1.0)


def tolerance(dtype: str, float64: float, float32: float) -> float:
    return float64 if dtype == "float64" else float32
