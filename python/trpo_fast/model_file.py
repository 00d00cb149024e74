"""A model as the tensors and metadata of a policy file, and back."""

from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast._version import __version__
from trpo_fast.config import TRPOConfig
from trpo_fast.distributions import count_dist_params
from trpo_fast.errors import PolicyFileError
from trpo_fast.normalization import ObservationNormalizer, RunningMeanStd
from trpo_fast.observations import leaves_of
from trpo_fast.plain_values import to_json
from trpo_fast.policy_file import Tensors
from trpo_fast.schedules import AdaptiveRadius, LinearSchedule, value_at
from trpo_fast.spaces import space_from_json, space_to_json
from trpo_fast.validation import check_integer, describe
from trpo_fast.value_function import CriticState

if TYPE_CHECKING:
    from trpo_fast.learner import TRPO

FORMAT = "trpo_fast.policy"
VERSION = 3
# what a file may set: never what environments are made of
_SCHEDULED = ("learning_rate", "target_kl")
_ARGUMENTS = {f.name for f in fields(TRPOConfig)}
_ARGUMENTS |= {"policy_kwargs", "normalize_observations", "use_masking", "dtype", "seed"}


class ModelContent(NamedTuple):
    """What metadata says of a model: constructor arguments, (observation, action) spaces and where training is."""

    arguments: dict[str, Any]
    spaces: tuple[gym.Space[Any], gym.Space[Any]]
    n_envs: int
    num_timesteps: int
    training: Any  # JSON of plain values, of arrays that are tensors
    functions: set[str]  # settings that were functions, and are numbers now


def model_content(model: "TRPO") -> tuple[Tensors, dict[str, Any]]:
    """Tensors by name ("policy.layers.0.weight", ..., "normalizer.mean", ...) and metadata of a model."""
    tensors = {f"{part}.{name}": a for part, named in model.get_parameters().items() for name, a in named.items()}
    for part, s in (("normalizer", model.policy.normalizer.statistics), ("returns", model.return_statistics)):
        tensors.update({f"{part}.mean": s.mean, f"{part}.var": s.var, f"{part}.count": np.array([s.count])})
    training = to_json(model.get_training_state(), tensors, "training")
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "trpo_fast": __version__,
        "arguments": {
            **_config_to_json(model.config, model.progress_remaining),
            "policy_kwargs": model.policy_kwargs,
            "normalize_observations": model.policy.normalizer.enabled,
            "use_masking": model.policy.action_masks is not None,
            "dtype": str(model.policy.dtype),
            "seed": model.seed,
        },
        "n_envs": model.n_envs,
        "num_timesteps": model.num_timesteps,
        "functions": [n for n in _SCHEDULED if _is_lost(getattr(model.config, n))],
        "training": training,
        "observation_space": space_to_json(model.policy.observation_space),
        "action_space": space_to_json(model.policy.action_space),
    }
    return tensors, metadata


def _config_to_json(config: TRPOConfig, progress_remaining: float) -> dict[str, Any]:
    """The settings, with the present value of functions that cannot be written down."""
    values = {f.name: getattr(config, f.name) for f in fields(config)}
    for name, value in values.items():
        if isinstance(value, LinearSchedule | AdaptiveRadius):
            values[name] = asdict(value)
        elif _is_lost(value):
            try:
                values[name] = value_at(name, value, progress_remaining)
            except Exception:  # a function that fails ends training; what was learned must be saved
                values[name] = getattr(TRPOConfig(), name)
    return values


def _is_lost(value: Any) -> bool:
    return callable(value) and not isinstance(value, LinearSchedule)


def check_content(metadata: dict[str, Any], tensors: Tensors) -> ModelContent:
    """The metadata of a model that this version can read.

    Raises
    ------
    PolicyFileError
    """
    if (metadata.get("format"), metadata.get("version")) != (FORMAT, VERSION):
        got = f"{metadata.get('format')} version {metadata.get('version')}"
        raise PolicyFileError(f"policy file: expected {FORMAT} version {VERSION}, got {got}")
    try:
        observation_space, action_space = (space_from_json(metadata[f"{k}_space"]) for k in ("observation", "action"))
        arguments, num_timesteps = metadata["arguments"], int(metadata["num_timesteps"])
        n_envs = check_integer("n_envs", metadata["n_envs"], at_least=1, at_most=len(tensors))  # each has a stream
        training = metadata["training"]
        functions = set(metadata["functions"]) & set(_SCHEDULED)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise PolicyFileError(f"policy file: expected the metadata of a model, got none for {error}") from error
    if not isinstance(arguments, dict) or not arguments.keys() <= _ARGUMENTS:
        raise PolicyFileError(f"policy file: expected arguments of a model, got {describe(arguments)}")
    _check_sizes(arguments, observation_space, action_space, tensors)
    return ModelContent(arguments, (observation_space, action_space), n_envs, num_timesteps, training, functions)


