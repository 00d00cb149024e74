"""Checkpoints: save a model at regular intervals, so that a killed run can be resumed."""

import os
import warnings
from pathlib import Path

from trpo_fast.errors import PolicyFileError
from trpo_fast.protocols import Metrics, Model
from trpo_fast.storage.policy_file import load_policy_file
from trpo_fast.validation import check_integer, check_path

NAME = "checkpoint.safetensors"
PREVIOUS = "checkpoint.previous.safetensors"


class Checkpoints:
    """A sink that saves the model after an iteration, if ``every`` transitions were collected since the last save.

    The previous checkpoint is kept. If a checkpoint cannot be written (disk full), training continues with a warning,
    and the next iteration tries again.

    Parameters
    ----------
    model : TRPO
    folder : path
        Folder for checkpoint.safetensors and checkpoint.previous.safetensors, of one run at a time; created if missing.
    every : int
        Transitions between two checkpoints.

    Raises
    ------
    InvalidArgumentError
        If ``every`` is not an integer >= 1.
    """

    def __init__(self, model: Model, folder: str | os.PathLike[str], every: int) -> None:
        self._model = model
        self._folder = check_path("folder", folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._every = check_integer("every", every, at_least=1)
        self._saved_at = model.num_timesteps
        for abandoned in self._folder.glob(f".{NAME}.*.tmp"):  # left by a process that was killed
            abandoned.unlink(missing_ok=True)

    def write(self, metrics: Metrics) -> None:
        """Save the model if a checkpoint is due."""
        n = self._model.num_timesteps
        if self._saved_at <= n < self._saved_at + self._every:  # n is smaller after a learn that resets the count
            return
        try:
            self._model.save(self._folder / NAME, previous=self._folder / PREVIOUS)
            self._saved_at = n
        except OSError as error:
            text = f"no checkpoint at {n} transitions, the previous one stays: {error}"
            warnings.warn(text, RuntimeWarning, stacklevel=2)


def latest_checkpoint(folder: str | os.PathLike[str]) -> Path | None:
    """Path of the latest undamaged checkpoint in a folder, or None if there is no checkpoint.

    Raises
    ------
    PolicyFileError
        If all checkpoints in the folder are damaged.
    """
    damage: PolicyFileError | None = None
    for path in (check_path("folder", folder) / name for name in (NAME, PREVIOUS)):
        try:
            load_policy_file(path)
        except FileNotFoundError:
            continue
        except PolicyFileError as error:
            damage = error
            warnings.warn(f"{error}; trying the previous checkpoint", RuntimeWarning, stacklevel=2)
        else:
            return path
    if damage is not None:
        raise damage
    return None
