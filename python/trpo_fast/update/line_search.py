"""Backtracking line search, a pure function of theta."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast.update.objectives import SurrogateValue


class LineSearchResult(NamedTuple):
    """Result of ``backtracking_line_search``.

    Parameters
    ----------
    theta : ndarray, shape (P,)
        The accepted theta; the initial one if ``accepted`` is False.
    value : SurrogateValue
        Value at ``theta``.
    accepted : bool
    n_backtracks : int
        Step lengths rejected.
    """

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
    check: Callable[[npt.NDArray[Any], SurrogateValue], bool] | None = None,
) -> LineSearchResult:
    """Find the first of theta + step, theta + c step, theta + c² step, ... that improves within the trust region.

    A candidate is rounded to theta's dtype before it is evaluated, so exactly the evaluated theta is committed. It is
    accepted if its surrogate and KL are finite, KL <= ``radius``, and the surrogate exceeds that of ``start`` by more
    than ``min_improvement`` (Schulman et al. 2015, App. C).

    Parameters
    ----------
    evaluate : callable
        theta (P,) -> SurrogateValue.
    theta : ndarray, shape (P,)
        Where the search starts.
    step : ndarray, shape (P,)
        The full step.
    start : SurrogateValue
        Value at theta.
    radius : float
        Bound of the KL divergence, in nats.
    min_improvement : float
    shrinking_factor : float
        c, between 0 and 1.
    max_iter : int
        Largest number of candidates.
    bounded : {"mean_kl", "max_kl"}
        Whether the mean or the largest KL divergence is bounded.
    kl_penalty : float
        Times the mean KL divergence is subtracted from the surrogate.
    check : callable, optional
        (candidate, its value) -> bool: a last condition for a candidate that meets all others.
    """
    for k in range(max_iter):
        candidate = (theta + shrinking_factor**k * step).astype(theta.dtype)
        value = evaluate(candidate)
        finite = np.isfinite(value).all() and np.isfinite(candidate).all()
        improvement = value.surrogate - start.surrogate - kl_penalty * value.mean_kl
        is_better = finite and getattr(value, bounded) <= radius and improvement > min_improvement
        if is_better and (check is None or check(candidate, value)):
            return LineSearchResult(candidate, value, True, k)
    return LineSearchResult(theta, start, False, max_iter)
