"""The acting form: what acting needs besides a policy's parameters, as numbers that float32 code computes with.

It is derived here and nowhere else. Policy files hold it for the C++ runtime, and exports compute with it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.normalization import CLIP
from trpo_fast.policies.policy import Policy
from trpo_fast.spaces.actions import count_dist_params
from trpo_fast.validation import describe

# A number in a file means the name at that position, as in C++ (cpp/runtime: Activation, ActionKind).
ACTIVATIONS = ("identity", "tanh", "relu", "elu", "silu")
ACTION_KINDS = ("box", "choices", "bits")

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ActingForm:
    """What acting needs besides parameters.

    Attributes
    ----------
    sizes : list of int
        Features of an observation, without a mask, and outputs of each dense layer.
    activation : str
        Activation of the hidden layers.
    mean_high, mean_low : ndarray, shape (D,)
        Mean of the features in two parts: (x - high) - low is exact to float32 where x is near the mean.
    inv_std : ndarray, shape (D,)
        1 / standard deviation of the features.
    clip : float
        Bound of normalised features; infinite if observations are not normalised.
    action_kind : {"box", "choices", "bits"}
    low, high : ndarray, shape (A,)
        Bounds of a Box, the nearest float32 inside it; otherwise empty.
    squash : bool
        Actions of a Box are stretched over its bounds by tanh, not clipped at them.
    num_choices, start : ndarray of int64, shape (A,)
        Number of choices, and the first of them, of each part of a Discrete or MultiDiscrete; otherwise empty.
    is_masked : bool
        An action mask, one number for each choice, follows the features of an observation.
    """

    sizes: list[int]
    activation: str
    mean_high: FloatArray
    mean_low: FloatArray
    inv_std: FloatArray
    clip: float
    action_kind: str
    low: FloatArray
    high: FloatArray
    squash: bool
    num_choices: IntArray
    start: IntArray
    is_masked: bool

    @property
    def action_size(self) -> int:
        """Numbers A in an action."""
        return {"box": self.low.size, "choices": self.num_choices.size, "bits": self.sizes[-1]}[self.action_kind]

    @property
    def mask_size(self) -> int:
        """Numbers in an action mask; 0 without one."""
        return self.sizes[-1] if self.is_masked else 0

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The form as the arrays of a policy file, by name; those that a kind of action does not have are left out."""
        of_action: dict[str, npt.NDArray[Any]] = {}
        if self.action_kind == "box":
            of_action = {"low": self.low, "high": self.high, "squash": np.array(self.squash, np.int64)}
        elif self.action_kind == "choices":
            is_masked = np.array(self.is_masked, np.int64)
            of_action = {"num_choices": self.num_choices, "start": self.start, "is_masked": is_masked}
        return {
            "sizes": np.array(self.sizes, np.int64),
            "activation": np.array(ACTIVATIONS.index(self.activation), np.int64),
            "mean_high": self.mean_high,
            "mean_low": self.mean_low,
            "inv_std": self.inv_std,
            "clip": np.array(self.clip, np.float32),
            "action_kind": np.array(ACTION_KINDS.index(self.action_kind), np.int64),
            **of_action,
        }


def has_acting_form(policy: Policy) -> bool:
    """Whether ``policy`` has an acting form: if its network is dense layers on flattened observations."""
    layers = [node for node in policy.plan.nodes if not node.kind.endswith("log_std")]
    return not policy.plan.images and all(node.name.startswith("layers.") for node in layers)


def acting_form(policy: Policy) -> ActingForm:
    """The acting form of ``policy``.

    It is the same on every machine: nothing but sums, roots, quotients and roundings of IEEE 754 goes into it.

    Raises
    ------
    InvalidArgumentError
        If it has none.
    """
    if not has_acting_form(policy):
        expected = "one without images and features extractor, as others cannot be exported yet"
        raise InvalidArgumentError("policy", expected, describe(policy))
    kwargs, codec = policy.policy_kwargs, policy.codec
    space: Any = policy.action_space
    action_kind = "box" if codec.has_log_std else "choices" if codec.num_choices.size else "bits"
    low, high = (space.low, space.high) if action_kind == "box" else (np.empty(0), np.empty(0))
    n = policy.observation_codec.num_features
    mean, inv_std, clip = np.zeros(n), np.ones(n), float("inf")
    if policy.normalizer.enabled:
        statistics = policy.normalizer.statistics
        mean, inv_std, clip = statistics.mean[:n], 1.0 / statistics.std[:n], CLIP
    mean_high = _to_float(mean)
    num_outputs = count_dist_params(space)
    if codec.has_log_std and not kwargs["state_dependent_std"]:
        num_outputs //= 2
    return ActingForm(
        sizes=[n, *kwargs["net_arch"], num_outputs],
        activation=kwargs["activation_fn"],
        mean_high=mean_high,
        mean_low=_to_float(mean - mean_high),
        inv_std=inv_std.astype(np.float32),
        clip=clip,
        action_kind=action_kind,
        low=_inside(low, np.inf),
        high=_inside(high, -np.inf),
        squash=kwargs["squash"],
        num_choices=codec.num_choices,
        start=codec.start if codec.num_choices.size else np.empty(0, np.int64),
        is_masked=policy.action_masks is not None,
    )


def _to_float(values: npt.NDArray[np.float64]) -> FloatArray:
    """The nearest finite float32."""
    most = np.finfo(np.float32).max
    return np.clip(values, -most, most).astype(np.float32)


def _inside(bounds: npt.NDArray[Any], inwards: float) -> FloatArray:
    """The float32 next to each of ``bounds``, flat, that is not beyond it, on the way to ``inwards``."""
    bound = bounds.ravel().astype(np.float64)
    nearest = np.where(np.isinf(bound), bound, _to_float(bound)).astype(np.float32)
    is_beyond = nearest < bound if inwards > 0 else nearest > bound
    with np.errstate(all="ignore"):  # beyond the largest float32, only infinity is inside
        return np.where(is_beyond, np.nextafter(nearest, np.float32(inwards)), nearest)
