"""config.json: the settings of a run, for ``trpo-fast resume`` and for readers."""

import json
from pathlib import Path
from typing import Any

from trpo_fast._core.files import replace_file
from trpo_fast.errors import InvalidArgumentError

SETTINGS = "config.json"


def write_settings(folder: Path, settings: dict[str, Any]) -> None:
    """Write the settings of a run atomically."""
    replace_file(folder / SETTINGS, (json.dumps(settings, indent=2) + "\n").encode())


def read_settings(folder: Path) -> dict[str, Any]:
    """The settings of a run.

    Raises
    ------
    InvalidArgumentError
        If ``folder`` has no readable settings.
    """
    try:
        settings = json.loads((folder / SETTINGS).read_text())
    except (OSError, ValueError) as error:
        raise InvalidArgumentError("run_dir", f"the folder of a run, with {SETTINGS}", f"{folder}: {error}") from error
    if not isinstance(settings, dict):
        raise InvalidArgumentError("run_dir", f"the folder of a run, with {SETTINGS}", f"{folder}: without settings")
    return settings
