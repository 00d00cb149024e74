"""Build the policy and the critic from Stable-Baselines3's ``policy_kwargs``."""

from typing import Any

import gymnasium as gym
import numpy.typing as npt

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.policy import Policy
from trpo_fast.policies.value_function import ValueFunction
from trpo_fast.validation import check_choice, describe

POLICY_KWARGS = ("net_arch", "activation_fn", "ortho_init", "log_std_init", "state_dependent_std", "squash")


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
        Keys from ``POLICY_KWARGS``. ``net_arch`` is a sequence of widths for both networks, or a dict
        {"pi": widths, "vf": widths}. ``activation_fn`` is a name or, as in Stable-Baselines3, a class of torch.nn.
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
        If a key or value of ``policy_kwargs`` is invalid.
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
    shared = {n: value for n, value in _options(policy_kwargs).items() if n in ("activation_fn", "ortho_init")}
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
    for name in policy_kwargs:
        check_choice("policy_kwargs", name, POLICY_KWARGS)
    return Policy(
        observation_space,
        action_space,
        net_arch=_widths(policy_kwargs, "pi"),
        normalize_observations=normalize_observations,
        use_masking=use_masking,
        dtype=dtype,
        **_options(policy_kwargs),
    )


def _widths(policy_kwargs: dict[str, Any], part: str) -> Any:
    arch = policy_kwargs.get("net_arch", (64, 64))
    if isinstance(arch, dict) and arch.keys() != {"pi", "vf"}:
        raise InvalidArgumentError("net_arch", "widths, or a dict with keys pi and vf", describe(arch))
    return arch[part] if isinstance(arch, dict) else arch


def _options(policy_kwargs: dict[str, Any]) -> dict[str, Any]:
    """``policy_kwargs`` without ``net_arch``, the activation as a name."""
    options = {name: value for name, value in policy_kwargs.items() if name != "net_arch"}
    if "activation_fn" in options:
        options["activation_fn"] = activation_name(options["activation_fn"])
    return options


def activation_name(activation_fn: Any) -> Any:
    """Name of an activation: the lower-case name of a class of torch.nn, anything else as given."""
    return activation_fn.__name__.lower() if isinstance(activation_fn, type) else activation_fn
