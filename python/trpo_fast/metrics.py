"""What an iteration reports, and where the reports go: a CSV file, a table on the terminal."""

import csv
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

from trpo_fast.rollout import Episode
from trpo_fast.trpo import UpdateReport
from trpo_fast.value_function import ValueFit

Metrics = dict[str, float | int | str]


class Sink(Protocol):
    """Receives the metrics of every iteration."""

    def write(self, metrics: Metrics) -> None:
        """Take one iteration's metrics; the keys are the same every time."""


class CSVFile:
    """One row an iteration, flushed at once; the column names are sb3's where it has them. Columns may come later.

    Parameters
    ----------
    path : Path
        Overwritten if it exists.
    after : int
        Of a run that goes on: the rows of its first ``after`` transitions are kept.
    """

    def __init__(self, path: Path, after: int = 0) -> None:
        self._path = path
        rows = [row for row in _rows(path) if _steps(row) <= after] if after > 0 else []
        self._columns: dict[str, None] = dict.fromkeys(rows[0]) if rows else {}  # in their order
        _rewrite(path, list(self._columns), rows)
        self._file: IO[str] = path.open("a", newline="")

    def write(self, metrics: Metrics) -> None:
        if not metrics.keys() <= self._columns.keys():
            self._file.close()
            self._columns.update(dict.fromkeys(metrics))
            _rewrite(self._path, list(self._columns), _rows(self._path))
            self._file = self._path.open("a", newline="")
        csv.DictWriter(self._file, fieldnames=list(self._columns)).writerow(metrics)
        self._file.flush()

    def __enter__(self) -> "CSVFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _steps(row: dict[str, Any]) -> float:
    """The transitions until a row; infinite in one that a kill cut short."""
    text = row.get("time/total_timesteps") or ""
    return float(text) if text.isdigit() else float("inf")


def _rewrite(path: Path, columns: list[str], rows: list[dict[str, Any]]) -> None:
    """A CSV file with these columns and rows, at any moment the old or the new one."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", newline="") as file:
        if columns:
            writer = csv.DictWriter(file, fieldnames=columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
    temporary.replace(path)


class Clock:
    """Times of a run, in seconds since ``learn`` was called."""

    def __init__(self, num_timesteps: int) -> None:
        self._start = time.perf_counter()
        self._first = num_timesteps

    def read(self, iteration: int, num_timesteps: int) -> Metrics:
        elapsed = time.perf_counter() - self._start
        return {
            "time/fps": int((num_timesteps - self._first) / elapsed),
            "time/iterations": iteration,
            "time/time_elapsed": elapsed,
            "time/total_timesteps": num_timesteps,
        }


def rollout_metrics(episodes: Sequence[Episode], num_episodes: int) -> Metrics:
    """Means over the latest episodes, NaN before the first one ended, and how many ended in all."""
    nan = float("nan")
    return {
        "rollout/ep_rew_mean": float(np.mean([e.episode_return for e in episodes])) if episodes else nan,
        "rollout/ep_len_mean": float(np.mean([e.length for e in episodes])) if episodes else nan,
        "rollout/episodes": num_episodes,
    }


def update_metrics(report: UpdateReport, fit: ValueFit) -> Metrics:
    """The evidence of an update, under sb3-contrib's names where it has one."""
    return {
        "train/update_status": report.status.value,
        "train/is_line_search_success": int(report.committed),
        "train/policy_objective": report.surrogate_after,
        "train/improvement": report.surrogate_after - report.surrogate_before,
        "train/expected_improvement": report.expected_improvement,
        "train/kl_divergence_loss": report.mean_kl,
        "train/max_kl": report.max_kl,
        "train/entropy": report.entropy,
        "train/gradient_norm": report.gradient_norm,
        "train/step_norm": report.step_norm,
        "train/n_backtracks": report.n_backtracks,
        "train/cg_iterations": report.cg.n_iter if report.cg else 0,
        "train/cg_residual_norm": report.cg.residual_norm if report.cg else float("nan"),
        "train/value_status": fit.status.value,
        "train/value_loss": fit.loss,
    }


def explained_variance(values: npt.NDArray[Any], returns: npt.NDArray[Any]) -> float:
    """1 - Var[returns - values] / Var[returns]: 1 is a perfect critic, 0 one that predicts the mean; (N,) each."""
    variance = float(np.var(returns))
    return float("nan") if variance == 0.0 else 1.0 - float(np.var(returns - values)) / variance


def format_table(metrics: Metrics) -> str:
    """Metrics as text, one section a group."""
    rows: list[tuple[str, str]] = []
    section = ""
    for name, value in metrics.items():
        group, _, key = name.partition("/")
        if group != section:
            rows.append((f"{group}/", ""))
            section = group
        rows.append((f"   {key}", f"{value:.4g}" if isinstance(value, float) else str(value)))
    left, right = (max(len(row[column]) for row in rows) for column in (0, 1))
    rule = "-" * (left + right + 7)
    return "\n".join([rule, *(f"| {name:<{left}} | {text:<{right}} |" for name, text in rows), rule])
