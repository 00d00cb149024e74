"""Does it learn? Many seeds of many tasks in parallel processes, a table and a figure.

    python -m benchmarks.studies.learning --out runs/learning      # everything: 9 tasks, 5 seeds
    python -m benchmarks.studies.learning --tasks Hopper-v5 --seeds 0 1 2 --processes 2

Needs the extras mujoco and plot. Runs are appended to learning.jsonl, and those that it has already are not repeated:
the same command resumes an interrupted study. Settings are the package's defaults, changed by TASKS and then by
--settings. Evaluation: 20 episodes of the deterministic policy in a separate environment, of the last policy at each
mark (never the best one).
"""

import itertools
import json
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import trpo_fast
from benchmarks.harness.options import destination, make_parser
from benchmarks.harness.records import Run, RunFile
from benchmarks.studies.running import add_study_options, commits, run_all

MARKS = (250_000, 500_000, 750_000, 1_000_000)
LOCOMOTION = {"gamma": 0.995, "kl_reduction": "mean"}  # target_kl and cg_damping per dimension of the action
EVALUATION_EPISODES = 20
SEEDS = range(10, 15)  # settings were tuned on lower ones, and on 101-105

# environment id, and perhaps a second word -> (timestep marks at which to evaluate, settings, goal, figure it is for)
TASKS: dict[str, tuple[tuple[int, ...], dict[str, Any], float, str]] = {
    "CartPole-v1": ((100_000,), {}, 475.0, "training"),
    "Acrobot-v1": ((100_000,), {}, -100.0, "training"),
    "Pendulum-v1": ((300_000,), {"gamma": 0.9}, -250.0, "training"),
    "Hopper-v5": (MARKS, LOCOMOTION, 3000.0, "evaluation"),
    "Walker2d-v5": (MARKS, LOCOMOTION, 3500.0, "evaluation"),
    "HalfCheetah-v5": (MARKS, LOCOMOTION, 3500.0, "evaluation"),
    "Swimmer-v5": (MARKS, {**LOCOMOTION, "gamma": 0.9999}, 120.0, "evaluation"),
    "CartPole-v1 vine": (MARKS, {"method": "vine"}, 400.0, "training"),
    "Hopper-v5 vine": (MARKS, {**LOCOMOTION, "method": "vine"}, 1000.0, "training"),
}


class Curve:
    """Collects (timesteps, mean return of the last 100 training episodes) once per iteration."""

    def __init__(self) -> None:
        self.points: list[tuple[int, float]] = []
        self.committed = 0

    def write(self, metrics: dict[str, Any]) -> None:
        self.points.append((metrics["time/total_timesteps"], metrics["rollout/ep_rew_mean"]))
        self.committed += metrics["train/is_line_search_success"]


def env_id_of(task: str) -> str:
    """The environment of a task."""
    return task.split()[0]


def evaluate(model: trpo_fast.TRPO, task: str, seed: int) -> list[float]:
    """Returns of 20 episodes of the deterministic policy."""
    env = gym.make(env_id_of(task))
    returns = []
    for episode in range(EVALUATION_EPISODES):
        observation, _ = env.reset(seed=1_000_000 + 1000 * seed + episode)
        total, done = 0.0, False
        while not done:
            action, _ = model.predict(observation, deterministic=True)
            observation, reward, terminated, truncated, _ = env.step(action)
            total += float(reward)
            done = terminated or truncated
        returns.append(total)
    env.close()
    return returns


def run(task: str, seed: int, settings: dict[str, Any]) -> Run:
    """Train one seed of one task."""
    marks = TASKS[task][0]
    curve = Curve()
    model = trpo_fast.TRPO("MlpPolicy", env_id_of(task), seed=seed, **settings)
    model.sinks.append(curve)
    training_seconds, evaluations = 0.0, []
    for mark in marks:
        start = time.perf_counter()
        model.learn(mark - model.num_timesteps, reset_num_timesteps=False)
        training_seconds += time.perf_counter() - start
        returns = evaluate(model, task, seed)
        evaluations.append({"timesteps": model.num_timesteps, "mean": float(np.mean(returns)), "returns": returns})
    return {
        "task": task,
        "seed": seed,
        "settings": settings,
        "training_seconds": training_seconds,
        "evaluations": evaluations,
        "training_curve": curve.points,
        "committed_updates": curve.committed,
    }


