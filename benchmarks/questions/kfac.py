"""Does the K-FAC preconditioner pay? Iterations and times of conjugate gradient with it and without.

The batches are those of TRPO on HalfCheetah-v5 and Hopper-v5 in iterations 20 and 40, of 2048 steps, and one of 16384
steps after them. Iterations are counted in float64 by q(x) = gᵀx - xᵀ(F + damping)x/2, of which the solution's q* is
the greatest, and by the true residual; times are the least of some calls in turn, in float32.
"""

import argparse
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.harness.machine import Others, Setting
from benchmarks.harness.options import Options
from benchmarks.harness.rows import DisagreementError, Row
from trpo_fast import TRPO, Batch, FisherOperator, KFACPreconditioner, Policy, SurrogateObjective, conjugate_gradient

SETTINGS = (Setting(2),)
OPTIONS: Options = {}
TASKS = ("HalfCheetah-v5", "Hopper-v5")
ITERATIONS, N_STEPS, LARGE = (20, 40), 2048, 16384
DAMPINGS = (0.1, 0.01, 0.001)
PLAIN = 10  # iterations of plain conjugate gradient to be matched
MOST = 20
PROGRESS_RTOL = 0.005
CALLS = 25
EVERY_FOURTH = slice(None, None, 4)  # as trpo_update does
COLUMNS = (
    "update", "damping", f"q/q* plain 5 / {PLAIN}", f"q/q* K-FAC 1 / 3 / 5 / {PLAIN}",
    f"iterations to plain {PLAIN}'s q (of all rows)", "to its residual",
    f"progress_rtol {PROGRESS_RTOL}: plain", "K-FAC", f"plain {PLAIN} → K-FAC",
)  # fmt: skip


class Problem(NamedTuple):
    """An update of a training: the policy, its parameters and the batch, with observations already normalised."""

    name: str
    policy: Policy
    theta: np.ndarray
    batch: Batch

    @classmethod
    def next_of(cls, model: TRPO, name: str) -> "Problem":
        """The next update of a training, in float32; the training then makes it."""
        theta, iteration_batch = model.theta, model.make_batch(model.sample_rollout())
        batch = iteration_batch.policy_batch
        policy = Policy(model.observation_space, model.action_space, normalize_observations=False)
        inputs = model.policy.normalize(batch.observations).astype(np.float64)
        model.update(iteration_batch)
        return cls(name, policy, theta, batch._replace(observations=inputs))

    def in_double_precision(self) -> "Problem":
        """The same in float64."""
        spaces = self.policy.observation_space, self.policy.action_space
        policy = Policy(*spaces, normalize_observations=False, dtype="float64")
        batch = self.batch._replace(actions=self.batch.actions.astype(np.float64))
        return Problem(self.name, policy, self.theta.astype(np.float64), batch)

    def gradient(self) -> np.ndarray:
        batch, advantages = self.batch, self.batch.advantages
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        return SurrogateObjective(self.policy, self.theta, batch.observations, batch.actions, advantages).gradient()

    def fisher(self, damping: float, **kwargs: Any) -> FisherOperator:
        return FisherOperator(self.policy, self.theta, self.batch.observations, damping, **kwargs)

    def kfac(self, damping: float, rows: slice | None = EVERY_FOURTH, **kwargs: Any) -> KFACPreconditioner:
        return KFACPreconditioner(
            self.policy, self.theta, self.batch.observations, self.batch.actions, damping, rows=rows, **kwargs
        )


def measure(setting: Setting, options: argparse.Namespace) -> Iterator[Row]:
    for problem in [p for env_id in TASKS for p in problems(env_id)]:
        for damping in DAMPINGS:
            found = iterations(problem, damping)
            n_iter = found["kfac, iterations to q"] or PLAIN
            others = Others()
            ms = {str(n): times(problem, damping, n_iter, n) for n in range(1, setting.threads + 1)}
            n_rows = len(problem.batch.observations)
            yield {"update": problem.name, "n": n_rows, "damping": damping, **found, "ms": ms, **others.row()}


def cells(row: Row) -> Sequence[str]:
    return [
        row["update"],
        f"{row['damping']:g}",
        " / ".join(f"{row['plain'][k - 1]:.3f}" for k in (5, PLAIN)),
        " / ".join(f"{row['kfac'][k - 1]:.3f}" for k in (1, 3, 5, PLAIN)),
        f"{row['kfac, iterations to q']} ({row['kfac of all rows, iterations to q']})",
        str(row["kfac, iterations to residual"]),
        *("{} ({:.3f})".format(*row[f"{name}, stopped"]) for name in ("plain", "kfac")),
        "; ".join(_gain(n_threads, ms) for n_threads, ms in row["ms"].items()),
    ]


