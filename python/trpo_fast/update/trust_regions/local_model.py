"""What a trust region has to go by, and what it gives."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast.config import TRPOConfig
from trpo_fast.update.line_search import LineSearchResult, backtracking_line_search
from trpo_fast.update.objectives import SurrogateValue


class Step(NamedTuple):
    """The full step (P,), what became of it, and the coefficient of a penalty."""

    full: npt.NDArray[np.float64]
    search: LineSearchResult
    kl_penalty: float = float("nan")


class LocalModel(NamedTuple):
    """The problem near theta: a direction x (P,) with xᵀF x, and what judges a step along it."""

    evaluate: Callable[[npt.NDArray[Any]], SurrogateValue]
    theta: npt.NDArray[Any]
    start: SurrogateValue
    x: npt.NDArray[np.float64]
    quadratic_form: float
    max_kl: float
    min_improvement: float
    config: TRPOConfig

    def search(self, full: npt.NDArray[np.float64], **bounds: Any) -> LineSearchResult:
        """Backtrack from the step ``full``, within bounds as ``backtracking_line_search`` has them."""
        return backtracking_line_search(
            self.evaluate,
            self.theta,
            full,
            start=self.start,
            min_improvement=self.min_improvement,
            shrinking_factor=self.config.line_search_shrinking_factor,
            max_iter=self.config.line_search_max_iter,
            **bounds,
        )
