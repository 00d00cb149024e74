"""Policies as ONNX and as JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from trpo_fast.errors import MissingExtraError
from trpo_fast.export.deployment import Deployment
from trpo_fast.policies.acting_form import ActingForm

OPSET = 17
IR_VERSION = 8


def write_json(deployment: Deployment, path: Path) -> None:
    """All numbers of a policy, with what they mean."""
    d, form = deployment, deployment.form
    content = {
        **d.description(),
        "mean_high": form.mean_high.tolist(),
        "mean_low": form.mean_low.tolist(),
        "inv_std": form.inv_std.tolist(),
        "clip": None if np.isinf(form.clip) else form.clip,
        "activation": form.activation,
        "layers": [{"weight": layer.weight.tolist(), "bias": layer.bias.tolist()} for layer in d.layers],
        "action_kind": form.action_kind,
        "squash": form.squash,
        "num_choices": form.num_choices.tolist(),
        "first": d.first.tolist(),
        **{key: [str(float(v)) for v in getattr(form, key)] for key in ("low", "high")},  # "inf" is no JSON
        "std": d.std.tolist(),
    }
    path.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")


def write_onnx(deployment: Deployment, path: Path) -> None:
    """A graph from ``obs`` (n, D), float32, to ``actions`` (n, A): float32 of a Box, else int64.

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
    size = form.sizes[0] + form.mask_size
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            "trpo_fast",
            [onnx.helper.make_tensor_value_info("obs", onnx.TensorProto.FLOAT, ["n", size])],
            [onnx.helper.make_tensor_value_info("actions", kind, ["n", form.action_size])],
            graph.initializers,
        ),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="trpo_fast",
    )
    onnx.helper.set_model_props(
        model,
        {
            key: ",".join(value) if key.endswith("_names") else json.dumps(value)
            for key, value in deployment.description().items()
        },
    )
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


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


def _add_policy(graph: Graph, d: Deployment) -> None:
    form = d.form
    n = form.sizes[0]
    x = graph.columns("obs", 0, n) if form.is_masked else "obs"
    for part in (form.mean_high, form.mean_low):
        x = graph.apply("Sub", x, graph.constant(part))
    x = graph.apply("Mul", x, graph.constant(form.inv_std))
    if np.isfinite(form.clip):
        x = graph.apply("Clip", x, graph.constant(-form.clip), graph.constant(form.clip))
    for i, layer in enumerate(d.layers):
        x = graph.apply("Gemm", x, graph.constant(layer.weight), graph.constant(layer.bias), transB=1)
        if i + 1 < len(d.layers) and form.activation != "identity":
            x = _activated(graph, form.activation, x)
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


def _activated(graph: Graph, activation: str, z: str) -> str:
    if activation == "silu":
        return graph.apply("Mul", z, graph.apply("Sigmoid", z))
    return graph.apply({"tanh": "Tanh", "relu": "Relu", "elu": "Elu"}[activation], z)


def _add_box(graph: Graph, form: ActingForm, x: str) -> None:
    if form.sizes[-1] > form.action_size:  # log standard deviations follow the means
        x = graph.columns(x, 0, form.action_size)
    if form.squash:
        half = graph.constant(0.5 * form.high - 0.5 * form.low)
        x = graph.apply("Mul", graph.apply("Tanh", x), half)
        x = graph.apply("Add", x, graph.constant(0.5 * form.low + 0.5 * form.high))
    x = graph.apply("Max", x, graph.constant(form.low))
    graph.apply("Min", x, graph.constant(form.high), output="actions")