def _gain(n_threads: str, ms: dict[str, float]) -> str:
    plain, kfac = ms["plain"], ms["kfac"]
    return f"{n_threads} thread{'s' * (n_threads != '1')} {plain:.2f} → {kfac:.2f} ms ({plain / kfac:.1f})"


def problems(env_id: str) -> list[Problem]:
    """Updates of one training."""
    model = TRPO("MlpPolicy", env_id, seed=0, n_steps=N_STEPS)
    found = []
    for i in ITERATIONS:
        model.learn((i - 1) * N_STEPS - model.num_timesteps, reset_num_timesteps=False)
        found.append(Problem.next_of(model, f"{env_id}, iteration {i}"))
    model.config = dataclasses.replace(model.config, n_steps=LARGE)
    found.append(Problem.next_of(model, f"{env_id}, {LARGE} steps"))
    model.env.close()
    return found


def qualities(F: FisherOperator, g: np.ndarray, M: KFACPreconditioner | None) -> tuple[list[float], list[float]]:
    """q(x) and ||g - F x|| after 1, 2, ... iterations."""
    q, residuals = [], []
    for k in range(1, MOST + 1):
        x = conjugate_gradient(F, g, k, rtol=0.0, preconditioner=M).x
        Fx = F @ x
        q.append(float(g @ x - 0.5 * x @ Fx))
        residuals.append(float(np.linalg.norm(g - Fx)))
    return q, residuals


def stopped(F: FisherOperator, g: np.ndarray, M: KFACPreconditioner | None, best: float) -> tuple[int, float]:
    """The iteration at which ``PROGRESS_RTOL`` stops, and q/q* there."""
    solved = conjugate_gradient(F, g, 200, preconditioner=M, progress_rtol=PROGRESS_RTOL)
    return solved.n_iter, 0.5 * solved.quadratic_form / best


def first(values: list[float], reached: Callable[[float], bool]) -> int | None:
    """The first iteration whose value satisfies ``reached``."""
    return next((k for k, value in enumerate(values, start=1) if reached(value)), None)


def iterations(problem: Problem, damping: float) -> dict[str, Any]:
    """q and residual by iteration, and the iterations with K-FAC that reach those of plain conjugate gradient."""
    exact = problem.in_double_precision()
    F, g = exact.fisher(damping), exact.gradient()
    solved = conjugate_gradient(F, g, 5000, rtol=1e-9, preconditioner=exact.kfac(damping, None))
    best = 0.5 * float(g @ solved.x)  # q* = gᵀx/2
    residual = float(np.linalg.norm(g - F @ solved.x) / np.linalg.norm(g))
    if not residual < 1e-8:
        raise DisagreementError(f"kfac: {problem.name} was not solved at damping {damping}: {residual:.1e}")
    plain, plain_residuals = qualities(F, g, None)
    row: dict[str, Any] = {"plain": [q / best for q in plain], "plain, stopped": stopped(F, g, None, best)}
    for name, rows in (("kfac", EVERY_FOURTH), ("kfac of all rows", None)):
        M = exact.kfac(damping, rows)
        q, residuals = qualities(F, g, M)
        row[name] = [value / best for value in q]
        row[f"{name}, stopped"] = stopped(F, g, M, best)
        row[f"{name}, iterations to q"] = first(q, lambda value: value >= plain[PLAIN - 1])
        row[f"{name}, iterations to residual"] = first(residuals, lambda value: value <= plain_residuals[PLAIN - 1])
    return row


def least(calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Milliseconds of the fastest of ``CALLS`` calls each, in turn."""
    times = dict.fromkeys(calls, np.inf)
    for _ in range(CALLS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name] = min(times[name], 1e3 * (time.perf_counter() - start))
    return times


def times(problem: Problem, damping: float, n_iter: int, n_threads: int) -> dict[str, float]:
    """Milliseconds of ``PLAIN`` plain iterations, and of K-FAC for an equally good x, with its construction."""
    g = problem.gradient()
    F = problem.fisher(damping, n_threads=n_threads)
    M = problem.kfac(damping, n_threads=n_threads)

    def preconditioned() -> None:
        conjugate_gradient(F, g, n_iter, 0.0, preconditioner=problem.kfac(damping, n_threads=n_threads))

    return least(
        {
            "product": lambda: F @ g,
            "kfac product": lambda: M @ g,
            "kfac built": lambda: problem.kfac(damping, n_threads=n_threads),
            "plain": lambda: conjugate_gradient(F, g, PLAIN, 0.0),
            "kfac": preconditioned,
        }
    )
