"""Build the policy and the critic from Stable-Baselines3's ``policy_kwargs``."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import gymnasium as gym
import numpy.typing as npt

from trpo_fast import nets
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.extractors import default_name, extractor_arguments, extractor_name, named_extractor
from trpo_fast.policies.network_options import NetworkOptions, input_layout, network_options
from trpo_fast.policies.plan import Plan, check_widths
from trpo_fast.policies.policy import Policy
from trpo_fast.policies.shared_plans import make_shared_plans
from trpo_fast.policies.shared_value_function import SharedValueFunction
from trpo_fast.policies.value_function import ValueFunction
from trpo_fast.spaces.leaves import images_of, is_image
from trpo_fast.validation import check_choice, check_flag, check_real, describe

POLICIES = ("MlpPolicy", "CnnPolicy", "MultiInputPolicy", "auto")


def check_policy(policy: str, observation_space: gym.Space[Any]) -> None:
    """Check that ``policy``, one of ``POLICIES``, is for the space. What is built does not depend on the name.

    Raises
    ------
    InvalidArgumentError
        If another policy is for such a space.
    UnsupportedSpaceError
        If no policy is.
    """
    names, kind = ["MlpPolicy", "MultiInputPolicy"], "observations without images (uint8, three axes, all of 0..255)"
    if is_image(observation_space):
        names, kind = ["CnnPolicy"], "images"
    elif images_of(observation_space):
        names, kind = ["MultiInputPolicy"], "a Dict or Tuple with images"
    if policy not in (*names, "auto"):
        raise InvalidArgumentError("policy", f"{names[0]} for {kind}", describe(policy))


OPTIONAL = ("net_arch", "features_extractor")  # None: the default for the space


def plain_kwargs(policy_kwargs: Any) -> dict[str, Any]:
    """``policy_kwargs`` as plain values of a model's own, which a file can hold and nobody else can change.

    Parameters
    ----------
    policy_kwargs : mapping or None
        Keys from ``POLICY_KWARGS``. ``net_arch`` is a sequence of widths for both networks, or a mapping
        {"pi": widths, "vf": widths}. ``activation_fn`` is a name or, as in Stable-Baselines3, a class of torch.nn.
        ``features_extractor`` is a network of ``trpo_fast.nets``, or a mapping {"pi": network, "vf": network};
        ``features_extractor_class``, with ``features_extractor_kwargs``, is one of Stable-Baselines3, by name or as a
        class that is read by its name. ``share_features_extractor`` makes the critic a second head on the policy's.

    Raises
    ------
    InvalidArgumentError
        If a key is unknown, or a value of the wrong kind.
    """
    if not isinstance(policy_kwargs, Mapping | None):
        raise InvalidArgumentError("policy_kwargs", "a dict", describe(policy_kwargs))
    kwargs = {k: value for k, value in dict(policy_kwargs or {}).items() if value is not None or k not in OPTIONAL}
    plain = {check_choice("policy_kwargs", name, POLICY_KWARGS): _PLAIN[name](kwargs[name]) for name in kwargs}
    if plain.get("share_features_extractor") and _is_for_parts(plain.get("features_extractor")):
        raise InvalidArgumentError("features_extractor", "one network with share_features_extractor", "one for each")
    return plain


def _plain_widths(net_arch: Any) -> Any:
    if isinstance(net_arch, list) and len(net_arch) == 1 and isinstance(net_arch[0], Mapping):
        net_arch = net_arch[0]  # as Stable-Baselines3 before 1.7 took it
    if not isinstance(net_arch, Mapping):
        return check_widths(net_arch)
    if not _is_for_parts(net_arch):
        raise InvalidArgumentError("net_arch", "widths, or a dict with keys pi and vf", describe(net_arch))
    return {part: check_widths(net_arch[part]) for part in ("pi", "vf")}


def _is_for_parts(value: Any) -> bool:
    """Whether ``value`` has one value for the policy and one for the critic."""
    return isinstance(value, Mapping) and value.keys() == {"pi", "vf"}


def _plain_net(features_extractor: Any) -> dict[str, Any]:
    if _is_for_parts(features_extractor):
        return {part: _plain_net(features_extractor[part]) for part in ("pi", "vf")}
    return nets.to_json(nets.check("features_extractor", features_extractor))


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "net_arch": _plain_widths,
    "activation_fn": nets.activation_name,
    "features_extractor_class": extractor_name,
    "features_extractor_kwargs": extractor_arguments,
    "features_extractor": _plain_net,
    "share_features_extractor": partial(check_flag, "share_features_extractor"),
    "normalize_images": partial(check_flag, "normalize_images"),
    "ortho_init": partial(check_flag, "ortho_init"),
    "log_std_init": partial(check_real, "log_std_init"),
    "state_dependent_std": partial(check_flag, "state_dependent_std"),
    "squash": partial(check_flag, "squash"),
}
POLICY_KWARGS = tuple(_PLAIN)


def make_networks(
    observation_space: gym.Space[Any],
    action_space: gym.Space[Any],
    policy_kwargs: dict[str, Any],
    *,
    normalize_observations: bool,
    normalize_returns: bool,
    use_masking: bool,
    frame_stack: int = 1,
    dtype: npt.DTypeLike,
) -> tuple[Policy, ValueFunction]:
    """Build the policy and the critic of a model.

    Parameters
    ----------
    observation_space, action_space : gymnasium.Space
    policy_kwargs : dict
        As ``plain_kwargs`` returns it.
    normalize_observations : bool
        Normalise observations by running statistics (see ``Policy``).
    normalize_returns : bool
        Normalise the critic's targets by running statistics (see ``ValueFunction``).
    use_masking : bool
        Observations carry an action mask (see ``Policy``).
    frame_stack : int
        Frames in an observation (see ``Policy``).
    dtype : {"float32", "float64"}
        Dtype of parameters and kernels.

    Raises
    ------
    InvalidArgumentError
        If a value of ``policy_kwargs`` is invalid for these spaces.
    UnsupportedSpaceError
        If no policy exists for the spaces.
    """
    policy = make_policy(
        observation_space,
        action_space,
        policy_kwargs,
        normalize_observations=normalize_observations,
        use_masking=use_masking,
        frame_stack=frame_stack,
        dtype=dtype,
    )
    options: dict[str, Any] = {"normalize_returns": normalize_returns, **_given(policy_kwargs, "ortho_init")}
    if policy_kwargs.get("share_features_extractor"):
        head = plan_options(observation_space, policy_kwargs, "vf")
        return policy, SharedValueFunction(policy, net_arch=head.widths, activation_fn=head.activation_fn, **options)
    arguments = _network_arguments(observation_space, policy_kwargs, "vf")
    return policy, ValueFunction(observation_space, dtype=dtype, **arguments, **options)


def make_policy(
    observation_space: gym.Space[Any],
    action_space: gym.Space[Any],
    policy_kwargs: dict[str, Any],
    *,
    normalize_observations: bool,
    use_masking: bool,
    frame_stack: int = 1,
    dtype: npt.DTypeLike,
) -> Policy:
    """Build the policy of a model; parameters and errors are those of ``make_networks``."""
    return Policy(
        observation_space,
        action_space,
        normalize_observations=normalize_observations,
        use_masking=use_masking,
        frame_stack=frame_stack,
        dtype=dtype,
        **_network_arguments(observation_space, policy_kwargs, "pi"),
        **_given(policy_kwargs, "ortho_init", "log_std_init", "state_dependent_std", "squash"),
    )


def parameter_plan(
    observation_space: gym.Space[Any], action_space: gym.Space[Any], policy_kwargs: dict[str, Any], part: str
) -> Plan:
    """The plan whose parameters are those of ``part``, "policy" or "value_function".

    Raises
    ------
    InvalidArgumentError, UnsupportedSpaceError
    """
    if part == "policy":
        options = plan_options(observation_space, policy_kwargs, "pi")
        return options.policy_plan(action_space, policy_kwargs.get("state_dependent_std", False))
    options = plan_options(observation_space, policy_kwargs, "vf")
    if not policy_kwargs.get("share_features_extractor"):
        return options.plan(1)
    policy = parameter_plan(observation_space, action_space, policy_kwargs, "policy")
    return make_shared_plans(policy, net_arch=options.widths, activation_fn=options.activation_fn).head


def plan_options(observation_space: gym.Space[Any], policy_kwargs: dict[str, Any], part: str) -> NetworkOptions:
    """The options of the network that ``make_networks`` builds for the policy ("pi") or the critic ("vf").

    Raises
    ------
    InvalidArgumentError, UnsupportedSpaceError
    """
    return network_options(observation_space, **_network_arguments(observation_space, policy_kwargs, part))


def _network_arguments(observation_space: gym.Space[Any], policy_kwargs: dict[str, Any], part: str) -> dict[str, Any]:
    """Arguments of ``network_options`` but for the space."""
    arguments = _given(policy_kwargs, "net_arch", "activation_fn", "features_extractor", "normalize_images")
    arguments = {name: value[part] if _is_for_parts(value) else value for name, value in arguments.items()}
    named = _given(policy_kwargs, "features_extractor_class", "features_extractor_kwargs")
    if named:
        if "features_extractor" in arguments:
            expected = f"one of features_extractor and {next(iter(named))}"
            raise InvalidArgumentError("features_extractor", expected, "both")
        parts = input_layout(observation_space).parts
        name = named.get("features_extractor_class", default_name(parts))
        arguments["features_extractor"] = named_extractor(name, named.get("features_extractor_kwargs", {}), parts)
    return arguments


def _given(policy_kwargs: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: policy_kwargs[name] for name in names if name in policy_kwargs}
