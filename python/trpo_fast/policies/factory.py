"""Build the policy and the critic from Stable-Baselines3's ``policy_kwargs``."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import gymnasium as gym
import numpy.typing as npt

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.mlp import ACTIVATIONS, check_widths
from trpo_fast.policies.policy import Policy
from trpo_fast.policies.value_function import ValueFunction
from trpo_fast.validation import check_choice, check_flag, check_real, describe


def plain_kwargs(policy_kwargs: Any) -> dict[str, Any]:
    """``policy_kwargs`` as plain values of a model's own, which a file can hold and nobody else can change.

    Parameters
    ----------
    policy_kwargs : mapping or None
        Keys from ``POLICY_KWARGS``. ``net_arch`` is a sequence of widths for both networks, or a mapping
        {"pi": widths, "vf": widths}. ``activation_fn`` is a name or, as in Stable-Baselines3, a class of torch.nn.

    Raises
    ------
    InvalidArgumentError
        If a key is unknown, or a value of the wrong kind.
    """
    if not isinstance(policy_kwargs, Mapping | None):
        raise InvalidArgumentError("policy_kwargs", "a dict", describe(policy_kwargs))
    kwargs = dict(policy_kwargs or {})
    return {check_choice("policy_kwargs", name, POLICY_KWARGS): _PLAIN[name](kwargs[name]) for name in kwargs}


def _plain_widths(net_arch: Any) -> Any:
    if isinstance(net_arch, list) and len(net_arch) == 1 and isinstance(net_arch[0], Mapping):
        net_arch = net_arch[0]  # as Stable-Baselines3 before 1.7 took it
    if not isinstance(net_arch, Mapping):
        return check_widths(net_arch)
    if net_arch.keys() != {"pi", "vf"}:
        raise InvalidArgumentError("net_arch", "widths, or a dict with keys pi and vf", describe(net_arch))
    return {part: check_widths(net_arch[part]) for part in ("pi", "vf")}


def activation_name(activation_fn: Any) -> str:
    """Name of an activation: as given, or the lower-case name of a class of torch.nn.

    Raises
    ------
    InvalidArgumentError
        If there is no such activation.
    """
    name = activation_fn.__name__.lower() if isinstance(activation_fn, type) else activation_fn
    return str(check_choice("activation_fn", name, ACTIVATIONS))


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "net_arch": _plain_widths,
    "activation_fn": activation_name,
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
        dtype=dtype,
    )
    shared = {name: policy_kwargs[name] for name in ("activation_fn", "ortho_init") if name in policy_kwargs}
    value_function = ValueFunction(
        observation_space,
        net_arch=_widths(policy_kwargs, "vf"),
        normalize_returns=normalize_returns,
        dtype=dtype,
        **shared,
    )
    return policy, value_function


def make_policy(
    observation_space: gym.Space[Any],
    action_space: gym.Space[Any],
    policy_kwargs: dict[str, Any],
    *,
    normalize_observations: bool,
    use_masking: bool,
    dtype: npt.DTypeLike,
) -> Policy:
    """Build the policy of a model; parameters and errors are those of ``make_networks``."""
    return Policy(
        observation_space,
        action_space,
        net_arch=_widths(policy_kwargs, "pi"),
        normalize_observations=normalize_observations,
        use_masking=use_masking,
        dtype=dtype,
        **{name: value for name, value in policy_kwargs.items() if name != "net_arch"},
    )


def _widths(policy_kwargs: dict[str, Any], part: str) -> Any:
    arch = policy_kwargs.get("net_arch", (64, 64))
    return arch[part] if isinstance(arch, dict) else arch
