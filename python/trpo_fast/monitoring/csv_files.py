"""Sinks that write CSV: one row per iteration, or one row per episode in the format of Stable-Baselines3's Monitor."""

import csv
import io
import json
import os
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from trpo_fast._core.files import Refusals, replace_file, set_aside
from trpo_fast.protocols import Metrics, Model
from trpo_fast.validation import check_path

_STEPS = "time/total_timesteps"
_MONITOR = ("r", "l", "t")


class _Table:
    """A CSV file to which rows are added. Rows that the disk refuses are kept, and written once it takes them.

    Parameters
    ----------
    path : Path
        An existing file is replaced.
    preface : str
        What comes before the names of the columns.
    columns : iterable of str
        Rows may add columns.
    rows : list of dict
    """

    def __init__(self, path: Path, preface: str, columns: Iterable[str], rows: list[dict[str, Any]]) -> None:
        self._path = path
        self._preface = preface
        self._columns = dict.fromkeys(columns)  # an ordered set
        self._waiting = rows
        self._is_new = True
        self._refused_at: int | None = None  # size of the file before a write that failed
        self._refusals = Refusals()
        self._write_waiting()

    def _add(self, rows: list[dict[str, Any]]) -> None:
        self._waiting += rows
        self._write_waiting()

    def close(self) -> None:
        """Write what the disk has refused so far, if it takes it now."""
        self._write_waiting()
        if self._waiting:
            text = f"{self._path}: the last {len(self._waiting)} rows could not be written"
            warnings.warn(text, RuntimeWarning, stacklevel=2)

    def _write_waiting(self) -> None:
        with self._refusals.tolerated(f"{self._path} gets its next rows as soon as possible"):
            new = dict.fromkeys(name for row in self._waiting for name in row)
            if self._is_new or not new.keys() <= self._columns.keys() or not self._path.exists():
                self._replace(self._columns | new)
            elif self._waiting:
                self._append(_csv(self._waiting, self._columns))
            self._waiting = []
            self._is_new = False

    def _replace(self, columns: dict[str, None]) -> None:
        """Replace the file by one with these columns and all rows."""
        rows: list[dict[str, Any]] = []
        if not self._is_new and self._path.exists():
            _, rows, _ = _read(self._path, self._preface.count("\n"))
        text = _csv([{name: name for name in columns}, *rows, *self._waiting], columns) if columns else ""
        replace_file(self._path, (self._preface + text).encode())
        self._columns = columns
        self._refused_at = None

    def _append(self, text: str) -> None:
        with self._path.open("r+b") as file:
            if self._refused_at is not None:  # remove what a failed write may have left
                file.truncate(self._refused_at)
            self._refused_at = file.seek(0, os.SEEK_END)
            file.write(text.encode())
        self._refused_at = None


class CSVFile(_Table):
    """A sink that writes one row per iteration. Later rows may add columns.

    A row that cannot be written (disk full) is kept in memory, and written with a later one.

    Parameters
    ----------
    path : path
        An existing file is overwritten, unless ``after`` is above 0.
    after : int
        For a resumed run: its transitions so far. Rows of an existing file up to this count are kept. A damaged file is
        renamed, with a warning, and its readable rows are kept.
    """

    def __init__(self, path: str | os.PathLike[str], after: int = 0) -> None:
        path = check_path("path", path)
        rows: list[dict[str, Any]] = []
        if after > 0 and path.exists() and path.stat().st_size > 0:
            columns, rows, is_damaged = _read(path)
            whole = [row for row in rows if row.get(_STEPS, "").isdigit()]
            if is_damaged or _STEPS not in columns or len(whole) < len(rows):
                _set_aside(path)
            rows = [row for row in whole if int(row[_STEPS]) <= after]
        super().__init__(path, "", rows[0] if rows else [], rows)

    def write(self, metrics: Metrics) -> None:
        """Add a row."""
        self._add([dict(metrics)])


class MonitorFile(_Table):
    """A sink that writes one row per episode: return "r", length "l" in steps, and time "t".

    "t" is the end of the episode's rollout, in seconds since the file was created.
    ``stable_baselines3.common.monitor.load_results`` reads the file if its name ends with "monitor.csv". Rows that
    cannot be written (disk full) are kept in memory, and written with later ones.

    Parameters
    ----------
    model : TRPO
    path : path
        An existing file is overwritten. For a resumed run, the rows of its episodes so far are kept. A damaged file is
        renamed, with a warning, and its readable rows are kept.
    env_id : str
        Written to the header.
    """

    def __init__(self, model: Model, path: str | os.PathLike[str], env_id: str) -> None:
        path = check_path("path", path)
        self._model = model
        self._begin = time.time()
        preface = "#" + json.dumps({"t_start": self._begin, "env_id": env_id}) + "\n"
        rows: list[dict[str, Any]] = []
        if model.num_episodes and path.exists() and path.stat().st_size > 0:
            columns, rows, is_damaged = _read(path, 1)
            is_ours = columns == list(_MONITOR)
            try:
                first = path.read_bytes().decode().partition("\n")[0] + "\n"
                self._begin, preface = float(json.loads(first[1:])["t_start"]), first
            except (ValueError, KeyError, TypeError, IndexError):
                is_damaged = True
            if is_damaged or not is_ours:
                _set_aside(path)
            rows = rows[: model.num_episodes] if is_ours else []
        super().__init__(path, preface, _MONITOR, rows)

    def write(self, metrics: Metrics) -> None:
        """Add the episodes that ended with the latest rollout."""
        seconds = time.time() - self._begin
        values = [(f"{e.episode_return:.6f}", e.length, f"{seconds:.6f}") for e in self._model.latest_episodes]
        self._add([dict(zip(_MONITOR, row, strict=True)) for row in values])


def _csv(rows: list[dict[str, Any]], columns: Iterable[str]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, list(columns), extrasaction="ignore", lineterminator="\n").writerows(rows)
    return text.getvalue()


def _read(path: Path, skipped_lines: int = 0) -> tuple[list[str], list[dict[str, Any]], bool]:
    """Columns and whole rows of a CSV file, and whether there is more damage than a last line that a kill cut short."""
    text = path.read_bytes().decode(errors="replace")
    is_damaged = "\0" in text or "\ufffd" in text
    lines = io.StringIO(text.replace("\0", ""), newline="").readlines()[skipped_lines:]
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    found: list[list[str]] = []
    try:
        found.extend(csv.reader(lines))
    except csv.Error:
        is_damaged = True
    columns, *rows = found or [[]]
    whole = [row for row in rows if len(row) == len(columns) and "\ufffd" not in "".join(row)]
    return columns, [dict(zip(columns, row, strict=True)) for row in whole], is_damaged or len(whole) < len(rows)


def _set_aside(path: Path) -> None:
    aside = set_aside(path)
    text = (
        f"{path}: expected the rows of a training, got a damaged file; it is {aside.name} now, its whole rows are kept"
    )
    warnings.warn(text, RuntimeWarning, stacklevel=4)
