"""What a form of the trust region is given, and the step that it returns."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast.config import TRPOConfig
from trpo_fast.update.line_search import LineSearchResult
from trpo_fast.update.objectives import SurrogateValue


class Step(NamedTuple):
    """The full step (P,), the result of its line search, and the coefficient of a penalty (NaN without one)."""

    full: npt.NDArray[np.float64]
    search: LineSearchResult
    kl_penalty: float = float("nan")


class LocalModel(NamedTuple):
    """The problem near theta: a direction x (P,) with xᵀF x, the radius, and the line search along a full step."""

    evaluate: Callable[[npt.NDArray[Any]], SurrogateValue]
    theta: npt.NDArray[Any]
    start: SurrogateValue
    x: npt.NDArray[np.float64]
    quadratic_form: float
    radius: float
    backtrack: Callable[..., LineSearchResult]
    config: TRPOConfig
