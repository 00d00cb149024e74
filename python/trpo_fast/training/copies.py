"""Copies and pickles of a model, through the content of its file."""

import tempfile
from pathlib import Path
from typing import Any

from trpo_fast.storage.model_file import model_to_bytes


def reduced(model: Any) -> tuple[Any, ...]:
    """What ``copy``, ``deepcopy`` and ``pickle`` keep of a model: all of its file, and schedules that are functions.

    The copy has no environments, which no file holds: ``set_env`` gives it some, and continues the open episodes.
    """
    with model._training.lock:  # another thread may train
        content, _ = model_to_bytes(model)
    schedules = {name: getattr(model.config, name) for name in ("learning_rate", "target_kl")}
    functions = {name: value for name, value in schedules.items() if callable(value)}
    return _restored, (type(model), content, {**functions, "verbose": model.verbose})


def _restored(kind: Any, content: bytes, arguments: dict[str, Any]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "copy.safetensors"
        path.write_bytes(content)
        return kind.load(path, **arguments)
