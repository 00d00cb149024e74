"""A row of results, and the exceptions that say why a row is missing."""

from typing import Any

import numpy as np

Row = dict[str, Any]
OURS = "trpo_fast"  # the contender that ratios refer to


class NotMeasuredError(Exception):
    """Why there is no figure."""


class DisagreementError(Exception):
    """A contender's result is not the expected one."""


def spread(name: str, values: np.ndarray) -> dict[str, float]:
    """Median, least and greatest."""
    return {name: float(np.median(values)), f"{name}_min": float(values.min()), f"{name}_max": float(values.max())}
