"""Policies as ONNX, C, C++ and JSON: normaliser and bounds of the action space inside, golden vectors beside."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.export.deployment import Deployment
from trpo_fast.export.golden import golden_vectors, write_golden_json
from trpo_fast.export.sources import write_c, write_cpp
from trpo_fast.export.structured import write_json, write_onnx
from trpo_fast.spaces.naming import Names
from trpo_fast.storage.policy_content import PolicyLike, as_acting, policy_metadata
from trpo_fast.storage.policy_file import SUFFIX, existing_path
from trpo_fast.validation import check_choice, check_path

SUFFIXES = {"onnx": ".onnx", "c": ".c", "cpp": ".hpp", "json": ".json"}


def export_policy(
    model: PolicyLike,
    path: str | os.PathLike[str] | None = None,
    *,
    format: str = "onnx",
    observation_names: Names | None = None,
    action_names: Names | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> list[Path]:
    """Write a policy as what another runtime reads, with golden vectors to test it on the target.

    All are of the most probable action, in float32.

    Parameters
    ----------
    model : path, TRPO, or the result of ``load_policy``
        A path is that of a file that ``TRPO.save`` or ``save_policy`` wrote.
    path : path, optional
        Where to; its stem is the name in C and C++. Beside the file ``model``, with the format's suffix, if not given.
        Its folder is created if missing.
    format : {"onnx", "c", "cpp", "json"}
        ONNX (input ``obs`` and one of uint8 for each image, output ``actions``; needs the ``export`` extra); C99 that
        needs ``tanhf`` and ``expf`` alone; constants for ``trpo_fast/fixed_policy.hpp``, of a policy without images and
        features extractor; the numbers as JSON.
    observation_names, action_names : sequence of str, or mapping of str to unit, optional
        Names that replace those of the policy (``Policy.named``).
    metadata : mapping, optional
        What else a controller needs, such as ``{"joint_stiffness": [40.0, 40.0]}``: texts, numbers, or sequences of
        these, which are written with commas between them. Entries of ONNX's metadata, "metadata" in JSON, and comments
        in C and C++. Keys must be other ones than those of the policy.

    Returns
    -------
    list of Path
        The files written, the exported policy first.

    Raises
    ------
    PolicyFileError, FileNotFoundError
        As ``load_policy``.
    InvalidArgumentError
        If the format is unknown or cannot hold the policy, there are more or fewer names than numbers, ``metadata``
        cannot be written, float32 cannot hold the policy, or ``path`` is needed, because ``model`` is not a file.
    MissingExtraError
        For ONNX without the ``export`` extra.
    OSError
        If a file cannot be written.
    """
    check_choice("format", format, tuple(SUFFIXES))
    deployment, source = _deployment(
        model, observation_names=observation_names, action_names=action_names, more=metadata
    )
    if path is None and source is None:
        raise InvalidArgumentError("path", f"a file that ends with {SUFFIXES[format]}, for a model in memory", "none")
    target = source.with_name(_stem(source) + SUFFIXES[format]) if source and path is None else check_path("path", path)
    if target.suffix != SUFFIXES[format]:
        raise InvalidArgumentError("path", f"a file that ends with {SUFFIXES[format]}", repr(target.name))
    golden = golden_vectors(deployment)
    target.parent.mkdir(parents=True, exist_ok=True)
    if format == "c":
        return write_c(deployment, golden, target)
    if format == "cpp":
        return write_cpp(deployment, golden, target)
    if format == "onnx":
        write_onnx(deployment, target)
    else:
        write_json(deployment, target)
    return [target, write_golden_json(golden, target)]


def _deployment(model: PolicyLike, **additions: Any) -> tuple[Deployment, Path | None]:
    """What is exported, and the file that it comes from, if it comes from one."""
    if isinstance(model, str | os.PathLike):
        source = existing_path(model)
        return Deployment.load(source, **additions), source
    acting = as_acting(model)
    metadata = {**policy_metadata(acting.policy), "num_timesteps": getattr(acting, "num_timesteps", 0)}
    return Deployment.of(acting.policy, acting.actor.theta, metadata, **additions), None


def _stem(source: Path) -> str:
    """The name of a file without the suffix that saving gave it; any other dot is part of the name."""
    return source.name.removesuffix(SUFFIX).removesuffix(".zip")
