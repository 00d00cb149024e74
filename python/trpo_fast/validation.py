"""Checks of arguments. Each error names the argument, what was expected and what was given."""

import difflib
import math
import numbers
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.errors import InsufficientMemoryError, InvalidArgumentError, TRPOFastError

FLOAT_TYPES = (np.dtype(np.float32), np.dtype(np.float64))
MAX_INTEGER = (1 << 63) - 1  # of an argument without another limit
MAX_SEED = (1 << 128) - 1
MAX_DIMENSIONS = 32
MAX_SIZE = 1 << 40  # numbers in a tensor or Box of a file


def describe(value: Any) -> str:
    """A short description of a value for an error message."""
    if isinstance(value, np.ndarray):
        return f"a {value.dtype} array of shape {value.shape}"
    try:
        text = repr(value)
    except Exception:  # of a class that fails here, or of an integer of too many digits
        text = object.__repr__(value)
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"


@contextmanager
def memory_for(**settings: Any) -> Iterator[None]:
    """Name these settings if the block fails because its arrays do not fit into memory.

    Raises
    ------
    InsufficientMemoryError
    """
    try:
        yield
    except (MemoryError, OverflowError, ValueError) as error:
        if isinstance(error, TRPOFastError) or not (
            isinstance(error, MemoryError) or re.search("too big|too large|Maximum allowed dimension", str(error))
        ):
            raise
        names = ", ".join(f"{name}={value}" for name, value in settings.items())
        raise InsufficientMemoryError(f"{names}: expected sizes that fit into memory, got {error}") from error


def suggestion(name: str, names: Iterable[str]) -> str:
    """The nearest of ``names`` as " (did you mean NAME?)", or nothing if none is near."""
    nearest = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {nearest[0]}?)" if nearest else ""


def describe_error(error: BaseException) -> str:
    """An exception of the user's code and the line that raised it, for an error message of its caller."""
    try:
        text = repr(error)
    except Exception:  # of a class that cannot be printed
        text = type(error).__name__
    trace = error.__traceback__
    if trace is None or trace.tb_next is None:  # raised by the call itself
        return text
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{text} in {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


def is_shape(sizes: list[int]) -> bool:
    """Whether a file may hold a tensor or Box of these sizes; for the limit, a size of 0 counts as 1."""
    is_small = len(sizes) <= MAX_DIMENSIONS and math.prod(max(n, 1) for n in sizes) <= MAX_SIZE
    return is_small and min(sizes, default=0) >= 0


def check_integer(name: str, value: Any, *, at_least: int, at_most: int | None = None) -> int:
    """``value`` as an int in ``at_least``..``at_most``; InvalidArgumentError for booleans, floats and other values."""
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not (is_integer and at_least <= value <= (MAX_INTEGER if at_most is None else at_most)):
        bounds = f">= {at_least}" if at_most is None else f"in {at_least}..{at_most}"
        raise InvalidArgumentError(name, f"an integer {bounds}", describe(value))
    return int(value)


def as_whole(value: Any) -> Any:
    """A float without a fraction, such as 1e6, as an int; any other value as it is."""
    return int(value) if isinstance(value, float | np.floating) and value.is_integer() else value


def check_real(
    name: str, value: Any, *, above: float = -math.inf, at_least: float = -math.inf, at_most: float = math.inf
) -> float:
    """``value`` as a finite float above ``above`` and in ``at_least``..``at_most``, or InvalidArgumentError."""
    is_real = isinstance(value, numbers.Real) and not isinstance(value, bool) and _is_finite(value)
    if not (is_real and value > above and at_least <= value <= at_most):
        bounds = [
            f"> {above:g}" if above > -math.inf else "",
            f">= {at_least:g}" if at_least > -math.inf else "",
            f"<= {at_most:g}" if at_most < math.inf else "",
        ]
        raise InvalidArgumentError(name, " ".join(["a finite number", *filter(None, bounds)]), describe(value))
    return float(value)


def plain_number(value: Any) -> Any:
    """``value`` as a bool, int or float of Python if it is a number of another type, which no file of ours holds.

    An array of one number is a number.
    """
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else value


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int that no float can hold
        return False


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """``value``, or InvalidArgumentError if it is not one of ``choices``."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidArgumentError(name, "one of " + ", ".join(choices), describe(value))
    return value


def check_flag(name: str, value: Any) -> bool:
    """``value`` as a bool, or InvalidArgumentError if it is not True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise InvalidArgumentError(name, "True or False", describe(value))
    return bool(value)


def check_path(name: str, value: Any) -> Path:
    """A user's path, text or an ``os.PathLike``, as a Path with "~" expanded. Every path of a user passes here.

    Names are kept whole: what follows their last dot is part of the name, unless it is a suffix that we ask for.

    Raises
    ------
    InvalidArgumentError
        If ``value`` is of another type (an open file, a number, bytes), or no path can be like that.
    """
    expected = "a path, as text or os.PathLike"
    try:
        text = os.fspath(value)
    except TypeError:
        raise InvalidArgumentError(name, expected, describe(value)) from None
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidArgumentError(name, expected, describe(value))
    try:
        os.fsencode(text)
        return Path(text).expanduser()
    except (UnicodeEncodeError, RuntimeError) as error:  # half a character; "~somebody" who does not exist
        raise InvalidArgumentError(name, expected, f"{text!r}: {error}") from None


def float_dtype(name: str, value: Any) -> np.dtype[Any]:
    """``value`` as the NumPy dtype float32 or float64, or InvalidArgumentError."""
    try:
        dtype: np.dtype[Any] = np.dtype(object if value is None else value)  # np.dtype(None) is float64
    except (TypeError, ValueError):
        dtype = np.dtype(object)
    if dtype not in FLOAT_TYPES:
        raise InvalidArgumentError(name, "float32 or float64", describe(value))
    return dtype


def float_array(name: str, value: Any, shape: tuple[int | None, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """``value`` as a C-contiguous and aligned array of ``dtype``. Public functions cast arrays only here.

    Parameters
    ----------
    value : ndarray of float32 or float64, any strides
    shape : tuple
        Expected shape; None means any size above 0.
    dtype : float32 or float64

    Returns
    -------
    ndarray of dtype
        ``value`` itself if it needs no cast; values that overflow float32 become Inf.

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
    with np.errstate(all="ignore"):  # a float32 overflow becomes Inf, which the update's status reports
        return np.require(value, dtype, ["C", "ALIGNED"])
