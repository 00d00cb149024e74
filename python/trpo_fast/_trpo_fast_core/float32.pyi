"""
Kernels on single-precision arrays.
"""

from __future__ import annotations

import collections.abc
import typing

import trpo_fast._trpo_fast_core

__all__: list[str] = [
    "Actor",
    "AppendLogStd",
    "Bernoulli",
    "Categorical",
    "ClampLogStd",
    "Columns",
    "Conv2d",
    "Dense",
    "DiagGaussian",
    "Distribution",
    "EmpiricalFisherOperator",
    "FisherOperator",
    "Flatten",
    "Gru",
    "KFACPreconditioner",
    "Layer",
    "Linearization",
    "Network",
    "PolicyObjective",
    "Product",
    "Sequences",
    "SurrogateObjective",
    "UnitGaussian",
    "ValueFit",
    "VineObjective",
    "normalize",
    "to_env",
]

class Layer:
    @property
    def input_size(self) -> int: ...
    @property
    def num_params(self) -> int: ...
    @property
    def output_size(self) -> int: ...

class Dense(Layer):
    """
    y = activation(x W^T + b)
    """
    def __init__(
        self,
        input_size: typing.SupportsInt | typing.SupportsIndex,
        output_size: typing.SupportsInt | typing.SupportsIndex,
        activation: str,
    ) -> None: ...

class AppendLogStd(Layer):
    """
    y = [x, log_std], a state-independent log standard deviation
    """
    def __init__(self, size: typing.SupportsInt | typing.SupportsIndex) -> None: ...

class ClampLogStd(Layer):
    """
    y = [mean, clamp(log_std)] of x = [mean, log_std]
    """
    def __init__(self, size: typing.SupportsInt | typing.SupportsIndex) -> None: ...

class Conv2d(Layer):
    """
    y = activation(conv(x)) on rows that are images (height, width, channels); theta is W (filters, channels, *kernel_size), then b (filters)
    """
    def __init__(
        self,
        height: typing.SupportsInt | typing.SupportsIndex,
        width: typing.SupportsInt | typing.SupportsIndex,
        channels: typing.SupportsInt | typing.SupportsIndex,
        filters: typing.SupportsInt | typing.SupportsIndex,
        kernel_size: tuple[typing.SupportsInt | typing.SupportsIndex, typing.SupportsInt | typing.SupportsIndex],
        stride: typing.SupportsInt | typing.SupportsIndex,
        padding: typing.SupportsInt | typing.SupportsIndex,
        activation: str,
    ) -> None: ...

