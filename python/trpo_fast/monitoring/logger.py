"""Logger: what callbacks record between two iterations, with the interface of Stable-Baselines3's."""

from typing import Any

from trpo_fast.protocols import Metrics


class Logger:
    """Collects values by name; they go to the sinks with the metrics of the iteration that they fall into."""

    def __init__(self) -> None:
        self.name_to_value: Metrics = {}
        self._counts: dict[str, int] = {}

    def record(self, key: str, value: Any, exclude: Any = None) -> None:
        """Keep ``value`` under ``key``. ``exclude`` is SB3's, and of no effect."""
        self.name_to_value[key] = value

    def record_mean(self, key: str, value: float | None, exclude: Any = None) -> None:
        """Keep the mean of the values recorded under ``key``."""
        if value is not None:
            n = self._counts.get(key, 0)
            before = float(self.name_to_value.get(key, 0.0))
            self.name_to_value[key] = (before * n + value) / (n + 1)
            self._counts[key] = n + 1

    def dump(self, step: int = 0) -> None:
        """SB3's way to write at once; here the values wait for the end of the iteration."""

    def take(self) -> Metrics:
        """What was recorded since the last time."""
        taken, self.name_to_value, self._counts = self.name_to_value, {}, {}
        return taken
