"""NumPy's handling of floating-point errors inside the package, whatever the caller has chosen with ``np.seterr``."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np

P = ParamSpec("P")
R = TypeVar("R")


def ignores_float_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that checks its results: an overflow or underflow in it neither raises nor warns.

    For functions that call no code of the user: there, the user's own settings apply.
    """

    @wraps(function)
    def decorated(*args: P.args, **kwargs: P.kwargs) -> R:
        with np.errstate(all="ignore"):
            return function(*args, **kwargs)

    return decorated
