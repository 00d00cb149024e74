"""The compiled core, for the type checker and the rest of the package."""

from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from trpo_fast import _trpo_fast_core as core

    ISA: str
else:
    from trpo_fast._core.loader import load_core

    core, ISA = load_core()

__all__ = ["ISA", "core", "kernels"]


def kernels(dtype: npt.DTypeLike) -> ModuleType:
    """The submodule with the kernels for arrays of ``dtype``, float32 or float64."""
    return core.float32 if np.dtype(dtype) == np.float32 else core.float64
