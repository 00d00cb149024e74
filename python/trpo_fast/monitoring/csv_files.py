"""Sinks that write CSV: a row an iteration, or a row an episode as Stable-Baselines3's Monitor has it."""

import csv
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from trpo_fast.protocols import Metrics, Model


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

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _steps(row: dict[str, Any]) -> float:
    """The transitions until a row; infinite in one that a kill cut short."""
    text = row.get("time/total_timesteps") or ""
    if None in row.values():  # what the reader puts where there are no more values
        return float("inf")
    return float(text) if text.isdigit() else float("inf")


def _rewrite(path: Path, columns: list[str], rows: list[dict[str, Any]]) -> None:
    """A CSV file with these columns and rows, at any moment the old or the new one."""

    def write(file: IO[str]) -> None:
        if columns:
            writer = csv.DictWriter(file, fieldnames=columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)

    _replace(path, write)


def _replace(path: Path, write: Callable[[IO[str]], None]) -> None:
    """Have ``write`` write a file that then takes the place of ``path``."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", newline="") as file:
        write(file)
    temporary.replace(path)


class MonitorFile:
    """A row an episode: return "r", length "l" and seconds "t" since the file was begun, when its rollout ended.

    ``stable_baselines3.common.monitor.load_results`` reads it if its name ends with "monitor.csv".

    Parameters
    ----------
    model : TRPO
    path : Path
        Overwritten if it exists; but of a run that goes on, the rows of its episodes so far are kept.
    env_id : str
    """

    def __init__(self, model: Model, path: Path, env_id: str) -> None:
        self._model = model
        self._begin = time.time()
        header, rows = "#" + json.dumps({"t_start": self._begin, "env_id": env_id}), []
        if model.num_episodes and path.exists():
            lines = path.read_text().splitlines()
            rows = lines[2 : 2 + model.num_episodes]
            with suppress(ValueError, KeyError, TypeError, IndexError):  # of a file that is another's
                self._begin, header = float(json.loads(lines[0][1:])["t_start"]), lines[0]
        _replace(path, lambda file: file.writelines(f"{line}\n" for line in [header, "r,l,t", *rows]))
        self._file: IO[str] = path.open("a")

    def write(self, metrics: Metrics) -> None:
        """Add the episodes that ended with the latest rollout."""
        seconds = time.time() - self._begin
        rows = [f"{e.episode_return:.6f},{e.length},{seconds:.6f}\n" for e in self._model.latest_episodes]
        self._file.writelines(rows)
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
