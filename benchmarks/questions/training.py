"""Wall-clock of ``learn``: trpo_fast against sb3-contrib, which runs with one and with two threads of PyTorch.

The same settings, sb3-contrib's defaults; the same tasks and seeds, in turn. And the share of a HalfCheetah training
that env.step takes. A run whose JSON exists in results/training is not run again.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import numpy as np

from benchmarks.harness.machine import Setting, check_scaling
from benchmarks.harness.measuring import OURS, Options, Row, spread
from benchmarks.harness.problems import RESULTS
from benchmarks.peers import missing

SETTINGS = (Setting(2),)
TASKS = ("CartPole-v1", "HalfCheetah-v5", "Hopper-v5")
TIMED_TASK, TIMED = "HalfCheetah-v5", f"{OURS}, timed"
SB3 = {"sb3-contrib, 1 thread": 1, "sb3-contrib, 2 threads": 2}


class TimedSteps(gym.Wrapper):
    """Adds up the time inside env.step, as ``gymnasium.make`` wraps it."""

    seconds = 0.0

    def step(self, action):
        start = time.perf_counter()
        result = self.env.step(action)
        self.seconds += time.perf_counter() - start
        return result


def run(contender: str, task: str, seed: int, n_steps: int) -> dict[str, float]:
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


def measure(setting: Setting, options: Options) -> Iterator[Row]:
    contenders = [OURS, *([] if "sb3_contrib" in missing() else SB3)]
    for task in TASKS:
        timed = [TIMED] if task == TIMED_TASK else []
        results: dict[str, list[dict[str, float]]] = {c: [] for c in [*contenders, *timed]}
        for seed in range(options.seeds):
            for contender in results:
                results[contender].append(_result(contender, task, seed, options.steps))
        yield from summary(f"{task} steps={options.steps}", results)


def summary(case: str, results: dict[str, list[dict[str, float]]]) -> Iterator[Row]:
    """A row a contender; of sb3-contrib's two the faster one stays."""
    times = {name: np.array([r["seconds"] for r in runs]) for name, runs in results.items()}
    slower = sorted((name for name in results if name in SB3), key=lambda name: np.median(times[name]))[1:]
    for name in results:
        if name in slower:
            continue
        row = {"case": case, "contender": name, "turns": len(times[name]), **spread("seconds", times[name])}
        row["ep_rew_mean"] = [r["ep_rew_mean"] for r in results[name]]
        if name in SB3:
            row |= {
                "contender": "sb3-contrib",
                "form": f"torch threads: {SB3[name]}",
                **spread("ratio", times[name] / times[OURS]),
            }
        if name == TIMED:
            row |= spread("share", np.array([r["share"] for r in results[name]]))
        yield row


def _result(contender: str, task: str, seed: int, n_steps: int) -> dict[str, float]:
    name = contender.replace(", ", "_").replace(" ", "_")
    path = RESULTS / "training" / f"{task}_{n_steps}_{name}_{seed}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".tmp")
        arguments = [contender, task, str(seed), str(n_steps), str(partial)]
        check_scaling(SETTINGS[0].threads)
        subprocess.run([sys.executable, "-m", "benchmarks.questions.training", *arguments], check=True)
        check_scaling(SETTINGS[0].threads)  # else the run does not count
        partial.replace(path)
    result = json.loads(path.read_text())
    print(f"{task} {contender} seed {seed}: {result}", flush=True)
    return result


def main() -> None:
    contender, task, seed, n_steps, path = sys.argv[1:]
    Path(path).write_text(json.dumps(run(contender, task, int(seed), int(n_steps))) + "\n")


if __name__ == "__main__":
    main()
