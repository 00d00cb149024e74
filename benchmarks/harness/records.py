"""Files of results: a record for each question, and a growing list of runs for each study."""

import json
import os
from pathlib import Path
from typing import Any

Run = dict[str, Any]


def save_record(folder: Path, question: str, record: dict[str, Any]) -> None:
    """Write FOLDER/QUESTION.json."""
    (folder / f"{question}.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def load_record(folder: Path, question: str) -> dict[str, Any] | None:
    """The question's record, None if there is none."""
    path = folder / f"{question}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def origin(record: dict[str, Any]) -> str:
    """One line: when, with which commit and versions, and on which machine a record was measured."""
    machine = record.get("machine", {})
    parts = [
        f"date {record.get('date', 'unknown')}",
        f"commit {commit_of(record)}",
        f"{machine.get('processor', 'unknown processor')}, {machine.get('isa', '?')}",
        f"trpo_fast {machine.get('trpo_fast', '?')} ({record.get('package', 'unknown')})",
        *(f"{name} {version}" for name, version in record.get("contenders", {}).items()),
    ]
    return ", ".join(parts)


def commit_of(record: dict[str, Any]) -> str:
    """The first letters of the commit, and whether the checkout differed from it."""
    return record.get("commit", "unknown")[:12] + (" with changes" if record.get("dirty") else "")


class RunFile:
    """The runs of a study, one line of JSON each, to which a run is appended as soon as it has ended.

    A last line without a newline was being written when a process was killed: it is ignored, and the next run
    replaces it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        content = path.read_bytes() if path.exists() else b""
        self._size = content.rfind(b"\n") + 1
        self.runs: list[Run] = []
        for number, line in enumerate(content[: self._size].splitlines(), start=1):
            try:
                self.runs.append(json.loads(line))
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: expected a JSON object, got {line[:40]!r}") from error

    def append(self, run: Run) -> None:
        """Add a run to the file, and wait until it is on the disk."""
        line = json.dumps(run).encode() + b"\n"
        with self.path.open("ab") as file:
            file.truncate(self._size)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._size += len(line)
        self.runs.append(run)

    def find(self, **key: Any) -> Run | None:
        """The first run with these values."""
        return next((run for run in self.runs if all(run[name] == value for name, value in key.items())), None)
