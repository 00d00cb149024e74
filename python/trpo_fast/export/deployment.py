"""What is exported: a policy from a raw observation to the most probable action, in float32, and its metadata."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast._version import __version__
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.acting_form import ActingForm, FloatArray, acting_form
from trpo_fast.policies.plan import PlannedNode
from trpo_fast.policies.policy import MAX_LOG_STD, MIN_LOG_STD, Policy
from trpo_fast.spaces.interface import Interface, is_text
from trpo_fast.spaces.leaves import ImageLeaf, images_of
from trpo_fast.spaces.naming import Names
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
    interface : Interface
        What the policy says of its numbers; empty if it says nothing.
    more : dict of str
        What the user adds.
    metadata : dict
        Of the file that the policy came from, or that it would be saved to.
    """

    policy: Policy
    theta: npt.NDArray[Any]
    form: ActingForm
    parameters: dict[str, FloatArray]
    std: FloatArray
    first: npt.NDArray[np.int64]
    interface: Interface
    more: dict[str, str]
    metadata: dict[str, Any]

    @classmethod
    def load(cls, path: Path, **additions: Any) -> "Deployment":
        """The policy in a file; ``additions`` are those of ``of``.

        Raises
        ------
        PolicyFileError, InvalidArgumentError, FileNotFoundError
            InvalidArgumentError also if float32 cannot hold it.
        """
        tensors, metadata = load_policy_file(path)
        return cls.of(*read_policy(tensors, metadata), metadata, **additions)

    @classmethod
    def of(
        cls,
        policy: Policy,
        theta: npt.NDArray[Any],
        metadata: dict[str, Any],
        *,
        observation_names: Names | None = None,
        action_names: Names | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> "Deployment":
        """A policy at ``theta``, with the metadata that its file has or would have; see ``export_policy``.

        Raises
        ------
        InvalidArgumentError
            If float32 cannot hold it; or if there are other names than numbers, or a key is not free.
        """
        policy = policy.named(observation_names, action_names)
        form = acting_form(policy)
        _check_float32(form, theta)
        views = {name: view.astype(np.float32) for name, view in policy.unflatten(theta).items()}
        log_std = views.get("log_std", np.empty(0, np.float32))
        deployment = cls(
            policy=policy,
            theta=theta,
            form=form,
            parameters=views,
            std=np.exp(np.clip(log_std, MIN_LOG_STD, MAX_LOG_STD)),
            first=form.start if form.start.size else np.zeros(form.action_size, np.int64),
            interface=policy.interface or Interface(frame_stack=policy.frame_stack),
            more=_texts(more or {}),
            metadata=metadata,
        )
        if taken := deployment.more.keys() & deployment.description().keys():
            raise InvalidArgumentError("metadata", "keys that the policy does not have", ", ".join(sorted(taken)))
        return deployment

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
        return {
            "trpo_fast": __version__,
            "observation_space": self.metadata["observation_space"],
            "action_space": self.metadata["action_space"],
            "observation_names": [f"obs_{i}" for i in range(self.form.observation_size)],
            "action_names": [f"action_{i}" for i in range(self.form.action_size)],
            **({"image_names": [image.name for image in self.images]} if self.images else {}),
            **_known(self.interface),
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


def _known(interface: Interface) -> dict[str, Any]:
    """The fields that are there, as plain JSON values."""
    fields = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(interface).items()}
    return {name: value for name, value in fields.items() if value and (name, value) != ("frame_stack", 1)}


def _texts(more: Any) -> dict[str, str]:
    """The user's metadata as text: numbers and texts as they are, and with commas between those of a sequence."""
    if not isinstance(more, Mapping):
        raise InvalidArgumentError("metadata", "a dict", describe(more))
    texts = {}
    for key, value in more.items():
        values = [value] if isinstance(value, str | Real) else value
        is_known = isinstance(values, Sequence | np.ndarray) and all(isinstance(item, str | Real) for item in values)
        text = ",".join(map(str, values)) if is_known else "\n"
        if not (isinstance(key, str) and re.fullmatch(r"[A-Za-z_][\w.-]*", key, re.ASCII)) or not is_text(text):
            expected = "names (letters, digits, _, . and -) and printable texts, numbers, or sequences of these"
            raise InvalidArgumentError("metadata", expected, f"{describe(key)}: {describe(value)}")
        texts[key] = text
    return texts
