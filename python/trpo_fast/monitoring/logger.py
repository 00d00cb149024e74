"""Logger: values that callbacks record, with the interface of Stable-Baselines3's logger, which is accepted too."""

from typing import Any

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.protocols import Metrics
from trpo_fast.validation import describe, plain_number


class Logger:
    """Collects values by name; the sinks get them with the metrics of the current iteration."""

    def __init__(self) -> None:
        self._recorded: Metrics = {}
        self._counts: dict[str, int] = {}
        self._latest: Metrics = {}
        self.excluded: dict[str, Any] = {}

    @property
    def name_to_value(self) -> Metrics:
        """The metrics of the latest iteration, and the values recorded since."""
        return {**self._latest, **self._recorded}

    def record(self, key: str, value: Any, exclude: Any = None) -> None:
        """Record ``value`` under ``key``. A logger of SB3 (``set_logger``) leaves it out of the formats ``exclude``."""
        self._recorded[key] = plain_number(value)
        self.excluded[key] = exclude

    def record_mean(self, key: str, value: float | None, exclude: Any = None) -> None:
        """Record the mean of all values given for ``key`` in this iteration; None is ignored."""
        if value is not None:
            n = self._counts.get(key, 0)
            before = float(self._recorded.get(key, 0.0)) if n else 0.0
            self.record(key, (before * n + value) / (n + 1), exclude)
            self._counts[key] = n + 1

    def dump(self, step: int = 0) -> None:
        """Has no effect: values are written at the end of the iteration, where SB3 writes at once."""

    def complete(self, metrics: Metrics) -> Metrics:
        """End an iteration: its ``metrics`` with the values recorded for it."""
        self._latest, self._recorded, self._counts = {**self._recorded, **metrics}, {}, {}
        return self._latest


class LoggerSink:
    """A sink that hands all metrics to a logger of Stable-Baselines3, which writes them to its formats.

    Parameters
    ----------
    logger : object with ``record(key, value, exclude)`` and ``dump(step)``
    source : Logger
        Where callbacks record.

    Raises
    ------
    InvalidArgumentError
        If ``logger`` has no such methods.
    """

    def __init__(self, logger: Any, source: Logger) -> None:
        if not all(callable(getattr(logger, name, None)) for name in ("record", "dump")):
            raise InvalidArgumentError("logger", "a logger with record(key, value) and dump(step)", describe(logger))
        self._logger = logger
        self._source = source

    def write(self, metrics: Metrics) -> None:
        """Record the metrics of one iteration, and dump them at its step."""
        for name, value in metrics.items():
            self._logger.record(name, value, exclude=self._source.excluded.get(name))
        self._logger.dump(step=metrics["time/total_timesteps"])
