"""Attributes of a model: settings that can be assigned, and errors that name the nearest attribute."""

import inspect
from dataclasses import replace
from typing import Any

from trpo_fast.config import TRPOConfig
from trpo_fast.environments.absent import SpacesOnly
from trpo_fast.errors import InvalidArgumentError, UnknownAttributeError
from trpo_fast.policies.policy import Policy
from trpo_fast.policies.shared_value_function import SharedValueFunction
from trpo_fast.policies.value_function import ValueFunction
from trpo_fast.sampling.vine import check_vine
from trpo_fast.sampling.workers import ParallelSampler
from trpo_fast.training.sb3_arguments import SETTINGS, what_it_has
from trpo_fast.validation import check_integer, check_path, describe

FIXED = ("n_workers", "policy_kwargs", "value_function")
"""Attributes that are set once, when the model is made."""


def read_setting(model: Any, name: str) -> Any:
    """The setting ``name`` of a model, for a name that is no other attribute.

    Raises
    ------
    UnknownAttributeError
        If it is no setting either.
    """
    if name in SETTINGS and "_config" in vars(model):
        return getattr(model.config, name)
    raise _unknown(model, name)


def assign(model: Any, name: str, value: Any) -> None:
    """Assign an attribute of a model, so that it takes effect.

    A class of yours that is derived from TRPO may have further attributes; names with an underscore are always free.

    Raises
    ------
    InvalidArgumentError
        If the attribute cannot be assigned, or the value is not one that the constructor takes.
    UnknownAttributeError
        If there is no such attribute.
    """
    attribute = getattr(type(model), name, None)
    if name in SETTINGS:
        model.config = replace(model.config, **{name: value})
    elif (isinstance(attribute, property) and attribute.fset is None) or (name in FIXED and name in vars(model)):
        raise InvalidArgumentError(name, "an attribute that can be assigned (pass it to TRPO or load)", describe(value))
    elif name == "logger" and name in vars(model):
        model.set_logger(value)
    elif name == "verbose":
        vars(model)[name] = check_integer(name, value, at_least=0)
    elif name == "tensorboard_log":
        vars(model)[name] = None if value is None else check_path(name, value)
    elif name.startswith("_") or attribute is not None or _is_declared(type(model), name):
        object.__setattr__(model, name, value)
    else:
        raise _unknown(model, name)


def _unknown(model: Any, name: str) -> UnknownAttributeError:
    kind = type(model)
    if name in inspect.signature(kind).parameters:
        return UnknownAttributeError(kind.__name__, name, ": it is an argument, for when a model is made")
    return UnknownAttributeError(kind.__name__, name, what_it_has(name, (*SETTINGS, *dir(kind), *vars(model))))


def _is_declared(kind: type, name: str) -> bool:
    is_derived = kind.__module__ != "trpo_fast.learner"
    return is_derived or any(name in vars(base).get("__annotations__", {}) for base in kind.__mro__)


def check_settings(config: TRPOConfig, policy: Policy, value_function: ValueFunction, environments: Any) -> None:
    """Raise InvalidArgumentError if these settings fit neither the networks nor the environments.

    No update could learn from such rollouts, no vine is possible, or a shared features extractor cannot be updated so.
    """
    if not isinstance(environments, SpacesOnly):
        config.check_rollout(environments.num_envs)
    if config.method == "vine":
        check_vine(policy, environments.num_envs, config)
    if isinstance(value_function, SharedValueFunction):
        _check_sharing(config)
    elif config.vf_coef != 1.0:
        raise InvalidArgumentError("vf_coef", "1.0 without share_features_extractor in policy_kwargs", config.vf_coef)


SHARED = {"method": "single_path", "trust_region": "mean_kl", "metric": "fisher", "cg_preconditioner": "none"}
"""Settings that a shared features extractor needs."""


def _check_sharing(config: TRPOConfig) -> None:
    for name, value in SHARED.items():
        if getattr(config, name) != value:
            expected = f"{value} with share_features_extractor"
            raise InvalidArgumentError(name, expected, describe(getattr(config, name)))


def check_change(before: TRPOConfig, after: TRPOConfig, environments: Any) -> None:
    """Raise InvalidArgumentError if a model that has been made cannot change to the settings ``after``."""
    if after.normalize_returns != before.normalize_returns:
        expected = f"{before.normalize_returns}, as the critic was made (pass it to TRPO or load)"
        raise InvalidArgumentError("normalize_returns", expected, after.normalize_returns)
    for name in ("method", "vine_trunk_steps" if after.method == "vine" else "n_steps"):
        value = getattr(before, name)
        if isinstance(environments, ParallelSampler) and getattr(after, name) != value:
            expected = f"{value}, for which the workers were started (pass it to TRPO or load)"
            raise InvalidArgumentError(name, expected, getattr(after, name))
