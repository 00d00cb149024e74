"""A network of the compiled core, built from its plan: layout of the flat theta, initialisation, renormalisation."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast._core.floating_point import ignores_float_errors
from trpo_fast._core.modules import kernels
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.normalization import EPSILON, ObservationNormalizer
from trpo_fast.policies.plan import Plan, PlannedNode
from trpo_fast.spaces.observations import NetworkInputs
from trpo_fast.validation import check_flag, describe, float_array, float_dtype


class Assembly:
    """The network of a plan, with names, shapes and initial values of its parameters.

    Parameters
    ----------
    plan : Plan
    ortho_init : bool
        Orthogonal instead of uniform initialisation (see ``initialize``).
    output_gain : float
        Gain of the last dense layer at initialisation.
    dtype : {"float32", "float64"}
        Dtype of theta, inputs and outputs.
    is_masked : bool
        Inputs have one more column for each output at the end; the output is -Inf where that column is 0.

    Attributes
    ----------
    network
        Network of the compiled core.
    shapes : dict
        Shape of each parameter by name, in the order of theta.
    num_inputs : int
        Columns of the vector input, with those of a mask.

    Raises
    ------
    InvalidArgumentError
    """

    def __init__(
        self, plan: Plan, *, ortho_init: bool, output_gain: float, dtype: npt.DTypeLike, is_masked: bool = False
    ) -> None:
        self.plan = plan
        self.dtype = float_dtype("dtype", dtype)
        self._ortho_init = check_flag("ortho_init", ortho_init)
        self._output_gain = output_gain
        self.shapes = plan.shapes
        core = kernels(self.dtype)
        nodes: list[Any] = [(_layer(core, node), _buffers(node)) for node in plan.nodes]
        self.network = core.Network(nodes, is_masked, plan.images)
        self.num_inputs = int(self.network.input_size)

    @property
    def num_params(self) -> int:
        """Length P of theta."""
        return int(self.network.num_params)

    def check_theta(self, theta: Any, name: str = "theta") -> npt.NDArray[Any]:
        """``theta`` as a contiguous (P,) array. Its dtype must be the network's: theta is never rounded silently.

        Raises
        ------
        InvalidArgumentError
            If it is not an array of this dtype and shape.
        """
        expected = f"a {self.dtype} array of shape ({self.num_params},)"
        fits = isinstance(theta, np.ndarray) and theta.dtype == self.dtype and theta.shape == (self.num_params,)
        if not fits:
            raise InvalidArgumentError(name, expected, describe(theta))
        return np.require(theta, requirements=["C", "ALIGNED"])

    def initial_parameters(self, rng: np.random.Generator) -> npt.NDArray[Any]:
        """Initial theta, shape (P,); "log_std" is 0."""
        theta = np.zeros(self.num_params, dtype=self.dtype)
        initialize(self.unflatten(theta), rng, output_gain=self._output_gain, ortho_init=self._ortho_init)
        return theta

    def unflatten(self, theta: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        """Views of a flat (P,) array by name, in flat order.

        Raises
        ------
        InvalidArgumentError
            If ``theta`` is not an array of shape (P,).
        """
        if not isinstance(theta, np.ndarray) or theta.shape != (self.num_params,):
            raise InvalidArgumentError("theta", f"an array of shape ({self.num_params},)", describe(theta))
        views, begin = {}, 0
        for name, shape in self.shapes.items():
            size = math.prod(shape)
            views[name] = theta[begin : begin + size].reshape(shape)
            begin += size
        return views

    @ignores_float_errors
    def renormalized(
        self, theta: npt.NDArray[Any], old: ObservationNormalizer, new: ObservationNormalizer
    ) -> npt.NDArray[Any]:
        """Theta whose outputs under ``new`` equal those of ``theta`` under ``old``, except where inputs are clipped.

        In the dense layers that read the vector, W' = W std'/std in its columns, and b' = b + W (mean' - mean)/std,
        which keeps z = W (x - mean)/std + b. Without old statistics (count 0), or with a disabled normaliser, ``theta``
        itself is returned.
        """
        before, after = old.statistics, new.statistics
        if not new.enabled or before.count == 0.0:
            return theta
        theta = theta.copy()
        parameters = self.unflatten(theta)
        varied = before.var > EPSILON  # the input of a constant column was 0: there is no scale to keep
        ratio = np.where(varied, after.std / before.std, 1.0)
        shift = np.where(varied, (after.mean - before.mean) / before.std, 0.0)
        for node, column, features in self.plan.readers():
            of = slice(features.first, features.first + features.size)  # without the columns of a mask
            view = parameters[f"{node.name}.weight"][:, column : column + features.size]
            weight = view.astype(np.float64)
            view[:] = weight * ratio[of]
            moved = (weight * shift[of]).sum(axis=1)  # not @: its bits depend on a BLAS
            parameters[f"{node.name}.bias"][:] += moved.astype(self.dtype)
        return theta

    def check_inputs(self, inputs: NetworkInputs) -> tuple[NetworkInputs, int]:
        """Network inputs in this dtype, and their number N.

        Raises
        ------
        InvalidArgumentError
            If they are not an array (N, num_inputs), or with images a tuple of one and the ``Images`` of the core.
        """
        size = (None, self.num_inputs)
        if not self.plan.images:
            rows = float_array("inputs", inputs, size, self.dtype)
            return rows, len(rows)
        if not isinstance(inputs, tuple) or len(inputs) != len(self.plan.images) + 1:
            raise InvalidArgumentError("inputs", "network inputs with images, from Policy.normalize", describe(inputs))
        rows = float_array("inputs", inputs[0], size, self.dtype)
        return (rows, *inputs[1:]), len(rows)

    def forward(self, theta: npt.NDArray[Any], inputs: NetworkInputs) -> npt.NDArray[Any]:
        """Outputs, shape (N, K), for network inputs; errors are those of ``check_inputs``."""
        inputs, n = self.check_inputs(inputs)
        out = np.empty((n, self.network.output_size), dtype=self.dtype)
        self.network.forward(theta, inputs, out)
        return out


def _layer(core: Any, node: PlannedNode) -> Any:
    """The layer of the compiled core."""
    if node.kind == "conv2d":
        window = {"kernel_size": node.kernel_size, "stride": node.stride, "padding": node.padding}
        shape = node.height, node.width, node.channels, node.filters
        return core.Conv2d(*shape, **window, activation=node.activation)
    if node.kind == "flatten":
        return core.Flatten(node.height, node.width, node.channels)
    if node.kind == "columns":
        return core.Columns(node.input_size, node.first, node.output_size)
    if node.kind == "append_log_std":
        return core.AppendLogStd(node.input_size)
    if node.kind == "clamp_log_std":
        return core.ClampLogStd(node.output_size // 2)
    return core.Dense(node.input_size, node.output_size, node.activation)


def _buffers(node: PlannedNode) -> int | tuple[int, ...]:
    return node.buffers if len(node.buffers) > 1 else node.buffers[0]


def orthogonal(rng: np.random.Generator, shape: tuple[int, ...], gain: float) -> npt.NDArray[np.float64]:
    """A (rows, cols) matrix with orthonormal rows or columns, times ``gain``."""
    rows, cols = shape
    gaussian = rng.standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(gaussian)
    q *= np.sign(np.diag(r))  # makes the distribution uniform over orthogonal matrices
    return gain * (q if rows >= cols else q.T)


def initialize(
    parameters: dict[str, npt.NDArray[Any]],
    rng: np.random.Generator,
    *,
    output_gain: float,
    ortho_init: bool,
) -> None:
    """Fill the views of a flat parameter vector in place.

    With ``ortho_init`` weights are orthogonal, as matrices of a row for each output or filter, with gain sqrt(2), and
    ``output_gain`` in the last layer. Without it they are uniform in +-1/sqrt(fan_in), the last layer scaled by
    ``output_gain``. Biases are 0. "log_std" is not changed.

    Parameters
    ----------
    parameters : dict
        Views "layers.0.weight" (out, in), "layers.0.bias" (out,), ..., as ``Policy.unflatten`` returns them.
    """
    weights = [name for name in parameters if name.endswith(".weight")]
    for name in weights:
        weight = parameters[name].reshape(len(parameters[name]), -1)  # a view
        last = name == weights[-1]
        if ortho_init:
            weight[:] = orthogonal(rng, weight.shape, output_gain if last else np.sqrt(2.0))
        else:
            weight[:] = rng.uniform(-1.0, 1.0, weight.shape) / np.sqrt(weight.shape[1]) * (output_gain if last else 1.0)
        parameters[name.removesuffix("weight") + "bias"][:] = 0.0
