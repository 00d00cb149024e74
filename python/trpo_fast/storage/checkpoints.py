"""Checkpoints: save a model at regular intervals, so that a killed run can be resumed."""

import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from trpo_fast._core.files import Refusals, remove_abandoned
from trpo_fast.errors import PolicyFileError
from trpo_fast.protocols import Metrics, Model
from trpo_fast.storage.policy_file import load_policy_file
from trpo_fast.validation import check_integer, check_path

NAME = "checkpoint.safetensors"
PREVIOUS = "checkpoint.previous.safetensors"


class Checkpoints:
    """A sink that saves the model after an iteration, if ``every`` transitions were collected since the last save.

    The previous checkpoint is kept. If a checkpoint cannot be written (disk full), training continues with a warning,
    and the next iteration tries again. If ``learn`` ends by an exception, such as Ctrl-C, the last whole iteration is
    saved, and resuming is bit-identical to an uninterrupted run.

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
        self._refusals = Refusals()
        for name in (NAME, PREVIOUS):
            remove_abandoned(self._folder / name)

    def write(self, metrics: Metrics) -> None:
        """Save the model if a checkpoint is due."""
        n = self._model.num_timesteps
        if not self._saved_at <= n < self._saved_at + self._every:  # n is smaller after a learn that resets the count
            self._save()

    def interrupted(self) -> None:
        """Save the last whole iteration, unless the latest checkpoint holds it."""
        if self._model.num_saved_timesteps != self._saved_at or not (self._folder / NAME).exists():
            self._save()

    def _save(self) -> None:
        n = self._model.num_saved_timesteps
        with self._refusals.tolerated(f"no checkpoint at {n} transitions, and one as soon as possible"):
            self._model.save(self._folder / NAME, previous=self._folder / PREVIOUS)
            self._saved_at = n


def latest_checkpoint(folder: str | os.PathLike[str]) -> Path | None:
    """Path of the latest undamaged checkpoint in a folder, or None if there is no checkpoint.

    Raises
    ------
    PolicyFileError
        If all checkpoints in the folder are damaged.
    """
    path, _, damaged = newest_model([check_path("folder", folder) / name for name in (NAME, PREVIOUS)])
    for error in damaged.values():
        if path is None:
            raise error
        warnings.warn(f"{error}; trying the previous checkpoint", RuntimeWarning, stacklevel=2)
    return path


class Newest(NamedTuple):
    """The first of the undamaged models with the most transitions, and the errors of damaged ones by path."""

    path: Path | None
    num_timesteps: int
    damaged: dict[Path, PolicyFileError]


def newest_model(paths: Iterable[Path]) -> Newest:
    """Find the newest of several files of models; those that do not exist count as none."""
    newest = Newest(None, 0, {})
    for path in paths:
        try:
            _, metadata = load_policy_file(path)
            n = metadata.get("num_timesteps")
            if not isinstance(n, int):
                raise PolicyFileError(f"{path}: expected a model, got a policy without its training")
        except FileNotFoundError:
            continue
        except PolicyFileError as error:
            newest.damaged[path] = error
        else:
            if newest.path is None or n > newest.num_timesteps:
                newest = newest._replace(path=path, num_timesteps=n)
    return newest