def _check_sizes(
    arguments: dict[str, Any], observation_space: gym.Space[Any], action_space: gym.Space[Any], tensors: Tensors
) -> None:
    """Refuse sizes that the tensors do not have, before anything is made of them."""
    kwargs = arguments.get("policy_kwargs")
    arch = kwargs.get("net_arch", (64, 64)) if isinstance(kwargs, dict) else None
    num_features = sum(leaf.columns.stop - leaf.columns.start for leaf in leaves_of(observation_space))
    for part, key in (("policy", "pi"), ("value_function", "vf")):
        widths = arch.get(key) if isinstance(arch, dict) else arch
        if not isinstance(widths, list | tuple):
            raise PolicyFileError(f"policy file: expected widths of layers, got {describe(widths)}")
        biases = [f"{part}.layers.{i}.bias" for i in range(len(widths) + 1)]
        found = [np.size(tensors.get(f"{part}.layers.0.weight", ())) // max(_size(tensors, biases[0]), 1)]
        found += [_size(tensors, name) for name in biases]
        outputs = {1} if key == "vf" else _num_outputs(action_space)
        if found[:-1] != [num_features, *widths] or found[-1] not in outputs:
            expected = f"{num_features} features and layers of {[*widths, *sorted(outputs)[:1]]}"
            raise PolicyFileError(f"policy file: expected {expected} in {part}, got {found}")


def _size(tensors: Tensors, name: str) -> int:
    return int(np.size(tensors.get(name, ())))


def _num_outputs(action_space: gym.Space[Any]) -> set[int]:
    """What a policy's last layer may put out: of a Box, means with or without log standard deviations."""
    n = count_dist_params(action_space)
    return {n // 2, n} if isinstance(action_space, gym.spaces.Box) else {n}


def restore(model: "TRPO", tensors: Tensors) -> tuple[npt.NDArray[Any], CriticState, ObservationNormalizer]:
    """The policy's theta, critic and normaliser that ``tensors`` hold for a freshly made ``model``.

    Raises
    ------
    PolicyFileError
        If a tensor is missing, has another shape or dtype than the model's, or is not finite.
    """
    parts = model.get_parameters()
    for part, views in parts.items():
        for name, view in views.items():
            view[...] = _tensor(tensors, f"{part}.{name}", view.shape, view.dtype)
    theta, value_theta = (np.concatenate([v.ravel() for v in views.values()]) for views in parts.values())
    critic = model.value_function.initial_state(model.seed)
    critic = replace(critic, theta=value_theta, target_statistics=_statistics(tensors, "returns", 1))
    size = model.policy.normalizer.statistics.mean.size
    statistics = _statistics(tensors, "normalizer", size)
    choices = ~model.policy.observation_codec.is_continuous
    if statistics.mean[choices].any() or (statistics.var[choices] != 1.0).any():
        raise PolicyFileError("policy file: expected choices and masks that are not normalised, got statistics of them")
    return theta, critic, replace(model.policy.normalizer, statistics=statistics)


def _statistics(tensors: Tensors, part: str, size: int) -> RunningMeanStd:
    mean, var, count = (
        _tensor(tensors, f"{part}.{name}", (n,), np.dtype(np.float64))
        for name, n in (("mean", size), ("var", size), ("count", 1))
    )
    statistics = RunningMeanStd(mean, var, float(count[0]))
    if not statistics.is_possible:
        raise PolicyFileError(f"policy file: expected variances >= 0 in {part}, got others")
    return statistics


def _tensor(tensors: Tensors, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    tensor = tensors.get(name)
    if tensor is None or tensor.shape != shape or tensor.dtype != dtype:
        got = "none" if tensor is None else f"{tensor.dtype} {tensor.shape}"
        raise PolicyFileError(f"policy file: expected {name} as {dtype} {shape}, got {got}")
    if not np.isfinite(tensor).all():
        raise PolicyFileError(f"policy file: expected finite values, got NaN or Inf in {name}")
    return tensor
