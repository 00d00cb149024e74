"""The layers of a policy as lines of C."""

from string import Template
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.export.c_templates import FEATURES, HELPERS
from trpo_fast.export.deployment import Deployment
from trpo_fast.policies.plan import PlannedNode


class CNetwork:
    """The layers of a policy as the lines of a C function.

    Attributes
    ----------
    constants, memory, calls : list of str
        Declarations of parameters and of buffers, and what computes one buffer after the other.
    buffers : list of str
        Where each buffer of the plan begins, as an expression.
    helpers : list of str
        Names of the functions that are called, in ``HELPERS``.
    """

    def __init__(self, d: Deployment, values: dict[str, Any]) -> None:
        self._name, self._storage = values["name"], "static float" if d.images else "float"
        self.constants: list[str] = []
        self.memory: list[str] = []
        self.calls: list[str] = []
        self.buffers: list[str] = []
        self._sizes: list[int] = []  # numbers in each buffer
        self._called = {"clamp"} if d.form.action_kind == "box" else set()
        self._add_inputs(d, values)
        for j, node in enumerate(d.form.plan.nodes):
            self._add_node(d, j, node)

    @property
    def helpers(self) -> list[str]:
        """Names of the functions that are called, in ``HELPERS``."""
        return [helper for helper in HELPERS if helper in self._called]

    def _add_inputs(self, d: Deployment, values: dict[str, Any]) -> None:
        if d.form.num_features:
            self._buffer(d.form.num_features)
            self._called.add("clamp")
            self.calls.append(Template(FEATURES).substitute(values))
        else:
            self._add_buffer("", 0)
        for i, (leaf, image) in enumerate(zip(d.images, d.form.plan.images, strict=True)):
            pixels, channels = image.height * image.width, image.channels
            steps = (channels, 1) if leaf.is_channels_last else (1, pixels)
            inputs = self._buffer(pixels * channels)
            self._call("image", f"image_{i}", number(float(np.float32(image.scale))), pixels, channels, *steps, inputs)

    def _add_node(self, d: Deployment, j: int, node: PlannedNode) -> None:
        x = self._joined(node)
        if node.kind == "columns":
            self._add_buffer(f"{x} + {node.first}", node.output_size)
            return
        y = self._buffer(node.output_size)
        if node.kind == "flatten":
            self._call("flatten", x, node.height * node.width, node.channels, y)
            return
        layer = d.layer(node)
        weight = layer.weight.transpose(2, 3, 1, 0) if node.kind == "conv2d" else layer.weight
        self.constants.append(f"  static const float weight_{j}[] = {array(weight)};")
        self.constants.append(f"  static const float bias_{j}[] = {array(layer.bias)};")
        sizes = [node.input_size, node.output_size]
        if node.kind == "conv2d":
            sizes = [node.height, node.width, node.channels, node.filters, *node.kernel_size, node.stride, node.padding]
        self._call(node.kind, f"weight_{j}", f"bias_{j}", x, *sizes, y)
        if node.activation != "identity":
            self._called.add(node.activation)
            activated = f"{y}[i] = {self._name}_{node.activation}({y}[i])"
            self.calls.append(f"  for (i = 0; i < {node.output_size}; ++i) {activated};")

    def _joined(self, node: PlannedNode) -> str:
        """Where all that a node reads lies side by side."""
        if len(node.buffers) == 1:
            return self.buffers[node.buffers[0]]
        joined, begin = f"joined_{len(self.buffers)}", 0
        self.memory.append(f"  {self._storage} {joined}[{node.input_size}];")
        for buffer in node.buffers:
            size, source = self._sizes[buffer], self.buffers[buffer]
            self.calls.append(f"  for (i = 0; i < {size}; ++i) {joined}[{begin} + i] = ({source})[i];")
            begin += size
        return joined

    def _buffer(self, size: int) -> str:
        name = f"buffer_{len(self.buffers)}"
        self.memory.append(f"  {self._storage} {name}[{size}];")
        self._add_buffer(name, size)
        return name

    def _add_buffer(self, expression: str, size: int) -> None:
        self.buffers.append(expression)
        self._sizes.append(size)

    def _call(self, helper: str, *arguments: Any) -> None:
        self._called.add(helper)
        self.calls.append(f"  {self._name}_{helper}({', '.join(map(str, arguments))});")


def number(value: float, kind: str = "float") -> str:
    """A constant of C and C++, to the last bit."""
    if kind != "float":
        return str(int(value))
    if np.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    text = f"{float(value):.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def array(values: npt.ArrayLike, kind: str = "float") -> str:
    """An initialiser of C and C++."""
    return "{" + ", ".join(number(value, kind) for value in np.ravel(values).tolist()) + "}"
