"""
Kernels of trpo_fast. Private: every array is checked and none is converted.
"""

from __future__ import annotations

import collections.abc
import typing

import numpy

from . import float32, float64

__all__: list[str] = [
    "EIGEN_VERSION",
    "MAX_MAGNITUDE",
    "SIMD",
    "ActionRange",
    "AreaResize",
    "CGStatus",
    "CallableOperator",
    "Images",
    "LinearOperator",
    "Normalizer",
    "conjugate_gradient",
    "copy_if_fit",
    "dot",
    "float32",
    "float64",
    "get_num_threads",
    "norm",
    "set_num_threads",
    "store_planes",
]

class Normalizer:
    """
    clip((x - mean) * inv_std, -clip, clip)
    """
    def __init__(
        self, mean: typing.Any, inv_std: typing.Any, clip: typing.SupportsFloat | typing.SupportsIndex
    ) -> None: ...

class ActionRange:
    """
    start + clip(action, low, high), where tanh maps action to low..high first if squash
    """
    def __init__(self, low: typing.Any, high: typing.Any, start: typing.Any, squash: bool = False) -> None: ...

class AreaResize:
    """
    Makes an image smaller: a pixel is the mean over its area, rounded to nearest
    """
    def __init__(
        self,
        in_height: typing.SupportsInt | typing.SupportsIndex,
        in_width: typing.SupportsInt | typing.SupportsIndex,
        out_height: typing.SupportsInt | typing.SupportsIndex,
        out_width: typing.SupportsInt | typing.SupportsIndex,
    ) -> None: ...
    def apply(self, first: typing.Any, second: typing.Any, out: typing.Any) -> None:
        """
        out = max(first, second), made smaller; all are uint8, and first and second may be the same array
        """

class Images:
    """
    Rows of stacked planes: row n has the planes that index[n] names, -1 a plane of zeros
    """
    def __init__(self, planes: typing.Any, index: typing.Any) -> None:
        """
        planes: (M, H, W) uint8, not copied; index: (N, S) int32, copied
        """
    @property
    def index(self) -> numpy.ndarray: ...
    @property
    def planes(self) -> numpy.ndarray: ...

class CGStatus:
    """
    Members:

      converged

      slow_progress

      max_iter

      zero_rhs

      negative_curvature

      non_finite
    """

    __members__: typing.ClassVar[dict[str, CGStatus]]
    converged: typing.ClassVar[CGStatus]
    max_iter: typing.ClassVar[CGStatus]
    negative_curvature: typing.ClassVar[CGStatus]
    non_finite: typing.ClassVar[CGStatus]
    slow_progress: typing.ClassVar[CGStatus]
    zero_rhs: typing.ClassVar[CGStatus]
    @typing.overload
    def __eq__(self, other: CGStatus) -> bool: ...
    @typing.overload
    def __eq__(self, other: typing.Any) -> bool: ...
    def __getstate__(self) -> int: ...
    def __hash__(self) -> int: ...
    def __index__(self) -> int: ...
    def __init__(self, value: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def __int__(self) -> int: ...
    @typing.overload
    def __ne__(self, other: CGStatus) -> bool: ...
    @typing.overload
    def __ne__(self, other: typing.Any) -> bool: ...
    def __repr__(self) -> str: ...
    def __setstate__(self, state: typing.SupportsInt | typing.SupportsIndex) -> None: ...
    def __str__(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def value(self) -> int: ...

class LinearOperator:
    """
    A matrix given by its products
    """
    def multiply(self, v: typing.Any, out: typing.Any) -> None:
        """
        out = A v
        """
    @property
    def size(self) -> int: ...

class CallableOperator(LinearOperator):
    """
    An operator whose product is a Python callable
    """
    def __init__(self, size: typing.SupportsInt | typing.SupportsIndex, product: collections.abc.Callable) -> None: ...

def conjugate_gradient(
    a: LinearOperator,
    b: typing.Any,
    max_iter: typing.SupportsInt | typing.SupportsIndex,
    rtol: typing.SupportsFloat | typing.SupportsIndex,
    preconditioner: LinearOperator | None = None,
    progress_rtol: typing.SupportsFloat | typing.SupportsIndex = 0.0,
) -> dict:
    """
    Solve a x = b; a dict of x, n_iter, residual_norm, quadratic_form and status
    """

def copy_if_fit(values: typing.Any, out: typing.Any) -> bool:
    """
    out = values, and True, if values are a C-contiguous float32 or float64 array of out's shape whose entries are
    finite with magnitudes up to MAX_MAGNITUDE
    """

def dot(x: typing.Any, y: typing.Any) -> float:
    """
    x^T y, the same bits on every processor
    """

def get_num_threads() -> int: ...
def norm(x: typing.Any) -> float:
    """
    The Euclidean norm of x, the same bits on every processor
    """

def set_num_threads(n_threads: typing.SupportsInt | typing.SupportsIndex) -> None: ...
def store_planes(
    pixels: typing.Any,
    previous: typing.Any,
    index: typing.Any,
    planes: typing.Any,
    used: typing.SupportsInt | typing.SupportsIndex,
) -> int:
    """
    Store the observations of n environments, pixels (n, S, H, W): index = the number of each plane, and new
    planes are appended to the `used` ones in planes (M, H, W), which needs room for n * S more. Planes that
    the row of previous names, or that came earlier in the observation, are found again; zeros are -1, and
    so is every number of previous where an environment has no former observation. Returns used.
    """

EIGEN_VERSION: str
MAX_MAGNITUDE: float = 1e18
SIMD: str
