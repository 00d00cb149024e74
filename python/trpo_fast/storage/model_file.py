"""A model as the tensors and metadata of a policy file, and back."""

from dataclasses import asdict, fields, replace
from typing import Any, NamedTuple

import numpy.typing as npt

from trpo_fast.config import TRPOConfig
from trpo_fast.environments.interface import MAX_ENVS
from trpo_fast.errors import PolicyFileError
from trpo_fast.policies.policy import Policy
from trpo_fast.policies.value_function import CriticState, ValueFunction
from trpo_fast.protocols import StoredModel
from trpo_fast.schedules import AdaptiveRadius, LinearSchedule, value_at
from trpo_fast.spaces.kinds import Spaces
from trpo_fast.storage.plain_values import to_json
from trpo_fast.storage.policy_content import (
    acting_tensors,
    check_arguments,
    check_sizes,
    fill,
    interface_tensors,
    policy_arguments,
    policy_metadata,
    read_arguments,
    read_statistics,
    restore_policy,
    statistics_tensors,
)
from trpo_fast.storage.policy_file import Tensors, to_bytes
from trpo_fast.validation import check_integer, describe

# what a file may set: never what environments are made of
_SCHEDULED = ("learning_rate", "target_kl")
_ARGUMENTS = {f.name for f in fields(TRPOConfig)}
_ARGUMENTS |= {"policy_kwargs", "normalize_observations", "use_masking", "frame_stack", "dtype", "seed"}


class ModelContent(NamedTuple):
    """What metadata says of a model: constructor arguments, (observation, action) spaces and where training is."""

    arguments: dict[str, Any]
    spaces: Spaces
    n_envs: int
    num_timesteps: int
    training: Any  # JSON of plain values, of arrays that are tensors
    functions: set[str]  # settings that were functions, and are numbers now


def model_to_bytes(model: StoredModel) -> tuple[bytes, str]:
    """Content of the file of a model, and why the state of its environments is left out; "" if it is not.

    Whatever that state is, it never costs the policy its file.
    """
    state = model.get_training_state()
    try:
        return to_bytes(*_content(model, state)), ""
    except (TypeError, ValueError) as error:  # not plain, or more than the header of a file holds
        if state["environments"] is None:
            raise
        reason = f"the state of the environments cannot be stored: {error}"
    without = {**state, "rollouts": None, "environments": None, "not_resumable": reason}
    return to_bytes(*_content(model, without)), reason


def _content(model: StoredModel, training_state: dict[str, Any]) -> tuple[Tensors, dict[str, Any]]:
    """Tensors by name ("policy.layers.0.weight", ..., "normalizer.mean", ...) and metadata of a model."""
    tensors = {f"{part}.{name}": a for part, named in model.get_parameters().items() for name, a in named.items()}
    tensors.update(statistics_tensors("normalizer", model.policy.normalizer.statistics))
    tensors.update(acting_tensors(model.policy))
    tensors.update(interface_tensors(model.policy))
    tensors.update(statistics_tensors("returns", model.return_statistics))
    training = to_json(training_state, tensors, "training")
    metadata = {
        **policy_metadata(model.policy),
        "arguments": {
            **_config_to_json(model.config, model.progress_remaining),
            "policy_kwargs": model.policy_kwargs,
            **policy_arguments(model.policy),
            "seed": model.seed,
        },
        "n_envs": model.n_envs,
        "num_timesteps": model.num_saved_timesteps,
        "functions": [n for n in _SCHEDULED if _is_lost(getattr(model.config, n))],
        "training": training,
    }
    return tensors, metadata


def _config_to_json(config: TRPOConfig, progress_remaining: float) -> dict[str, Any]:
    """The settings, with the present value of functions that cannot be written down."""
    values = {f.name: getattr(config, f.name) for f in fields(config)}
    for name, value in values.items():
        if _is_lost(value):
            try:
                values[name] = value_at(name, value, progress_remaining)
            except Exception:  # a function that fails ends training; what was learned must be saved
                values[name] = getattr(TRPOConfig(), name)
        elif isinstance(value, LinearSchedule | AdaptiveRadius):
            values[name] = asdict(value)
    return values


def _is_lost(value: Any) -> bool:
    return callable(value) and type(value) is not LinearSchedule


def check_content(metadata: dict[str, Any], tensors: Tensors) -> ModelContent:
    """The metadata of a model that this version can read.

    Raises
    ------
    PolicyFileError
    """
    arguments, spaces = read_arguments(metadata)
    try:
        num_timesteps = int(metadata["num_timesteps"])
        most = min(MAX_ENVS, len(tensors))  # each has a stream
        n_envs = check_integer("n_envs", metadata["n_envs"], at_least=1, at_most=most)
        training = metadata["training"]
        functions = set(metadata["functions"]) & set(_SCHEDULED)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise PolicyFileError(f"policy file: expected the metadata of a model, got none for {error}") from error
    if not arguments.keys() <= _ARGUMENTS:
        raise PolicyFileError(f"policy file: expected arguments of a model, got {describe(arguments)}")
    check_sizes(arguments, spaces, tensors, parts=("value_function",))
    check_arguments(arguments, spaces, tensors)
    return ModelContent(arguments, spaces, n_envs, num_timesteps, training, functions)


def restore(
    policy: Policy, value_function: ValueFunction, critic: CriticState, tensors: Tensors, version: int
) -> tuple[Policy, npt.NDArray[Any], CriticState]:
    """The policy with its statistics, its theta, and the critic that ``tensors`` hold for freshly made ones.

    Tensors are moved, and the fresh ``critic`` is written to: a file of a large model does not fit into memory often.

    Raises
    ------
    PolicyFileError
        If a tensor is missing, has another shape or dtype than the model's, or is not finite; or if the policy
        contradicts the acting form.
    """
    policy, theta = restore_policy(policy, tensors, version)
    fill(value_function.unflatten(critic.theta), tensors, "value_function")
    return policy, theta, replace(critic, target_statistics=read_statistics(tensors, "returns", 1))
