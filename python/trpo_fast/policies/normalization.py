"""Running statistics in float64, and the observation normaliser that lives inside a policy."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast._core.modules import core

EPSILON = 1e-8  # added to a variance before its root
CLIP = 10.0  # normalised observations lie in [-CLIP, CLIP]


@dataclass(frozen=True)
class RunningMeanStd:
    """Mean and population variance of everything seen so far; immutable, so a snapshot is a reference.

    Parameters
    ----------
    mean, var : ndarray of float64, shape (D,)
    count : float
        Samples seen; before the first one the statistics are mean 0 and variance 1.
    """

    mean: npt.NDArray[np.float64]
    var: npt.NDArray[np.float64]
    count: float = 0.0

    @classmethod
    def initial(cls, size: int) -> "RunningMeanStd":
        """Mean 0 and variance 1 over ``size`` columns, nothing seen."""
        return cls(np.zeros(size), np.ones(size))

    @property
    def is_possible(self) -> bool:
        """Whether anything can have such statistics."""
        finite = all(bool(np.isfinite(a).all()) for a in (self.mean, self.var, self.count))
        return finite and bool((self.var >= 0.0).all()) and self.count >= 0.0

    @property
    def std(self) -> npt.NDArray[np.float64]:
        """sqrt(var + EPSILON), shape (D,)."""
        return np.sqrt(self.var + EPSILON)

    def updated(self, samples: npt.NDArray[Any]) -> "RunningMeanStd":
        """The statistics after ``samples`` (N, D) too (Chan, Golub & LeVeque 1983, Eq. 2.1)."""
        samples = np.asarray(samples, dtype=np.float64)
        mean, var, n = samples.mean(axis=0), samples.var(axis=0), float(len(samples))
        if self.count == 0.0:
            return RunningMeanStd(mean, var, n)
        total = self.count + n
        delta = mean - self.mean
        m2 = self.var * self.count + var * n + delta**2 * (self.count * n / total)
        return RunningMeanStd(self.mean + delta * (n / total), m2 / total, total)


@dataclass(frozen=True)
class ObservationNormalizer:
    """x_hat = clip((x - mean) / sqrt(var + 1e-8), -10, 10), rounded once to the policy's dtype.

    Frozen during an iteration; ``merged`` gives the next one. With ``enabled=False`` observations pass unchanged. Where
    ``columns`` (D,) is False, the statistics stay mean 0 and variance 1.
    """

    statistics: RunningMeanStd
    enabled: bool = True
    columns: npt.NDArray[np.bool_] | None = field(default=None, repr=False, compare=False)
    kernel: core.Normalizer = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.enabled:
            kernel = core.Normalizer(self.statistics.mean, 1.0 / self.statistics.std, CLIP)
        else:
            size = self.statistics.mean.size
            kernel = core.Normalizer(np.zeros(size), np.ones(size), np.inf)
        object.__setattr__(self, "kernel", kernel)

    def updated(self, observations: npt.NDArray[Any]) -> "ObservationNormalizer":
        """The normaliser that has seen ``observations`` (N, D), raw, too."""
        if not self.enabled:
            return self
        statistics = self.statistics.updated(observations)
        if self.columns is not None:
            mean, var = np.where(self.columns, statistics.mean, 0.0), np.where(self.columns, statistics.var, 1.0)
            statistics = RunningMeanStd(mean, var, statistics.count)
        return replace(self, statistics=statistics)
