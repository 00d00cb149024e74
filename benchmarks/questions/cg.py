"""Conjugate gradients: 15 iterations for F x = g, from theta and the observations to x, with the forward pass."""

import argparse
from collections.abc import Iterator

import numpy as np

from benchmarks.harness.machine import Setting
from benchmarks.harness.measuring import compare
from benchmarks.harness.options import SECONDS
from benchmarks.harness.problems import numpy_trpo, policy_problem
from benchmarks.harness.rows import Row
from benchmarks.peers import contenders, ours
from trpo_fast import SurrogateObjective

SETTINGS = (Setting(1), Setting(2))
OPTIONS = SECONDS
N_ITERATIONS = 15
TOLERANCE = 1e-3  # of float32 after 15 iterations; sb3-contrib starts from a random vector of 1e-4


def measure(setting: Setting, options: argparse.Namespace) -> Iterator[Row]:
    p = policy_problem((17, 64, 64, 6), 2048, "float32")
    objective = SurrogateObjective(p.policy, p.theta, p.observations, p.actions, p.advantages)
    b = objective.gradient().astype(np.float64)
    oracle = p.oracle.fisher_operator(p.theta.astype(np.float64), p.inputs.astype(np.float64), p.damping)
    expected = numpy_trpo.conjugate_gradient(oracle, b, N_ITERATIONS)[0]
    solvers = [*ours.solve(p, b, N_ITERATIONS), *contenders("solve", p, b, N_ITERATIONS)]
    yield from compare(
        p.name, solvers, expected, TOLERANCE, options.seconds,
        flops=N_ITERATIONS * p.product_flops, gemms=contenders("gemm", "float32"),
    )  # fmt: skip
