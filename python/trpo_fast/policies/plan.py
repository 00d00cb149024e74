"""The plan of a network: its layers as a flat list, with their sizes, inputs and names. Nothing is computed.

What builds a network (assembly.py), checks the tensors of a file or writes a network in another form reads a plan.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np

from trpo_fast import nets
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.validation import check_integer, describe, suggestion

Kind: TypeAlias = Literal["conv2d", "dense", "flatten", "columns", "append_log_std", "clamp_log_std"]
LogStd: TypeAlias = Literal["none", "parameter", "output"]


class PlannedImage(NamedTuple):
    """An image input: ``channels`` planes of pixels, which are multiplied by ``scale``."""

    height: int
    width: int
    channels: int
    scale: float


class Features(NamedTuple):
    """Columns of the vector input that are one part of a space."""

    first: int
    size: int


class Pixels(NamedTuple):
    """An image: a buffer of ``height`` x ``width`` pixels of ``channels`` numbers each."""

    buffer: int
    height: int
    width: int
    channels: int


Inputs: TypeAlias = "Features | Pixels | Mapping[str, Inputs]"
"""What a network reads: the parts of an observation, in the order and under the keys of their space."""


@dataclass(frozen=True)
class PlannedNode:
    """One layer of a network.

    Attributes
    ----------
    kind : str
        "conv2d", "dense"; "flatten" copies an image of (height, width, channels) to (channels, height, width);
        "columns" copies ``output_size`` columns of the vector input, from ``first`` on; "append_log_std" appends a
        parameter for each input; "clamp_log_std" clamps the second half of the inputs.
    name : str
        First part of the names of its parameters; "" if it has none.
    buffers : tuple of int
        What it reads, side by side: 0 is the vector input, then come the images, then the outputs of the nodes.
    input_size, output_size : int
        Numbers that it reads and writes for each observation.
    activation : str
    height, width, channels : int
        The image that a "conv2d" or "flatten" reads, else 0.
    filters, kernel_size, stride, padding
        Of a "conv2d".
    first : int
        Of "columns".
    """

    kind: Kind
    name: str
    buffers: tuple[int, ...]
    input_size: int
    output_size: int
    activation: str = "identity"
    height: int = 0
    width: int = 0
    channels: int = 0
    filters: int = 0
    kernel_size: tuple[int, int] = (0, 0)
    stride: int = 1
    padding: int = 0
    first: int = 0

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter by name, in the order of theta."""
        if self.kind == "conv2d":
            weight: tuple[int, ...] = (self.filters, self.channels, *self.kernel_size)
            return {f"{self.name}.weight": weight, f"{self.name}.bias": (self.filters,)}
        if self.kind == "dense":
            weight = (self.output_size, self.input_size)
            return {f"{self.name}.weight": weight, f"{self.name}.bias": (self.output_size,)}
        return {self.name: (self.input_size,)} if self.kind == "append_log_std" else {}


