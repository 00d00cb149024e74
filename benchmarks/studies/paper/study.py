"""One run of the study: a method on a task with a seed."""

import time
from typing import Any

from benchmarks.harness.records import Run
from benchmarks.studies.paper import sb3_peers
from benchmarks.studies.paper.derivative_free import Episodes
from benchmarks.studies.paper.methods import GRADIENTS, SEARCHES, make_model
from benchmarks.studies.paper.tasks import TASKS, Task, play
from trpo_fast import evaluate, set_num_threads

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
    returns = evaluate(model, [task.make], EPISODES, seed=1_000_000 + seed).returns
    return returns.tolist(), curve.points, model.policy.num_params


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
