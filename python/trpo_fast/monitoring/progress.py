"""The progress bar, by tqdm and rich from the ``cli`` extra."""

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from trpo_fast.errors import MissingExtraError


class Bar(Protocol):
    """A progress bar."""

    def update(self, n: int) -> object:
        """Advance by ``n``."""


class _NoBar:
    def update(self, n: int) -> object:
        return None


@contextmanager
def progress(total: int, *, enabled: bool) -> Iterator[Bar]:
    """Show a bar of ``total`` steps while the block runs, or nothing if not ``enabled``.

    Raises
    ------
    MissingExtraError
        If ``enabled`` and the ``cli`` extra is not installed.
    """
    if not enabled:
        yield _NoBar()
        return
    try:
        tqdm_rich = importlib.import_module("tqdm.rich")
    except ImportError as error:
        raise MissingExtraError("progress_bar=True", "cli") from error
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="rich is experimental")
        bar = tqdm_rich.tqdm(total=total, unit="step")
    with bar:
        yield bar
