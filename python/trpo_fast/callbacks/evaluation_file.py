"""evaluations.npz: what EvalCallback has measured, in the format of Stable-Baselines3."""

import io
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trpo_fast._core.files import replace_file, set_aside


class Evaluations(NamedTuple):
    """Transitions at each of k evaluations, and k lists of returns, lengths and (if known) successes of episodes."""

    timesteps: list[int]
    results: list[list[float]]
    ep_lengths: list[list[int]]
    successes: list[list[float]]


def write_evaluations(path: Path, evaluations: Evaluations) -> None:
    """Write the file atomically; OSError if the disk refuses it."""
    content = io.BytesIO()
    np.savez(content, **{name: values for name, values in evaluations._asdict().items() if values})
    replace_file(path, content.getvalue())


def read_evaluations(path: Path, up_to: int) -> Evaluations:
    """The evaluations of a file up to a number of transitions; none if it does not exist.

    A damaged file is renamed, with a warning, and counts as none.
    """
    if not path.exists():
        return Evaluations([], [], [], [])
    try:
        with np.load(path, allow_pickle=False) as arrays:
            n = int(np.count_nonzero(arrays["timesteps"] <= up_to))
            names = Evaluations._fields
            return Evaluations(*(arrays[name][:n].tolist() if name in arrays else [] for name in names))
    except (EOFError, KeyError, TypeError, ValueError, IndexError, AttributeError, zipfile.BadZipFile) as error:
        text = f"{path} is damaged ({error!r}): it is {set_aside(path).name} now, and evaluations begin anew"
        warnings.warn(text, RuntimeWarning, stacklevel=2)
        return Evaluations([], [], [], [])
