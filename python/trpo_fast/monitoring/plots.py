"""Learning curves and diagnostics of run folders; needs the ``plot`` extra."""

import csv
import importlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast.errors import InvalidArgumentError, MissingExtraError
from trpo_fast.validation import check_path

STEPS = "time/total_timesteps"
CONFIDENCE = 0.95
RESAMPLES = 1000
RUNS_OF_A_BAND = 5  # with fewer, a bootstrap band means nothing
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # Okabe & Ito: for all eyes
STYLE = {
    "font.size": 11.0, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3,
    "axes.titlelocation": "left", "axes.titleweight": "bold", "legend.frameon": False, "figure.dpi": 150.0,
    "lines.solid_capstyle": "round",
}  # fmt: skip
CAPTION = {"color": "0.4", "fontsize": "small", "fontweight": "normal"}
WORDS = {
    "rollout/ep_rew_mean": "mean return of an episode",
    "rollout/ep_len_mean": "mean length of an episode [steps]",
    "rollout/success_rate": "success rate",
    "rollout/episodes": "episodes",
    "train/kl_divergence_loss": "mean KL divergence [nats]",
    "train/max_kl": "largest KL divergence [nats]",
    "train/trust_region": "bound on the mean KL divergence [nats]",
    "train/entropy": "entropy of the policy [nats]",
    "train/std": "standard deviation of actions",
    "train/explained_variance": "explained variance of the critic",
    "train/value_loss": "loss of the critic",
    "train/n_backtracks": "backtracks of the line search",
    "train/cg_iterations": "iterations of conjugate gradient",
    "time/fps": "steps per second",
    "eval/mean_reward": "mean return of evaluations",
}


class Run(NamedTuple):
    """A run folder, its environment's id, the columns of its progress.csv, float64 (iterations,), and its setting."""

    folder: Path
    env_id: str
    columns: dict[str, npt.NDArray[np.float64]]
    label: str = ""


class Panel(NamedTuple):
    """A panel of the diagnostics: columns with their names in the legend, each multiplied by ``scale``."""

    title: str
    unit: str
    columns: dict[str, str]
    is_logarithmic: bool = False
    scale: float = 1.0


COUNTS = ("backtracks", "iterations")
DIAGNOSTICS = (
    Panel("Return", "mean return of an episode", {"rollout/ep_rew_mean": ""}),
    Panel(
        "KL divergence of an update",
        "KL divergence [nats]",
        {"train/trust_region": "trust region", "train/kl_divergence_loss": "mean", "train/max_kl": "largest"},
        is_logarithmic=True,
    ),
    Panel(
        "Improvement of the surrogate",
        "improvement [normalised]",
        {"train/expected_improvement": "predicted for the full step", "train/improvement": "actual"},
    ),
    Panel("Line search", "backtracks", {"train/n_backtracks": ""}),
    Panel("Conjugate gradient", "iterations", {"train/cg_iterations": ""}),
    Panel("Residual of conjugate gradient", "norm", {"train/cg_residual_norm": ""}, is_logarithmic=True),
    Panel("Critic", "explained variance", {"train/explained_variance": ""}),
    Panel("Entropy of the policy", "entropy [nats]", {"train/entropy": ""}),
    Panel(
        "Time",
        "share of an iteration [%]",
        {f"time/share_of_{name}": name for name in ("environments", "policy", "update", "critic")},
        scale=100.0,
    ),
)


