"""Files of RL Baselines3 Zoo (YAML, one section per environment), with the meaning that they have there."""

import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym

from trpo_fast.cli.pairs import as_pairs
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.factory import POLICIES
from trpo_fast.storage.hyperparameters import MAX_TEXT, NAMES, parse_setting, read_sections
from trpo_fast.storage.literals import parse_value
from trpo_fast.training.sb3_arguments import what_it_has
from trpo_fast.validation import check_path, describe, suggestion

# What sb3-contrib's TRPO does where a section says nothing, if it differs from the defaults of TRPOConfig.
ZOO_DEFAULTS = {
    "kl_reduction": "mean",
    "step_norm": "damped",
    "normalize_observations": False,
    "normalize_reward": False,
    "normalize_returns": False,
    "log_std_init": 0.0,
}
ATARI_WRAPPER = "stable_baselines3.common.atari_wrappers.AtariWrapper"
WRAPPERS = "wrappers are not applied; register an environment that has them, and train it as MODULE:ID"
LEFT_OUT = {
    "use_sde": "there is no state-dependent exploration; exploration noise is independent from step to step",
    "env_wrapper": WRAPPERS,
    "vec_env_wrapper": WRAPPERS,
    "callback": "callbacks are passed to learn in a script",
    "monitor_kwargs": "monitor.csv has the columns r, l and t",
    "device": "trpo_fast runs on CPUs",
    "tensorboard_log": "the option --tensorboard names the folder",
    "verbose": "the option -v prints more",
    "vec_env_kwargs": "the option --n-workers steps environments in processes",
    "vec_env_class": "the option --n-workers steps environments in processes",
    "rollout_buffer_class": "rollouts are stored by trpo_fast",
    "rollout_buffer_kwargs": "rollouts are stored by trpo_fast",
    "policy": f"the policies are {', '.join(POLICIES)}",
}
POLICY_LEFT_OUT = {
    "optimizer_class": "the critic is fitted by Adam",
    "optimizer_kwargs": "the critic is fitted by Adam",
    "full_std": LEFT_OUT["use_sde"],
    "use_expln": LEFT_OUT["use_sde"],
    "squash_output": "in Stable-Baselines3 it belongs to state-dependent exploration; squash bounds Box actions here",
}
NORMALIZE_LEFT_OUT = {
    "gamma": "the return is discounted by gamma",
    "clip_obs": "observations are clipped at 10 standard deviations",
    "clip_reward": "rewards are clipped at 10 standard deviations",
    "epsilon": "it is 1e-8",
    "training": "statistics are updated",
    "norm_obs_keys": "all parts of an observation are normalised, except choices",
}
ONLY_DEFAULTS = {"clip_obs": 10.0, "clip_reward": 10.0, "epsilon": 1e-8, "training": True}


def read_hyperparameters(path: Path, env_id: str) -> dict[str, Any]:
    """The section of ``env_id`` in a file as settings of ``trpo-fast train``: "total_timesteps", "gamma", ...

    As in the zoo, an environment without a section has that of ``atari`` (Atari games) or ``default``, and settings
    that a section does not name are those of sb3-contrib. A warning names every key that is left out, and says why.

    Raises
    ------
    InvalidArgumentError
        If the file cannot be read, has no such section, or has a key that is not a setting.
    """
    try:
        with check_path("conf", path).open(encoding="utf-8") as file:
            sections = read_sections(file.read(MAX_TEXT + 1))
    except (OSError, RecursionError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise InvalidArgumentError("conf", "a YAML file of settings", f"{path}: {why}") from error
    settings = dict(ZOO_DEFAULTS)
    if sections is None:
        _warn(f"{path} is empty: every setting has the value that it has in sb3-contrib")
        return settings
    for name, value in _section(path, sections, env_id).items():
        if not _is_of_our_games(env_id, name, value):
            settings.update(_setting(str(name), value))
    return settings


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


def _section(path: Path, sections: Any, env_id: str) -> dict[Any, Any]:
    """The section of ``env_id``, or the one that stands for it."""
    if not isinstance(sections, dict):
        raise InvalidArgumentError("conf", "a YAML file of sections, one per environment", describe(sections))
    own = [name for name in (env_id, env_id.rpartition(":")[2]) if name in sections]
    others = ["atari"] if _is_atari(env_id) else []
    name = next((name for name in [*own, *others, "default"] if name in sections), None)
    nearest = suggestion(env_id, map(str, sections))
    if name is None:
        raise InvalidArgumentError("conf", f"a YAML file with a section {env_id}{nearest}", str(path))
    if not own:
        _warn(f"{path} has no section {env_id}{nearest}: its section {name} is used")
    if not isinstance(sections[name], dict | None):
        raise InvalidArgumentError("conf", f"settings in the section {name}", describe(sections[name]))
    return sections[name] or {}


def _is_atari(env_id: str) -> bool:
    spec = gym.registry.get(env_id)
    return spec is not None and "AtariEnv" in str(spec.entry_point)


def _is_of_our_games(env_id: str, name: Any, value: Any) -> bool:
    """Whether an entry asks for what Atari games of trpo_fast do themselves: AtariWrapper, stacks of four images."""
    if not (_is_atari(env_id) and env_id.startswith("trpo_fast/")):
        return False
    return (name, value) == ("frame_stack", 4) or (name == "env_wrapper" and value in (ATARI_WRAPPER, [ATARI_WRAPPER]))


def _setting(name: str, value: Any) -> dict[str, Any]:
    """One entry of a section as settings, or a warning and no settings."""
    if isinstance(value, str) and (name not in LEFT_OUT or name == "use_sde"):
        value = parse_value(name, value)
    if value is None or name == "sde_sample_freq" or (name == "use_sde" and value is False):
        return {}
    if name in LEFT_OUT and not (name == "policy" and value in POLICIES):
        return _left_out(name, value, LEFT_OUT[name])
    if name == "env_kwargs":
        if not isinstance(value, dict):
            raise InvalidArgumentError(name, "a dict", describe(value))
        return {name: as_pairs(value)}
    if name not in NAMES:
        expected = f"a setting of trpo-fast train{what_it_has(name, NAMES)}"
        raise InvalidArgumentError(name, expected, describe(value))
    if name == "sub_sampling_factor" and value != 1:
        _warn(f"sub_sampling_factor {value}: it thins the Fisher matrix only; in sb3-contrib the gradient too")
    if name == "normalize" and isinstance(value, dict):
        for key in value.keys() - {"norm_obs", "norm_reward"}:
            if key not in NORMALIZE_LEFT_OUT:
                raise InvalidArgumentError(f"normalize.{key}", "an argument of VecNormalize", describe(value[key]))
            if key == "gamma" or value[key] != ONLY_DEFAULTS.get(key):
                _left_out(f"normalize.{key}", value[key], NORMALIZE_LEFT_OUT[key])
    if name == "policy_kwargs" and isinstance(value, dict):
        for key in value.keys() & POLICY_LEFT_OUT.keys():
            _left_out(f"policy_kwargs.{key}", value[key], POLICY_LEFT_OUT[key])
        value = {key: part for key, part in value.items() if key not in POLICY_LEFT_OUT}
    return parse_setting(name, value)


def _left_out(name: str, value: Any, reason: str) -> dict[str, Any]:
    _warn(f"{name}: {str(value)[:60]} is left out: {reason}")
    return {}


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=3)
