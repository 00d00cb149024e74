"""Hyperparameters by name: entries of settings files, and the tuned settings of the package (hyperparameters.yml)."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from trpo_fast.config import TRPOConfig
from trpo_fast.errors import InvalidArgumentError, MissingExtraError
from trpo_fast.nets import ACTIVATIONS, activation_name
from trpo_fast.policies.extractors import extractor_name
from trpo_fast.storage.literals import parse_value
from trpo_fast.validation import check_choice, check_real, describe, suggestion

SHIPPED = Path(__file__).parent / "hyperparameters.yml"
MODEL = ("n_envs", "frame_stack", "normalize_observations", "use_masking", "dtype", "seed", "stats_window_size")
NETWORK = (
    "net_arch", "activation_fn", "features_extractor_class", "features_extractor_kwargs",
    "share_features_extractor", "normalize_images", "log_std_init", "state_dependent_std", "squash", "ortho_init",
)  # fmt: skip
NAMES = (
    *(f.name for f in fields(TRPOConfig)), *MODEL, *NETWORK, "policy", "policy_kwargs", "n_timesteps", "normalize"
)  # fmt: skip
MAX_TEXT = 1 << 20  # characters of a file of settings
MAX_NODES = 16_000  # of its YAML, each of which takes a kilobyte
MAX_EXPANDED = 100_000  # with the aliases expanded


def parse_setting(name: str, value: Any) -> dict[str, Any]:
    """One entry of a section as settings: "total_timesteps", "net_arch", "gamma", ...

    Raises
    ------
    InvalidArgumentError
        If there is no setting of this name, or ``value`` is not one of its kind.
    """
    if isinstance(value, str):
        value = parse_value(name, value)
    if name == "n_timesteps":
        return {"total_timesteps": int(check_real(name, value, at_least=1.0))}
    if name == "normalize":
        of = value if isinstance(value, dict) else {"norm_obs": bool(value), "norm_reward": bool(value)}
        names = {"normalize_observations": "norm_obs", "normalize_reward": "norm_reward"}
        return {ours: of.get(theirs, True) for ours, theirs in names.items()}
    if name == "policy_kwargs" and isinstance(value, dict):
        return {key: part for each in value for key, part in parse_setting(str(each), value[each]).items()}
    if name == "activation_fn":
        word = activation_name(value) if not isinstance(value, str) else value.rpartition(".")[2].lower()
        return {name: check_choice(name, word, ACTIVATIONS)}
    if name == "features_extractor_class":
        return {name: extractor_name(value)}
    if name == "net_arch":
        return _widths(value)
    if name in NAMES and name != "policy_kwargs":
        return {name: value}
    raise InvalidArgumentError(name, f"a setting of trpo-fast train{suggestion(name, NAMES)}", describe(value))


def _widths(value: Any) -> dict[str, Any]:
    """Widths of both networks: a list, a dict of "pi" and "vf", or the latter in a list as before SB3 1.8."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        value = value[0]
    parts: list[Any] = [value.get("pi"), value.get("vf")] if isinstance(value, dict) and len(value) == 2 else [value]
    if all(isinstance(part, list | tuple) and all(isinstance(n, int) for n in part) for part in parts):
        return {name: tuple(part) for name, part in zip(("net_arch", "net_arch_vf"), parts, strict=False)}
    raise InvalidArgumentError("net_arch", "a list of widths, or dict(pi=..., vf=...) of lists", describe(value))


def read_sections(text: str) -> Any:
    """The value of a YAML document of plain values.

    Raises
    ------
    ValueError, RecursionError
        If ``text`` is not such a document, or its aliases expand to more than a file of settings holds.
    MissingExtraError
        If PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError("a file of settings", "cli") from error

    if len(text) > MAX_TEXT or sum(map(text.count, ",:-[{\n")) > MAX_NODES:
        raise ValueError(f"expected at most {MAX_TEXT:,} characters and {MAX_NODES:,} values, got more")
    sizes: dict[int, int] = {}

    def size(node: Any) -> int:
        """Number of nodes below ``node``, those of an alias wherever it stands."""
        if id(node) not in sizes:
            sizes[id(node)] = MAX_EXPANDED + 1  # of a node inside itself
            parts = node.value if isinstance(node, yaml.CollectionNode) else []
            sizes[id(node)] = 1 + sum(size(n) for p in parts for n in (p if isinstance(p, tuple) else (p,)))
        return sizes[id(node)]

    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if size(node) > MAX_EXPANDED:
            raise ValueError(f"its aliases expand to more than {MAX_EXPANDED:,} values")
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def tuned_hyperparameters(env_id: str) -> dict[str, Any]:
    """The tuned settings of the package for ``env_id``; empty for most environments."""
    section = read_sections(SHIPPED.read_text(encoding="utf-8")).get(env_id, {})
    return {key: part for name, value in section.items() for key, part in parse_setting(name, value).items()}


def tuned_arguments(env_id: str) -> dict[str, Any]:
    """The tuned settings for ``env_id`` as arguments of ``TRPO``.

    Raises
    ------
    InvalidArgumentError
        If there are none.
    """
    settings = tuned_hyperparameters(env_id)
    if not settings:
        known = ", ".join(read_sections(SHIPPED.read_text(encoding="utf-8")))
        raise InvalidArgumentError("env", f"an environment with tuned settings ({known})", describe(env_id))
    del settings["total_timesteps"]
    policy_kwargs = {name: settings.pop(name) for name in NETWORK if name in settings}
    if "net_arch_vf" in settings:
        policy_kwargs["net_arch"] = {"pi": policy_kwargs["net_arch"], "vf": settings.pop("net_arch_vf")}
    return {**settings, "policy_kwargs": policy_kwargs} if policy_kwargs else settings
