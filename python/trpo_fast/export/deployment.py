"""What is deployed of a policy: everything from a raw observation to the most probable action, in float32."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast._version import __version__
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.normalization import CLIP
from trpo_fast.policies.policy import MAX_LOG_STD, MIN_LOG_STD, Policy
from trpo_fast.storage.policy_content import read_policy
from trpo_fast.storage.policy_file import load_policy_file
from trpo_fast.validation import describe

MAX_EXACT = 1 << 24  # up to here, float32 holds every integer
FloatArray = npt.NDArray[np.float32]


class Layer(NamedTuple):
    """A dense layer: weight (out, in) and bias (out,)."""

    weight: FloatArray
    bias: FloatArray


@dataclass(frozen=True)
class Deployment:
    """A policy as other runtimes compute it, with names and statistics for their metadata.

    Attributes
    ----------
    policy : Policy
    theta : ndarray
    layers : list of Layer
    activation : str
        Of hidden layers.
    mean_high, mean_low : ndarray, shape (D,)
        The mean of features in two parts: (x - high) - low is exact to float32 where x is near the mean.
    inv_std : ndarray, shape (D,)
    clip : float
        Of normalised features; infinite if observations are not normalised.
    low, high : ndarray, shape (A,)
        Of a Box, the nearest floats within; else empty.
    std : ndarray, shape (A,)
        Of a Box whose standard deviations are parameters; else empty.
    metadata : dict
        Of the file the policy came from.
    """

    policy: Policy
    theta: npt.NDArray[Any]
    layers: list[Layer]
    activation: str
    mean_high: FloatArray
    mean_low: FloatArray
    inv_std: FloatArray
    clip: float
    low: FloatArray
    high: FloatArray
    std: FloatArray
    observation_names: list[str]
    action_names: list[str]
    metadata: dict[str, Any]

    @classmethod
    def load(
        cls, path: Path, observation_names: Sequence[str] | None = None, action_names: Sequence[str] | None = None
    ) -> "Deployment":
        """Of the policy in a file.

        Raises
        ------
        PolicyFileError, InvalidArgumentError, FileNotFoundError
            InvalidArgumentError also if float32 cannot hold it.
        """
        tensors, metadata = load_policy_file(path)
        policy, theta = read_policy(tensors, metadata)
        if np.abs(theta).max() > np.finfo(np.float32).max:
            raise InvalidArgumentError("model", "parameters that float32 can hold", "larger ones")
        views = {name: view.astype(np.float32) for name, view in policy.unflatten(theta).items()}
        n_layers = len(policy.policy_kwargs["net_arch"]) + 1
        layers = [Layer(views[f"layers.{i}.weight"], views[f"layers.{i}.bias"]) for i in range(n_layers)]
        codec, n = policy.codec, policy.observation_codec.num_features
        statistics, is_normalized = policy.normalizer.statistics, policy.normalizer.enabled
        mean = statistics.mean[:n] if is_normalized else np.zeros(n)
        mean_high = _to_float(mean)
        low, high = _float_bounds(codec.space) if isinstance(codec.space, gym.spaces.Box) else (_EMPTY, _EMPTY)
        if (low > high).any():
            raise InvalidArgumentError("model", "bounds of actions that float32 can tell apart", "closer ones")
        counts = codec.num_choices
        if (np.abs(codec.start) > MAX_EXACT).any() or (counts.size and (codec.start + counts > MAX_EXACT).any()):
            raise InvalidArgumentError("model", "choices that float32 can count", "larger numbers")
        std = np.exp(np.clip(views["log_std"], MIN_LOG_STD, MAX_LOG_STD)) if "log_std" in views else _EMPTY
        size = policy.observation_codec.size
        return cls(
            policy=policy,
            theta=theta,
            layers=layers,
            activation=policy.policy_kwargs["activation_fn"],
            mean_high=mean_high,
            mean_low=_to_float(mean - mean_high),
            inv_std=(1.0 / statistics.std[:n] if is_normalized else np.ones(n)).astype(np.float32),
            clip=CLIP if is_normalized else float("inf"),
            low=low,
            high=high,
            std=std,
            observation_names=_names("observation_names", observation_names, "obs", size),
            action_names=_names("action_names", action_names, "action", codec.size),
            metadata=metadata,
        )

    @property
    def kind(self) -> str:
        """Of actions: "box", "choices" or "bits"."""
        return "box" if self.policy.codec.is_box else "choices" if self.num_choices else "bits"

    @property
    def num_choices(self) -> list[int]:
        """Of each part of a discrete action, else empty."""
        return [int(n) for n in self.policy.codec.num_choices]

    @property
    def first(self) -> npt.NDArray[np.int64]:
        """What is added to the numbers of choices, (A,); else 0."""
        return self.policy.codec.start

    @property
    def sizes(self) -> list[int]:
        """Widths, from the features of an observation to the outputs of the last layer."""
        return [self.layers[0].weight.shape[1], *(len(layer.bias) for layer in self.layers)]

    @property
    def mask_size(self) -> int:
        """Numbers of an action mask, behind the features of an observation."""
        return 0 if self.policy.action_masks is None else self.policy.action_masks.size

    @property
    def size(self) -> int:
        """Numbers A of an action."""
        return self.policy.codec.size

    @property
    def outputs_std(self) -> bool:
        """Whether the second half of the last layer's outputs are log standard deviations."""
        return self.kind == "box" and self.std.size == 0

    def description(self) -> dict[str, Any]:
        """Metadata, as plain JSON values."""
        statistics = self.policy.normalizer.statistics
        return {
            "trpo_fast": __version__,
            "observation_space": self.metadata["observation_space"],
            "action_space": self.metadata["action_space"],
            "observation_names": self.observation_names,
            "action_names": self.action_names,
            "mask_size": self.mask_size,
            "normalize_observations": self.policy.normalizer.enabled,
            "normalizer_mean": statistics.mean.tolist(),
            "normalizer_var": statistics.var.tolist(),
            "normalizer_count": statistics.count,
            "training_steps": self.metadata.get("num_timesteps", 0),
        }


_EMPTY = np.zeros(0, np.float32)


def _to_float(values: npt.NDArray[np.float64]) -> FloatArray:
    """The nearest finite float32."""
    most = np.finfo(np.float32).max
    return np.clip(values, -most, most).astype(np.float32)


def _float_bounds(box: gym.spaces.Box) -> tuple[FloatArray, FloatArray]:
    low, high = (bound.ravel().astype(np.float64) for bound in (box.low, box.high))
    return _inside(low, np.inf), _inside(high, -np.inf)


def _inside(bound: npt.NDArray[np.float64], inwards: float) -> FloatArray:
    """The float32 next to ``bound`` that is not beyond it, on the way to ``inwards``."""
    nearest = np.where(np.isinf(bound), bound, _to_float(bound)).astype(np.float32)
    is_beyond = nearest < bound if inwards > 0 else nearest > bound
    return np.where(is_beyond, np.nextafter(nearest, np.float32(inwards)), nearest)


def _names(argument: str, names: Sequence[str] | None, prefix: str, size: int) -> list[str]:
    if names is None:
        return [f"{prefix}_{i}" for i in range(size)]
    is_sequence = isinstance(names, Sequence) and not isinstance(names, str)
    if not is_sequence or len(names) != size or not all(isinstance(name, str) and "," not in name for name in names):
        raise InvalidArgumentError(argument, f"{size} names without commas", describe(names))
    return list(names)
