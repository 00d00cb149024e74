"""The study's table and figure."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.studies.paper.methods import METHODS, PEERS
from benchmarks.studies.paper.tasks import TASKS


def methods_of(results: list[dict[str, Any]]) -> list[str]:
    """Those that ran, in the order of the methods' file."""
    ran = {r["method"] for r in results}
    return [method for method in (*METHODS, *PEERS) if method in ran]


def runs_of(results: list[dict[str, Any]], task: str, method: str) -> list[dict[str, Any]]:
    return [r for r in results if (r["task"], r["method"]) == (task, method)]


def table(results: list[dict[str, Any]]) -> str:
    """Markdown: final returns of a method on a task, mean and spread over seeds, and the median of a run's CPU time."""
    sizes = {r["task"]: r["num_params"] for r in results}
    header = [f"{task}, {sizes[task]} parameters" if task in sizes else task for task in TASKS]
    lines = ["| method | " + " | ".join(header) + " |", "|---" * (len(TASKS) + 1) + "|"]
    for method in methods_of(results):
        cells = []
        for task in TASKS:
            runs = runs_of(results, task, method)
            scores = [np.mean(r["final"]) for r in runs]
            seconds = np.median([r["cpu_seconds"] for r in runs]) if runs else 0.0
            cells.append(f"{np.mean(scores):.0f} ± {np.std(scores):.0f} ({seconds:.0f} s)" if runs else "")
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(results: list[dict[str, Any]], path: Path) -> None:
    """A row per method and a column per task: the mean over seeds and its range, in front of all other means."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import EngFormatter

    methods = methods_of(results)
    size = (2.6 * len(TASKS), 1.25 * len(methods) + 0.6)
    figure, axes = plt.subplots(
        len(methods), len(TASKS), figsize=size, sharex="col", sharey="col", squeeze=False, layout="constrained"
    )
    for column, task in zip(axes.T, TASKS, strict=True):
        curves = {method: _curves(runs_of(results, task, method)) for method in methods}
        for axis, method in zip(column, methods, strict=True):
            for steps, values in filter(None, curves.values()):
                axis.plot(steps, values.mean(axis=0), color="0.85", linewidth=0.8)
            if curves[method]:
                steps, values = curves[method]
                axis.fill_between(steps, values.min(axis=0), values.max(axis=0), color="C0", alpha=0.25, linewidth=0)
                axis.plot(steps, values.mean(axis=0), color="C0", linewidth=1.8)
            axis.spines[["top", "right"]].set_visible(False)
            axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        column[0].set_title(task, fontweight="bold")
        column[-1].set_xlabel("environment steps")
    for axis, method in zip(axes[:, 0], methods, strict=True):
        axis.set_ylabel(method.replace(", ", ",\n"), rotation=0, ha="right", va="center")
    figure.suptitle(
        "return of training episodes: mean over seeds and its range; grey: the other methods", fontsize="medium"
    )
    figure.savefig(path, dpi=120)


def _curves(runs: list[dict[str, Any]]) -> tuple[Any, Any] | None:
    """Steps (k,) that all runs have, and their returns there, (n, k); None without runs."""
    if not runs:
        return None
    curves = [np.array(r["curve"], dtype=float) for r in runs]
    steps = np.linspace(max(c[0, 0] for c in curves), min(c[-1, 0] for c in curves), 200)
    return steps, np.stack([np.interp(steps, *c[np.isfinite(c[:, 1])].T) for c in curves])