def score(result: Run) -> float:
    """The figure a task is judged by: the last evaluation, or the last 100 training episodes."""
    if TASKS[result["task"]][3] == "evaluation":
        return float(result["evaluations"][-1]["mean"])
    return float(result["training_curve"][-1][1])


def summarize(results: list[Run]) -> str:
    """A Markdown table: for each task the mean, the spread and every seed."""
    lines = [
        "| task | steps | figure | mean | std | per seed | goal | training s (median) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for task, (marks, _, goal, figure) in TASKS.items():
        runs = sorted((r for r in results if r["task"] == task), key=lambda r: r["seed"])
        if runs:
            scores = [score(r) for r in runs]
            seconds = np.median([r["training_seconds"] for r in runs])
            what = "last 100 training episodes" if figure == "training" else "20 deterministic episodes, last policy"
            each = ", ".join(f"{s:.0f}" for s in scores)
            lines.append(
                f"| {task} | {marks[-1]:,} | {what} | {np.mean(scores):.1f} | {np.std(scores):.1f} | {each} "
                f"| {goal:g} | {seconds:.0f} |"
            )
    return "\n".join(lines)


def plot(results: list[Run], path: Path) -> None:
    """Training curves: thin lines for the seeds, a thick one for their mean; evaluations as dots."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import EngFormatter

    tasks = [task for task in TASKS if any(r["task"] == task for r in results)]
    columns = min(4, len(tasks))
    rows = -(-len(tasks) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(4.2 * columns, 3.2 * rows), squeeze=False)
    for axis, task in zip(axes.flat, tasks, strict=False):
        runs = [r for r in results if r["task"] == task]
        steps = np.array(runs[0]["training_curve"])[:, 0]
        curves = []
        for r in runs:
            x, y = np.array(r["training_curve"]).T
            axis.plot(x, y, color="tab:blue", alpha=0.3, linewidth=0.8)
            curves.append(np.interp(steps, x, y))
            for e in r["evaluations"]:
                axis.plot(e["timesteps"], e["mean"], "o", color="tab:orange", alpha=0.6, markersize=4)
        axis.plot(steps, np.mean(curves, axis=0), color="tab:blue", linewidth=2)
        axis.axhline(TASKS[task][2], color="grey", linestyle=":", linewidth=1)
        axis.set_title(f"{task} ({len(runs)} seeds)")
        axis.set_xlabel("steps")
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        axis.set_ylabel("return")
    for axis in list(axes.flat)[len(tasks) :]:
        axis.set_visible(False)
    figure.suptitle("blue: last 100 training episodes, one line per seed, and the mean; orange: deterministic policy")
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def describe(result: Run) -> str:
    return f"{result['task']} seed {result['seed']}: {score(result):.1f} in {result['training_seconds']:.0f} s"


def main() -> None:
    parser = make_parser("python -m benchmarks.studies.learning", __doc__)
    parser.add_argument("--settings", type=json.loads, default={}, help="settings to change, as JSON")
    add_study_options(parser, list(TASKS), SEEDS)
    arguments = parser.parse_args()

    folder = destination(arguments)
    file = RunFile(folder / "learning.jsonl")
    if not arguments.show:
        jobs = []
        for task, seed in itertools.product(arguments.tasks, arguments.seeds):
            settings = {**TASKS[task][1], **arguments.settings}
            found = file.find(task=task, seed=seed)
            if found is None:
                jobs.append((task, seed, settings))
            elif found["settings"] != settings:
                parser.error(f"{file.path}: {task} seed {seed} was run with other settings: {found['settings']}")
        run_all(jobs, run, file, arguments.processes, describe)
        plot(file.runs, folder / "learning.png")
    print(summarize(file.runs), commits(file.runs), sep="\n\n")


if __name__ == "__main__":
    main()
