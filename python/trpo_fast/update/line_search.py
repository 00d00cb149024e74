"""Backtracking line search: a pure function of theta."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast.update.objectives import SurrogateValue


class LineSearchResult(NamedTuple):
    """The accepted theta (``accepted`` False: the one it started from), its value, and step lengths tried before it."""

    theta: npt.NDArray[Any]
    value: SurrogateValue
    accepted: bool
    n_backtracks: int


def backtracking_line_search(
    evaluate: Callable[[npt.NDArray[Any]], SurrogateValue],
    theta: npt.NDArray[Any],
    step: npt.NDArray[np.float64],
    *,
    start: SurrogateValue,
    radius: float,
    min_improvement: float,
    shrinking_factor: float,
    max_iter: int,
    bounded: str = "mean_kl",
    kl_penalty: float = 0.0,
) -> LineSearchResult:
    """The first of theta + step, theta + c step, theta + c² step, ... that improves within the trust region.

    A candidate is rounded to theta's dtype before it is judged, so what is judged is what is committed. It is accepted
    if its surrogate and KL are finite, KL <= ``radius``, and the surrogate exceeds that of ``start`` by more than
    ``min_improvement`` (Schulman et al. 2015, App. C). The KL that is bounded is the mean, or with
    ``bounded="max_kl"`` the largest; ``kl_penalty`` times the mean is taken off the surrogate.

    Parameters
    ----------
    evaluate : callable
        theta (P,) -> SurrogateValue.
    step : ndarray, shape (P,)
    start : SurrogateValue
        At theta.
    """
    for k in range(max_iter):
        candidate = (theta + shrinking_factor**k * step).astype(theta.dtype)
        value = evaluate(candidate)
        finite = np.isfinite(value).all() and np.isfinite(candidate).all()
        improvement = value.surrogate - start.surrogate - kl_penalty * value.mean_kl
        if finite and getattr(value, bounded) <= radius and improvement > min_improvement:
            return LineSearchResult(candidate, value, True, k)
    return LineSearchResult(theta, start, False, max_iter)
