"""Acting, batch 1, 17-64-64-6: the most probable action from C++, from Python, and by ``predict``."""

from collections.abc import Iterator

import numpy as np

from benchmarks.harness.machine import Setting
from benchmarks.harness.measuring import OURS, NotMeasuredError, Options, Row, compare
from benchmarks.harness.problems import PolicyProblem, policy_problem
from benchmarks.peers import contenders, ours
from benchmarks.questions.act_cpp import act_in_cpp

SETTINGS = (Setting(1),)
TOLERANCE = 1e-4


def measure(setting: Setting, options: Options) -> Iterator[Row]:
    p = model_problem((17, 64, 64, 6))
    expected = p.oracle.dist_params(p.theta.astype(np.float64), p.inputs.astype(np.float64))[:, : p.sizes[-1]]
    calls = [*ours.act(p), *contenders("act", p)]
    yield from compare(p.name, calls, expected, TOLERANCE, options.seconds)
    try:
        yield {"case": p.name, **act_in_cpp(p, expected, TOLERANCE)}
    except NotMeasuredError as reason:
        yield {"case": p.name, "contender": f"{OURS}, C++", "not measured": str(reason)}


def model_problem(sizes: tuple[int, ...]) -> PolicyProblem:
    """One observation, with the parameters of the model that predicts in ``ours``."""
    p = policy_problem(sizes, 1, "float32")
    return p._replace(theta=ours.fresh_model(p).theta.copy())
