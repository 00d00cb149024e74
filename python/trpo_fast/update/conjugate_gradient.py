"""Conjugate gradient from matrix-vector products. Numerical failures are a status, not an exception."""

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from trpo_fast._core.modules import core
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.update.operators import KernelOperator
from trpo_fast.validation import check_integer, check_real, describe, float_array


class LinearOperator(Protocol):
    """Any object with a matrix-vector product, such as SciPy's LinearOperator."""

    def matvec(self, v: npt.NDArray[np.float64], /) -> npt.NDArray[Any]:
        """A v, shape (P,)."""


Operator = KernelOperator | LinearOperator | npt.NDArray[Any] | Callable[[npt.NDArray[np.float64]], npt.NDArray[Any]]


class CGStatus(Enum):
    """How the solver ended."""

    CONVERGED = "converged"  # the residual is at most rtol * ||b||
    SLOW_PROGRESS = "slow_progress"  # a product raised sqrt(b^T x) by less than progress_rtol: the usual success
    MAX_ITER = "max_iter"  # max_iter products were computed: the usual end without progress_rtol
    ZERO_RHS = "zero_rhs"  # b = 0, so x = 0
    NEGATIVE_CURVATURE = "negative_curvature"  # F is not positive definite; x is the last valid iterate
    NON_FINITE = "non_finite"  # a NaN or Inf appeared; x is the last valid iterate


class CGResult(NamedTuple):
    """Result of ``conjugate_gradient``.

    Parameters
    ----------
    x : ndarray of float64, shape (P,)
        Solution.
    n_iter : int
        Products with F.
    residual_norm : float
        ||b - F x||, from the recurrence.
    quadratic_form : float
        x^T F x, from the recurrence: it costs no further product.
    status : CGStatus
    """

    x: npt.NDArray[np.float64]
    n_iter: int
    residual_norm: float
    quadratic_form: float
    status: CGStatus


def conjugate_gradient(
    F: Operator,
    b: npt.NDArray[Any],
    max_iter: int = 10,
    rtol: float = 1e-10,
    preconditioner: Operator | None = None,
    progress_rtol: float = 0.0,
) -> CGResult:
    """Solve F x = b from x = 0 (Saad 2003, Alg. 9.1), in float64.

    Parameters
    ----------
    F : FisherOperator, ndarray (P, P), callable, or any object with ``matvec``
        Symmetric and positive definite.
    b : ndarray of float32 or float64, shape (P,)
    max_iter : int
        Largest number of products.
    rtol : float
        Stop when ||b - F x|| <= rtol ||b||.
    preconditioner : KFACPreconditioner, or as F, optional
        Its product approximates F^-1 v. Must be symmetric, positive definite and the same for every product.
    progress_rtol : float
        Stop when a product raises sqrt(b^T x), the improvement predicted for a step of fixed length x^T F x, by less
        than this fraction: 0.005 is half a percent, 0 never stops. Independent of the scale of b.

    Raises
    ------
    InvalidArgumentError
        If an argument has the wrong kind, shape or range. Numerical failures are a status instead.
    """
    if not isinstance(b, np.ndarray) or b.ndim != 1 or b.size == 0:
        raise InvalidArgumentError("b", "a float32 or float64 array of shape (P,)", describe(b))
    rhs = float_array("b", b, b.shape, np.float64)
    check_integer("max_iter", max_iter, at_least=1)
    check_real("rtol", rtol, at_least=0.0)
    check_real("progress_rtol", progress_rtol, at_least=0.0, at_most=1.0)
    solved = core.conjugate_gradient(
        _kernel("F", F, rhs.size),
        rhs,
        max_iter,
        rtol,
        None if preconditioner is None else _kernel("preconditioner", preconditioner, rhs.size),
        progress_rtol,
    )
    return CGResult(**{**solved, "status": CGStatus(solved["status"].name)})


def _kernel(name: str, operator: Operator, size: int) -> core.LinearOperator:
    """The operator of the compiled core for ``operator``; a ``KernelOperator`` runs without returning to Python."""
    shape = getattr(operator, "shape", (size, size))
    if tuple(shape) != (size, size):
        raise InvalidArgumentError(name, f"an operator of shape ({size}, {size})", f"one of shape {tuple(shape)}")
    if isinstance(operator, KernelOperator):
        return operator.kernel
    product: Any = getattr(operator, "matvec", operator)
    if isinstance(operator, np.ndarray):
        product = operator.__matmul__
    if not callable(product):
        raise InvalidArgumentError(name, "an operator, an array or a callable", describe(operator))
    return core.CallableOperator(size, lambda v: np.ascontiguousarray(product(v), dtype=np.float64))
