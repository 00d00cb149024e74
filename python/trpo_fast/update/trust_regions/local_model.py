"""LocalModel, the argument of a form of the trust region, and Step, its result."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast._core.modules import core
from trpo_fast.config import TRPOConfig
from trpo_fast.update.line_search import LineSearchResult
from trpo_fast.update.objectives import SurrogateValue


def no_longer_than(theta: npt.NDArray[Any], step: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """``step``, shortened if it is longer than ``theta`` and than 1.

    A local model says nothing so far away; where the KL divergence hardly depends on some parameters, a step could
    otherwise change them by many orders of magnitude.
    """
    longest, length = max(core.norm(theta.astype(np.float64)), 1.0), core.norm(step)
    return step if not length > longest else step * (longest / length)


class Step(NamedTuple):
    """A step of an update.

    Parameters
    ----------
    full : ndarray, shape (P,)
        The full step, before backtracking.
    search : LineSearchResult
        Result of the line search along it.
    kl_penalty : float
        Coefficient of a penalty; NaN without one.
    """

    full: npt.NDArray[np.float64]
    search: LineSearchResult
    kl_penalty: float = float("nan")


class LocalModel(NamedTuple):
    """The local problem at theta.

    Parameters
    ----------
    evaluate : callable
        theta (P,) -> SurrogateValue.
    theta : ndarray, shape (P,)
    start : SurrogateValue
        Value at theta.
    x : ndarray, shape (P,)
        Direction, x ≈ F⁻¹g.
    quadratic_form : float
        xᵀF x.
    radius : float
        Bound of the KL divergence, in nats.
    backtrack : callable
        Line search: ``backtracking_line_search`` from ``theta`` along a full step.
    config : TRPOConfig
    """

    evaluate: Callable[[npt.NDArray[Any]], SurrogateValue]
    theta: npt.NDArray[Any]
    x: npt.NDArray[np.float64]
    quadratic_form: float
    radius: float
    backtrack: Callable[..., LineSearchResult]
    start: SurrogateValue
    config: TRPOConfig
