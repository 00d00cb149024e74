"""Logger: values that callbacks record, with the interface of Stable-Baselines3's logger."""

from typing import Any

from trpo_fast.protocols import Metrics


class Logger:
    """Collects values by name; the sinks get them with the metrics of the current iteration."""

    def __init__(self) -> None:
        self.name_to_value: Metrics = {}
        self._counts: dict[str, int] = {}

    def record(self, key: str, value: Any, exclude: Any = None) -> None:
        """Record ``value`` under ``key``. ``exclude`` is part of SB3's interface and has no effect."""
        self.name_to_value[key] = value

    def record_mean(self, key: str, value: float | None, exclude: Any = None) -> None:
        """Record the mean of all values given for ``key`` in this iteration; None is ignored."""
        if value is not None:
            n = self._counts.get(key, 0)
            before = float(self.name_to_value.get(key, 0.0))
            self.name_to_value[key] = (before * n + value) / (n + 1)
            self._counts[key] = n + 1

    def dump(self, step: int = 0) -> None:
        """Has no effect: values are written at the end of the iteration, where SB3 writes at once."""

    def take(self) -> Metrics:
        """Return the values recorded since the last call, and forget them."""
        taken, self.name_to_value, self._counts = self.name_to_value, {}, {}
        return taken
