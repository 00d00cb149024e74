"""Contenders written in C++."""

import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness.rows import NotMeasuredError

ROOT = Path(__file__).parents[2]


def compile_program(out: Path, sources: Sequence[Path], includes: Sequence[Path], flags: Sequence[str]) -> str:
    """Compile ``sources`` to the program ``out``, with Eigen; returns the compiler's version.

    Raises
    ------
    NotMeasuredError
        If there is no compiler, or no Eigen.
    """
    compiler = shutil.which("c++") or shutil.which("g++")
    packages = Path(sysconfig.get_path("purelib")) / "cmeel.prefix" / "include" / "eigen3"
    eigen = next((path for path in (packages, Path("/usr/include/eigen3")) if path.is_dir()), None)
    if compiler is None or eigen is None:
        raise NotMeasuredError("needs a C++ compiler and Eigen's headers (pip install cmeel-eigen)")
    places = [*(f"-I{path}" for path in includes), "-isystem", str(eigen)]
    command = [compiler, "-O3", "-std=c++17", "-w", *flags, *places, *map(str, sources), "-o", str(out)]
    subprocess.run(command, check=True)
    version = subprocess.run([compiler, "--version"], check=True, capture_output=True, text=True).stdout
    return version.splitlines()[0]
