"""Run the study: every method on every task, several seeds, one JSON a run; then a table and a figure.

    python -m benchmarks.studies.paper                    # everything, five to six hours on two cores
    python -m benchmarks.studies.paper --tasks hopper --methods vine --seeds 0 1 2
    python -m benchmarks.studies.paper --tasks hopper --methods PPO A2C      # peers, on demand

Needs the extras mujoco and plot, and the package cma; peers need Stable-Baselines3. A run whose JSON exists is not run
again, so that an interrupted study goes on where it stopped; table and figure are of all JSONs that there are. Final
returns are those of 20 episodes of the last policy, deterministic, in an environment of its own; curves are of training
episodes (of CEM and CMA-ES: of the population).
"""

import argparse
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib import metadata
from multiprocessing import get_context
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: one process, one core

import numpy as np

from benchmarks.harness.machine import processor
from benchmarks.studies.paper import sb3_peers
from benchmarks.studies.paper.derivative_free import Episodes
from benchmarks.studies.paper.methods import GRADIENTS, METHODS, PEERS, SEARCHES, make_model
from benchmarks.studies.paper.report import plot, table
from benchmarks.studies.paper.tasks import TASKS, Task, play
from trpo_fast import evaluate_policy, set_num_threads
from trpo_fast._core.diagnostics import versions

RESULTS = Path(__file__).parents[2] / "results" / "paper"
STEPS = 1_000_000
SEEDS = range(50, 55)  # lower ones chose the settings
EPISODES = 20


class Curve:
    """Collects (timesteps, mean return of the last 100 training episodes) once an iteration."""

    def __init__(self) -> None:
        self.points: list[tuple[int, float]] = []

    def write(self, metrics: dict[str, Any]) -> None:
        self.points.append((metrics["time/total_timesteps"], metrics["rollout/ep_rew_mean"]))


def run(name: str, method: str, seed: int, n_steps: int, path: Path) -> dict[str, Any]:
    """One run of one method; writes its JSON."""
    set_num_threads(1)
    task, begin, cpu_begin = TASKS[name], time.perf_counter(), time.process_time()
    learn = learn_by_gradient if method in GRADIENTS else search if method in SEARCHES else learn_by_peer
    final, points, num_params = learn(task, method, seed, n_steps)
    result = {
        "task": name, "method": method, "seed": seed, "steps": n_steps, "num_params": num_params,
        "seconds": time.perf_counter() - begin, "cpu_seconds": time.process_time() - cpu_begin,
        "processor": processor(), "final": final, "curve": points,
        "versions": {**versions(), "mujoco": metadata.version("mujoco"), "cma": metadata.version("cma")},
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.tmp")
    partial.write_text(json.dumps(result))
    partial.replace(path)
    return result


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


def path_of(out: Path, task: str, method: str, seed: int) -> Path:
    """The JSON of a run."""
    return out / f"{task}_{method.replace(', ', '_').replace(' ', '_')}_{seed}.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS), metavar="TASK")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=[*METHODS, *PEERS], metavar="METHOD")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()

    wanted = {
        (task, method, seed): path_of(options.out, task, method, seed)
        for seed in options.seeds
        for task in options.tasks
        for method in options.methods
    }
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(run, *job, options.steps, path) for job, path in wanted.items() if not path.exists()]
        for future in as_completed(futures):
            r = future.result()
            what = f"{r['task']}, {r['method']}, seed {r['seed']}"
            print(f"{what}: {np.mean(r['final']):.1f} in {r['seconds']:.0f} s", flush=True)
    results = [json.loads(path.read_text()) for path in sorted(options.out.glob("*.json"))]
    print(table(results))
    plot(results, options.out.with_suffix(".png"))


if __name__ == "__main__":
    main()
