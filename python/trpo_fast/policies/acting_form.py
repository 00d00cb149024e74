"""The acting form: what acting needs besides a policy's parameters, as numbers that float32 code computes with.

It is derived here and nowhere else. Policy files hold it for the C++ runtime, and exports compute with it.
"""

import itertools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.policies.normalization import CLIP
from trpo_fast.policies.plan import Plan, PlannedNode
from trpo_fast.policies.policy import Policy

# A number in a file means the name at that position, as in C++ (cpp/runtime: Activation, ActionKind, NodeKind).
ACTIVATIONS = ("identity", "tanh", "relu", "elu", "silu")
ACTION_KINDS = ("box", "choices", "bits")
NODE_KINDS = ("dense", "conv2d", "flatten", "columns")
NODE_COLUMNS = 11  # kind, activation, number of buffers, sizes

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ActingForm:
    """What acting needs besides parameters.

    Attributes
    ----------
    plan : Plan
        The layers but for those that only write log standard deviations.
    activation : str
        Activation of the hidden layers of a chain.
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

    plan: Plan
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
        return {"box": self.low.size, "choices": self.num_choices.size, "bits": self.num_outputs}[self.action_kind]

    @property
    def mask_size(self) -> int:
        """Numbers in an action mask; 0 without one."""
        return self.num_outputs if self.is_masked else 0

    @property
    def num_features(self) -> int:
        """Numbers in an observation, without a mask and images."""
        return self.plan.num_features

    @property
    def observation_size(self) -> int:
        """Numbers in an observation, with a mask and without images."""
        return self.num_features + self.mask_size

    @property
    def num_outputs(self) -> int:
        """Outputs of the last layer."""
        return self.plan.nodes[-1].output_size

    @property
    def sizes(self) -> list[int] | None:
        """Features, and outputs of each layer, if the layers are a chain of dense ones on features; else None."""
        is_chain = not self.plan.images and all(
            node.name == f"layers.{i}" and node.buffers == (i,) for i, node in enumerate(self.plan.nodes)
        )
        return [self.num_features, *(node.output_size for node in self.plan.nodes)] if is_chain else None

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The form as the arrays of a policy file, by name; those that a kind of action does not have are left out."""
        of_action: dict[str, npt.NDArray[Any]] = {}
        if self.action_kind == "box":
            of_action = {"low": self.low, "high": self.high, "squash": np.array(self.squash, np.int64)}
        elif self.action_kind == "choices":
            is_masked = np.array(self.is_masked, np.int64)
            of_action = {"num_choices": self.num_choices, "start": self.start, "is_masked": is_masked}
        return {
            **self._network_arrays(),
            "mean_high": self.mean_high,
            "mean_low": self.mean_low,
            "inv_std": self.inv_std,
            "clip": np.array(self.clip, np.float32),
            "action_kind": np.array(ACTION_KINDS.index(self.action_kind), np.int64),
            **of_action,
        }

    def _network_arrays(self) -> dict[str, npt.NDArray[Any]]:
        if self.sizes is not None:
            activation = np.array(ACTIVATIONS.index(self.activation), np.int64)
            return {"sizes": np.array(self.sizes, np.int64), "activation": activation}
        images, nodes = self.plan.images, self.plan.nodes
        return {
            "images": np.array([image[:3] for image in images], np.int64).reshape(-1, 3),
            "scales": np.array([image.scale for image in images], np.float32),
            "nodes": np.array([_row(node) for node in nodes], np.int64),
            "buffers": np.array(list(itertools.chain(*(node.buffers for node in nodes))), np.int64),
            "names": np.frombuffer("\n".join(node.name for node in nodes if node.name).encode("ascii"), np.uint8),
        }


def _row(node: PlannedNode) -> list[int]:
    """The row of a node in a file: kind, activation, number of buffers, and sizes."""
    sizes = {
        "dense": (node.input_size, node.output_size),
        "conv2d": (
            *(node.height, node.width, node.channels, node.filters),
            *(*node.kernel_size, node.stride, node.padding),
        ),
        "flatten": (node.height, node.width, node.channels),
        "columns": (node.first, node.output_size),
    }[node.kind]
    row = [NODE_KINDS.index(node.kind), ACTIVATIONS.index(node.activation), len(node.buffers), *sizes]
    return row + [0] * (NODE_COLUMNS - len(row))


def acting_form(policy: Policy) -> ActingForm:
    """The acting form of ``policy``.

    It is the same on every machine: nothing but sums, roots, quotients and roundings of IEEE 754 goes into it.
    """
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
    layers = tuple(node for node in policy.plan.nodes if node.kind in NODE_KINDS)
    return ActingForm(
        plan=replace(policy.plan, nodes=layers),
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
