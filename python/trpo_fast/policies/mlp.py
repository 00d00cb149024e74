"""The multilayer perceptron of policies and value functions: layers, layout of the flat theta, initialisation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast._core.floating_point import ignores_float_errors
from trpo_fast._core.modules import kernels
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.normalization import EPSILON, ObservationNormalizer
from trpo_fast.validation import check_choice, check_flag, check_integer, describe, float_dtype

ACTIVATIONS = ("tanh", "relu", "elu", "silu", "identity")

MAX_WIDTH = (1 << 31) - 1  # of the kernels


class MLP:
    """Dense layers with linear outputs, and an optional last layer for log standard deviations.

    Parameters
    ----------
    num_inputs : int
        Columns of the inputs, without an action mask.
    output_size : int
        Outputs of the last dense layer.
    net_arch : sequence of int
        Widths of the hidden layers.
    activation_fn : str
        Activation of the hidden layers: tanh, relu, elu, silu or identity.
    ortho_init : bool
        Orthogonal instead of uniform initialisation (see ``initialize``).
    output_gain : float
        Gain of the last dense layer at initialisation.
    dtype : {"float32", "float64"}
        Dtype of theta, inputs and outputs.
    log_std : {"none", "parameter", "output"}
        Layer after the dense ones. "none": no layer. "parameter": appends one log standard deviation per output, a
        parameter of its own. "output": the second half of the outputs are log standard deviations and are clamped.
    is_masked : bool
        Inputs have one more column for each output at the end; the output is -Inf where that column is 0.

    Attributes
    ----------
    network
        Network of the compiled core.
    shapes : dict
        Shape of each parameter by name, in the order of theta.
    widths : list of int
        Widths of the hidden layers.
    last_layer : str
        Name of the last dense layer, "layers.<i>".
    num_inputs : int
        Columns of the inputs, with those of a mask.

    Raises
    ------
    InvalidArgumentError
    """

    def __init__(
        self,
        num_inputs: int,
        output_size: int,
        *,
        net_arch: Sequence[int],
        activation_fn: str,
        ortho_init: bool,
        output_gain: float,
        dtype: npt.DTypeLike,
        log_std: str = "none",
        is_masked: bool = False,
    ) -> None:
        self.widths = widths = check_widths(net_arch)
        check_choice("activation_fn", activation_fn, ACTIVATIONS)
        self.dtype = float_dtype("dtype", dtype)
        self._ortho_init = check_flag("ortho_init", ortho_init)
        self._output_gain = output_gain
        sizes = [num_inputs, *widths, output_size]
        core = kernels(self.dtype)
        layers = [
            core.Dense(sizes[i], sizes[i + 1], activation_fn if i < len(widths) else "identity")
            for i in range(len(widths) + 1)
        ]
        self.shapes: dict[str, tuple[int, ...]] = {}
        for i in range(len(layers)):
            self.shapes[f"layers.{i}.weight"] = (sizes[i + 1], sizes[i])
            self.shapes[f"layers.{i}.bias"] = (sizes[i + 1],)
        self.last_layer = f"layers.{len(layers) - 1}"
        if log_std == "parameter":
            layers.append(core.AppendLogStd(output_size))
            self.shapes["log_std"] = (output_size,)
        elif log_std == "output":
            layers.append(core.ClampLogStd(output_size // 2))
        self.network = core.Network(layers, is_masked)
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
            size = int(np.prod(shape))
            views[name] = theta[begin : begin + size].reshape(shape)
            begin += size
        return views

    @ignores_float_errors
    def renormalized(
        self, theta: npt.NDArray[Any], old: ObservationNormalizer, new: ObservationNormalizer
    ) -> npt.NDArray[Any]:
        """Theta whose outputs under ``new`` equal those of ``theta`` under ``old``, except where inputs are clipped.

        The first layer becomes W' = W std'/std and b' = b + W (mean' - mean)/std, which keeps
        z = W (x - mean)/std + b. Without old statistics (count 0), or with a disabled normaliser, ``theta`` itself is
        returned.
        """
        before, after = old.statistics, new.statistics
        if not new.enabled or before.count == 0.0:
            return theta
        theta = theta.copy()
        first = self.unflatten(theta)
        weight = first["layers.0.weight"].astype(np.float64)
        columns = slice(weight.shape[1])  # without the columns of a mask
        varied = before.var[columns] > EPSILON  # the input of a constant column was 0: there is no scale to keep
        ratio, shift = after.std / before.std, (after.mean - before.mean) / before.std
        first["layers.0.weight"][:] = weight * np.where(varied, ratio[columns], 1.0)
        shift = np.where(varied, shift[columns], 0.0)
        first["layers.0.bias"][:] += (weight * shift).sum(axis=1).astype(self.dtype)  # not @: its bits depend on a BLAS
        return theta

    def forward(self, theta: npt.NDArray[Any], inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Outputs, shape (N, K), for network inputs, shape (N, num_inputs), of this dtype."""
        out = np.empty((len(inputs), self.network.output_size), dtype=self.dtype)
        self.network.forward(theta, inputs, out)
        return out


def check_widths(net_arch: Any) -> list[int]:
    """The widths of hidden layers in a sequence of any type, as a list of its own.

    Raises
    ------
    InvalidArgumentError
        If ``net_arch`` is not a sequence of integers >= 1.
    """
    if isinstance(net_arch, str) or not isinstance(net_arch, Sequence | np.ndarray):
        raise InvalidArgumentError("net_arch", "a sequence of layer widths", describe(net_arch))
    return [check_integer("net_arch", width, at_least=1, at_most=MAX_WIDTH) for width in net_arch]


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

    With ``ortho_init`` weights are orthogonal, with gain sqrt(2) in hidden layers and ``output_gain`` in the last.
    Without it they are uniform in +-1/sqrt(fan_in), the last layer scaled by ``output_gain``. Biases are 0. "log_std"
    is not changed.

    Parameters
    ----------
    parameters : dict
        Views "layers.0.weight" (out, in), "layers.0.bias" (out,), ..., as ``Policy.unflatten`` returns them.
    """
    weights = [name for name in parameters if name.endswith("weight")]
    for name in weights:
        view = parameters[name]
        last = name == weights[-1]
        if ortho_init:
            view[:] = orthogonal(rng, view.shape, output_gain if last else np.sqrt(2.0))
        else:
            view[:] = rng.uniform(-1.0, 1.0, view.shape) / np.sqrt(view.shape[1]) * (output_gain if last else 1.0)
        parameters[name.replace("weight", "bias")][:] = 0.0
