"""Architectures of your own: trees of layers, which say what a network is and compute nothing.

>>> from trpo_fast.nets import Conv2d, Dense, Flatten, Sequential
>>> small = Sequential(Conv2d(16, 4, stride=2), Conv2d(16, 4, stride=2), Flatten(), Dense(20))
>>> model = TRPO("CnnPolicy", env, policy_kwargs={"features_extractor": small})

A tree is the features extractor of a policy and its critic. Trees are immutable, are equal if they describe the same
network, and survive ``from_json(to_json(tree))``, copies and pickles.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.validation import check_choice, check_integer, describe

__all__ = [
    "Conv2d",
    "Dense",
    "Flatten",
    "NatureCNN",
    "PaperCNN",
    "Parallel",
    "Sequential",
    "check",
    "from_json",
    "to_json",
]

ACTIVATIONS = ("tanh", "relu", "elu", "silu", "identity")

MAX_WIDTH = (1 << 31) - 1  # of the kernels
MAX_SIDE = 1 << 15  # pixels
MAX_LAYERS = 1000  # of a tree
MAX_DEPTH = 32


@dataclass(frozen=True, repr=False, init=False)
class Conv2d:
    """Convolution of an image, followed by an activation.

    Parameters
    ----------
    filters : int
        Channels of the output.
    kernel_size : int or pair (height, width)
    stride : int
    padding : int, optional
        Rows and columns of zeros on each side of the image; fewer than the kernel has.
    activation_fn : {"relu", "tanh", "elu", "silu", "identity"} or class of torch.nn, optional

    Raises
    ------
    InvalidArgumentError
    """

    filters: int
    kernel_size: tuple[int, int]
    stride: int
    padding: int
    activation_fn: str

    def __init__(
        self,
        filters: int,
        kernel_size: int | tuple[int, int],
        stride: int = 1,
        *,
        padding: int = 0,
        activation_fn: Any = "relu",
    ) -> None:
        sides = list(kernel_size) if isinstance(kernel_size, list | tuple) else [kernel_size] * 2
        if len(sides) != 2:
            raise InvalidArgumentError("kernel_size", "an integer or a pair (height, width)", describe(kernel_size))
        sides = [check_integer("kernel_size", side, at_least=1, at_most=MAX_SIDE) for side in sides]
        _set(
            self,
            filters=check_integer("filters", filters, at_least=1, at_most=MAX_WIDTH),
            kernel_size=tuple(sides),
            stride=check_integer("stride", stride, at_least=1, at_most=MAX_SIDE),
            padding=check_integer("padding", padding, at_least=0, at_most=min(sides) - 1),
            activation_fn=activation_name(activation_fn),
        )

    def __repr__(self) -> str:
        height, width = self.kernel_size
        options = [str(self.filters), str(height if height == width else (height, width))]
        options += [f"stride={self.stride}"] * (self.stride != 1) + [f"padding={self.padding}"] * (self.padding != 0)
        options += [f"activation_fn={self.activation_fn!r}"] * (self.activation_fn != "relu")
        return f"Conv2d({', '.join(options)})"


@dataclass(frozen=True, repr=False, init=False)
class Dense:
    """Fully connected layer, followed by an activation. An image or several inputs are flattened first.

    Parameters
    ----------
    width : int
        Number of outputs.
    activation_fn : {"relu", "tanh", "elu", "silu", "identity"} or class of torch.nn, optional
        By default the ``activation_fn`` of ``policy_kwargs``.

    Raises
    ------
    InvalidArgumentError
    """

    width: int
    activation_fn: str | None

    def __init__(self, width: int, activation_fn: Any = None) -> None:
        _set(
            self,
            width=check_integer("width", width, at_least=1, at_most=MAX_WIDTH),
            activation_fn=None if activation_fn is None else activation_name(activation_fn),
        )

    def __repr__(self) -> str:
        option = "" if self.activation_fn is None else f", activation_fn={self.activation_fn!r}"
        return f"Dense({self.width}{option})"


@dataclass(frozen=True)
class Flatten:
    """All numbers of the input as one vector: an image channel by channel, as PyTorch does; a Dict in its order."""


@dataclass(frozen=True, repr=False, init=False)
class Sequential:
    """Layers one after the other: ``Sequential(first, second, ...)``.

    Parameters
    ----------
    *layers : Conv2d, Dense, Flatten, Sequential or Parallel
        At least one.

    Raises
    ------
    InvalidArgumentError
    """

    layers: tuple["Net", ...]

    def __init__(self, *layers: "Net") -> None:
        if not layers:
            raise InvalidArgumentError("Sequential", "at least one layer", "none")
        _set(self, layers=tuple(_check_layer("Sequential", layer) for layer in layers))
        _check_size(self)

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, self.layers))})"


@dataclass(frozen=True, repr=False, init=False)
class Parallel:
    """One network for each part of a ``Dict`` or ``Tuple`` space; the outputs are concatenated in the space's order.

    Parameters
    ----------
    nets : dict
        Networks by key of the space, or "0", "1", ... for a ``Tuple``. Parts without a network are flattened.

    Raises
    ------
    InvalidArgumentError
    """

    nets: tuple[tuple[str, "Net"], ...]  # in the order of their keys: the space has its own

    def __init__(self, nets: Mapping[str, "Net"]) -> None:
        if not isinstance(nets, Mapping) or not nets or not all(isinstance(key, str) for key in nets):
            raise InvalidArgumentError("Parallel", "a dict of networks, by key of the space", describe(nets))
        _set(self, nets=tuple((key, _check_layer(f"Parallel[{key!r}]", nets[key])) for key in sorted(nets)))
        _check_size(self)

    def __repr__(self) -> str:
        return f"Parallel({{{', '.join(f'{key!r}: {net!r}' for key, net in self.nets)}}})"


Net: TypeAlias = Conv2d | Dense | Flatten | Sequential | Parallel


def NatureCNN(features_dim: int = 512) -> Sequential:  # noqa: N802 - Stable-Baselines3's name
    """The network of Mnih et al. 2015, which is ``NatureCNN`` of Stable-Baselines3: for images of 36 x 36 or more."""
    convolutions = Conv2d(32, 8, stride=4), Conv2d(64, 4, stride=2), Conv2d(64, 3)
    return Sequential(*convolutions, Flatten(), Dense(features_dim, activation_fn="relu"))


def PaperCNN(activation_fn: Any = "relu") -> Sequential:  # noqa: N802 - beside NatureCNN
    """The small network of the TRPO paper's Atari experiments; the paper does not say which activation it had."""
    convolutions = (Conv2d(16, 4, stride=2, activation_fn=activation_fn) for _ in range(2))
    return Sequential(*convolutions, Flatten(), Dense(20, activation_fn=activation_fn))


