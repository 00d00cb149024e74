"""Learning curves and diagnostics of run folders; needs the ``plot`` extra."""

import csv
import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast.errors import InvalidArgumentError, MissingExtraError

STEPS = "time/total_timesteps"
CONFIDENCE = 0.95
RESAMPLES = 1000

# title -> columns drawn together
DIAGNOSTICS = {
    "return of an episode": ("rollout/ep_rew_mean",),
    "KL divergence, nats: bound, mean, max": ("train/trust_region", "train/kl_divergence_loss", "train/max_kl"),
    "improvement: expected, actual": ("train/expected_improvement", "train/improvement"),
    "backtracks of the line search": ("train/n_backtracks",),
    "conjugate gradient: iterations": ("train/cg_iterations",),
    "conjugate gradient: residual": ("train/cg_residual_norm",),
    "explained variance of the critic": ("train/explained_variance",),
    "entropy, nats": ("train/entropy",),
    "share of the time": tuple(f"time/share_of_{name}" for name in ("environments", "policy", "update", "critic")),
}
LOGARITHMIC = ("train/max_kl", "train/cg_residual_norm")


class Run(NamedTuple):
    """A run folder, its environment's id, and the columns of its progress.csv, float64 of shape (iterations,)."""

    folder: Path
    env_id: str
    columns: dict[str, npt.NDArray[np.float64]]


def read_run(folder: Path) -> Run:
    """Read the run in ``folder``.

    Raises
    ------
    InvalidArgumentError
        If ``folder`` is not a run of trpo-fast train, or the run has not finished an iteration.
    """
    try:
        env_id = str(json.loads((folder / "config.json").read_text())["env_id"])
        with (folder / "progress.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        columns = {name: np.array([_number(row[name]) for row in rows]) for name in rows[0]}
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise InvalidArgumentError(
            "runs", "folders of trpo-fast train with progress", f"{folder}: {error!r}"
        ) from error
    return Run(folder, env_id, columns)


def plot_curves(runs: Sequence[Run], metric: str, out: Path) -> None:
    """Draw one panel per environment: thin lines for the runs, a thick one for their mean, and its 95 % bootstrap band.

    Parameters
    ----------
    runs : sequence of Run
    metric : str
        Column of progress.csv.
    out : Path
        Output file; its suffix chooses the format.

    Raises
    ------
    InvalidArgumentError
        If a run has no such column.
    MissingExtraError
        If the ``plot`` extra is not installed.
    """
    for run in runs:
        if metric not in run.columns:
            raise InvalidArgumentError("metric", f"a column of {run.folder}: {', '.join(run.columns)}", metric)
    by_env: dict[str, list[Run]] = {}
    for run in runs:
        by_env.setdefault(run.env_id, []).append(run)
    figure, axes = _subplots(len(by_env))
    for ax, (env_id, group) in zip(axes, by_env.items(), strict=False):
        curves = [(run.columns[STEPS], run.columns[metric]) for run in group]
        for steps, values in curves:
            ax.plot(steps, values, color="C0", alpha=0.3, linewidth=0.8)
        steps = np.linspace(max(s[0] for s, _ in curves), min(s[-1] for s, _ in curves), 200)
        values = np.stack([np.interp(steps, s, v) for s, v in curves])
        ax.plot(steps, values.mean(axis=0), color="C0", linewidth=2.0)
        if len(curves) > 1:
            ax.fill_between(steps, *confidence_band(values), color="C0", alpha=0.2)
        ax.set(title=f"{env_id}, {len(curves)} run{'s' if len(curves) > 1 else ''}", xlabel="steps", ylabel=metric)
    figure.savefig(out)


def plot_diagnostics(run: Run, out: Path) -> None:
    """Draw a page of diagnostics of the updates of a run, over its steps.

    Raises
    ------
    MissingExtraError
        If the ``plot`` extra is not installed.
    """
    figure, axes = _subplots(len(DIAGNOSTICS))
    for ax, (title, names) in zip(axes, DIAGNOSTICS.items(), strict=False):
        for name in names:
            if name not in run.columns:  # a run of an older version
                continue
            ax.plot(run.columns[STEPS], run.columns[name], linewidth=0.8, label=name.partition("/")[2])
        ax.set(title=title, xlabel="steps", yscale="log" if set(names) & set(LOGARITHMIC) else "linear")
        if len(names) > 1:
            ax.legend(fontsize="small")
    figure.suptitle(f"{run.env_id}: {run.folder.name}")
    figure.savefig(out)


def confidence_band(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """95 % confidence bounds, two (k,), of the mean over runs (n, k), by the percentile bootstrap (Efron 1979)."""
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    means = values[drawn].mean(axis=1)
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(means, [tail, 100.0 - tail], axis=0)
    return low, high


def _subplots(n: int) -> tuple[Any, list[Any]]:
    try:
        figures, ticker = (importlib.import_module(f"matplotlib.{name}") for name in ("figure", "ticker"))
    except ImportError as error:
        raise MissingExtraError("a plot", "plot") from error
    n_columns = min(n, 3)
    n_rows = -(-n // n_columns)
    figure = figures.Figure(figsize=(5.0 * n_columns, 3.4 * n_rows), layout="constrained", dpi=120)
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel().tolist()
    for ax in axes[n:]:
        ax.remove()
    for ax in axes[:n]:
        ax.grid(alpha=0.3)
        ax.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
    return figure, axes


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:  # a status
        return float("nan")
