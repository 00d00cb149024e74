"""The networks of a critic that reads the features extractor of a policy, planned from the policy's own plan."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from trpo_fast import nets
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.plan import Features, Plan, PlannedNode, make_plan


class SharedPlans(NamedTuple):
    """Networks on one list of nodes, whose parameters are those of the policy, followed by those of the value head.

    Attributes
    ----------
    features : Plan
        What both heads read; its parameters are those of the policy.
    head : Plan
        The value of these features; its parameters are those of the value head.
    value : Plan
        The value of an observation.
    joint : Plan
        The policy's outputs, and the value in one more column.
    """

    features: Plan
    head: Plan
    value: Plan
    joint: Plan


def make_shared_plans(policy: Plan, *, net_arch: Sequence[int], activation_fn: str) -> SharedPlans:
    """Plan a value head on the features extractor of ``policy``.

    Parameters
    ----------
    policy : Plan
    net_arch : sequence of int
        Widths of the value head's hidden layers.
    activation_fn : str
        Their activation.

    Raises
    ------
    InvalidArgumentError
        If the features extractor has no parameters.
    """
    first = next(node for node in policy.nodes if node.name == "layers.0")  # of the policy's head
    if not any(node.name for node in policy.nodes[: policy.nodes.index(first)]):
        expected = (
            "a features_extractor with layers to share, such as nets.Sequential(nets.Dense(64), nets.Dense(64)) with "
            "net_arch=[] (hidden layers of net_arch are not shared, as in Stable-Baselines3)"
        )
        raise InvalidArgumentError("share_features_extractor", expected, "True for observations that are flattened")
    outputs = _last_buffer(policy)
    read = PlannedNode("columns", "", first.buffers, first.input_size, first.input_size)
    head = make_plan(
        Features(0, first.input_size),
        (),
        nets.Flatten(),
        net_arch=net_arch,
        activation_fn=activation_fn,
        output_size=1,
    )
    value = policy
    for i, node in enumerate(head.nodes):
        buffers = first.buffers if i == 0 else (_last_buffer(value),)
        value = _with(value, replace(node, name=f"value.{i}", buffers=buffers))
    size = policy.nodes[-1].output_size + 1
    join = PlannedNode("columns", "", (outputs, _last_buffer(value)), size, size)
    return SharedPlans(_with(policy, read), head, value, _with(value, join))


def _with(plan: Plan, node: PlannedNode) -> Plan:
    return replace(plan, nodes=(*plan.nodes, node))


def _last_buffer(plan: Plan) -> int:
    return len(plan.images) + len(plan.nodes)
