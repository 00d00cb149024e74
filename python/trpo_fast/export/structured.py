"""Policies as ONNX and as JSON."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from trpo_fast.errors import MissingExtraError
from trpo_fast.export.deployment import Deployment, Layer
from trpo_fast.policies.acting_form import ActingForm
from trpo_fast.policies.plan import PlannedNode
from trpo_fast.spaces.leaves import ImageLeaf

OPSET = 17
IR_VERSION = 8


def write_json(deployment: Deployment, path: Path) -> None:
    """All numbers of a policy, with what they mean."""
    d, form = deployment, deployment.form
    content = {
        **d.description(),
        **({"metadata": d.more} if d.more else {}),
        "mean_high": form.mean_high.tolist(),
        "mean_low": form.mean_low.tolist(),
        "inv_std": form.inv_std.tolist(),
        "clip": None if np.isinf(form.clip) else form.clip,
        **_network_as_json(d),
        "action_kind": form.action_kind,
        "squash": form.squash,
        "num_choices": form.num_choices.tolist(),
        "first": d.first.tolist(),
        **{key: [str(float(v)) for v in getattr(form, key)] for key in ("low", "high")},  # "inf" is no JSON
        "std": d.std.tolist(),
    }
    path.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")


def _network_as_json(d: Deployment) -> dict[str, Any]:
    """The layers of a chain, or else the images and the nodes of a plan, as ``PlannedNode`` describes them."""
    plan = d.form.plan
    if d.form.sizes is not None:
        return {"activation": d.form.activation, "layers": [_as_lists(d.layer(node)) for node in plan.nodes]}
    nodes = [{**asdict(node), **(_as_lists(d.layer(node)) if node.name else {})} for node in plan.nodes]
    return {"images": [image._asdict() for image in plan.images], "nodes": nodes}


def _as_lists(layer: Layer) -> dict[str, Any]:
    return {"weight": layer.weight.tolist(), "bias": layer.bias.tolist()}


def write_onnx(deployment: Deployment, path: Path) -> None:
    """A graph from ``obs`` (n, D), float32, and images, uint8, to ``actions`` (n, A): float32 of a Box, else int64.

    An image is an input of its name, of shape (n, *shape in the space).

    Raises
    ------
    MissingExtraError
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("the ONNX format", "export") from error
    graph = Graph(onnx.helper, onnx.numpy_helper)
    _add_policy(graph, deployment)
    form = deployment.form
    is_box = form.action_kind == "box"
    kind = onnx.TensorProto.FLOAT if is_box else onnx.TensorProto.INT64
    info, size = onnx.helper.make_tensor_value_info, form.observation_size
    inputs = [info("obs", onnx.TensorProto.FLOAT, ["n", size])] if size else []
    inputs += [info(_input_name(leaf), onnx.TensorProto.UINT8, ["n", *leaf.shape]) for leaf in deployment.images]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "trpo_fast",
            inputs,
            [info("actions", kind, ["n", form.action_size])],
            graph.initializers,
        ),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="trpo_fast",
    )
    onnx.helper.set_model_props(model, _properties(deployment))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def _properties(d: Deployment) -> dict[str, str]:
    """Metadata of the graph: names, units and scale with commas between them, as whole-body controllers read them.

    ``joint_names`` and ``default_joint_pos`` are what these controllers call the names and the offset of actions.
    """
    description = d.description()
    lists = ("observation_units", "action_units", "action_scale", "action_offset", "observation_names", "action_names")
    properties = {
        key: ",".join(map(str, value)) if key in (*lists, "image_names") else json.dumps(value)
        for key, value in description.items()
    }
    if "environment" in description:
        properties["environment"] = description["environment"]
    joints = {"joint_names": "action_names", "default_joint_pos": "action_offset"}
    known = {key for key in joints if getattr(d.interface, joints[key])}
    return {**properties, **{key: properties[joints[key]] for key in sorted(known)}, **d.more}


