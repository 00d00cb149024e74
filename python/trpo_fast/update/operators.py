"""Symmetric matrices that are known by their products only."""

from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast._core.modules import core
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.validation import describe, float_array


class KernelOperator:
    """A symmetric (P, P) matrix A, of which ``A @ v`` is all there is.

    ``conjugate_gradient`` takes its products without returning to Python; ``scipy.sparse.linalg.aslinearoperator``
    works.

    Attributes
    ----------
    kernel : object of the compiled core
    shape : tuple (P, P)
    dtype : dtype
        That of the kernels; sums over rows are in float64.
    damping : float
        What was added to the diagonal of A.
    """

    def __init__(self, kernel: core.LinearOperator, dtype: np.dtype[Any], damping: float) -> None:
        self.kernel = kernel
        self.shape = (kernel.size, kernel.size)
        self.dtype = dtype
        self.damping = damping

    def matvec(self, v: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A v. ``v`` is (P,) or (P, 1), float32 or float64; the result has its shape and dtype."""
        size = self.shape[0]
        if isinstance(v, np.ndarray) and v.shape == (size, 1):
            return self.matvec(v[:, 0])[:, None]
        if not isinstance(v, np.ndarray) or v.shape != (size,):
            raise InvalidArgumentError("v", f"a float32 or float64 array of shape ({size},)", describe(v))
        out = np.empty(size)
        self.kernel.multiply(float_array("v", v, (size,), np.float64), out)
        return out.astype(v.dtype, copy=False)

    __matmul__ = matvec
    rmatvec = matvec  # A is symmetric


class Identity:
    """The identity: its product with v is v."""

    damping = 0.0

    def matvec(self, v: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """v itself."""
        return v

    __matmul__ = matvec
