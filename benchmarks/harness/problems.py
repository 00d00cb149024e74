"""The problems that the benchmarks share."""

from itertools import pairwise
from typing import NamedTuple

import gymnasium as gym
import numpy as np

from benchmarks.baselines import numpy_trpo
from trpo_fast import CriticState, Policy, ValueFunction

TOLERANCE = {"float32": 1e-4, "float64": 1e-9}  # of a product or gradient, relative


class Spaces(gym.Env):
    """An environment that is its spaces, never stepped."""

    def __init__(self, observation_space: gym.Space, action_space: gym.Space) -> None:
        self.observation_space, self.action_space = observation_space, action_space


class PolicyProblem(NamedTuple):
    """A Gaussian tanh policy at its initial parameters, a batch, and the NumPy oracle of the same policy."""

    sizes: tuple[int, ...]  # (obs_dim, hidden..., action_dim)
    policy: Policy
    theta: np.ndarray  # (P,)
    observations: np.ndarray  # (N, obs_dim), raw
    inputs: np.ndarray  # (N, obs_dim), normalised, of the policy's dtype
    actions: np.ndarray  # (N, action_dim)
    advantages: np.ndarray  # (N,)
    damping: float
    oracle: numpy_trpo.Policy

    @property
    def name(self) -> str:
        return f"{'-'.join(map(str, self.sizes))} N={len(self.inputs)} {self.policy.dtype}"

    @property
    def product_flops(self) -> int:
        """Of one Fisher-vector product: 4 W + 4 W2 a row, W weights in all, W2 without the first layer."""
        return len(self.inputs) * (4 * _weights(self.sizes) + 4 * _weights(self.sizes[1:]))


class CriticProblem(NamedTuple):
    """A tanh critic, its regression targets, and the order of the rows in minibatches."""

    sizes: tuple[int, ...]  # (obs_dim, hidden..., 1)
    value_function: ValueFunction
    state: CriticState
    inputs: np.ndarray  # (N, obs_dim)
    targets: np.ndarray  # (N,)
    order: np.ndarray  # (n_epochs, N)
    batch_size: int = 128
    learning_rate: float = 1e-3

    @property
    def n_steps(self) -> int:
        """Adam steps of one fit."""
        return len(self.order) * -(-len(self.inputs) // self.batch_size)

    @property
    def step_flops(self) -> int:
        """Of one minibatch: 4 W + 2 W2 a row."""
        return self.batch_size * (4 * _weights(self.sizes) + 2 * _weights(self.sizes[1:]))

    def minibatches(self) -> np.ndarray:
        """Rows of each Adam step, (n_steps, batch_size); N must be a multiple of the batch size."""
        return self.order.reshape(-1, self.batch_size)


def _weights(sizes: tuple[int, ...]) -> int:
    return sum(fan_in * fan_out for fan_in, fan_out in pairwise(sizes))


def policy_problem(sizes: tuple[int, ...], n: int, dtype: str, damping: float = 0.1, seed: int = 7) -> PolicyProblem:
    obs_dim, *widths, action_dim = sizes
    rng = np.random.default_rng(seed)
    observation_space = gym.spaces.Box(-np.inf, np.inf, (obs_dim,), np.float32)
    action_space = gym.spaces.Box(-1.0, 1.0, (action_dim,), np.float32)
    policy = Policy(observation_space, action_space, net_arch=widths, dtype=dtype)
    observations = rng.standard_normal((n, obs_dim))
    return PolicyProblem(
        sizes,
        policy,
        policy.initial_parameters(seed),
        observations,
        policy.normalize(observations),
        rng.standard_normal((n, action_dim)).astype(dtype),
        rng.standard_normal(n),
        damping,
        numpy_trpo.Policy(obs_dim, numpy_trpo.Gaussian(action_dim), widths),
    )


def critic_problem(inputs: np.ndarray, n_epochs: int = 10, seed: int = 7) -> CriticProblem:
    """A 64-64 critic on ``inputs`` (N, obs_dim), which also give the dtype."""
    n, obs_dim = inputs.shape
    space = gym.spaces.Box(-np.inf, np.inf, (obs_dim,), np.float32)
    value_function = ValueFunction(space, normalize_returns=False, dtype=inputs.dtype)
    targets = np.random.default_rng(seed).standard_normal(n)
    return CriticProblem(
        (obs_dim, 64, 64, 1),
        value_function,
        value_function.initial_state(seed),
        inputs,
        targets,
        sb3_order(n, n_epochs, seed),
    )


def sb3_order(n: int, n_epochs: int, seed: int) -> np.ndarray:
    """What sb3-contrib's train() draws after ``numpy.random.seed(seed)``, (n_epochs, n).

    It draws one permutation for the policy's batch, which needs none, and one an epoch.
    """
    stream = np.random.RandomState(seed)
    return np.stack([stream.permutation(n) for _ in range(n_epochs + 1)])[1:]