class Graph:
    """Nodes and constants of an ONNX graph, through onnx's helpers."""

    def __init__(self, helper: Any, numpy_helper: Any) -> None:
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._helper, self._numpy_helper = helper, numpy_helper

    def constant(self, value: Any, dtype: type = np.float32) -> str:
        """The name of a constant."""
        name = f"constant_{len(self.initializers)}"
        self.initializers.append(self._numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def apply(self, op: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """The name of what ``op`` makes of ``inputs``."""
        name = output or f"value_{len(self.nodes)}"
        self.nodes.append(self._helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def columns(self, value: str, begin: int, end: int) -> str:
        """Some columns of a matrix."""
        bounds = [self.constant([bound], np.int64) for bound in (begin, end, 1)]
        return self.apply("Slice", value, *bounds)


def _input_name(leaf: ImageLeaf) -> str:
    """The name of an image among the inputs of a graph."""
    is_taken = leaf.name in ("obs", "actions") or leaf.name.startswith(("constant_", "value_"))
    return f"image_{leaf.name}" if is_taken else leaf.name


def _add_policy(graph: Graph, d: Deployment) -> None:
    form = d.form
    n = form.num_features
    buffers = [_add_features(graph, form) if n else "", *_add_images(graph, d)]
    for node in form.plan.nodes:
        buffers.append(_add_node(graph, d, node, [buffers[buffer] for buffer in node.buffers]))
    x = buffers[-1]
    if form.is_masked:
        is_possible = graph.apply("Cast", graph.columns("obs", n, n + form.mask_size), to=9)  # bool
        x = graph.apply("Where", is_possible, x, graph.constant(-np.inf))
    if form.action_kind == "box":
        _add_box(graph, form, x)
    elif form.action_kind == "bits":
        graph.apply("Cast", graph.apply("Greater", x, graph.constant(0.0)), output="actions", to=7)  # int64
    else:
        ends = np.cumsum(form.num_choices)
        best = [
            graph.apply("ArgMax", graph.columns(x, end - size, end), axis=1, keepdims=1)
            for end, size in zip(ends.tolist(), form.num_choices.tolist(), strict=True)
        ]
        graph.apply("Add", graph.apply("Concat", *best, axis=1), graph.constant(d.first, np.int64), output="actions")


def _add_features(graph: Graph, form: ActingForm) -> str:
    """The vector input of the layers."""
    x = graph.columns("obs", 0, form.num_features) if form.is_masked else "obs"
    for part in (form.mean_high, form.mean_low):
        x = graph.apply("Sub", x, graph.constant(part))
    x = graph.apply("Mul", x, graph.constant(form.inv_std))
    if np.isfinite(form.clip):
        x = graph.apply("Clip", x, graph.constant(-form.clip), graph.constant(form.clip))
    return x


def _add_images(graph: Graph, d: Deployment) -> Iterator[str]:
    """The image inputs of the layers, (n, channels, height, width)."""
    for leaf, image in zip(d.images, d.form.plan.images, strict=True):
        x = graph.apply("Cast", _input_name(leaf), to=1)  # float32
        if image.scale != 1.0:
            x = graph.apply("Mul", x, graph.constant(image.scale))
        yield graph.apply("Transpose", x, perm=[0, 3, 1, 2]) if leaf.is_channels_last else x


def _add_node(graph: Graph, d: Deployment, node: PlannedNode, buffers: list[str]) -> str:
    x = buffers[0] if len(buffers) == 1 else graph.apply("Concat", *buffers, axis=1)
    if node.kind == "flatten":
        return graph.apply("Flatten", x, axis=1)
    if node.kind == "columns":
        return graph.columns(x, node.first, node.first + node.output_size)
    inputs = x, *map(graph.constant, d.layer(node))
    if node.kind == "conv2d":
        strides, pads = [node.stride] * 2, [node.padding] * 4
        x = graph.apply("Conv", *inputs, kernel_shape=node.kernel_size, strides=strides, pads=pads)
    else:
        x = graph.apply("Gemm", *inputs, transB=1)
    return x if node.activation == "identity" else _activated(graph, node.activation, x)


def _activated(graph: Graph, activation: str, z: str) -> str:
    if activation == "silu":
        return graph.apply("Mul", z, graph.apply("Sigmoid", z))
    return graph.apply({"tanh": "Tanh", "relu": "Relu", "elu": "Elu"}[activation], z)


def _add_box(graph: Graph, form: ActingForm, x: str) -> None:
    if form.num_outputs > form.action_size:  # log standard deviations follow the means
        x = graph.columns(x, 0, form.action_size)
    if form.squash:
        half = graph.constant(0.5 * form.high - 0.5 * form.low)
        x = graph.apply("Mul", graph.apply("Tanh", x), half)
        x = graph.apply("Add", x, graph.constant(0.5 * form.low + 0.5 * form.high))
    x = graph.apply("Max", x, graph.constant(form.low))
    graph.apply("Min", x, graph.constant(form.high), output="actions")
