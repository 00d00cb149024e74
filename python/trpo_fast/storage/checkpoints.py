"""Checkpoints: the model on disk every so many transitions, whatever happens in between."""

import os
import warnings
from pathlib import Path

from trpo_fast.errors import PolicyFileError
from trpo_fast.protocols import Metrics, Model
from trpo_fast.storage.policy_file import load_policy_file
from trpo_fast.validation import check_integer

NAME = "checkpoint.safetensors"
PREVIOUS = "checkpoint.previous.safetensors"


class Checkpoints:
    """A sink that saves the model after an iteration, once ``every`` transitions have come since the last time.

    The file before it stays too. If the disk is full, training goes on with a warning, and the next iteration
    tries again.

    Parameters
    ----------
    model : TRPO
    folder : path
        Holds checkpoint.safetensors and checkpoint.previous.safetensors, for one run at a time.
    every : int
        Transitions.

    Raises
    ------
    InvalidArgumentError
    """

    def __init__(self, model: Model, folder: str | os.PathLike[str], every: int) -> None:
        self._model = model
        self._folder = Path(folder)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._every = check_integer("every", every, at_least=1)
        self._saved_at = model.num_timesteps
        for abandoned in self._folder.glob(f".{NAME}.*.tmp"):  # by a process that was killed
            abandoned.unlink(missing_ok=True)

    def write(self, metrics: Metrics) -> None:
        """Save the model if it is time to."""
        n = self._model.num_timesteps
        if self._saved_at <= n < self._saved_at + self._every:  # the count begins anew with a learn
            return
        try:
            self._model.save(self._folder / NAME, previous=self._folder / PREVIOUS)
            self._saved_at = n
        except OSError as error:
            warnings.warn(f"no checkpoint at {n} steps, the one before it stays: {error}", RuntimeWarning, stacklevel=2)


def latest_checkpoint(folder: str | os.PathLike[str]) -> Path | None:
    """The latest checkpoint in a folder that is whole; None if there never was one.

    Raises
    ------
    PolicyFileError
        If none of those that are there is whole.
    """
    damage: PolicyFileError | None = None
    for path in (Path(folder) / NAME, Path(folder) / PREVIOUS):
        try:
            load_policy_file(path)
        except FileNotFoundError:
            continue
        except PolicyFileError as error:
            damage = error
            warnings.warn(f"{error}; looking for the one before it", RuntimeWarning, stacklevel=2)
        else:
            return path
    if damage is not None:
        raise damage
    return None
