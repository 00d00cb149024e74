"""Event files for TensorBoard, by tensorboardX from the ``tensorboard`` extra."""

import importlib
import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from trpo_fast.errors import MissingExtraError
from trpo_fast.monitoring.metrics import Sink
from trpo_fast.protocols import Metrics
from trpo_fast.validation import describe, plain_number


class TensorBoard:
    """A sink that writes every finite number of an iteration as a scalar at step time/total_timesteps.

    A text is written when it changes. Of any other value, a warning says once that it is not written. If the disk
    refuses the file, a warning says so, and nothing more is written: tensorboardX does not recover from that.

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
        self._texts: dict[str, str] = {}  # the latest by name
        self._is_refused = False

    def write(self, metrics: Metrics) -> None:
        """Write the metrics of one iteration."""
        if self._is_refused:
            return
        try:
            self._write(metrics)
        except OSError as error:
            self._is_refused = True
            text = f"TensorBoard gets no more of this run, which continues: {error}"
            warnings.warn(text, RuntimeWarning, stacklevel=2)

    def _write(self, metrics: Metrics) -> None:
        step = metrics["time/total_timesteps"]
        for name, value in metrics.items():
            plain: Any = plain_number(value)
            if isinstance(plain, int | float):
                if math.isfinite(plain):
                    self._writer.add_scalar(name, float(plain), step)
            elif self._texts.get(name) != str(plain):
                if isinstance(plain, str):
                    self._writer.add_text(name, plain, step)
                elif name not in self._texts:
                    warnings.warn(f"TensorBoard: {name} is no number and no text: {describe(plain)}", stacklevel=3)
                self._texts[name] = str(plain)
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        with suppress(OSError):  # of which a warning has told: every write flushes the file
            self._writer.close()


@contextmanager
def with_tensorboard(
    sinks: list[Sink], folder: str | os.PathLike[str] | None, name: str, *, go_on: bool
) -> Iterator[list[Sink]]:
    """The sinks of a call of ``learn``: with a folder, also one that writes to ``folder``/``name``_k."""
    if folder is None:
        yield sinks
        return
    tensorboard = TensorBoard(free_folder(Path(folder), name, go_on=go_on))
    try:
        yield [*sinks, tensorboard]
    finally:
        tensorboard.close()


def free_folder(parent: Path, name: str, *, go_on: bool) -> Path:
    """The folder parent/name_k, as SB3 names it: with the next free k, or with the latest one if ``go_on``."""
    wanted = parent / name  # whose name may hold folders, and what a pattern would give a meaning
    names = [path.name for path in wanted.parent.iterdir()] if wanted.parent.is_dir() else []
    ends = [other.removeprefix(f"{wanted.name}_") for other in names if other.startswith(f"{wanted.name}_")]
    latest = max((int(end) for end in ends if end.isascii() and end.isdigit()), default=0)
    return wanted.with_name(f"{wanted.name}_{latest if go_on and latest else latest + 1}")
