"""Checks of arguments: early, and with the argument, what was expected and what came in the message."""

import math
import numbers
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.errors import InvalidArgumentError

FLOAT_TYPES = (np.dtype(np.float32), np.dtype(np.float64))
MAX_DIMENSIONS = 32
MAX_SIZE = 1 << 40  # numbers in a tensor or Box of a file


def describe(value: Any) -> str:
    """A short description of a value for an error message."""
    if isinstance(value, np.ndarray):
        return f"a {value.dtype} array of shape {value.shape}"
    text = repr(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


def is_shape(sizes: list[int]) -> bool:
    """Whether a file may hold a tensor or Box of these sizes; of one that is empty its other sizes count."""
    is_small = len(sizes) <= MAX_DIMENSIONS and math.prod(max(n, 1) for n in sizes) <= MAX_SIZE
    return is_small and min(sizes, default=0) >= 0


def check_integer(name: str, value: Any, *, at_least: int, at_most: int | None = None) -> int:
    """``value`` as an int within the bounds; booleans and floats are refused."""
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not (is_integer and at_least <= value and (at_most is None or value <= at_most)):
        bounds = f">= {at_least}" if at_most is None else f"in {at_least}..{at_most}"
        raise InvalidArgumentError(name, f"an integer {bounds}", describe(value))
    return int(value)


def check_real(
    name: str, value: Any, *, above: float = -math.inf, at_least: float = -math.inf, at_most: float = math.inf
) -> float:
    """``value`` as a finite float with ``above < value``, ``at_least <= value <= at_most``."""
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool) and _is_finite(value)
    if not (is_real and value > above and at_least <= value <= at_most):
        bounds = [
            f"> {above:g}" if above > -math.inf else "",
            f">= {at_least:g}" if at_least > -math.inf else "",
            f"<= {at_most:g}" if at_most < math.inf else "",
        ]
        raise InvalidArgumentError(name, " ".join(["a finite number", *filter(None, bounds)]), describe(value))
    return float(value)


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int that no float can hold
        return False


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """``value``, which must be one of ``choices``."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidArgumentError(name, "one of " + ", ".join(choices), describe(value))
    return value


def check_flag(name: str, value: Any) -> bool:
    """``value``, which must be True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise InvalidArgumentError(name, "True or False", describe(value))
    return bool(value)


def float_dtype(name: str, value: Any) -> np.dtype[Any]:
    """``value`` as float32 or float64."""
    try:
        dtype: np.dtype[Any] = np.dtype(object if value is None else value)  # np.dtype(None) is float64
    except (TypeError, ValueError):
        dtype = np.dtype(object)
    if dtype not in FLOAT_TYPES:
        raise InvalidArgumentError(name, "float32 or float64", describe(value))
    return dtype


def float_array(name: str, value: Any, shape: tuple[int | None, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """``value`` as a C-contiguous and aligned array of ``dtype``: the one place where the public functions cast.

    Parameters
    ----------
    value : ndarray of float32 or float64, any strides
    shape : tuple
        The expected shape; None stands for any size above 0.
    dtype : float32 or float64

    Raises
    ------
    InvalidArgumentError
        If ``value`` is not an ndarray of float32 or float64 of that shape.
    """
    expected = f"a float32 or float64 array of shape ({', '.join('N' if n is None else str(n) for n in shape)})"
    if not isinstance(value, np.ndarray) or value.dtype not in FLOAT_TYPES:
        raise InvalidArgumentError(name, expected, describe(value))
    fits = value.ndim == len(shape) and all(
        size > 0 if n is None else size == n for size, n in zip(value.shape, shape, strict=True)
    )
    if not fits:
        raise InvalidArgumentError(name, expected, describe(value))
    with np.errstate(over="ignore"):  # what overflows float32 becomes Inf, and the update's status says so
        return np.require(value, dtype, ["C", "ALIGNED"])
