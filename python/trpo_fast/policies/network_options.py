"""How the networks of a policy and a critic are planned for a space, with defaults as in Stable-Baselines3."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import gymnasium as gym

from trpo_fast import nets
from trpo_fast.policies.extractors import default_name, named_extractor
from trpo_fast.policies.plan import Features, Inputs, LogStd, Pixels, Plan, PlannedImage, check_widths, make_plan
from trpo_fast.spaces.actions import count_dist_params
from trpo_fast.spaces.leaves import ImageLeaf, parts_of
from trpo_fast.validation import check_choice, check_flag


class InputLayout(NamedTuple):
    """The parts of an observation as a network reads them, and its images."""

    parts: Inputs
    images: tuple[PlannedImage, ...]


def input_layout(space: gym.Space[Any], normalize_images: bool = True) -> InputLayout:
    """What a network reads of the observations of a space; pixels are divided by 255 with ``normalize_images``.

    Raises
    ------
    UnsupportedSpaceError
        If the space cannot be encoded.
    """
    images: list[PlannedImage] = []
    parts: dict[tuple[Any, ...], Inputs] = {}
    for part in parts_of(space):
        if isinstance(part, ImageLeaf):
            images.append(PlannedImage(part.height, part.width, part.channels, 1 / 255 if normalize_images else 1.0))
            parts[part.path] = Pixels(len(images), part.height, part.width, part.channels)
        else:
            parts[part.path] = Features(part.columns.start, part.columns.stop - part.columns.start)
    return InputLayout(_nested(space, (), parts), tuple(images))


class NetworkOptions(NamedTuple):
    """How a policy or critic is built on what it reads, checked, with defaults for the space filled in."""

    inputs: InputLayout
    features_extractor: nets.Net
    widths: list[int]
    activation_fn: str

    def __str__(self) -> str:
        hidden = f"{'-'.join(map(str, self.widths))} {self.activation_fn}"
        if self._is_flat:
            return hidden
        return f"{self.features_extractor!r}, {hidden}" if self.widths else repr(self.features_extractor)

    @property
    def _is_flat(self) -> bool:
        return not self.inputs.images and self.features_extractor == nets.Flatten()

    def as_kwargs(self) -> dict[str, Any]:
        """The arguments of ``network_options`` but for the space, as plain values; those of images if there are any."""
        kwargs: dict[str, Any] = {"net_arch": self.widths, "activation_fn": self.activation_fn}
        if not self._is_flat:
            kwargs["features_extractor"] = nets.to_json(self.features_extractor)
        if self.inputs.images:
            kwargs["normalize_images"] = self.inputs.images[0].scale != 1.0
        return kwargs

    def plan(self, output_size: int, log_std: LogStd = "none") -> Plan:
        """The plan of a network with these options; errors are those of ``make_plan``."""
        return make_plan(
            self.inputs.parts,
            self.inputs.images,
            self.features_extractor,
            net_arch=self.widths,
            activation_fn=self.activation_fn,
            output_size=output_size,
            log_std=log_std,
        )

    def policy_plan(self, action_space: gym.Space[Any], state_dependent_std: bool) -> Plan:
        """The plan of a policy."""
        num_dist_params = count_dist_params(action_space)
        if isinstance(action_space, gym.spaces.Box) and not state_dependent_std:
            return self.plan(num_dist_params // 2, "parameter")
        return self.plan(num_dist_params, "output" if isinstance(action_space, gym.spaces.Box) else "none")


def network_options(
    observation_space: gym.Space[Any],
    *,
    net_arch: Any = None,
    activation_fn: Any = "tanh",
    features_extractor: Any = None,
    normalize_images: Any = True,
) -> NetworkOptions:
    """Check the options of a network, and fill in the defaults for a space.

    Parameters
    ----------
    observation_space : gymnasium.Space
    net_arch : sequence of int, optional
        By default 64-64, and no hidden layers for a space that is an image.
    activation_fn : str
    features_extractor : network of ``trpo_fast.nets`` or its plain values, optional
        By default that of Stable-Baselines3 for the space.
    normalize_images : bool

    Raises
    ------
    InvalidArgumentError, UnsupportedSpaceError
    """
    inputs = input_layout(observation_space, check_flag("normalize_images", normalize_images))
    parts = inputs.parts
    default = named_extractor(default_name(parts), {}, parts)
    return NetworkOptions(
        inputs,
        default if features_extractor is None else nets.check("features_extractor", features_extractor),
        default_widths(parts) if net_arch is None else check_widths(net_arch),
        check_choice("activation_fn", activation_fn, nets.ACTIVATIONS),
    )


def default_widths(parts: Inputs) -> list[int]:
    """Hidden layers after the extractor, as in Stable-Baselines3."""
    return [] if isinstance(parts, Pixels) else [64, 64]


def _nested(space: gym.Space[Any], path: tuple[Any, ...], parts: Mapping[tuple[Any, ...], Inputs]) -> Inputs:
    if isinstance(space, gym.spaces.Dict):
        return {str(key): _nested(part, (*path, key), parts) for key, part in space.spaces.items()}
    if isinstance(space, gym.spaces.Tuple):
        return {str(i): _nested(part, (*path, i), parts) for i, part in enumerate(space.spaces)}
    return parts[path]
