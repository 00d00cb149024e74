"""The progress bar, by rich from the ``cli`` extra."""

import importlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trpo_fast.errors import MissingExtraError

REDRAW_SECONDS = 0.1


class Bar:
    """A progress bar that is not shown."""

    is_shown = False

    def update(self, n: int) -> None:
        """Advance by ``n``."""

    def describe(self, text: str) -> None:
        """Show ``text`` after the bar."""


class _RichBar(Bar):
    is_shown = True

    def __init__(self, progress: Any, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=total, text="")
        self._pending, self._drawn_at = 0, 0.0

    def update(self, n: int) -> None:
        self._pending += n
        if time.monotonic() - self._drawn_at >= REDRAW_SECONDS:
            self.draw()

    def describe(self, text: str) -> None:
        self.draw(text=text)

    def draw(self, **fields: str) -> None:
        """Draw what was updated, with new ``fields``."""
        self._progress.update(self._task, advance=self._pending, **fields)
        self._pending, self._drawn_at = 0, time.monotonic()


@contextmanager
def progress(total: int, *, enabled: bool) -> Iterator[Bar]:
    """Show a bar of ``total`` steps while the block runs, or nothing if not ``enabled`` or in a file or pipe.

    Raises
    ------
    MissingExtraError
        If ``enabled`` and the ``cli`` extra is not installed.
    """
    if not enabled:
        yield Bar()
        return
    try:
        console = importlib.import_module("rich.console").Console()
        rich = importlib.import_module("rich.progress")
    except ImportError as error:
        raise MissingExtraError("progress_bar=True", "cli") from error
    if not (console.is_interactive or console.is_jupyter):
        yield Bar()
        return
    columns = [
        rich.TaskProgressColumn(),
        rich.BarColumn(bar_width=None),
        rich.MofNCompleteColumn(),
        rich.TextColumn("steps,"),
        rich.TimeRemainingColumn(),
        rich.TextColumn("left{task.fields[text]}"),
    ]
    with rich.Progress(*columns, console=console) as shown:
        bar = _RichBar(shown, total)
        yield bar
        bar.draw()
