"""Signals: delay them while something must not be cut in half."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


@contextmanager
def delayed_signals() -> Iterator[None]:
    """Delay the Python handlers of all signals, such as that of Ctrl-C, to the end of the block.

    A signal that arrives twice is handled at once, so a block that hangs can be interrupted. In threads other than the
    main one, where no handler ever runs, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[int, Any] = {n: h for n in signal.valid_signals() if callable(h := signal.getsignal(n))}
    arrived: dict[int, FrameType | None] = {}

    def note(number: int, frame: FrameType | None) -> None:
        if number in arrived:
            handlers[number](number, frame)
        arrived[number] = frame

    for number in handlers:
        signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number, frame in arrived.items():
            handlers[number](number, frame)
