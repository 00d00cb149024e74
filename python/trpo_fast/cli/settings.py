"""config.json: the settings of a run, for ``trpo-fast resume`` and for readers."""

import json
import warnings
from pathlib import Path
from typing import Any

from trpo_fast._core.files import replace_file, set_aside
from trpo_fast.errors import InvalidArgumentError

SETTINGS = "config.json"
_COPY = ".config.json"  # of a run's settings as they were written, in case that somebody damages them


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Write the settings of a run, and a hidden copy."""
    text = json.dumps(settings, indent=2) + "\n"
    for name in (_COPY, SETTINGS):
        replace_file(folder / name, text.encode())


def read_settings(folder: Path) -> dict[str, Any]:
    """The settings of a run.

    Raises
    ------
    InvalidArgumentError
        If ``folder`` has no readable settings.
    """
    try:
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidArgumentError("run_dir", f"the folder of a run, with {SETTINGS}", f"{folder}: {error}") from error
    if not isinstance(settings, dict):
        raise InvalidArgumentError("run_dir", f"the folder of a run, with {SETTINGS}", f"{folder}: without settings")
    return settings


def read_or_restore_settings(folder: Path) -> dict[str, Any]:
    """The settings of a run. Damaged ones are renamed, with a warning, and restored from their copy, if there is one.

    Raises
    ------
    InvalidArgumentError
        If neither is readable.
    """
    try:
        return read_settings(folder)
    except InvalidArgumentError as error:
        path = folder / SETTINGS
        if not path.exists() or not (folder / _COPY).exists():
            raise
        aside = set_aside(path)
        replace_file(path, (folder / _COPY).read_bytes())
        text = f"{error}; it is {aside.name} now, and the settings with which the run began are restored"
        warnings.warn(text, RuntimeWarning, stacklevel=2)
        return read_settings(folder)
