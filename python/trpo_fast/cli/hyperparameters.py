"""Hyperparameter files in the format of RL Baselines3 Zoo: YAML, one section per environment.

Read with ``yaml.safe_load``. Python-like text, such as ``dict(net_arch=[64, 64], activation_fn=nn.Tanh)`` and
``lin_0.001``, is parsed with a whitelist. Nothing is evaluated.
"""

import ast
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from trpo_fast.config import TRPOConfig
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.factory import POLICY_KWARGS, activation_name
from trpo_fast.schedules import AdaptiveRadius, LinearSchedule
from trpo_fast.validation import check_real, describe

SHIPPED = Path(__file__).parent / "hyperparameters.yml"
COMMAND = ("n_envs", "normalize_observations", "use_masking", "dtype")


def read_hyperparameters(path: Path, env_id: str) -> dict[str, Any]:
    """The section ``env_id`` of a file as settings of ``trpo-fast train``: "total_timesteps", "net_arch", "gamma", ...

    Raises
    ------
    InvalidArgumentError
        If the file cannot be read, has no such section, or has a setting that trpo-fast train does not have.
    """
    try:
        sections = yaml.safe_load(path.read_text())
        section = sections[env_id]
    except (OSError, yaml.YAMLError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise InvalidArgumentError("conf", f"a YAML file with a section {env_id}", f"{path}: {error!r}") from error
    if not isinstance(section, dict):
        raise InvalidArgumentError("conf", f"settings in the section {env_id}", describe(section))
    settings: dict[str, Any] = {}
    for name, value in section.items():
        settings.update(_setting(str(name), value))
    return settings


def shipped_hyperparameters(env_id: str) -> dict[str, Any]:
    """The tuned settings of the package for ``env_id``; empty for most environments."""
    sections = yaml.safe_load(SHIPPED.read_text())
    return read_hyperparameters(SHIPPED, env_id) if env_id in sections else {}


def parse_params(pairs: tuple[str, ...]) -> dict[str, Any]:
    """The name:value pairs of ``-P`` as settings, with the same names and values as in a file.

    Raises
    ------
    InvalidArgumentError
        If a pair is malformed, or is not a setting of trpo-fast train.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, separator, text = pair.partition(":")
        if not (name.isidentifier() and separator):
            raise InvalidArgumentError("params", "name:value", repr(pair))
        settings.update(_setting(name, text))
    return settings


def _setting(name: str, value: Any) -> dict[str, Any]:
    """One entry of a section as settings."""
    if isinstance(value, str):
        value = parse_value(name, value)
    if name == "n_timesteps":
        return {"total_timesteps": int(check_real(name, value, at_least=1.0))}
    if name == "policy" and value in ("MlpPolicy", "MultiInputPolicy"):
        return {}
    if name == "normalize":
        of = value if isinstance(value, dict) else {"norm_obs": bool(value), "norm_reward": bool(value)}
        names = {"normalize_observations": "norm_obs", "normalize_reward": "norm_reward"}
        return {ours: of.get(theirs, True) for ours, theirs in names.items()}
    if name == "policy_kwargs" and isinstance(value, dict):
        return {key: part for each in value for key, part in _setting(each, value[each]).items()}
    if name == "activation_fn":
        return {name: activation_name(value) if not isinstance(value, str) else value.rpartition(".")[2].lower()}
    if name == "net_arch":
        if isinstance(value, dict) and value.keys() == {"pi", "vf"}:
            return {"net_arch": tuple(value["pi"]), "net_arch_vf": tuple(value["vf"])}
        if isinstance(value, list | tuple) and all(isinstance(width, int) for width in value):
            return {"net_arch": tuple(value)}
        raise InvalidArgumentError(name, "a list of widths, or dict(pi=..., vf=...) of lists", describe(value))
    if name in (*POLICY_KWARGS, *COMMAND) or name in {f.name for f in fields(TRPOConfig)}:
        return {name: value}
    raise InvalidArgumentError(name, "a setting of trpo-fast train", describe(value))


def parse_value(name: str, text: str) -> Any:
    """The value of a literal, a ``dict(name=value, ...)`` of literals, a schedule ``lin_0.001``, or a name as text.

    Raises
    ------
    InvalidArgumentError
        If ``text`` is any other Python code.
    """
    for prefix, schedule in (("lin_", LinearSchedule), ("adaptive_", AdaptiveRadius)):
        if text.startswith(prefix):
            try:
                return schedule(float(text[len(prefix) :]))
            except ValueError as error:
                raise InvalidArgumentError(name, f"{prefix} and a number", repr(text)) from error
    try:
        return _literal(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, TypeError, ValueError, MemoryError, RecursionError) as error:
        if text.replace("_", "").replace("-", "").isalnum():  # a plain word
            return text
        raise InvalidArgumentError(name, "a literal, dict(...), lin_NUMBER or a name", repr(text)) from error


def _literal(node: ast.expr) -> Any:
    match node:
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords) if all(k.arg for k in keywords):
            return {str(k.arg): _literal(k.value) for k in keywords}
        case ast.Dict(keys=keys, values=values):
            return {_literal(k): _literal(v) for k, v in zip(keys, values, strict=True) if k is not None}
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_literal(item) for item in items]
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id="nn"), attr=name):
            return name
        case _:
            return ast.literal_eval(node)
