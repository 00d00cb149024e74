"""Wall-clock time of ``learn``: trpo_fast and sb3-contrib, which runs with one and with two threads of PyTorch.

The same settings (sb3-contrib's defaults), tasks and seeds, in turn; and the share of a HalfCheetah training that is
spent inside env.step. Runs are kept in training.jsonl, and those that it has already are not repeated.
"""

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.harness.machine import Others, Setting, check_scaling, others_row
from benchmarks.harness.options import Option, Options
from benchmarks.harness.provenance import provenance
from benchmarks.harness.records import Run, RunFile
from benchmarks.harness.rows import OURS, Row, spread
from benchmarks.peers import missing

SETTINGS = (Setting(2),)
OPTIONS: Options = {
    "steps": Option(200_000, "environment steps of each training"),
    "seeds": Option(3, "trainings of each contender"),
}
TASKS = ("CartPole-v1", "HalfCheetah-v5", "Hopper-v5")
TIMED_TASK, TIMED = "HalfCheetah-v5", f"{OURS}, timed"
SB3 = {"sb3-contrib, 1 thread": 1, "sb3-contrib, 2 threads": 2}


class TimedSteps(gym.Wrapper):
    """Adds up the time inside env.step, of environments as ``gymnasium.make`` wraps them."""

    seconds = 0.0

    def step(self, action: Any) -> Any:
        start = time.perf_counter()
        result = self.env.step(action)
        self.seconds += time.perf_counter() - start
        return result


def train(contender: str, task: str, seed: int, n_steps: int) -> dict[str, float]:
    """One training in this process."""
    from benchmarks.peers import ours

    if contender in SB3:
        from benchmarks.peers import sb3_peer

        return sb3_peer.train(task, seed, n_steps, SB3[contender])
    if contender == OURS:
        return ours.train(gym.make(task), seed, n_steps)
    env = TimedSteps(gym.make(task))
    result = ours.train(env, seed, n_steps)
    return {**result, "share": env.seconds / result["seconds"]}


def measure(setting: Setting, options: argparse.Namespace) -> Iterator[Row]:
    file = RunFile(Path(options.folder) / "training.jsonl")
    contenders = [OURS, *([] if "sb3_contrib" in missing() else SB3)]
    for task in TASKS:
        timed = [TIMED] if task == TIMED_TASK else []
        runs: dict[str, list[Run]] = {c: [] for c in [*contenders, *timed]}
        for seed in range(options.seeds):
            for contender in runs:
                key = {"contender": contender, "task": task, "seed": seed, "steps": options.steps}
                if (run := file.find(**key)) is None:
                    run = {**key, **train_alone(key)}
                    file.append(run)
                runs[contender].append(run)
                print(f"{task} {contender} seed {seed}: {run['seconds']:.1f} s", flush=True)
        yield from summary(f"{task} steps={options.steps}", runs)


def train_alone(key: dict[str, Any]) -> Run:
    """One training in a fresh process, on a machine that gives it two cores before and after."""
    check_scaling(SETTINGS[0].threads)
    others = Others()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        result = pool.submit(train, key["contender"], key["task"], key["seed"], key["steps"]).result()
    quiet = others.row()
    check_scaling(SETTINGS[0].threads)  # otherwise the run does not count
    return {**result, **quiet, **provenance()}


def summary(case: str, runs: dict[str, list[Run]]) -> Iterator[Row]:
    """One row for each contender; of sb3-contrib's two only the faster one."""
    times = {name: np.array([r["seconds"] for r in found]) for name, found in runs.items()}
    slower = sorted((name for name in runs if name in SB3), key=lambda name: np.median(times[name]))[1:]
    for name, found in runs.items():
        if name in slower:
            continue
        row = {"case": case, "contender": name, "turns": len(times[name]), **spread("seconds", times[name])}
        row["ep_rew_mean"] = [r["ep_rew_mean"] for r in found]
        if name in SB3:
            ratio = spread("ratio", times[name] / times[OURS])
            row |= {"contender": "sb3-contrib", "form": f"torch threads: {SB3[name]}", **ratio}
        if name == TIMED:
            row |= spread("share", np.array([r["share"] for r in found]))
        yield row | others_row(max((r["others"] for r in found if r.get("others") is not None), default=None))
