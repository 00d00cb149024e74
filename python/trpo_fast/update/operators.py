"""Symmetric linear operators, defined by their matrix-vector product."""

from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast._core.modules import core
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.validation import describe, float_array


class KernelOperator:
    """A symmetric (P, P) matrix A, available through ``A @ v`` only.

    ``conjugate_gradient`` computes its products without returning to Python. Works with
    ``scipy.sparse.linalg.aslinearoperator``.

    Attributes
    ----------
    kernel
        Operator of the compiled core.
    shape : tuple (P, P)
    dtype : dtype
        Dtype of the kernels; sums over rows are in float64.
    damping : float
        Damping included in the diagonal of A.
    """

    def __init__(self, kernel: core.LinearOperator, dtype: np.dtype[Any], damping: float) -> None:
        self.kernel = kernel
        self.shape = (kernel.size, kernel.size)
        self.dtype = dtype
        self.damping = damping

    def matvec(self, v: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """A v for ``v`` of float32 or float64, shape (P,) or (P, 1); the result has the same shape and dtype.

        Raises
        ------
        InvalidArgumentError
            If ``v`` has another kind or shape.
        """
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
