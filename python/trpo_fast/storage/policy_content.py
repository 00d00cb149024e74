"""The content of a policy file: exactly what acting needs."""

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from trpo_fast._version import __version__
from trpo_fast.errors import InvalidArgumentError, PolicyFileError
from trpo_fast.policies.acting_form import acting_form
from trpo_fast.policies.factory import make_policy, parameter_plan, plain_kwargs, plan_options
from trpo_fast.policies.normalization import ObservationNormalizer, RunningMeanStd
from trpo_fast.policies.policy import Actor, Policy
from trpo_fast.policies.predictor import LoadedPolicy, Predictor
from trpo_fast.protocols import ActingModel
from trpo_fast.spaces.as_json import space_from_json, space_to_json
from trpo_fast.spaces.interface import Interface
from trpo_fast.spaces.kinds import Spaces
from trpo_fast.spaces.naming import Names
from trpo_fast.storage.policy_file import (
    FORMAT,
    VERSION,
    Tensors,
    existing_path,
    load_policy_file,
    save_policy_file,
    target_path,
)
from trpo_fast.validation import describe

_INTERFACE = "interface."  # of names of tensors
PolicyLike: TypeAlias = str | os.PathLike[str] | ActingModel | Actor | tuple[Policy, npt.NDArray[Any]]


def load_policy(path: str | os.PathLike[str]) -> LoadedPolicy:
    """The policy in a file that ``TRPO.save`` wrote: what acts, and nothing of what learns.

    The result predicts, and ``policy, theta = load_policy(path)`` gives its parts.

    Parameters
    ----------
    path : path
        The exact name, or the name without ".safetensors".

    Raises
    ------
    PolicyFileError
        If the file is damaged, or holds no policy.
    InvalidArgumentError, UnsupportedSpaceError
        If it holds one that cannot be.
    FileNotFoundError
    """
    return LoadedPolicy(*read_policy(*load_policy_file(existing_path(path))))


def as_acting(model: PolicyLike) -> ActingModel:
    """What acts: a model itself, or the policy in a file, in an actor, or in a pair (policy, theta).

    Raises
    ------
    InvalidArgumentError
        If ``model`` is none of these, or a Policy without its theta.
    PolicyFileError, FileNotFoundError
        As ``load_policy``.
    """
    if isinstance(model, str | os.PathLike):
        return load_policy(model)
    if isinstance(model, Actor):
        return LoadedPolicy(model.policy, model.theta)
    if isinstance(model, tuple) and len(model) == 2 and isinstance(model[0], Policy):
        return LoadedPolicy(*model)
    if isinstance(model, Predictor):
        return model
    expected = "a path of a policy file, a model, what load_policy returned, or (policy, theta)"
    raise InvalidArgumentError("model", expected, describe(model))


def save_policy(
    path: str | os.PathLike[str],
    policy: Policy | PolicyLike,
    theta: npt.NDArray[Any] | None = None,
    *,
    observation_names: Names | None = None,
    action_names: Names | None = None,
) -> None:
    """Write ``policy`` with ``theta`` (P,) for ``load_policy``, the C++ runtime and ``trpo-fast export``.

    Without ``theta``, ``policy`` is a model or what ``load_policy`` returned. ``observation_names`` and
    ``action_names`` are those of ``Policy.named``.

    For loops of your own; ``TRPO.save`` also writes what learning needs to go on, without which ``TRPO.load`` refuses
    a file. ".safetensors" is added to a path without a suffix, and its folder is created if missing.

    Raises
    ------
    InvalidArgumentError
        If theta is not one of the policy, or not finite; or as ``Policy.named``.
    OSError
        If the file cannot be written; an old one is left as it was.
    """
    if theta is None or not isinstance(policy, Policy):
        policy, theta = as_acting(cast(PolicyLike, policy)).actor.parts
    policy, theta = policy.named(observation_names, action_names), policy.check_theta(theta)
    if not np.isfinite(theta).all():
        raise InvalidArgumentError("theta", "finite values", "NaN or Inf")
    tensors = {f"policy.{name}": view for name, view in policy.unflatten(theta).items()}
    tensors.update(statistics_tensors("normalizer", policy.normalizer.statistics))
    tensors.update(acting_tensors(policy))
    tensors.update(interface_tensors(policy))
    arguments = {"policy_kwargs": policy.policy_kwargs, **policy_arguments(policy)}
    save_policy_file(target_path(path), tensors, {**policy_metadata(policy), "arguments": arguments})


