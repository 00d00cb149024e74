"""Copies and pickles of a model, through the content of its file."""

import pickle
import tempfile
from pathlib import Path
from typing import Any

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.storage.model_file import model_to_bytes
from trpo_fast.validation import describe


def copied(model: Any) -> Any:
    """A copy of a model with all that its file holds, and with schedules that are functions.

    It has no environments, which no file holds: ``set_env`` gives it some, and continues the open episodes.
    """
    restore, arguments = _parts(model)
    return restore(*arguments)


def pickled(model: Any) -> tuple[Any, ...]:
    """``__reduce__`` of a model, for a pickle of what ``copied`` keeps.

    Raises
    ------
    InvalidArgumentError
        If a schedule is a function that cannot be pickled.
    """
    restore, (kind, content, arguments) = _parts(model)
    for name, value in arguments.items():
        try:
            pickle.dumps(value)
        except Exception as error:
            expected = "a LinearSchedule, or a function of a module, in a model that is pickled"
            raise InvalidArgumentError(name, expected, describe(value)) from error
    return restore, (kind, content, arguments)


def _parts(model: Any) -> tuple[Any, tuple[Any, bytes, dict[str, Any]]]:
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
