"""Policy: a network that outputs distribution parameters, the distribution, and the observation normaliser."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast import nets
from trpo_fast._core.floating_point import ignores_float_errors
from trpo_fast._core.modules import kernels
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.assembly import Assembly
from trpo_fast.policies.network_options import network_options
from trpo_fast.policies.normalization import ObservationNormalizer, RunningMeanStd
from trpo_fast.spaces.actions import ActionCodec
from trpo_fast.spaces.as_json import own_copy
from trpo_fast.spaces.images import check_records, vector_of
from trpo_fast.spaces.interface import Interface
from trpo_fast.spaces.kinds import name_of
from trpo_fast.spaces.masks import ActionMasks
from trpo_fast.spaces.naming import Layout, Names
from trpo_fast.spaces.observation_codec import ObservationCodec
from trpo_fast.spaces.observations import EncodedArray, NetworkInputs, Observations, as_network_inputs
from trpo_fast.validation import check_flag, check_integer, check_real, describe, float_array, float_dtype

LOG_STD_INIT = -0.5  # a standard deviation of 0.6
MIN_LOG_STD, MAX_LOG_STD = -20.0, 2.0  # the kernels' clamp


class Actor:
    """A policy at one theta, ready to act: an immutable snapshot; updates replace it, so any thread may use it.

    ``act(observations, noise, out, env_actions=None)`` does what ``Policy.act`` does, without any preparation or
    allocation. If given, ``env_actions``, an (n, A) view of an array from ``codec.empty_env_actions``, receives the
    actions for the environment.

    Attributes
    ----------
    policy : Policy
    theta : ndarray, shape (P,)
        A read-only copy.

    Raises
    ------
    InvalidArgumentError
        If theta has another shape or dtype than the policy's parameters.
    """

    __slots__ = ("act", "policy", "theta")

    def __init__(self, policy: "Policy", theta: npt.NDArray[Any]) -> None:
        self.policy = policy
        self.theta = policy.check_theta(theta).copy()
        self.theta.flags.writeable = False
        parts = policy.network, policy.distribution, policy.normalizer.kernel, policy.codec.range
        self.act = kernels(policy.dtype).Actor(*parts, self.theta).act

    def env_actions(self, observations: NetworkInputs, random: np.random.Generator | None = None) -> Any:
        """Actions of the action space, shape (n, ...), for n encoded observations.

        Samples drawn with ``random``, or without it the most probable actions.
        """
        codec, dtype = self.policy.codec, self.policy.dtype
        inputs = as_network_inputs(observations)
        size = (len(inputs[0] if isinstance(inputs, tuple) else inputs), codec.size)
        noise = None if random is None else random.standard_normal(size, dtype=dtype)
        out = np.empty(size, dtype=dtype)
        self.act(inputs, noise, out)
        return codec.to_env(out)

    @property
    def parts(self) -> tuple["Policy", npt.NDArray[Any]]:
        """The policy and its theta."""
        return self.policy, self.theta

    def __reduce__(self) -> tuple[Any, ...]:
        return Actor, self.parts


class Policy:
    """pi(a | s; theta): a network followed by a distribution. Immutable; theta is an argument of every method.

    Parameters
    ----------
    observation_space : gymnasium.spaces.Box, Discrete, MultiDiscrete, MultiBinary, or a Dict or Tuple of them
        Observations are flattened; choices become one-hot vectors (``spaces/observation_codec.py``).
    action_space : gymnasium.spaces.Box, Discrete, MultiDiscrete or MultiBinary
    net_arch : sequence of int, optional
        Widths of the hidden layers: 64-64 by default, none for a space that is an image.
    activation_fn : {"tanh", "relu", "elu", "silu", "identity"}
        Activation of the hidden layers.
    features_extractor : network of ``trpo_fast.nets``, or its plain values, optional
        What comes before the hidden layers. By default a ``NatureCNN`` for an image, 512 features wide or 256 as a part
        of a Dict or Tuple; all else is flattened.
    normalize_images : bool
        Divide pixels by 255.
    log_std_init : float
        Initial log standard deviation of a Box action, in -20..2.
    state_dependent_std : bool
        The standard deviation of a Box action is an output of the network instead of a parameter.
    squash : bool
        Actions of a bounded Box are mapped into its bounds by tanh instead of clipped. Batches hold the actions before
        tanh; KL divergence and entropy are those of the Gaussian before tanh.
    use_masking : bool
        For Discrete or MultiDiscrete actions: each observation carries an action mask that says which actions are
        possible (``spaces/masks.py``). The mask is stored in the last columns: every argument of raw observations then
        has shape (N, obs_dim + K) with K = ``action_masks.size``.
    ortho_init : bool
        Orthogonal initialisation, the last layer scaled by 0.01; otherwise uniform in +-1/sqrt(fan_in).
    normalize_observations : bool
        Normalise observations, except choices and images, by the running statistics in ``normalizer``.
    frame_stack : int
        Frames in an observation. The policy does not use this number; code that makes environments for it does.
    dtype : {"float32", "float64"}
        Dtype of theta and of the kernels.

    Attributes
    ----------
    policy_kwargs : dict
        The arguments from ``net_arch`` to ``ortho_init`` as plain values, without ``use_masking``.
        ``features_extractor`` is there unless observations are flattened, ``normalize_images`` if there are images.
    plan : Plan
        The layers of the network.
    codec : ActionCodec
        Encodes and decodes actions.
    observation_codec : ObservationCodec
        Encodes observations.
    action_masks : ActionMasks or None
        The masks of the action space with ``use_masking``, else None.
    interface : Interface or None
        What the numbers of observations and actions mean, if anything is known of it: the keys of a Dict are names.
    network, distribution
        Objects of the compiled core.

    Raises
    ------
    UnsupportedSpaceError
        If no policy exists for a space.
    InvalidArgumentError
        If another argument is invalid.
    """

    def __init__(
        self,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        *,
        net_arch: Sequence[int] | None = None,
        activation_fn: str = "tanh",
        features_extractor: nets.Net | Mapping[str, Any] | None = None,
        normalize_images: bool = True,
        log_std_init: float = LOG_STD_INIT,
        state_dependent_std: bool = False,
        squash: bool = False,
        use_masking: bool = False,
        ortho_init: bool = True,
        normalize_observations: bool = True,
        frame_stack: int = 1,
        dtype: npt.DTypeLike = "float32",
    ) -> None:
        self.observation_space = observation_space = own_copy("observation space", observation_space)
        self.action_space = action_space = own_copy("action space", action_space)
        self.dtype = float_dtype("dtype", dtype)
        self.frame_stack = check_integer("frame_stack", frame_stack, at_least=1)
        self.log_std_init = check_real("log_std_init", log_std_init, at_least=MIN_LOG_STD, at_most=MAX_LOG_STD)
        self.codec = ActionCodec(action_space, self.dtype, check_flag("squash", squash))
        if check_flag("state_dependent_std", state_dependent_std) and not self.codec.has_log_std:
            raise InvalidArgumentError(
                "state_dependent_std", "False, unless actions are a Box", f"True for {action_space}"
            )
        self.action_masks = ActionMasks(action_space) if check_flag("use_masking", use_masking) else None
        self.observation_codec = ObservationCodec(observation_space, self.action_masks.size if self.action_masks else 0)
        self._log_std = "none" if not self.codec.has_log_std else "output" if state_dependent_std else "parameter"
        self._options = options = network_options(
            observation_space,
            net_arch=net_arch,
            activation_fn=activation_fn,
            features_extractor=features_extractor,
            normalize_images=normalize_images,
        )
        self.plan = options.policy_plan(action_space, state_dependent_std)
        self._assembly = Assembly(
            self.plan,
            ortho_init=ortho_init,
            output_gain=0.01,
            dtype=self.dtype,
            is_masked=use_masking,
        )
        self.policy_kwargs: dict[str, Any] = {
            **options.as_kwargs(),
            "log_std_init": self.log_std_init,
            "state_dependent_std": bool(state_dependent_std),
            "squash": self.codec.squash,
            "ortho_init": bool(ortho_init),
        }
        self._normalizer = ObservationNormalizer(
            RunningMeanStd.initial(self.observation_codec.size),
            enabled=check_flag("normalize_observations", normalize_observations) and self.plan.num_features > 0,
            columns=self.observation_codec.is_continuous,
        )
        self.interface = self._layout.own_interface()
        self.network = self._assembly.network
        self.distribution = self.codec.distribution

    def __copy__(self) -> "Policy":
        policy = type(self).__new__(type(self))
        policy.__dict__.update(self.__dict__)
        return policy

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles and deep copies by the arguments: objects of the compiled core cannot be pickled."""
        options = {"normalize_observations": self._normalizer.enabled, "use_masking": self.action_masks is not None}
        others = {"frame_stack": self.frame_stack, "dtype": str(self.dtype)}
        arguments = {**self.policy_kwargs, **options, **others}
        spaces = self.observation_space, self.action_space
        return _remade, (*spaces, arguments, self._normalizer.statistics, self.interface)

    def __repr__(self) -> str:
        spaces = f"{name_of(self.observation_space)} -> {name_of(self.action_space)}"
        return f"Policy({spaces}, {self._options})"

    @property
    def normalizer(self) -> ObservationNormalizer:
        """Normaliser of the observations; ``with_normalizer`` returns the policy with another one."""
        return self._normalizer

    def with_normalizer(self, normalizer: ObservationNormalizer) -> "Policy":
        """Copy of the policy with another normaliser; the network and the distribution are shared."""
        policy = copy.copy(self)
        policy._normalizer = normalizer
        return policy

    def with_statistics(self, statistics: RunningMeanStd) -> "Policy":
        """Copy of the policy with other running statistics of the observations.

        Parameters
        ----------
        statistics : RunningMeanStd
            Statistics of the ``observation_codec.num_features`` columns, without those of an action mask.

        Raises
        ------
        InvalidArgumentError
            If the statistics have another size or are invalid, or the policy does not normalise observations.
        """
        codec, normalizer = self.observation_codec, self._normalizer
        if not normalizer.enabled:
            raise InvalidArgumentError("statistics", "a policy with normalize_observations", "one without")
        count = check_real("count", statistics.count, at_least=0.0)
        for name in ("mean", "var"):
            values = float_array(name, getattr(statistics, name), (codec.num_features,), np.float64)
            if not np.isfinite(values).all() or (name == "var" and (values < 0.0).any()):
                raise InvalidArgumentError(name, "finite values, variances >= 0", "NaN, Inf or negative ones")
        rest = codec.size - codec.num_features  # columns of a mask, which are not normalised
        mean, var = np.append(statistics.mean, np.zeros(rest)), np.append(statistics.var, np.ones(rest))
        return self.with_normalizer(replace(normalizer, statistics=RunningMeanStd(mean, var, count)))

    def with_interface(self, interface: Interface | None) -> "Policy":
        """Copy of the policy that says of its numbers what ``interface`` does.

        Raises
        ------
        InvalidArgumentError
            If ``interface`` is of another number of observations, actions or frames.
        """
        if interface is not None:
            interface.check_sizes(self._layout.observation_size, self._layout.action_size, self.frame_stack)
        policy = copy.copy(self)
        policy.interface = interface
        return policy

    def named(self, observation_names: Names | None = None, action_names: Names | None = None) -> "Policy":
        """Copy of the policy with names for the numbers of its observations and actions, those that are given.

        Parameters
        ----------
        observation_names : sequence of str, or mapping of str to unit, optional
            One for each number of an observation in the order in which the network reads them, without images; those of
            a mask may be left out. With ``frame_stack`` the names of one frame are enough: NAME[t] is then the latest.
        action_names : sequence of str, or mapping of str to unit, optional
            One for each number of an action.

        Raises
        ------
        InvalidArgumentError
            If there are more or fewer names, or one is not printable, has a comma, or stands twice.
        """
        return self.with_interface(self._layout.with_names(self.interface, observation_names, action_names))

    @property
    def _layout(self) -> Layout:
        mask_size = self.observation_codec.size - self.observation_codec.num_features
        return Layout(self.observation_space, mask_size, self.codec.size, self.frame_stack)

    def in_float64(self) -> "Policy":
        """The same policy with kernels in float64, for a theta in float64; itself if that is its dtype."""
        return self if self.dtype == np.float64 else self._float64_policy.with_normalizer(self._normalizer)

    @cached_property
    def _float64_policy(self) -> "Policy":
        return Policy(
            self.observation_space,
            self.action_space,
            **self.policy_kwargs,
            use_masking=self.action_masks is not None,
            dtype="float64",
        )

    @property
    def num_params(self) -> int:
        """Length P of theta."""
        return self._assembly.num_params

    @ignores_float_errors
    def initial_parameters(self, seed: int | np.random.SeedSequence) -> npt.NDArray[Any]:
        """Initial theta, shape (P,), in the policy's dtype."""
        theta = self._assembly.initial_parameters(np.random.default_rng(seed))
        if self._log_std == "parameter":
            self.unflatten(theta)["log_std"][:] = self.log_std_init
        elif self._log_std == "output":
            self.unflatten(theta)[f"{self.plan.last_layer}.bias"][self.codec.size :] = self.log_std_init
        return theta

    def unflatten(self, theta: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """Views of theta (P,) by name: "layers.0.weight" (out, in), "layers.0.bias" (out,), ..., "log_std" for a Box.

        Those of a features extractor come first: "features.0.weight" (filters, channels, height, width), ...
        The views are writable if theta is.

        Raises
        ------
        InvalidArgumentError
            If ``theta`` is not an array of shape (P,).
        """
        return self._assembly.unflatten(theta)

    def check_theta(self, theta: Any, name: str = "theta") -> npt.NDArray[Any]:
        """``theta`` as a contiguous (P,) array of the policy's dtype.

        Raises
        ------
        InvalidArgumentError
            If it is not an array of this dtype and shape; the message calls it ``name``.
        """
        return self._assembly.check_theta(theta, name)

    def check_observations(self, observations: Any) -> Observations:
        """Check raw observations, an array of float32 or float64, shape (N, obs_dim), and return a copy of them.

        With images they are records, as ``rows`` returns them. An ``Observations`` of the right size is returned
        unchanged: it has been checked before.

        Raises
        ------
        InvalidArgumentError
            If the array has another kind or shape, or holds an invalid action mask.
        """
        codec = self.observation_codec
        if isinstance(observations, Observations) and (observations.size, observations.dtype) == (
            codec.size,
            codec.dtype,
        ):
            return observations
        if codec.images:
            encoded = check_records("observations", observations, codec.dtype)
        else:
            encoded = float_array("observations", observations, (None, codec.size), np.float64)
        if self.action_masks is not None:
            self.action_masks.check_rows(vector_of(encoded)[:, -self.action_masks.size :])
        return Observations.of(encoded.copy() if encoded is observations else encoded)

    def rows(self, observation: Any, action_masks: Any = None) -> tuple[EncodedArray, bool]:
        """Encode one observation, or a batch as vector environments return it.

        Parameters
        ----------
        observation : observation, or batch of n observations, of the space
        action_masks : array-like, optional
            With ``use_masking``: one mask, or one for each observation of a batch. All actions by default.

        Returns
        -------
        rows : ndarray of float64, shape (n, obs_dim), or with images records (``ObservationCodec.dtype``), shape (n,)
            Encoded observations, n = 1 for a single one.
        is_batch : bool
            Whether ``observation`` is a batch.

        Raises
        ------
        InvalidArgumentError
            If the observation is not in the space, has values that are not finite or of magnitude above 1e18, or a mask
            is not valid.
        """
        rows, is_batch = self.observation_codec.rows(observation)
        if action_masks is None:
            return rows, is_batch
        if self.action_masks is None:
            raise InvalidArgumentError("action_masks", "None without use_masking", describe(action_masks))
        masks = action_masks if is_batch else [action_masks]
        fit = isinstance(masks, Sequence | np.ndarray) and len(masks) == len(rows)
        if not fit or not all(map(self.action_masks.take, masks, vector_of(rows)[:, -self.action_masks.size :])):
            expected = f"{len(rows)} masks of {self.action_masks.size} zeros and ones, at least one for each choice"
            raise InvalidArgumentError("action_masks", expected, describe(masks))
        return rows, is_batch

    def check_transitions(
        self, observations: Any, actions: npt.NDArray[Any], rows: slice | npt.NDArray[Any] | None = None
    ) -> tuple[Observations, npt.NDArray[Any]]:
        """Check observations and the actions taken there, as a ``Batch`` holds them.

        Parameters
        ----------
        observations : Observations, or ndarray of float32 or float64, shape (N, obs_dim)
            Raw observations.
        actions : ndarray
            N actions as in a ``Batch``.
        rows : slice or index array, optional
            Transitions to return; all by default.

        Returns
        -------
        observations : Observations
        encoded : ndarray of the policy's dtype, shape (N, A)
            Encoded actions.

        Raises
        ------
        InvalidArgumentError
            If an array has the wrong kind or shape, or a mask rules out an action.
        """
        observations = self.check_observations(observations)
        encoded = self.codec.encode(actions, len(observations))
        self.check_possible(encoded, observations)
        if rows is None:
            return observations, encoded
        return observations[rows], np.ascontiguousarray(encoded[rows])

    def check_possible(self, encoded: npt.NDArray[Any], observations: Observations) -> None:
        """Raise InvalidArgumentError if the masks in ``observations`` rule out one of the encoded actions (N, A)."""
        if self.action_masks is not None:
            self.action_masks.check_actions(encoded, observations.masks(self.action_masks.size))

    def normalize(self, observations: Any) -> NetworkInputs:
        """Network inputs, shape (N, obs_dim), in the policy's dtype, for raw observations; with images a tuple."""
        return self.check_observations(observations).inputs(self._normalizer.kernel, self.dtype)

    def critic_inputs(self, observations: Any) -> NetworkInputs:
        """Network inputs of the critic: as ``normalize``, without the action masks."""
        columns = slice(None) if self.action_masks is None else slice(self.observation_codec.num_features)
        return self.check_observations(observations).inputs(self._normalizer.kernel, self.dtype, columns)

    def renormalized(self, theta: npt.NDArray[Any], normalizer: ObservationNormalizer) -> npt.NDArray[Any]:
        """The theta that gives, under ``normalizer``, the same policy as ``theta`` under the present normaliser.

        Exact except for rounding and for inputs that are clipped.
        """
        return self._assembly.renormalized(self.check_theta(theta), self._normalizer, normalizer)

    def actor(self, theta: npt.NDArray[Any]) -> Actor:
        """An actor at ``theta``, which is copied."""
        return Actor(self, theta)

    def predict(
        self, observation: Any, theta: npt.NDArray[Any] | None = None, *, deterministic: bool = True, **unused: Any
    ) -> tuple[Any, None]:
        """Action for one observation, or a batch, at ``theta``. For several calls, use what ``load_policy`` returns.

        Raises
        ------
        InvalidArgumentError
            If ``theta`` is not given: a policy does not hold it; or as ``rows``.
        """
        if theta is None:
            expected = "the policy's parameters, which the model and what load_policy returns have: call their predict"
            raise InvalidArgumentError("theta", expected, "none")
        rows, is_batch = self.rows(observation, unused.get("action_masks"))
        actions = self.actor(theta).env_actions(rows, None if deterministic else np.random.default_rng())
        return (actions if is_batch else actions[0]), None

    def act(
        self,
        theta: npt.NDArray[Any],
        observations: npt.NDArray[np.float64],
        noise: npt.NDArray[Any] | None,
        out: npt.NDArray[Any],
    ) -> None:
        """Normalise, forward and sample once. For several calls with one theta, make an ``actor``.

        No argument is converted.

        Parameters
        ----------
        theta : ndarray, shape (P,)
        observations : ndarray of float64, shape (n, obs_dim)
            Raw observations; with images records, as ``rows`` returns them.
        noise : ndarray of the policy's dtype, shape (n, A), or None
            Standard normal noise; None for the most probable action.
        out : ndarray of the policy's dtype, shape (n, A)
            Receives encoded actions; ``codec.decode`` and ``codec.to_env`` turn them into actions.

        Raises
        ------
        InvalidArgumentError, TypeError, ValueError
            If an array has another type, dtype, shape or layout.
        """
        inputs = as_network_inputs(observations) if isinstance(observations, np.ndarray) else observations
        self.actor(theta).act(inputs, noise, out)

    def dist_params(self, theta: npt.NDArray[Any], observations: Any) -> npt.NDArray[Any]:
        """Distribution parameters phi, shape (N, K), at raw observations: [mean, log_std] for a Box, else logits."""
        return self.forward(theta, self.normalize(observations))

    def forward(self, theta: npt.NDArray[Any], inputs: NetworkInputs) -> npt.NDArray[Any]:
        """Distribution parameters phi, shape (N, K), at network inputs, shape (N, obs_dim), from ``normalize``."""
        return self._assembly.forward(self.check_theta(theta), inputs)

    @ignores_float_errors
    def log_prob(
        self, theta: npt.NDArray[Any], observations: Any, actions: npt.NDArray[Any]
    ) -> npt.NDArray[np.float64]:
        """log pi(a_n | s_n; theta), shape (N,), in nats.

        ``actions`` are as in a ``Batch``. For squashed actions the density is that of the action in the environment.
        """
        phi = self.dist_params(theta, observations)
        out = np.empty(len(phi))
        encoded = self.codec.encode(actions, len(phi))
        self.distribution.log_prob(phi, encoded, out)
        return out - self.codec.log_slope(encoded)

    def kl_divergence(self, p: npt.NDArray[Any], q: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """KL(pi(.|p_n) || pi(.|q_n)), shape (N,), in nats, between distribution parameters (N, K)."""
        size = int(self.distribution.num_dist_params)
        p = float_array("p", p, (None, size), self.dtype)
        q = float_array("q", q, (len(p), size), self.dtype)
        out = np.empty(len(p))
        self.distribution.kl_divergence(p, q, out)
        return out

    @ignores_float_errors
    def mean_std(self, theta: npt.NDArray[Any], observations: Any) -> float:
        """Mean standard deviation of a Box action over raw observations; NaN for other actions."""
        if self._log_std == "none":
            return float("nan")
        observations = self.check_observations(observations)
        if self._log_std == "parameter":
            observations = observations[:1]  # it is the same everywhere
        phi = self.dist_params(theta, observations)
        return float(np.exp(phi[:, self.codec.size :].astype(np.float64)).mean())


def _remade(
    observation_space: gym.Space[Any],
    action_space: gym.Space[Any],
    arguments: dict[str, Any],
    statistics: RunningMeanStd,
    interface: Interface | None,
) -> Policy:
    policy = Policy(observation_space, action_space, **arguments).with_interface(interface)
    return policy.with_normalizer(replace(policy.normalizer, statistics=statistics))
