"""The features extractors of Stable-Baselines3, by name, as trees of layers."""

from collections.abc import Mapping
from typing import Any

from trpo_fast import nets
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.plan import Inputs, Pixels
from trpo_fast.validation import check_choice, check_flag, check_integer, describe, plain_number

EXTRACTORS = {
    "FlattenExtractor": (),
    "NatureCNN": ("features_dim", "normalized_image"),
    "CombinedExtractor": ("cnn_output_dim", "normalized_image"),
    "PaperCNN": ("activation_fn",),
}
"""Features extractors by name, and their arguments. normalized_image only turns checks of Stable-Baselines3 off."""


def default_name(parts: Inputs) -> str:
    """Name of the features extractor of Stable-Baselines3's policy for such observations."""
    if isinstance(parts, Pixels):
        return "NatureCNN"
    return "CombinedExtractor" if isinstance(parts, Mapping) else "FlattenExtractor"


def combined_extractor(parts: Inputs, cnn_output_dim: int = 256) -> nets.Net:
    """``CombinedExtractor`` of Stable-Baselines3: a NatureCNN for each image; all other parts are flattened."""
    if isinstance(parts, Pixels):
        return nets.NatureCNN(cnn_output_dim)
    branches = {key: combined_extractor(part, cnn_output_dim) for key, part in _items(parts) if _has_images(part)}
    return nets.Parallel(branches) if branches else nets.Flatten()


def extractor_name(features_extractor_class: Any) -> str:
    """Name of a features extractor: as given, or that of a class.

    Raises
    ------
    InvalidArgumentError
        If there is no such extractor.
    """
    name = getattr(features_extractor_class, "__name__", features_extractor_class)
    if not isinstance(name, str) or name not in EXTRACTORS:
        expected = f"one of {', '.join(EXTRACTORS)}, or features_extractor=, a network of trpo_fast.nets"
        raise InvalidArgumentError("features_extractor_class", expected, describe(features_extractor_class))
    return name


def extractor_arguments(features_extractor_kwargs: Any) -> dict[str, Any]:
    """``features_extractor_kwargs`` as plain values.

    Raises
    ------
    InvalidArgumentError
        If they are not a dict of names and numbers or names.
    """
    kwargs = {} if features_extractor_kwargs is None else features_extractor_kwargs
    if not isinstance(kwargs, Mapping) or not all(isinstance(name, str) for name in kwargs):
        raise InvalidArgumentError("features_extractor_kwargs", "a dict", describe(kwargs))
    plain = {name: plain_number(value) for name, value in kwargs.items()}
    if "activation_fn" in plain:
        plain["activation_fn"] = nets.activation_name(plain["activation_fn"])
    return plain


def named_extractor(name: str, kwargs: Mapping[str, Any], parts: Inputs) -> nets.Net:
    """The features extractor ``name`` of Stable-Baselines3 for these parts of an observation.

    Parameters
    ----------
    name : str
        As ``extractor_name`` returns it.
    kwargs : dict
        As ``extractor_arguments`` returns them.

    Raises
    ------
    InvalidArgumentError
        If an argument is unknown or invalid, or the extractor does not fit the parts.
    """
    for argument, value in kwargs.items():
        check_choice(f"features_extractor_kwargs of {name}", argument, EXTRACTORS[name])
        if argument == "normalized_image":
            check_flag(argument, value)
        elif argument != "activation_fn":
            check_integer(argument, value, at_least=1, at_most=nets.MAX_WIDTH)
    if name == "FlattenExtractor":
        return nets.Flatten()
    if name == "CombinedExtractor":
        if not isinstance(parts, Mapping):
            raise InvalidArgumentError("features_extractor_class", f"a Dict space for {name}", "another space")
        return combined_extractor(parts, kwargs.get("cnn_output_dim", 256))
    if not isinstance(parts, Pixels):
        raise InvalidArgumentError("features_extractor_class", f"a space that is an image for {name}", "another space")
    if name == "PaperCNN":
        return nets.PaperCNN(kwargs.get("activation_fn", "relu"))
    return nets.NatureCNN(kwargs.get("features_dim", 512))


def _items(parts: Inputs) -> list[tuple[str, Inputs]]:
    return list(parts.items()) if isinstance(parts, Mapping) else []


def _has_images(parts: Inputs) -> bool:
    return isinstance(parts, Pixels) or any(_has_images(part) for _, part in _items(parts))
