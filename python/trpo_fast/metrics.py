"""What an iteration reports, and where the reports go: a CSV file, a table on the terminal."""

import csv
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

import numpy as np
import numpy.typing as npt

Metrics = dict[str, float | int | str]


class Sink(Protocol):
    """Receives the metrics of every iteration."""

    def write(self, metrics: Metrics) -> None:
        """Take one iteration's metrics; the keys are the same every time."""


class CSVFile:
    """One row an iteration, flushed at once; the column names are sb3's where it has them.

    Parameters
    ----------
    path : Path
        Overwritten if it exists.
    """

    def __init__(self, path: Path) -> None:
        self._file: IO[str] = path.open("w", newline="")
        self._writer: csv.DictWriter[str] | None = None

    def write(self, metrics: Metrics) -> None:
        if self._writer is None:
            self._writer = csv.DictWriter(self._file, fieldnames=list(metrics))
            self._writer.writeheader()
        self._writer.writerow(metrics)
        self._file.flush()

    def __enter__(self) -> "CSVFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


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
