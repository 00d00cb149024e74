"""A whole update, N=2048: the policy's step with 15 conjugate gradient iterations, ten epochs of the critic.

All contenders have sb3-contrib's settings: radius and damping per action dimension, step length of the damped matrix.
"""

import argparse
from collections.abc import Iterator

import numpy as np

from benchmarks.harness.machine import Setting
from benchmarks.harness.measuring import compare
from benchmarks.harness.options import SECONDS
from benchmarks.harness.problems import PolicyProblem, critic_problem, numpy_trpo, policy_problem
from benchmarks.harness.rows import Row
from benchmarks.peers import contenders, ours
from benchmarks.questions.critic import expected_fit
from trpo_fast import TRPOConfig
from trpo_fast.trpo import joint_radius_and_damping

SETTINGS = (Setting(1), Setting(2))
OPTIONS = SECONDS
CONFIG = TRPOConfig(kl_reduction="mean", step_norm="damped", normalize_returns=False)
TOLERANCE = 1e-3  # float32; sb3-contrib starts its solver from a random vector of 1e-4


def measure(setting: Setting, options: argparse.Namespace) -> Iterator[Row]:
    p = policy_problem((17, 64, 64, 6), CONFIG.n_steps, "float32")
    c = critic_problem(p.inputs, CONFIG.n_critic_updates)
    updates = [*ours.update(p, c, CONFIG), *contenders("update", p, c, CONFIG)]
    yield from compare(p.name, updates, (expected_step(p), expected_fit(c)), TOLERANCE, options.seconds)


def expected_step(p: PolicyProblem) -> np.ndarray:
    """theta_new - theta by the oracle in float64."""
    theta, inputs, actions = (a.astype(np.float64) for a in (p.theta, p.inputs, p.actions))
    radius, damping = joint_radius_and_damping(p.policy, CONFIG)
    theta_new, _ = numpy_trpo.trpo_update(
        p.oracle, theta, inputs, actions, p.advantages,
        target_kl=radius, cg_damping=damping, cg_max_steps=CONFIG.cg_max_steps, step_norm=CONFIG.step_norm,
    )  # fmt: skip
    return theta_new - theta
