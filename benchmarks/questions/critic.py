"""One minibatch Adam step of the critic, 17-64-64-1 with 128 rows: a fit of ten epochs over its 160 steps."""

import argparse
from collections.abc import Iterator

import numpy as np

from benchmarks.harness.machine import Setting
from benchmarks.harness.measuring import compare
from benchmarks.harness.options import SECONDS
from benchmarks.harness.problems import CriticProblem, critic_problem, numpy_trpo, policy_problem
from benchmarks.harness.rows import Row
from benchmarks.peers import contenders, ours

SETTINGS = (Setting(1),)
OPTIONS = SECONDS
TOLERANCE = {"float32": 1e-3, "float64": 1e-9}  # of the parameters after all steps


def measure(setting: Setting, options: argparse.Namespace) -> Iterator[Row]:
    for dtype in ("float32", "float64"):
        c = critic_problem(policy_problem((17, 64, 64, 6), 2048, dtype).inputs)
        fits = [*ours.fit_critic(c), *contenders("fit_critic", c)]
        yield from compare(
            f"17-64-64-1 rows=128 {dtype}", fits, expected_fit(c), TOLERANCE[dtype], options.seconds,
            flops=c.step_flops, gemms=contenders("gemm", dtype),
        )  # fmt: skip


def expected_fit(c: CriticProblem) -> np.ndarray:
    """The critic's parameters after the fit, by the oracle in float64."""
    theta, inputs = c.state.theta.astype(np.float64), c.inputs.astype(np.float64)
    network, moments = numpy_trpo.MLP(c.sizes), (0.0, 0.0, 0)
    return numpy_trpo.fit_critic(network, theta, moments, inputs, c.targets, c.order, c.batch_size, c.learning_rate)[0]