@dataclass(frozen=True)
class Plan:
    """The layers of one network.

    Attributes
    ----------
    num_features : int
        Columns of the vector input, buffer 0, without an action mask; 0 if observations are images only.
    images : tuple of PlannedImage
        The image inputs, buffers 1, 2, ...
    nodes : tuple of PlannedNode
        In the order in which they are computed, which is also the order of their parameters in theta. The output of
        node j is buffer ``1 + len(images) + j``; that of the last is the network's.
    """

    num_features: int
    images: tuple[PlannedImage, ...]
    nodes: tuple[PlannedNode, ...]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each parameter by name, in the order of theta."""
        return {name: shape for node in self.nodes for name, shape in node.shapes.items()}

    @property
    def num_params(self) -> int:
        """Length P of theta."""
        return sum(map(math.prod, self.shapes.values()))

    @property
    def last_layer(self) -> str:
        """Name of the last dense layer, "layers.<i>"."""
        return next(node.name for node in reversed(self.nodes) if node.kind == "dense")

    def readers(self) -> Iterator[tuple[PlannedNode, int, Features]]:
        """Iterate over the dense layers that read the vector input: layer, first column of its weight, and features."""
        for node in self.nodes:
            column = 0
            for buffer in node.buffers if node.kind == "dense" else ():
                source = self._source(buffer)
                if isinstance(source, Features):
                    yield node, column, source
                column += source.size if isinstance(source, Features) else source

    def _source(self, buffer: int) -> Features | int:
        """The features in a buffer, or its size if it holds something else."""
        if buffer == 0:
            return Features(0, self.num_features)
        node = self.nodes[buffer - 1 - len(self.images)]
        return Features(node.first, node.output_size) if node.kind == "columns" else node.output_size


def make_plan(
    inputs: Inputs,
    images: Sequence[PlannedImage],
    features_extractor: nets.Net,
    *,
    net_arch: Sequence[int],
    activation_fn: str,
    output_size: int,
    log_std: LogStd = "none",
) -> Plan:
    """Plan a network: features extractor, hidden layers, a last dense layer, and log standard deviations.

    Parameters
    ----------
    inputs : Features, Pixels or dict of them
        What the extractor reads.
    images : sequence of PlannedImage
        The image inputs: ``Pixels`` of buffer i are image i - 1.
    features_extractor : network of ``trpo_fast.nets``
        Its parameters are named "features.0.weight", ..., after its place in the tree.
    net_arch : sequence of int
        Widths of the hidden layers after it, "layers.0", ...
    activation_fn : str
        Activation of the hidden layers, and of layers of the extractor that have none of their own.
    output_size : int
        Outputs of the last dense layer.
    log_std : {"none", "parameter", "output"}
        What follows: nothing; one log standard deviation per output, a parameter of its own; or a clamp of the second
        half of the outputs.

    Raises
    ------
    InvalidArgumentError
        If the extractor does not fit the inputs.
    """
    drawing = _Drawing(_num_features(inputs), tuple(images), activation_fn)
    value: Any = drawing.branch(features_extractor, inputs, "features")
    for i, width in enumerate([*net_arch, output_size]):
        activation = activation_fn if i < len(net_arch) else "identity"
        value = drawing.dense(value, f"layers.{i}", width, activation)
    if log_std == "parameter":
        drawing.add("append_log_std", "log_std", (value[-1].buffer,), output_size, 2 * output_size)
    elif log_std == "output":
        drawing.add("clamp_log_std", "", (value[-1].buffer,), output_size, output_size)
    return drawing.plan()


def check_widths(net_arch: Any) -> list[int]:
    """The widths of hidden layers in a sequence of any type, as a list of its own.

    Raises
    ------
    InvalidArgumentError
        If ``net_arch`` is not a sequence of integers >= 1.
    """
    if isinstance(net_arch, str) or not isinstance(net_arch, Sequence | np.ndarray):
        raise InvalidArgumentError("net_arch", "a sequence of layer widths", describe(net_arch))
    return [check_integer("net_arch", width, at_least=1, at_most=nets.MAX_WIDTH) for width in net_arch]


class _Piece(NamedTuple):
    """Some columns of a buffer."""

    buffer: int
    first: int
    size: int


_Value: TypeAlias = "Inputs | list[_Piece]"  # what a layer reads: inputs, or pieces side by side


class _Drawing:
    """A plan that is being made."""

    def __init__(self, num_features: int, images: tuple[PlannedImage, ...], activation_fn: str) -> None:
        self._num_features = num_features
        self._images = images
        self._activation = activation_fn
        self._nodes: list[PlannedNode] = []

    def plan(self) -> Plan:
        """The plan.

        Raises
        ------
        InvalidArgumentError
            If two layers have one name, or one that no file can hold.
        """
        names: set[str] = set()
        for name in (node.name for node in self._nodes if node.name):
            if not (name.isascii() and name.isprintable()) or set(name) & {'"', "\\"}:
                raise InvalidArgumentError("features_extractor", "keys of printable ASCII without quotes", name)
            if name in names:
                raise InvalidArgumentError("features_extractor", "keys without dots", f"two layers {name}")
            names.add(name)
        return Plan(self._num_features, self._images, tuple(self._nodes))

    def add(
        self, kind: Kind, name: str, buffers: tuple[int, ...], input_size: int, output_size: int, **more: Any
    ) -> int:
        """Add a node; returns the buffer of its output."""
        check_integer("features_extractor", output_size, at_least=1, at_most=nets.MAX_WIDTH)
        self._nodes.append(PlannedNode(kind, name, buffers, input_size, output_size, **more))
        return len(self._images) + len(self._nodes)

    def branch(self, net: nets.Net, value: _Value, name: str) -> _Value:
        """Add a whole network; a single layer has the name of the first of several."""
        return self._layer(net, value, name if isinstance(net, nets.Sequential | nets.Parallel) else f"{name}.0")

    def dense(self, value: _Value, name: str, width: int, activation: str) -> list[_Piece]:
        """Add a dense layer that reads all of ``value``."""
        pieces = self._flat(value)
        buffers = tuple(map(self._buffer, pieces))
        size = check_integer(
            f"inputs of {name}", sum(piece.size for piece in pieces), at_least=1, at_most=nets.MAX_WIDTH
        )
        return [_Piece(self.add("dense", name, buffers, size, width, activation=activation), 0, width)]

    def _layer(self, net: nets.Net, value: _Value, name: str) -> _Value:
        if isinstance(net, nets.Sequential):
            for i, layer in enumerate(net.layers):
                value = self._layer(layer, value, f"{name}.{i}")
            return value
        if isinstance(net, nets.Parallel):
            return self._parallel(net, value, name)
        if isinstance(net, nets.Conv2d):
            return self._conv2d(net, value, name)
        if isinstance(net, nets.Dense):
            return self.dense(value, name, net.width, net.activation_fn or self._activation)
        return self._flat(value)

    def _parallel(self, net: nets.Parallel, value: _Value, name: str) -> list[_Piece]:
        if not isinstance(value, Mapping):
            raise InvalidArgumentError("features_extractor", f"a Dict or Tuple space before {net!r}", _named(value))
        branches = dict(net.nets)
        for key in branches.keys() - value.keys():
            keys = ", ".join(value)
            raise InvalidArgumentError("Parallel", f"keys of the space ({keys}){suggestion(key, value)}", describe(key))
        parts = [self.branch(branches.get(key, nets.Flatten()), part, f"{name}.{key}") for key, part in value.items()]
        return _joined([self._flat(part) for part in parts])

    def _conv2d(self, net: nets.Conv2d, value: _Value, name: str) -> Pixels:
        if not isinstance(value, Pixels):
            raise InvalidArgumentError("features_extractor", f"an image before {net!r}", _named(value))
        sides = [
            (side + 2 * net.padding - kernel) // net.stride + 1
            for side, kernel in zip((value.height, value.width), net.kernel_size, strict=True)
        ]
        if min(sides) < 1:
            expected = f"an image that has room for the kernel before {net!r} ({name})"
            raise InvalidArgumentError("features_extractor", expected, f"{value.height} x {value.width} pixels")
        shape: dict[str, Any] = {"height": value.height, "width": value.width, "channels": value.channels}
        shape |= {"filters": net.filters, "kernel_size": net.kernel_size, "stride": net.stride, "padding": net.padding}
        sizes = value.height * value.width * value.channels, sides[0] * sides[1] * net.filters
        buffer = self.add("conv2d", name, (value.buffer,), *sizes, activation=net.activation_fn, **shape)
        return Pixels(buffer, sides[0], sides[1], net.filters)

    def _flat(self, value: _Value) -> list[_Piece]:
        """All numbers of ``value`` as pieces."""
        if isinstance(value, Features):
            return [_Piece(0, *value)] if value.size else []
        if isinstance(value, Pixels):
            size = value.height * value.width * value.channels
            shape = {"height": value.height, "width": value.width, "channels": value.channels}
            return [_Piece(self.add("flatten", "", (value.buffer,), size, size, **shape), 0, size)]
        return _joined([self._flat(part) for part in value.values()]) if isinstance(value, Mapping) else value

    def _buffer(self, piece: _Piece) -> int:
        """The buffer that holds a piece and nothing else."""
        if piece.buffer > 0 or piece.size == self._num_features:
            return piece.buffer
        return self.add("columns", "", (0,), self._num_features, piece.size, first=piece.first)


def _joined(values: list[list[_Piece]]) -> list[_Piece]:
    """Pieces one after the other; neighbours in the vector input become one."""
    joined: list[_Piece] = []
    for piece in (piece for pieces in values for piece in pieces):
        last = joined[-1] if joined else _Piece(-1, 0, 0)
        if piece.buffer == last.buffer == 0 and piece.first == last.first + last.size:
            joined[-1] = _Piece(0, last.first, last.size + piece.size)
        else:
            joined.append(piece)
    return joined


def _num_features(inputs: Inputs) -> int:
    if isinstance(inputs, Mapping):
        return sum(map(_num_features, inputs.values()))
    return inputs.size if isinstance(inputs, Features) else 0


def _named(value: _Value) -> str:
    if isinstance(value, Pixels):
        return f"an image of {value.height} x {value.width} x {value.channels}"
    return f"parts {', '.join(value)}" if isinstance(value, Mapping) else "a vector"
