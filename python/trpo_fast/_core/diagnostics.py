"""Versions and the instruction set in use, for bug reports and benchmark results."""

import platform

import gymnasium
import numpy as np

from trpo_fast._core.modules import ISA, core
from trpo_fast._version import __version__


def versions() -> dict[str, str]:
    """Versions, the compiled module in use and the machine, by name."""
    return {
        "trpo_fast": __version__,
        "isa": ISA,
        "simd": core.SIMD,
        "eigen": core.EIGEN_VERSION,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "gymnasium": gymnasium.__version__,
        "platform": platform.platform(),
    }


def show_config() -> None:
    """Print versions, the compiled module in use and the machine."""
    for name, value in versions().items():
        print(f"{name:>10}  {value}")
