"""Running statistics in float64, and the observation normaliser of a policy."""

from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast._core.floating_point import ignores_float_errors
from trpo_fast._core.modules import core
from trpo_fast.spaces.observations import Observations

EPSILON = 1e-8  # added to a variance before its root
CLIP = 10.0  # normalised observations lie in [-CLIP, CLIP]
ENOUGH = 1000  # samples from which outliers can be told
QUARTER = 0.25  # tail of returns, many of which follow from one reward
OUTLIER = 300.0  # standard deviations from which an observation is an outlier; MuJoCo tasks were seen to reach 224


@dataclass(frozen=True)
class RunningMeanStd:
    """Running mean and population variance. Immutable, so a snapshot is a reference.

    Parameters
    ----------
    mean, var : ndarray of float64, shape (D,)
    count : float
        Number of samples; before the first one the mean is 0 and the variance 1.
    """

    mean: npt.NDArray[np.float64]
    var: npt.NDArray[np.float64]
    count: float = 0.0

    @classmethod
    def initial(cls, size: int) -> "RunningMeanStd":
        """Statistics of ``size`` columns before the first sample: mean 0, variance 1, count 0."""
        return cls(np.zeros(size), np.ones(size))

    @property
    def is_possible(self) -> bool:
        """Whether the statistics are valid: finite values, no negative variance or count."""
        finite = all(bool(np.isfinite(a).all()) for a in (self.mean, self.var, self.count))
        return finite and bool((self.var >= 0.0).all()) and self.count >= 0.0

    @property
    def std(self) -> npt.NDArray[np.float64]:
        """sqrt(var + EPSILON), shape (D,)."""
        return np.sqrt(self.var + EPSILON)

    @ignores_float_errors
    def limits(
        self, samples: npt.NDArray[np.float64], deviations: float, tail: float = 0.01
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """The numbers ``deviations`` standard deviations below and above the mean, shape (D,).

        For the first ``samples`` (N, D), mean and standard deviation are those of normal numbers with the same
        quantiles at ``tail`` and 1 - ``tail``. Infinite for a column that was constant so far, and for fewer than 1000
        samples, which say too little.
        """
        if (self.count or len(samples)) < ENOUGH:
            return np.full(self.mean.shape, -np.inf), np.full(self.mean.shape, np.inf)
        if self.count > 0.0:
            center, deviation = self.mean, np.where(self.var > EPSILON, self.std, np.inf)
        else:
            rank = int(tail * len(samples))
            low, high = np.partition(samples, [rank, len(samples) - 1 - rank], axis=0)[[rank, -1 - rank]]
            spread = 2.0 * NormalDist().inv_cdf(1.0 - tail)
            center, deviation = (low + high) / 2.0, np.where(high > low, (high - low) / spread, np.inf)
        return center - deviations * deviation, center + deviations * deviation

    def without_outliers(
        self, samples: npt.NDArray[np.float64], outlier: float, clip: float, tail: float = 0.01
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """``samples`` (N, D) with outliers moved to ``clip`` standard deviations from the mean, and which these are.

        Outliers are more than ``outlier`` standard deviations away (``limits``); all others stay as they are.
        """
        low, high = self.limits(samples, outlier, tail)
        is_outlier = (samples < low) | (samples > high)
        if not is_outlier.any():
            return samples, is_outlier
        return np.where(is_outlier, np.clip(samples, *self.limits(samples, clip, tail)), samples), is_outlier

    @ignores_float_errors
    def updated(self, samples: npt.NDArray[Any]) -> "RunningMeanStd":
        """Statistics that include ``samples`` (N, D) (Chan, Golub & LeVeque 1983, Eq. 2.1)."""
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

    Immutable: ``updated`` returns the normaliser of the next iteration.

    Parameters
    ----------
    statistics : RunningMeanStd
        Statistics of the observations, D columns.
    enabled : bool
        False passes observations through unchanged.
    columns : ndarray of bool, shape (D,), optional
        Columns to normalise; the others keep mean 0 and variance 1. All by default.
    n_outliers : int
        Observed numbers that the latest update took in clipped.

    Attributes
    ----------
    kernel
        Normaliser of the compiled core.
    """

    statistics: RunningMeanStd
    enabled: bool = True
    columns: npt.NDArray[np.bool_] | None = field(default=None, repr=False, compare=False)
    n_outliers: int = field(default=0, repr=False, compare=False)
    kernel: core.Normalizer = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.enabled:
            kernel = core.Normalizer(self.statistics.mean, 1.0 / self.statistics.std, CLIP)
        else:
            size = self.statistics.mean.size
            kernel = core.Normalizer(np.zeros(size), np.ones(size), np.inf)
        object.__setattr__(self, "kernel", kernel)

    @ignores_float_errors
    def updated(self, observations: Observations | npt.NDArray[Any]) -> "ObservationNormalizer":
        """Normaliser whose statistics include the raw ``observations`` (N, D), outliers clipped, without images."""
        if not self.enabled:
            return self
        rows = observations.rows if isinstance(observations, Observations) else observations
        samples = np.asarray(rows, dtype=np.float64)
        clipped, is_outlier = self.statistics.without_outliers(samples, OUTLIER, OUTLIER)
        statistics = self.statistics.updated(clipped)
        if self.columns is not None:
            is_outlier &= self.columns
            mean, var = np.where(self.columns, statistics.mean, 0.0), np.where(self.columns, statistics.var, 1.0)
            statistics = RunningMeanStd(mean, var, statistics.count)
        return replace(self, statistics=statistics, n_outliers=int(np.count_nonzero(is_outlier)))