def policy_arguments(policy: Policy) -> dict[str, Any]:
    """Arguments of a model that are those of its policy, but for ``policy_kwargs``."""
    return {
        "normalize_observations": policy.normalizer.enabled,
        "use_masking": policy.action_masks is not None,
        "dtype": str(policy.dtype),
        **({"frame_stack": policy.frame_stack} if policy.frame_stack > 1 else {}),
    }


def policy_metadata(policy: Policy) -> dict[str, Any]:
    """What stands in every file."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "trpo_fast": __version__,
        "observation_space": space_to_json(policy.observation_space),
        "action_space": space_to_json(policy.action_space),
    }


def statistics_tensors(part: str, statistics: RunningMeanStd) -> Tensors:
    """Running statistics as the tensors of a file."""
    count = np.array([statistics.count])
    return {f"{part}.mean": statistics.mean, f"{part}.var": statistics.var, f"{part}.count": count}


def acting_tensors(policy: Policy) -> Tensors:
    """The acting form as the tensors of a file; with the policy's own they are all that C++ needs to act."""
    return {f"acting.{name}": array for name, array in acting_form(policy).arrays().items()}


def interface_tensors(policy: Policy) -> Tensors:
    """What the policy says of its numbers as the tensors of a file; none if it says nothing."""
    arrays = {} if policy.interface is None else policy.interface.arrays()
    return {f"{_INTERFACE}{name}": array for name, array in arrays.items()}


def check_acting_form(policy: Policy, tensors: Tensors, version: int) -> None:
    """Refuse an acting form that is not the policy's: one file must not hold two policies, of Python and of C++.

    Raises
    ------
    PolicyFileError
    """
    expected = acting_tensors(policy) if version > 3 else {}  # version 3 had none
    found = {name: tensor for name, tensor in tensors.items() if name.startswith("acting.")}
    for name in sorted(expected.keys() | found.keys()):
        if name not in expected or name not in found or not _are_same(expected[name], found[name]):
            raise PolicyFileError(f"policy file: expected the acting form of its policy, got another {name}")


