"""Policy: a network that puts out distribution parameters, the distribution, and the observation normaliser."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast._ext import core, kernels
from trpo_fast.distributions import ActionCodec
from trpo_fast.mlp import MLP
from trpo_fast.normalization import ObservationNormalizer, RunningMeanStd
from trpo_fast.observations import ObservationCodec
from trpo_fast.validation import check_flag, check_real, float_array, float_dtype

LOG_STD_INIT = -0.5  # a standard deviation of 0.6
MIN_LOG_STD, MAX_LOG_STD = -20.0, 2.0  # the kernels' clamp

Actor: TypeAlias = core.float32.Actor | core.float64.Actor


class Policy:
    """pi(a | s; theta): Network composed with Distribution. theta is an argument of every method.

    Parameters
    ----------
    observation_space : gymnasium.spaces.Box, Discrete, MultiDiscrete, MultiBinary, or a Dict or Tuple of them
        Observations are flattened; choices become one-hot vectors (``observations.py``).
    action_space : gymnasium.spaces.Box, Discrete, MultiDiscrete or MultiBinary
    net_arch : sequence of int
        Widths of the hidden layers.
    activation_fn : {"tanh", "relu", "elu", "silu", "identity"}
    log_std_init : float
        Initial log standard deviation of a Box action, in -20..2.
    ortho_init : bool
        Orthogonal initialisation, the last layer scaled by 0.01; otherwise uniform in +-1/sqrt(fan_in).
    normalize_observations : bool
        Normalise observations by running statistics kept in ``normalizer``, but for choices.
    dtype : {"float32", "float64"}
        Of theta and of the kernels.

    Attributes
    ----------
    observation_codec : ObservationCodec
        How observations become rows.
    normalizer : ObservationNormalizer
        Immutable; training replaces it between iterations.

    Raises
    ------
    UnsupportedSpaceError, InvalidArgumentError
    """

    def __init__(
        self,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        *,
        net_arch: Sequence[int] = (64, 64),
        activation_fn: str = "tanh",
        log_std_init: float = LOG_STD_INIT,
        ortho_init: bool = True,
        normalize_observations: bool = True,
        dtype: npt.DTypeLike = "float32",
    ) -> None:
        self.observation_space = observation_space
        self.action_space = action_space
        self.dtype = float_dtype("dtype", dtype)
        self.log_std_init = check_real("log_std_init", log_std_init, at_least=MIN_LOG_STD, at_most=MAX_LOG_STD)
        self.codec = ActionCodec(action_space, self.dtype)
        self.observation_codec = ObservationCodec(observation_space)
        self._mlp = MLP(
            self.observation_codec.size,
            self.codec.num_network_outputs,
            net_arch=net_arch,
            activation_fn=activation_fn,
            ortho_init=ortho_init,
            output_gain=0.01,
            dtype=self.dtype,
            append_log_std=self.codec.is_box,
        )
        self.normalizer = ObservationNormalizer(
            RunningMeanStd.initial(self.observation_codec.size),
            enabled=check_flag("normalize_observations", normalize_observations),
            columns=self.observation_codec.is_continuous,
        )
        self.network = self._mlp.network
        self.distribution = self.codec.distribution

    @property
    def num_params(self) -> int:
        """Length P of theta."""
        return self._mlp.num_params

    def initial_parameters(self, seed: int | np.random.SeedSequence) -> npt.NDArray[Any]:
        """A fresh theta, shape (P,), of the policy's dtype."""
        theta = self._mlp.initial_parameters(np.random.default_rng(seed))
        if self.codec.is_box:
            self.unflatten(theta)["log_std"][:] = self.log_std_init
        return theta

    def unflatten(self, theta: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """Views of theta (P,) by name: "layers.0.weight" (out, in), "layers.0.bias", ..., "log_std" (Box only).

        The views are writable if theta is.
        """
        return self._mlp.unflatten(theta)

    def check_theta(self, theta: Any, name: str = "theta") -> npt.NDArray[Any]:
        """``theta`` as a contiguous (P,) array of the policy's dtype; anything else raises InvalidArgumentError."""
        return self._mlp.check_theta(theta, name)

    def check_observations(self, observations: Any) -> npt.NDArray[np.float64]:
        """``observations`` as a contiguous (N, obs_dim) float64 array; InvalidArgumentError if they are none."""
        return float_array("observations", observations, (None, self._mlp.num_inputs), np.float64)

    def normalize(self, observations: Any, normalizer: ObservationNormalizer | None = None) -> npt.NDArray[Any]:
        """Raw observations (N, obs_dim) as network inputs (N, obs_dim) of the policy's dtype.

        ``normalizer`` stands in for the policy's own.
        """
        raw = self.check_observations(observations)
        inputs = np.empty(raw.shape, dtype=self.dtype)
        kernels(self.dtype).normalize((normalizer or self.normalizer).kernel, raw, inputs)
        return inputs

    def rebased(self, theta: npt.NDArray[Any], normalizer: ObservationNormalizer) -> npt.NDArray[Any]:
        """The theta that is under ``normalizer`` the policy that ``theta`` is under the present one."""
        return self._mlp.rebased(self.check_theta(theta), self.normalizer, normalizer)

    def actor(self, theta: npt.NDArray[Any], normalizer: ObservationNormalizer | None = None) -> Actor:
        """The policy ``theta`` ready to act. Later changes of theta or of the policy's normaliser do not reach it.

        ``actor.act(observations, noise, out, env_actions=None)`` is ``Policy.act`` with nothing to prepare and nothing
        allocated. It also fills ``env_actions``, an (n, A) view of what ``codec.empty_env_actions`` gave.
        ``normalizer`` stands in for the policy's own.

        Raises
        ------
        InvalidArgumentError
        """
        kernel = (normalizer or self.normalizer).kernel
        parts = self.network, self.distribution, kernel, self.codec.range
        actor: Actor = kernels(self.dtype).Actor(*parts, self.check_theta(theta))
        return actor

    def act(
        self,
        theta: npt.NDArray[Any],
        observations: npt.NDArray[np.float64],
        noise: npt.NDArray[Any] | None,
        out: npt.NDArray[Any],
    ) -> None:
        """Normalise, forward and sample once; for more calls with one theta, make an ``actor``. Converts nothing.

        Parameters
        ----------
        theta : ndarray, shape (P,)
        observations : ndarray of float64, shape (n, obs_dim), raw
        noise : ndarray of the policy's dtype, shape (n, A), standard normal; None for the most probable action
        out : ndarray of the policy's dtype, shape (n, A)
            Receives kernel rows (``codec`` turns them into actions).

        Raises
        ------
        InvalidArgumentError, TypeError, ValueError
            If an array has another type, dtype, shape or layout.
        """
        self.actor(theta).act(observations, noise, out)

    def dist_params(
        self, theta: npt.NDArray[Any], observations: Any, normalizer: ObservationNormalizer | None = None
    ) -> npt.NDArray[Any]:
        """Distribution parameters phi (N, K): [mean, log_std] of a Box, logits otherwise.

        ``normalizer`` stands in for the policy's own.
        """
        return self.forward(theta, self.normalize(observations, normalizer))

    def forward(self, theta: npt.NDArray[Any], inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Distribution parameters phi (N, K) at network inputs (N, obs_dim), as ``normalize`` gives them."""
        inputs = float_array("inputs", inputs, (None, self._mlp.num_inputs), self.dtype)
        return self._mlp.forward(self.check_theta(theta), inputs)

    def log_prob(
        self, theta: npt.NDArray[Any], observations: Any, actions: npt.NDArray[Any]
    ) -> npt.NDArray[np.float64]:
        """log pi(a_n | s_n; theta), shape (N,), in nats."""
        phi = self.dist_params(theta, observations)
        out = np.empty(len(phi))
        self.distribution.log_prob(phi, self.codec.to_rows(actions, len(phi)), out)
        return out

    def kl_divergence(self, p: npt.NDArray[Any], q: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """KL(pi(.|p_n) || pi(.|q_n)), shape (N,), in nats, between distribution parameters (N, K)."""
        size = int(self.distribution.num_dist_params)
        p = float_array("p", p, (None, size), self.dtype)
        q = float_array("q", q, (len(p), size), self.dtype)
        out = np.empty(len(p))
        self.distribution.kl_divergence(p, q, out)
        return out

    def mean_std(self, theta: npt.NDArray[Any]) -> float:
        """The mean standard deviation of a Box action; NaN for other actions."""
        if not self.codec.is_box:
            return float("nan")
        return float(np.exp(np.clip(self.unflatten(theta)["log_std"], MIN_LOG_STD, MAX_LOG_STD)).mean())
