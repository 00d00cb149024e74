"""Orthogonal initialisation of a multilayer perceptron (Saxe et al. 2014)."""

from typing import Any

import numpy as np
import numpy.typing as npt


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
    """Fill the views of a flat parameter vector, in place.

    Hidden weights get gain sqrt(2), the last layer ``output_gain``, biases 0. Without ``ortho_init`` weights are
    uniform in +-1/sqrt(fan_in), the last layer's scaled by ``output_gain``. "log_std" is left alone.

    Parameters
    ----------
    parameters : dict
        "layers.0.weight" (out, in), "layers.0.bias" (out,), ...: as ``Policy.unflatten`` gives them.
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