def to_json(net: Net) -> dict[str, Any]:
    """A tree as plain values: dicts with a "type" and its arguments."""
    values: dict[str, Any] = {"type": type(net).__name__}
    if isinstance(net, Conv2d):
        values |= {"filters": net.filters, "kernel_size": list(net.kernel_size), "stride": net.stride}
        values |= {"padding": net.padding, "activation_fn": net.activation_fn}
    elif isinstance(net, Dense):
        values |= {"width": net.width, "activation_fn": net.activation_fn}
    elif isinstance(net, Sequential):
        values["layers"] = [to_json(layer) for layer in net.layers]
    elif isinstance(net, Parallel):
        values["nets"] = {key: to_json(part) for key, part in net.nets}
    return values


def from_json(values: Any) -> Net:
    """The tree of which ``to_json`` returned ``values``.

    Raises
    ------
    InvalidArgumentError
        If ``values`` describe no tree, or one of more than 1000 layers or 32 levels.
    """
    return _from_json(values, MAX_DEPTH)


def check(name: str, value: Any) -> Net:
    """A tree, or the plain values of one, as a tree.

    Raises
    ------
    InvalidArgumentError
        If ``value`` is neither; the message calls it ``name``.
    """
    return from_json(value) if isinstance(value, Mapping) else _check_layer(name, value)


def activation_name(activation_fn: Any) -> str:
    """Name of an activation: as given, or the lower-case name of a class of torch.nn.

    Raises
    ------
    InvalidArgumentError
        If there is no such activation.
    """
    name = activation_fn.__name__.lower() if isinstance(activation_fn, type) else activation_fn
    return str(check_choice("activation_fn", name, ACTIVATIONS))


def _from_json(values: Any, depth: int) -> Net:
    expected = "a network of trpo_fast.nets, or the plain values of one"
    if not isinstance(values, Mapping) or str(values.get("type")) not in _ARGUMENTS:
        raise InvalidArgumentError("features_extractor", expected, describe(values))
    if depth == 0:
        raise InvalidArgumentError("features_extractor", f"at most {MAX_DEPTH} levels", "more")
    kind = str(values["type"])
    arguments = {name: value for name, value in values.items() if name != "type"}
    if arguments.keys() != _ARGUMENTS[kind]:
        names = ", ".join(sorted(_ARGUMENTS[kind])) or "nothing"
        raise InvalidArgumentError("features_extractor", f"a {kind} with {names}", describe(values))
    if kind == "Sequential":
        if not isinstance(arguments["layers"], list) or len(arguments["layers"]) > MAX_LAYERS:
            raise InvalidArgumentError("Sequential", f"a list of at most {MAX_LAYERS} layers", describe(arguments))
        return Sequential(*(_from_json(layer, depth - 1) for layer in arguments["layers"]))
    if kind == "Parallel":
        nets = arguments["nets"]
        if not isinstance(nets, Mapping) or len(nets) > MAX_LAYERS:
            raise InvalidArgumentError("Parallel", f"a dict of at most {MAX_LAYERS} networks", describe(nets))
        return Parallel({key: _from_json(part, depth - 1) for key, part in nets.items()})
    return _LEAVES[kind](**arguments)


_LEAVES: dict[str, Callable[..., Net]] = {"Conv2d": Conv2d, "Dense": Dense, "Flatten": Flatten}
_ARGUMENTS = {
    "Conv2d": {"filters", "kernel_size", "stride", "padding", "activation_fn"},
    "Dense": {"width", "activation_fn"},
    "Flatten": set(),
    "Sequential": {"layers"},
    "Parallel": {"nets"},
}


def _set(layer: Any, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(layer, name, value)


def _check_layer(name: str, value: Any) -> Net:
    if not isinstance(value, Net):
        raise InvalidArgumentError(name, "Conv2d, Dense, Flatten, Sequential or Parallel", describe(value))
    return value


def _check_size(net: Net) -> None:
    layers, depth = _size(net)
    if layers > MAX_LAYERS or depth > MAX_DEPTH:
        expected = f"at most {MAX_LAYERS} layers in {MAX_DEPTH} levels"
        raise InvalidArgumentError(type(net).__name__, expected, f"{layers} layers in {depth} levels")


def _size(net: Net) -> tuple[int, int]:
    """Layers and levels of a tree."""
    parts = net.layers if isinstance(net, Sequential) else [p for _, p in net.nets] if isinstance(net, Parallel) else []
    sizes = [_size(part) for part in parts]
    return 1 + sum(layers for layers, _ in sizes), 1 + max((depth for _, depth in sizes), default=0)