def _are_same(some: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    return some.dtype == other.dtype and some.shape == other.shape and some.tobytes() == other.tobytes()


def read_policy(tensors: Tensors, metadata: dict[str, Any]) -> tuple[Policy, npt.NDArray[Any]]:
    """``load_policy`` of what a file holds."""
    arguments, spaces = read_arguments(metadata)
    options = check_arguments(arguments, spaces, tensors)
    return restore_policy(make_policy(*spaces, **options), tensors, metadata["version"])


def check_arguments(arguments: dict[str, Any], spaces: Spaces, tensors: Tensors) -> dict[str, Any]:
    """The arguments of a model that ``make_policy`` takes, of a policy that is as large as its tensors.

    Raises
    ------
    PolicyFileError, InvalidArgumentError, UnsupportedSpaceError
    """
    try:
        options = {name: arguments[name] for name in ("normalize_observations", "use_masking", "dtype")}
        options["policy_kwargs"] = arguments["policy_kwargs"]
        options["frame_stack"] = arguments.get("frame_stack", 1)
    except KeyError as error:
        raise PolicyFileError(f"policy file: expected the arguments of a policy, got none for {error}") from error
    if not isinstance(options["policy_kwargs"], dict) or options["dtype"] not in ("float32", "float64"):
        raise PolicyFileError(f"policy file: expected the arguments of a policy, got {describe(arguments)}")
    options["policy_kwargs"] = plain_kwargs(options["policy_kwargs"])
    check_sizes(arguments, spaces, tensors, parts=("policy",))
    return options


def restore_policy(policy: Policy, tensors: Tensors, version: int) -> tuple[Policy, npt.NDArray[Any]]:
    """A freshly made policy with the statistics of a file, and its theta (P,), checked against its acting form.

    Raises
    ------
    PolicyFileError
    """
    theta = np.zeros(policy.num_params, policy.dtype)
    fill(policy.unflatten(theta), tensors, "policy")
    policy = policy.with_normalizer(read_normalizer(policy, tensors))
    interface = read_interface(tensors)
    policy = policy if interface is None else policy.with_interface(interface)
    check_acting_form(policy, tensors, version)
    return policy, theta


def read_arguments(metadata: dict[str, Any]) -> tuple[dict[str, Any], Spaces]:
    """The arguments that a model was made with, and its (observation, action) spaces.

    Raises
    ------
    PolicyFileError
        If ``metadata`` do not have them.
    """
    try:
        arguments = metadata["arguments"]
        spaces = space_from_json(metadata["observation_space"]), space_from_json(metadata["action_space"])
    except KeyError as error:
        raise PolicyFileError(f"policy file: expected the metadata of a model, got none for {error}") from error
    if not isinstance(arguments, dict):
        raise PolicyFileError(f"policy file: expected arguments of a model, got {describe(arguments)}")
    return arguments, spaces


def check_sizes(arguments: dict[str, Any], spaces: Spaces, tensors: Tensors, parts: Sequence[str]) -> None:
    """Refuse networks of other sizes than the tensors have, before anything is made of them.

    Raises
    ------
    PolicyFileError, InvalidArgumentError, UnsupportedSpaceError
    """
    observation_space, action_space = spaces
    kwargs = plain_kwargs(arguments.get("policy_kwargs"))
    for part in (*parts, "policy") if kwargs.get("share_features_extractor") else parts:
        options = plan_options(observation_space, kwargs, "pi" if part == "policy" else "vf")
        if len(options.widths) > len(tensors):
            raise PolicyFileError(f"policy file: expected {len(options.widths)} layers in {part}, got too few tensors")
    for part in parts:
        for name, shape in parameter_plan(observation_space, action_space, kwargs, part).shapes.items():
            found = np.shape(tensors[f"{part}.{name}"]) if f"{part}.{name}" in tensors else "none"
            if found != shape:
                raise PolicyFileError(f"policy file: expected {part}.{name} of shape {shape}, got {found}")


def fill(views: dict[str, npt.NDArray[Any]], tensors: Tensors, part: str) -> None:
    """Move the tensors of a part of a model to ``views`` of its parameters, which frees their memory.

    Raises
    ------
    PolicyFileError
        If one is missing, has another shape or dtype, or is not finite.
    """
    for name, view in views.items():
        view[...] = read_tensor(tensors, f"{part}.{name}", view.shape, view.dtype)
        del tensors[f"{part}.{name}"]


def read_normalizer(policy: Policy, tensors: Tensors) -> ObservationNormalizer:
    """The policy's normaliser with the statistics that ``tensors`` hold.

    Raises
    ------
    PolicyFileError
    """
    statistics = read_statistics(tensors, "normalizer", policy.normalizer.statistics.mean.size)
    choices = ~policy.observation_codec.is_continuous
    if statistics.mean[choices].any() or (statistics.var[choices] != 1.0).any():
        raise PolicyFileError("policy file: expected choices and masks that are not normalised, got statistics of them")
    return replace(policy.normalizer, statistics=statistics)


def read_interface(tensors: Tensors) -> Interface | None:
    """What a file says of the numbers of its policy; None if it says nothing.

    Raises
    ------
    InvalidArgumentError
        If that cannot be.
    """
    arrays = {n.removeprefix(_INTERFACE): tensor for n, tensor in tensors.items() if n.startswith(_INTERFACE)}
    return Interface.of_arrays(arrays) if arrays else None


def read_statistics(tensors: Tensors, part: str, size: int) -> RunningMeanStd:
    """Running statistics of ``size`` columns.

    Raises
    ------
    PolicyFileError
    """
    mean, var, count = (
        read_tensor(tensors, f"{part}.{name}", (n,), np.dtype(np.float64))
        for name, n in (("mean", size), ("var", size), ("count", 1))
    )
    statistics = RunningMeanStd(mean, var, float(count[0]))
    if not statistics.is_possible:
        raise PolicyFileError(f"policy file: expected variances >= 0 in {part}, got others")
    return statistics


def read_tensor(tensors: Tensors, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The tensor ``name``.

    Raises
    ------
    PolicyFileError
        If it is missing, has another shape or dtype, or is not finite.
    """
    tensor = tensors.get(name)
    if tensor is None or tensor.shape != shape or tensor.dtype != dtype:
        got = "none" if tensor is None else f"{tensor.dtype} {tensor.shape}"
        raise PolicyFileError(f"policy file: expected {name} as {dtype} {shape}, got {got}")
    if not np.isfinite(tensor).all():
        raise PolicyFileError(f"policy file: expected finite values, got NaN or Inf in {name}")
    return tensor
