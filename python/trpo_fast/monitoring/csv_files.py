"""Sinks that write CSV: one row per iteration, or one row per episode in the format of Stable-Baselines3's Monitor."""

import csv
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from trpo_fast.protocols import Metrics, Model


class CSVFile:
    """A sink that writes one row per iteration and flushes it at once. Later rows may add columns.

    Parameters
    ----------
    path : Path
        An existing file is overwritten, unless ``after`` is above 0.
    after : int
        For a resumed run: its transitions so far. Rows of an existing file up to this count are kept.
    """

    def __init__(self, path: Path, after: int = 0) -> None:
        self._path = path
        rows = [row for row in _rows(path) if _steps(row) <= after] if after > 0 else []
        self._columns: dict[str, None] = dict.fromkeys(rows[0]) if rows else {}  # an ordered set
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
    """The transition count of a row; infinite if a kill truncated the row."""
    text = row.get("time/total_timesteps") or ""
    if None in row.values():  # the reader puts None for missing values
        return float("inf")
    return float(text) if text.isdigit() else float("inf")


def _rewrite(path: Path, columns: list[str], rows: list[dict[str, Any]]) -> None:
    """Replace a CSV file atomically by one with these columns and rows."""

    def write(file: IO[str]) -> None:
        if columns:
            writer = csv.DictWriter(file, fieldnames=columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)

    _replace(path, write)


def _replace(path: Path, write: Callable[[IO[str]], None]) -> None:
    """Replace ``path`` atomically by a file that ``write`` writes."""
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("w", newline="") as file:
        write(file)
    temporary.replace(path)


class MonitorFile:
    """A sink that writes one row per episode: return "r", length "l" in steps, and time "t".

    "t" is the end of the episode's rollout, in seconds since the file was created.
    ``stable_baselines3.common.monitor.load_results`` reads the file if its name ends with "monitor.csv".

    Parameters
    ----------
    model : TRPO
    path : Path
        An existing file is overwritten. For a resumed run, the rows of its episodes so far are kept.
    env_id : str
        Written to the header.
    """

    def __init__(self, model: Model, path: Path, env_id: str) -> None:
        self._model = model
        self._begin = time.time()
        header, rows = "#" + json.dumps({"t_start": self._begin, "env_id": env_id}), []
        if model.num_episodes and path.exists():
            lines = path.read_text().splitlines()
            rows = lines[2 : 2 + model.num_episodes]
            with suppress(ValueError, KeyError, TypeError, IndexError):  # of a file that MonitorFile did not write
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