def read_run(folder: Path, label: str = "") -> Run:
    """Read the run in ``folder``, one of the setting ``label``.

    Raises
    ------
    InvalidArgumentError
        If ``folder`` is not a run of trpo-fast train, or the run has not finished an iteration.
    """
    try:
        env_id = str(json.loads((folder / "config.json").read_text(encoding="utf-8"))["env_id"])
        with (folder / "progress.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError as error:
        raise InvalidArgumentError(
            "runs", "folders of trpo-fast train", f"{folder}, without {error.filename}"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise InvalidArgumentError("runs", "folders of trpo-fast train", f"{folder}: {error!r}") from error
    if not rows or STEPS not in rows[0]:
        raise InvalidArgumentError("runs", "runs that have finished an iteration", str(folder))
    columns = {name: np.array([_number(row[name]) for row in rows]) for name in rows[0] if name}
    whole = np.isfinite(columns[STEPS])  # a kill may cut the last row
    return Run(folder, env_id, {name: values[whole] for name, values in columns.items()}, label)


def plot_curves(runs: Sequence[Run], metric: str, out: Path) -> list[str]:
    """Draw one panel per environment and one colour per setting (``Run.label``).

    A thick line is the mean over the runs of a setting. From five runs on, a band contains it with 95 % confidence
    (bootstrap); with fewer, thin lines are the single runs.

    Parameters
    ----------
    runs : sequence of Run
    metric : str
        Column of progress.csv.
    out : Path
        Output file; its suffix chooses the format.

    Returns
    -------
    list of str
        What to know about the picture: which settings have too few runs for a band.

    Raises
    ------
    InvalidArgumentError
        If there are no runs, one has no numbers in such a column, or there is no such format.
    MissingExtraError
        If the ``plot`` extra is not installed.
    """
    if not runs:
        raise InvalidArgumentError("runs", "folders of trpo-fast train", "none")
    for run in runs:
        if not np.isfinite(run.columns.get(metric, np.array([]))).any():
            known = ", ".join(name for name, values in run.columns.items() if np.isfinite(values).any())
            raise InvalidArgumentError("metric", f"a column of {run.folder} with numbers ({known})", metric)
    environments = list(dict.fromkeys(run.env_id for run in runs))
    colors = {label: COLORS[i % len(COLORS)] for i, label in enumerate(dict.fromkeys(run.label for run in runs))}
    notes = []
    with _figure(len(environments), out, (7.0, 3.9)) as (_, axes):
        for ax, env_id in zip(axes, environments, strict=True):
            for label, color in colors.items():
                group = [run for run in runs if (run.env_id, run.label) == (env_id, label)]
                if group:
                    _draw_curves(ax, [_curve(run, metric) for run in group], color, _name(label, len(group)))
                if 1 < len(group) < RUNS_OF_A_BAND:
                    name = _name(f"{env_id}, {label}" if label else env_id, len(group))
                    notes.append(f"{name}: thin lines are single runs; a confidence band needs {RUNS_OF_A_BAND}")
            ax.set(title=env_id, xlabel="environment steps", ylabel=WORDS.get(metric, _in_words(metric)))
            if len(colors) > 1 or any(colors):
                ax.legend(loc="best", fontsize="small")
            else:
                ax.set_title(_caption(sum(run.env_id == env_id for run in runs)), loc="right", **CAPTION)
    return notes


def plot_diagnostics(run: Run, out: Path) -> None:
    """Draw a page of diagnostics of the updates of a run, over its steps.

    Raises
    ------
    InvalidArgumentError
        If there is no format of that suffix.
    MissingExtraError
        If the ``plot`` extra is not installed.
    """
    with _figure(len(DIAGNOSTICS), out, (4.8, 3.2)) as (figure, axes):
        ticker = importlib.import_module("matplotlib.ticker")
        for ax, panel in zip(axes, DIAGNOSTICS, strict=True):
            for (name, label), color in zip(panel.columns.items(), COLORS, strict=False):
                if name in run.columns:  # a run of an older version may lack it
                    ax.plot(
                        run.columns[STEPS], panel.scale * run.columns[name], linewidth=1.0, color=color, label=label
                    )
            ax.set(title=panel.title, xlabel="environment steps", ylabel=panel.unit)
            if panel.is_logarithmic:
                ax.set_yscale("log", subs=[])
                ax.yaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 3.0)))
                ax.yaxis.set_major_formatter(ticker.FuncFormatter("{:g}".format))
            elif panel.unit in COUNTS:
                ax.yaxis.set_major_locator(ticker.MaxNLocator(integer=True, min_n_ticks=1))
            if len(panel.columns) > 1:
                ax.legend(fontsize="small")
        figure.suptitle(f"{run.env_id}: {run.folder.name}")


def confidence_band(values: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """95 % confidence bounds, two (k,), of the mean over runs (n, k), by the percentile bootstrap (Efron 1979)."""
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    means = values[drawn].mean(axis=1)
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(means, [tail, 100.0 - tail], axis=0)
    return low, high


def _curve(run: Run, metric: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Steps and finite values of a metric."""
    known = np.isfinite(run.columns[metric])
    return run.columns[STEPS][known], run.columns[metric][known]


def _draw_curves(ax: Any, curves: list[Any], color: str, label: str) -> None:
    """The mean of ``curves`` over the steps that all of them have, and a band or the curves themselves."""
    if len(curves) == 1:
        ax.plot(*curves[0], color=color, linewidth=2.0, label=label)
        return
    first, last = max(s[0] for s, _ in curves), min(s[-1] for s, _ in curves)
    steps = np.linspace(first, last, 200) if first < last else np.array([])
    values = np.stack([np.interp(steps, s, v) for s, v in curves])
    if len(curves) < RUNS_OF_A_BAND:
        for s, v in curves:
            ax.plot(s, v, color=color, alpha=0.4, linewidth=0.8)
    else:
        ax.fill_between(steps, *confidence_band(values), color=color, alpha=0.2, linewidth=0.0)
    ax.plot(steps, values.mean(axis=0), color=color, linewidth=2.0, label=label)


def _name(label: str, n_runs: int) -> str:
    counted = f"{n_runs} run{'s' if n_runs > 1 else ''}"
    return f"{label} ({counted})" if label else counted


def _caption(n_runs: int) -> str:
    """What the lines of a panel with one setting are."""
    if n_runs == 1:
        return "1 run"
    return f"mean of {n_runs} runs, " + ("95 % confidence band" if n_runs >= RUNS_OF_A_BAND else "and each of them")


def _in_words(metric: str) -> str:
    return metric.rpartition("/")[2].replace("_", " ")


@contextmanager
def _figure(n: int, out: Path, size: tuple[float, float]) -> Iterator[tuple[Any, list[Any]]]:
    """A figure of ``n`` panels of ``size`` (inches), written to ``out`` at the end of the block."""
    try:
        matplotlib = importlib.import_module("matplotlib")
        figures, ticker = (importlib.import_module(f"matplotlib.{name}") for name in ("figure", "ticker"))
    except ImportError as error:
        raise MissingExtraError("a plot", "plot") from error
    out = check_path("out", out)
    with matplotlib.rc_context(STYLE):
        n_columns = min(n, 3)
        n_rows = -(-n // n_columns)
        figure = figures.Figure(figsize=(size[0] * n_columns, size[1] * n_rows), layout="constrained")
        formats = sorted(figure.canvas.get_supported_filetypes())
        if out.suffix[1:].lower() not in formats:
            raise InvalidArgumentError("out", f"a file that ends with .{', .'.join(formats)}", repr(out.name))
        axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel().tolist()
        for ax in axes[n:]:
            ax.remove()
        for ax in axes[:n]:
            ax.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
        yield figure, axes[:n]
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out)


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:  # a status
        return float("nan")
