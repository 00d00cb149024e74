"""The paper's study: every method on every task, several seeds; then a table and a figure.

    python -m benchmarks.studies.paper --out runs/paper            # everything, five to six hours on two cores
    python -m benchmarks.studies.paper --tasks hopper --methods vine --seeds 0 1 2
    python -m benchmarks.studies.paper --tasks hopper --methods PPO A2C      # peers, on demand

Needs the extras mujoco and plot, and the package cma; peers need Stable-Baselines3. Runs are appended to paper.jsonl,
and those that it has already are not repeated: the same command resumes an interrupted study. Table and figure are of
all its runs. Final returns are those of 20 episodes of the last policy, deterministic, in a separate environment;
curves are of training episodes (for CEM and CMA-ES: of the population).
"""

import itertools
import time
from typing import Any

import numpy as np

from benchmarks.harness.options import destination, make_parser
from benchmarks.harness.records import Run, RunFile
from benchmarks.studies.paper import sb3_peers
from benchmarks.studies.paper.derivative_free import Episodes
from benchmarks.studies.paper.methods import GRADIENTS, METHODS, PEERS, SEARCHES, make_model
from benchmarks.studies.paper.report import plot, table
from benchmarks.studies.paper.tasks import TASKS, Task, play
from benchmarks.studies.running import add_choice, add_study_options, commits, run_all
from trpo_fast import evaluate_policy, set_num_threads

STEPS = 1_000_000
SEEDS = range(50, 55)  # settings were tuned on lower ones
EPISODES = 20


class Curve:
    """Collects (timesteps, mean return of the last 100 training episodes) once per iteration."""

    def __init__(self) -> None:
        self.points: list[tuple[int, float]] = []

    def write(self, metrics: dict[str, Any]) -> None:
        self.points.append((metrics["time/total_timesteps"], metrics["rollout/ep_rew_mean"]))


def run(name: str, method: str, seed: int, n_steps: int) -> Run:
    """One run of one method."""
    set_num_threads(1)
    task, begin, cpu_begin = TASKS[name], time.perf_counter(), time.process_time()
    learn = learn_by_gradient if method in GRADIENTS else search if method in SEARCHES else learn_by_peer
    final, points, num_params = learn(task, method, seed, n_steps)
    return {
        "task": name, "method": method, "seed": seed, "steps": n_steps, "num_params": num_params,
        "seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - cpu_begin,
        "final": final, "curve": points,
    }  # fmt: skip


def learn_by_gradient(task: Task, method: str, seed: int, n_steps: int) -> tuple[list[float], Any, int]:
    """Final returns, the curve, and the number of the policy's parameters."""
    model, curve = make_model(method, task, seed), Curve()
    model.sinks.append(curve)
    model.learn(n_steps)
    episodes = evaluate_policy(model, [task.make], EPISODES, seed=1_000_000 + seed)
    return [episode.episode_return for episode in episodes], curve.points, model.policy.num_params


def search(task: Task, method: str, seed: int, n_steps: int) -> tuple[list[float], Any, int]:
    """The same of a derivative-free search."""
    theta, points = SEARCHES[method](task, seed, n_steps)
    judge = Episodes(task, 1_000_000 + seed)
    return [judge.play(theta) for _ in range(EPISODES)], points, theta.size


def learn_by_peer(task: Task, method: str, seed: int, n_steps: int) -> tuple[list[float], Any, int]:
    """The same of a method of Stable-Baselines3."""
    act, points, num_params = sb3_peers.learn(method, task, seed, n_steps)
    env = task.make()
    env.reset(seed=1_000_000 + seed)
    return [play(env, act)[0] for _ in range(EPISODES)], points, num_params


def describe(r: Run) -> str:
    return f"{r['task']}, {r['method']}, seed {r['seed']}: {np.mean(r['final']):.1f} in {r['seconds']:.0f} s"


def main() -> None:
    parser = make_parser("python -m benchmarks.studies.paper", __doc__)
    add_choice(parser, "methods", (*METHODS, *PEERS), METHODS)
    parser.add_argument("--steps", type=int, default=STEPS, help="environment steps of each run (%(default)s)")
    add_study_options(parser, list(TASKS), SEEDS)
    arguments = parser.parse_args()

    folder = destination(arguments)
    file = RunFile(folder / "paper.jsonl")
    if not arguments.show:
        wanted = itertools.product(arguments.seeds, arguments.tasks, arguments.methods)
        jobs = [
            (task, method, seed, arguments.steps)
            for seed, task, method in wanted
            if file.find(task=task, method=method, seed=seed, steps=arguments.steps) is None
        ]
        run_all(jobs, run, file, arguments.processes, describe)
        plot(file.runs, folder / "paper.png")
    print(table(file.runs), commits(file.runs), sep="\n\n")


if __name__ == "__main__":
    main()
