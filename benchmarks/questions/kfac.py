"""Does the K-FAC preconditioner pay? Iterations and times of conjugate gradient with it and without.

The batches are those that TRPO meets on HalfCheetah-v5 and Hopper-v5 after 20 and 40 iterations of 2048 steps, and one
of 16384 steps after that. Iterations are counted in float64 by q(x) = gᵀx - xᵀ(F + damping)x/2, of which the solution's
q* is the largest, and by the true residual; times are those of float32, the least of calls in turn.

    python -m benchmarks.questions.kfac
"""

import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import trpo_fast.training.iteration
from benchmarks.harness.problems import save
from trpo_fast import (
    TRPO,
    Batch,
    FisherOperator,
    KFACPreconditioner,
    Policy,
    SurrogateObjective,
    conjugate_gradient,
    get_num_threads,
)
from trpo_fast.trpo import KFAC_SUB_SAMPLING
from trpo_fast.update.batches import normalize_advantages

ITERATIONS, N_STEPS, LARGE = (20, 40), 2048, 16384
DAMPINGS = (0.1, 0.01, 0.001)
PLAIN = 10  # iterations of plain conjugate gradient to be matched
MOST = 20
PROGRESS_RTOL = 0.005
CALLS = 25
EVERY_FOURTH = slice(None, None, KFAC_SUB_SAMPLING)


class Problem(NamedTuple):
    """An update that was due while training: the policy, its parameters and the batch."""

    name: str
    policy: Policy
    theta: np.ndarray
    batch: Batch

    def to(self, dtype: str) -> "Problem":
        """The same in another precision."""
        policy = Policy(self.policy.observation_space, self.policy.action_space, dtype=dtype)
        policy.normalizer = self.policy.normalizer
        batch = self.batch._replace(actions=self.batch.actions.astype(dtype))
        return Problem(self.name, policy, self.theta.astype(dtype), batch)

    def gradient(self) -> np.ndarray:
        advantages = normalize_advantages(self.batch.advantages)
        return SurrogateObjective(
            self.policy, self.theta, self.batch.observations, self.batch.actions, advantages
        ).gradient()

    def fisher(self, damping: float, **kwargs: Any) -> FisherOperator:
        return FisherOperator(self.policy, self.theta, self.batch.observations, damping, **kwargs)

    def kfac(self, damping: float, rows: slice | None = EVERY_FOURTH, **kwargs: Any) -> KFACPreconditioner:
        return KFACPreconditioner(
            self.policy, self.theta, self.batch.observations, self.batch.actions, damping, rows=rows, **kwargs
        )


def problems(env_id: str) -> list[Problem]:
    """What the updates of a training run were given."""
    updates = []
    update = trpo_fast.training.iteration.trpo_update

    def recorded(policy: Policy, theta: np.ndarray, batch: Batch, config: Any) -> Any:
        updates.append(Problem("", policy, theta.copy(), batch).to("float32"))
        return update(policy, theta, batch, config)

    trpo_fast.training.iteration.trpo_update = recorded
    model = TRPO("MlpPolicy", env_id, seed=0, n_steps=N_STEPS)
    model.learn(ITERATIONS[-1] * N_STEPS)
    model.config = dataclasses.replace(model.config, n_steps=LARGE)
    model.learn(LARGE, reset_num_timesteps=False)
    trpo_fast.training.iteration.trpo_update = update
    model.env.close()
    names = {i: f"{env_id}, iteration {i}" for i in ITERATIONS} | {ITERATIONS[-1] + 1: f"{env_id}, {LARGE} steps"}
    return [updates[i - 1]._replace(name=name) for i, name in names.items()]


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
    """The iteration at which ``PROGRESS_RTOL`` ends, and q/q* there."""
    solved = conjugate_gradient(F, g, 200, preconditioner=M, progress_rtol=PROGRESS_RTOL)
    return solved.n_iter, 0.5 * solved.quadratic_form / best


def first(values: list[float], reached: Callable[[float], bool]) -> int | None:
    """The first iteration whose value has ``reached`` something."""
    return next((k for k, value in enumerate(values, start=1) if reached(value)), None)


def iterations(problem: Problem, damping: float) -> dict[str, Any]:
    """How good x is after how many iterations, and how many K-FAC takes for what plain ones reach."""
    exact = problem.to("float64")
    F, g = exact.fisher(damping), exact.gradient()
    solved = conjugate_gradient(F, g, 5000, rtol=1e-9, preconditioner=exact.kfac(damping, None))
    best = 0.5 * float(g @ solved.x)  # q* = gᵀx/2
    residual = float(np.linalg.norm(g - F @ solved.x) / np.linalg.norm(g))
    if not residual < 1e-8:
        raise SystemExit(f"kfac: {problem.name} was not solved at damping {damping}: {residual:.1e}")
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
    """Milliseconds of the quickest of ``CALLS`` calls each, in turn."""
    times = dict.fromkeys(calls, np.inf)
    for _ in range(CALLS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name] = min(times[name], 1e3 * (time.perf_counter() - start))
    return times


def times(problem: Problem, damping: float, n_iter: int, n_threads: int) -> dict[str, float]:
    """Milliseconds of ``PLAIN`` plain iterations, and of K-FAC for as good an x, its building included."""
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


def main() -> None:
    n_threads = sorted({1, get_num_threads()})
    rows = []
    titles = [
        f"update | damping | q/q* plain 5 / {PLAIN} | q/q* K-FAC 1 / 3 / 5 / {PLAIN}",
        f"iterations to plain {PLAIN}'s q (of all rows) | to its residual",
        f"progress_rtol {PROGRESS_RTOL}: plain | K-FAC",
        *(f"plain {PLAIN} → K-FAC, {n} thread{'s' * (n > 1)}" for n in n_threads),
    ]
    print("|", " | ".join(titles), "|\n|" + "---|" * " | ".join(titles).count("|") + "---|")
    for problem in [p for env_id in ("HalfCheetah-v5", "Hopper-v5") for p in problems(env_id)]:
        for damping in DAMPINGS:
            found = iterations(problem, damping)
            n_iter = found["kfac, iterations to q"] or PLAIN
            ms = {n: times(problem, damping, n_iter, n) for n in n_threads}
            n_rows = len(problem.batch.observations)
            rows.append({"update": problem.name, "n": n_rows, "damping": damping, **found, "ms": ms})
            cells = [
                problem.name,
                f"{damping:g}",
                " / ".join(f"{found['plain'][k - 1]:.3f}" for k in (5, PLAIN)),
                " / ".join(f"{found['kfac'][k - 1]:.3f}" for k in (1, 3, 5, PLAIN)),
                f"{found['kfac, iterations to q']} ({found['kfac of all rows, iterations to q']})",
                str(found["kfac, iterations to residual"]),
                *("{} ({:.3f})".format(*found[f"{name}, stopped"]) for name in ("plain", "kfac")),
                *(f"{t['plain']:.2f} → {t['kfac']:.2f} ms ({t['plain'] / t['kfac']:.1f})" for t in ms.values()),
            ]
            print("|", " | ".join(cells), "|", flush=True)
    save("kfac", rows)


if __name__ == "__main__":
    main()