class Flatten(Layer):
    """
    images (height, width, channels) in the order (channels, height, width)
    """
    def __init__(
        self,
        height: typing.SupportsInt | typing.SupportsIndex,
        width: typing.SupportsInt | typing.SupportsIndex,
        channels: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...

class Columns(Layer):
    """
    y = x[:, first : first + count]
    """
    def __init__(
        self,
        input_size: typing.SupportsInt | typing.SupportsIndex,
        first: typing.SupportsInt | typing.SupportsIndex,
        count: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...

class Gru(Layer):
    """
    Gated recurrent units, as PyTorch's; theta is W (3 output_size, input_size), U (3 output_size, output_size) and b
    (3 output_size), each in the order r, z, n, then the bias of n's product with the state (output_size)
    """
    def __init__(
        self,
        input_size: typing.SupportsInt | typing.SupportsIndex,
        output_size: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...

class Sequences:
    """
    Which of N rows follow each other in time: N / length lanes of `length` rows. `lanes` of them are a block;
    row t * lanes + b of a block is step t of its lane b. The last block may have fewer lanes
    """
    def __init__(
        self,
        lanes: typing.SupportsInt | typing.SupportsIndex,
        length: typing.SupportsInt | typing.SupportsIndex,
        starts: typing.Any,
        states: typing.Any,
        padding: typing.Any = None,
    ) -> None:
        """
        starts: (N,) uint8, not 0 where a row begins an episode; states: (N / length, state_size), before the
        first row of each lane; padding: (N,) uint8, not 0 where a row counts nowhere, or None. All are copied
        """

class Network:
    """
    Layers over one flat theta
    """
    @typing.overload
    def __init__(self, layers: collections.abc.Sequence[Layer], is_masked: bool = False) -> None:
        """
        A chain. is_masked: x has one more column for each output, 0 where the output becomes -Inf
        """
    @typing.overload
    def __init__(
        self,
        layers: collections.abc.Sequence[
            tuple[
                Layer,
                typing.SupportsInt
                | typing.SupportsIndex
                | collections.abc.Sequence[typing.SupportsInt | typing.SupportsIndex],
            ]
        ],
        is_masked: bool = False,
        images: collections.abc.Sequence[
            tuple[
                typing.SupportsInt | typing.SupportsIndex,
                typing.SupportsInt | typing.SupportsIndex,
                typing.SupportsInt | typing.SupportsIndex,
                typing.SupportsFloat | typing.SupportsIndex,
            ]
        ] = [],
    ) -> None:
        """
        Pairs of a layer and the buffer that it reads, or a tuple of several that it reads side by side. Buffer 0 is
        the vector, 1..k are the k images (height, width, channels, scale), and 1 + k + j is the output of layer j.
        The last output is the network's
        """
    def forward(self, theta: typing.Any, x: typing.Any, out: typing.Any, last_states: typing.Any = None) -> None:
        """
        out = f(x; theta); last_states = the state after the last row of each lane
        """
    @property
    def input_size(self) -> int: ...
    @property
    def num_params(self) -> int: ...
    @property
    def output_size(self) -> int: ...
    @property
    def state_size(self) -> int: ...

class Linearization:
    """
    A network at (theta, x): jvp and vjp
    """
    def __init__(self, network: Network, theta: typing.Any, x: typing.Any) -> None: ...
    def jvp(self, dtheta: typing.Any, out: typing.Any) -> None:
        """
        out = J dtheta
        """
    def vjp(self, phi_bar: typing.Any, out: typing.Any) -> None:
        """
        out = J^T phi_bar
        """

class Distribution:
    """
    pi(a | phi) over rows of parameters
    """
    def entropy(self, phi: typing.Any, out: typing.Any) -> None: ...
    def entropy_vjp(
        self, phi: typing.Any, weight: typing.SupportsFloat | typing.SupportsIndex, out: typing.Any
    ) -> None: ...
    def fisher_metric(self, phi: typing.Any, out: typing.Any) -> None: ...
    def kl_divergence(self, p: typing.Any, q: typing.Any, out: typing.Any) -> None: ...
    def log_prob(self, phi: typing.Any, actions: typing.Any, out: typing.Any) -> None: ...
    def log_prob_vjp(self, phi: typing.Any, actions: typing.Any, weight: typing.Any, out: typing.Any) -> None: ...
    def log_ratio(self, p: typing.Any, q: typing.Any, actions: typing.Any, out: typing.Any) -> None: ...
    def mode(self, phi: typing.Any, out: typing.Any) -> None: ...
    def multiply_fisher(self, metric: typing.Any, dphi: typing.Any, out: typing.Any) -> None: ...
    def sample(self, phi: typing.Any, noise: typing.Any, out: typing.Any) -> None: ...
    @property
    def action_size(self) -> int: ...
    @property
    def num_dist_params(self) -> int: ...

class DiagGaussian(Distribution):
    """
    phi = [mean, log_std]
    """
    def __init__(self, size: typing.SupportsInt | typing.SupportsIndex) -> None: ...

class Categorical(Distribution):
    """
    phi = logits of one choice
    """
    def __init__(self, num_choices: typing.SupportsInt | typing.SupportsIndex) -> None: ...

class Bernoulli(Distribution):
    """
    phi = logits of independent bits
    """
    def __init__(self, num_bits: typing.SupportsInt | typing.SupportsIndex) -> None: ...

class UnitGaussian(Distribution):
    """
    phi = mean, with variances of 1
    """
    def __init__(self, size: typing.SupportsInt | typing.SupportsIndex) -> None: ...

class Product(Distribution):
    """
    Independent factors in adjacent columns
    """
    def __init__(self, factors: collections.abc.Sequence[Distribution]) -> None: ...

class PolicyObjective:
    """
    L(theta') and the KL divergence that bounds the step
    """
    def evaluate(self, theta_new: typing.Any) -> tuple[float, float, float, float]:
        """
        (surrogate, mean_kl, max_kl, entropy) at theta_new
        """
    def gradient(self, out: typing.Any) -> None:
        """
        out = grad L at theta' = theta
        """

class SurrogateObjective(PolicyObjective):
    """
    L(theta') = mean(ratio * advantage) + ent_coef * mean(entropy)
    """
    def __init__(
        self,
        network: Network,
        distribution: Distribution,
        theta: typing.Any,
        x: typing.Any,
        actions: typing.Any,
        advantages: typing.Any,
        ent_coef: typing.SupportsFloat | typing.SupportsIndex,
        n_threads: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...

class VineObjective(PolicyObjective):
    """
    L(theta') = mean(sum(w Q) / sum(w)) + ent_coef * mean(entropy)
    """
    def __init__(
        self,
        network: Network,
        distribution: Distribution,
        theta: typing.Any,
        x: typing.Any,
        actions: typing.Any,
        q_values: typing.Any,
        proposal: str,
        ent_coef: typing.SupportsFloat | typing.SupportsIndex,
        n_threads: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...

class FisherOperator(trpo_fast._trpo_fast_core.LinearOperator):
    """
    F v = mean J^T M J v + damping v
    """
    @typing.overload
    def __init__(
        self,
        network: Network,
        distribution: Distribution,
        theta: typing.Any,
        x: typing.Any,
        damping: typing.SupportsFloat | typing.SupportsIndex,
        n_threads: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...
    @typing.overload
    def __init__(
        self,
        objective: PolicyObjective,
        damping: typing.SupportsFloat | typing.SupportsIndex,
        n_threads: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...

class EmpiricalFisherOperator(trpo_fast._trpo_fast_core.LinearOperator):
    """
    F v + damping v, with the outer product of the score of each row's action in place of M
    """
    def __init__(
        self,
        network: Network,
        distribution: Distribution,
        theta: typing.Any,
        x: typing.Any,
        actions: typing.Any,
        damping: typing.SupportsFloat | typing.SupportsIndex,
        n_threads: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...

class KFACPreconditioner(trpo_fast._trpo_fast_core.LinearOperator):
    """
    M^-1 v, an approximation of (F + damping)^-1 v
    """
    def __init__(
        self,
        network: Network,
        distribution: Distribution,
        theta: typing.Any,
        x: typing.Any,
        actions: typing.Any,
        damping: typing.SupportsFloat | typing.SupportsIndex,
        n_threads: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...
    @property
    def identity_layers(self) -> list[int]: ...

class ValueFit:
    """
    Epochs of minibatch Adam on the critic's squared error
    """
    def __init__(
        self,
        network: Network,
        x: typing.Any,
        targets: typing.Any,
        order: typing.Any,
        batch_size: typing.SupportsInt | typing.SupportsIndex,
        learning_rate: typing.SupportsFloat | typing.SupportsIndex,
        theta: typing.Any,
        first_moment: typing.Any,
        second_moment: typing.Any,
        n_steps: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...
    def finish(self) -> None:
        """
        Wait for the fit; execute it here if no other thread has started it
        """
    def read(self, theta: typing.Any, first_moment: typing.Any, second_moment: typing.Any) -> tuple[float, int, bool]:
        """
        Write the state of Adam, after finish(); returns (loss, n_steps, finite)
        """
    def start(self) -> None:
        """
        Let another thread start the fit, if one is available
        """

class Actor:
    """
    A policy at one theta that acts
    """
    def __init__(
        self,
        network: Network,
        distribution: Distribution,
        normalizer: trpo_fast._trpo_fast_core.Normalizer,
        action_range: trpo_fast._trpo_fast_core.ActionRange,
        theta: typing.Any,
    ) -> None: ...
    def act(
        self,
        observations: typing.Any,
        noise: typing.Any,
        out: typing.Any,
        env_actions: typing.Any = None,
        states: typing.Any = None,
    ) -> None:
        """
        out = actions sampled with the given noise, or the most probable ones if noise is None;
        env_actions = the same, as actions of the environment; states (n, state_size), of a network that has one, are
        those before the observations (0 where an episode begins), and become those after them
        """

def normalize(normalizer: trpo_fast._trpo_fast_core.Normalizer, x: typing.Any, out: typing.Any) -> None:
    """
    out = normalised observations, rounded once
    """

def to_env(action_range: trpo_fast._trpo_fast_core.ActionRange, actions: typing.Any, out: typing.Any) -> None:
    """
    out = actions of the environment
    """
