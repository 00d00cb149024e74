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
    """A panel a task, a line a method: the mean over seeds, and the least and largest of them."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import EngFormatter

    figure, axes = plt.subplots(1, len(TASKS), figsize=(4.6 * len(TASKS), 3.8), layout="constrained")
    for axis, task in zip(axes, TASKS, strict=True):
        for i, method in enumerate(methods_of(results)):
            curves = [np.array(r["curve"], dtype=float) for r in runs_of(results, task, method)]
            if curves:
                steps = np.linspace(max(c[0, 0] for c in curves), min(c[-1, 0] for c in curves), 200)
                values = np.stack([np.interp(steps, *c[np.isfinite(c[:, 1])].T) for c in curves])
                axis.plot(steps, values.mean(axis=0), color=f"C{i}", linewidth=1.5, label=method)
                axis.fill_between(steps, values.min(axis=0), values.max(axis=0), color=f"C{i}", alpha=0.12, linewidth=0)
        axis.set(title=task, xlabel="environment steps")
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("return of training episodes")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles), fontsize="small")
    figure.savefig(path, dpi=110)
