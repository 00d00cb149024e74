"""Event files for TensorBoard, by tensorboardX from the ``tensorboard`` extra."""

import importlib
import math
from pathlib import Path

from trpo_fast.errors import MissingExtraError
from trpo_fast.protocols import Metrics


class TensorBoard:
    """A sink that writes every finite number of an iteration as a scalar at step time/total_timesteps.

    Parameters
    ----------
    folder : Path
        Folder of the event file.

    Raises
    ------
    MissingExtraError
        If the ``tensorboard`` extra is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            writer = importlib.import_module("tensorboardX").SummaryWriter
        except ImportError as error:
            raise MissingExtraError("tensorboard_log", "tensorboard") from error
        self._writer = writer(str(folder))

    def write(self, metrics: Metrics) -> None:
        """Write the metrics of one iteration."""
        step = metrics["time/total_timesteps"]
        for name, value in metrics.items():
            if isinstance(value, int | float) and math.isfinite(value):
                self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()


def free_folder(parent: Path, name: str, *, go_on: bool) -> Path:
    """The folder parent/name_k, as SB3 names it: with the next free k, or with the latest one if ``go_on``."""
    wanted = parent / name  # whose name may hold folders, and what a pattern would give a meaning
    names = [path.name for path in wanted.parent.iterdir()] if wanted.parent.is_dir() else []
    ends = [other.removeprefix(f"{wanted.name}_") for other in names if other.startswith(f"{wanted.name}_")]
    latest = max((int(end) for end in ends if end.isascii() and end.isdigit()), default=0)
    return wanted.with_name(f"{wanted.name}_{latest if go_on and latest else latest + 1}")
