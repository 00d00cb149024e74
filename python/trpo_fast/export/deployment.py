"""What is exported: a policy from a raw observation to the most probable action, in float32, and its metadata."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast._version import __version__
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.acting_form import ActingForm, FloatArray, acting_form
from trpo_fast.policies.plan import PlannedNode
from trpo_fast.policies.policy import MAX_LOG_STD, MIN_LOG_STD, Policy
from trpo_fast.spaces.leaves import ImageLeaf, images_of
from trpo_fast.storage.policy_content import read_policy
from trpo_fast.storage.policy_file import load_policy_file
from trpo_fast.validation import describe

MAX_EXACT = 1 << 24  # up to here, float32 holds every integer


class Layer(NamedTuple):
    """Parameters of a layer: weight (out, in) or (filters, channels, height, width), and bias (out,)."""

    weight: FloatArray
    bias: FloatArray


@dataclass(frozen=True)
class Deployment:
    """A policy as other runtimes compute it, with names and statistics for their metadata.

    Attributes
    ----------
    policy : Policy
    theta : ndarray
    form : ActingForm
    parameters : dict
        Of the layers, by name, in float32.
    std : ndarray, shape (A,)
        Of a Box whose standard deviations are parameters; otherwise empty.
    first : ndarray of int64, shape (A,)
        Added to the numbers of choices, counted from 0; 0 for other actions.
    metadata : dict
        Of the file that the policy came from, or that it would be saved to.
    """

    policy: Policy
    theta: npt.NDArray[Any]
    form: ActingForm
    parameters: dict[str, FloatArray]
    std: FloatArray
    first: npt.NDArray[np.int64]
    observation_names: list[str]
    action_names: list[str]
    metadata: dict[str, Any]

    @classmethod
    def load(
        cls, path: Path, observation_names: Sequence[str] | None = None, action_names: Sequence[str] | None = None
    ) -> "Deployment":
        """The policy in a file.

        Raises
        ------
        PolicyFileError, InvalidArgumentError, FileNotFoundError
            InvalidArgumentError also if float32 cannot hold it.
        """
        tensors, metadata = load_policy_file(path)
        return cls.of(*read_policy(tensors, metadata), metadata, observation_names, action_names)

    @classmethod
    def of(
        cls,
        policy: Policy,
        theta: npt.NDArray[Any],
        metadata: dict[str, Any],
        observation_names: Sequence[str] | None = None,
        action_names: Sequence[str] | None = None,
    ) -> "Deployment":
        """A policy at ``theta``, with the metadata that its file has or would have.

        Raises
        ------
        InvalidArgumentError
            If float32 cannot hold it.
        """
        form = acting_form(policy)
        _check_float32(form, theta)
        views = {name: view.astype(np.float32) for name, view in policy.unflatten(theta).items()}
        n_actions = form.action_size
        log_std = views.get("log_std", np.empty(0, np.float32))
        return cls(
            policy=policy,
            theta=theta,
            form=form,
            parameters=views,
            std=np.exp(np.clip(log_std, MIN_LOG_STD, MAX_LOG_STD)),
            first=form.start if form.start.size else np.zeros(n_actions, np.int64),
            observation_names=_names("observation_names", observation_names, "obs", form.observation_size),
            action_names=_names("action_names", action_names, "action", n_actions),
            metadata=metadata,
        )

    @property
    def images(self) -> tuple[ImageLeaf, ...]:
        """The images of an observation, in the order of their space."""
        return images_of(self.policy.observation_space)

    def layer(self, node: PlannedNode) -> Layer:
        """The parameters of a layer that has a weight and a bias."""
        return Layer(self.parameters[f"{node.name}.weight"], self.parameters[f"{node.name}.bias"])

    def description(self) -> dict[str, Any]:
        """Metadata, as plain JSON values."""
        normalizer = self.policy.normalizer
        more: dict[str, Any] = {"image_names": [image.name for image in self.images]} if self.images else {}
        if self.policy.frame_stack > 1:
            more["frame_stack"] = self.policy.frame_stack
        return {
            "trpo_fast": __version__,
            "observation_space": self.metadata["observation_space"],
            "action_space": self.metadata["action_space"],
            "observation_names": self.observation_names,
            "action_names": self.action_names,
            **more,
            "mask_size": self.form.mask_size,
            "normalize_observations": normalizer.enabled,
            "normalizer_mean": normalizer.statistics.mean.tolist(),
            "normalizer_var": normalizer.statistics.var.tolist(),
            "normalizer_count": normalizer.statistics.count,
            "training_steps": self.metadata.get("num_timesteps", 0),
        }


def _check_float32(form: ActingForm, theta: npt.NDArray[Any]) -> None:
    """Refuse what the C++ runtime refuses as unsupported."""
    if np.abs(theta).max() > np.finfo(np.float32).max:
        raise InvalidArgumentError("model", "parameters that float32 can hold", "larger ones")
    if (form.low > form.high).any():
        raise InvalidArgumentError("model", "bounds of actions that float32 can tell apart", "closer ones")
    if (form.start < -MAX_EXACT).any() or (form.start > MAX_EXACT - form.num_choices).any():
        raise InvalidArgumentError("model", "choices that float32 can count", "larger numbers")


def _names(argument: str, names: Sequence[str] | None, prefix: str, size: int) -> list[str]:
    if names is None:
        return [f"{prefix}_{i}" for i in range(size)]
    is_sequence = isinstance(names, Sequence) and not isinstance(names, str)
    if not is_sequence or len(names) != size or not all(isinstance(name, str) and "," not in name for name in names):
        raise InvalidArgumentError(argument, f"{size} names without commas", describe(names))
    return list(names)
