"""Acting inside C++: a driver over the package's headers, compiled for the instruction set of the module in use."""

import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.harness.measuring import OURS, DisagreementError, NotMeasuredError, Row, relative_error, spread
from benchmarks.harness.problems import PolicyProblem
from trpo_fast._core.modules import ISA

ROOT = Path(__file__).parents[2]
FLAGS = ["-O3", "-std=c++17", "-ffp-contract=off", "-DEIGEN_FAST_MATH=0", "-DEIGEN_DONT_PARALLELIZE", "-pthread", "-w"]
MARCH = {"v4": ["-march=x86-64-v4"], "v3": ["-march=x86-64-v3"], "base": []}
TURNS = 51


def act_in_cpp(p: PolicyProblem, expected: np.ndarray, tolerance: float) -> Row:
    """Seconds a call of ``Actor::act`` for one observation, most probable action."""
    with tempfile.TemporaryDirectory() as folder:
        driver = _compiled(Path(folder))
        sizes = np.array([p.sizes[0], p.sizes[1], p.sizes[-1], TURNS], np.int32)
        problem = b"".join(a.tobytes() for a in (sizes, p.theta, p.observations))
        output = subprocess.run([driver], input=problem, capture_output=True, check=True).stdout
    n_actions = p.sizes[-1]
    error = relative_error(np.frombuffer(output[: 4 * n_actions], np.float32)[None], expected)
    if not error < tolerance:
        raise DisagreementError(f"{OURS}, C++: error {error:.1e}, expected below {tolerance:.0e}")
    seconds = np.frombuffer(output[4 * n_actions :], np.float64)
    return {
        "contender": f"{OURS}, C++",
        "form": "Actor::act",
        "turns": TURNS,
        **spread("seconds", seconds),
        "error": error,
    }


def _compiled(folder: Path) -> Path:
    compiler = shutil.which("c++") or shutil.which("g++")
    packages = Path(sysconfig.get_path("purelib")) / "cmeel.prefix" / "include" / "eigen3"
    eigen = next((path for path in (packages, Path("/usr/include/eigen3")) if path.is_dir()), None)
    if compiler is None or eigen is None:
        raise NotMeasuredError("needs a C++ compiler and Eigen's headers (pip install cmeel-eigen)")
    driver = folder / "act"
    own = [ROOT / "cpp" / "include", ROOT / "cpp" / "runtime" / "include"]
    includes = [*(f"-I{path}" for path in own), "-isystem", str(eigen)]
    source = str(ROOT / "benchmarks" / "cpp" / "act.cpp")
    subprocess.run([compiler, *FLAGS, *MARCH[ISA], *includes, source, "-o", str(driver)], check=True)
    return driver
