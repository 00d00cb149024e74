"""What runs here: versions and the instruction set, for bug reports and benchmark results."""

import platform

import gymnasium
import numpy as np

from trpo_fast._ext import ISA, core
from trpo_fast._version import __version__


def show_config() -> dict[str, str]:
    """Print and return the versions, the compiled module in use and the machine."""
    config = {
        "trpo_fast": __version__,
        "isa": ISA,
        "simd": core.SIMD,
        "eigen": core.EIGEN_VERSION,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "gymnasium": gymnasium.__version__,
        "platform": platform.platform(),
    }
    for name, value in config.items():
        print(f"{name:>10}  {value}")
    return config
