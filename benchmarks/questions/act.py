"""Acting, batch 1, 17-64-64-6: the most probable action from C++, from Python, and by ``predict``."""

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.harness.compiling import ROOT, compile_program
from benchmarks.harness.machine import Others, Setting
from benchmarks.harness.measuring import compare, relative_error
from benchmarks.harness.options import SECONDS
from benchmarks.harness.problems import PolicyProblem, policy_problem
from benchmarks.harness.provenance import versions
from benchmarks.harness.rows import OURS, DisagreementError, NotMeasuredError, Row, spread
from benchmarks.peers import contenders, ours

SETTINGS = (Setting(1),)
OPTIONS = SECONDS
TOLERANCE = 1e-4
IN_CPP = f"{OURS}, C++"
FLAGS = ["-ffp-contract=off", "-DEIGEN_FAST_MATH=0", "-DEIGEN_DONT_PARALLELIZE", "-pthread"]
MARCH = {"v4": ["-march=x86-64-v4"], "v3": ["-march=x86-64-v3"], "base": []}  # of the module in use
TURNS = 51  # in C++


def measure(setting: Setting, options: argparse.Namespace) -> Iterator[Row]:
    p = model_problem((17, 64, 64, 6))
    expected = p.oracle.dist_params(p.theta.astype(np.float64), p.inputs.astype(np.float64))[:, : p.sizes[-1]]
    calls = [*ours.act(p), *contenders("act", p)]
    yield from compare(p.name, calls, expected, TOLERANCE, options.seconds)
    try:
        yield act_in_cpp(p, expected)
    except NotMeasuredError as reason:
        yield {"case": p.name, "contender": IN_CPP, "not measured": str(reason)}


def model_problem(sizes: tuple[int, ...]) -> PolicyProblem:
    """One observation, with the parameters of the model that predicts in ``ours``."""
    p = policy_problem(sizes, 1, "float32")
    return p._replace(theta=ours.fresh_model(p).theta.copy())


def act_in_cpp(p: PolicyProblem, expected: np.ndarray) -> Row:
    """Time ``Actor::act`` for one observation: a program over the package's headers, without Python."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "act"
        source = ROOT / "benchmarks" / "cpp" / "act.cpp"
        includes = [ROOT / "cpp" / "include", ROOT / "cpp" / "runtime" / "include"]
        compiler = compile_program(program, [source], includes, [*FLAGS, *MARCH[versions()["isa"]]])
        sizes = np.array([p.sizes[0], p.sizes[1], p.sizes[-1], TURNS], np.int32)
        problem = b"".join(a.tobytes() for a in (sizes, p.theta, p.observations))
        others = Others()
        output = subprocess.run([program], input=problem, capture_output=True, check=True).stdout
        quiet = others.row()
    action_bytes = 4 * p.sizes[-1]
    error = relative_error(np.frombuffer(output[:action_bytes], np.float32)[None], expected)
    if not error < TOLERANCE:
        raise DisagreementError(f"{IN_CPP}: error {error:.1e}, expected below {TOLERANCE:.0e}")
    figures = {"turns": TURNS, **spread("seconds", np.frombuffer(output[action_bytes:], np.float64)), "error": error}
    return {"case": p.name, "contender": IN_CPP, "form": "Actor::act", **figures, "compiler": compiler, **quiet}
