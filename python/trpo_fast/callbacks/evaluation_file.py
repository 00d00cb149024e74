"""evaluations.npz: what EvalCallback has measured, in the format of Stable-Baselines3."""

import io
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from trpo_fast._core.archives import read_npz
from trpo_fast._core.files import replace_file, set_aside

MAX_NUMBERS = 1 << 18  # of an array of the file, which becomes lists


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
        arrays = read_npz(path, Evaluations._fields)
        if max(array.size for array in arrays.values()) > MAX_NUMBERS:
            raise ValueError(f"more than {MAX_NUMBERS} numbers")
        n = int(np.count_nonzero(arrays["timesteps"] <= up_to))
        return Evaluations(*(arrays[name][:n].tolist() if name in arrays else [] for name in Evaluations._fields))
    except OSError:
        raise
    except Exception as error:  # of an archive that is none
        text = f"{path} is damaged ({error!r}): it is {set_aside(path).name} now, and evaluations begin anew"
        warnings.warn(text, RuntimeWarning, stacklevel=2)
        return Evaluations([], [], [], [])
