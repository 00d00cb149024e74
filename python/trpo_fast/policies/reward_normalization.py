"""Reward normalisation by the standard deviation of the discounted return, as in Stable-Baselines3's VecNormalize."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast._core.floating_point import ignores_float_errors
from trpo_fast.policies.normalization import CLIP, QUARTER, RunningMeanStd
from trpo_fast.validation import float_array

OUTLIER = 500.0  # standard deviations from which a running return is an outlier; MuJoCo tasks were seen to reach 23
CLIPPED = 50.0  # standard deviations at which an outlier is taken in


@dataclass(frozen=True)
class RewardNormalizer:
    """clip(r / sqrt(Var[R] + 1e-8), -10, 10) with the running return R_t = gamma R_{t-1} + r_t of each episode.

    Immutable: ``updated`` returns the next one. All rewards of a rollout are scaled by the same factor.

    Parameters
    ----------
    statistics : RunningMeanStd
        Statistics of all running returns, one column.
    returns : ndarray of float64, shape (n,)
        Running return of each environment's open episode.
    n_outliers : int
        Running returns that the latest update took in clipped.
    """

    statistics: RunningMeanStd
    returns: npt.NDArray[np.float64]
    n_outliers: int = 0

    @classmethod
    def initial(cls, num_envs: int) -> "RewardNormalizer":
        """The normaliser before the first reward."""
        return cls(RunningMeanStd.initial(1), np.zeros(num_envs))

    @ignores_float_errors
    def updated(
        self,
        rewards: npt.NDArray[np.float64],
        done: npt.NDArray[np.bool_],
        valid: npt.NDArray[np.bool_],
        gamma: float,
    ) -> "RewardNormalizer":
        """Normaliser that includes the rewards of a rollout, with running returns clipped at outliers.

        Parameters
        ----------
        rewards : ndarray, shape (T, n)
        done : ndarray of bool, shape (T, n)
            True where an episode ended.
        valid : ndarray of bool, shape (T, n)
            False where the step was an autoreset and not a transition.
        gamma : float
            Discount factor.
        """
        discounted, returns = self._running_returns(rewards, done, gamma)
        samples = discounted[valid][:, None]
        n_outliers = int(np.count_nonzero(self.statistics.without_outliers(samples, OUTLIER, CLIPPED, QUARTER)[1]))
        if n_outliers > 0:  # they must not stay in the running return for the rest of the episode
            limits = self.statistics.limits(samples, CLIPPED, QUARTER)
            discounted, returns = self._running_returns(rewards, done, gamma, limits)
        return RewardNormalizer(self.statistics.updated(discounted[valid][:, None]), returns, n_outliers)

    def _running_returns(
        self,
        rewards: npt.NDArray[np.float64],
        done: npt.NDArray[np.bool_],
        gamma: float,
        limits: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None = None,
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """R_t, shape (T, n), kept within ``limits``, and those of the open episodes, shape (n,)."""
        discounted = np.empty_like(rewards)
        returns = self.returns.copy()
        for t, now in enumerate(rewards):
            returns = gamma * returns + now
            if limits is not None:
                returns = np.clip(returns, *limits)
            discounted[t] = returns
            returns[done[t]] = 0.0
        return discounted, returns

    @ignores_float_errors
    def scaled(self, rewards: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Normalised rewards, of the same shape."""
        scaled: npt.NDArray[np.float64] = np.clip(rewards / self.statistics.std[0], -CLIP, CLIP)
        return scaled

    def reset_envs(self, environments: Any = slice(None)) -> "RewardNormalizer":
        """Copy with the running returns of these ``environments`` (an index; all by default) reset."""
        returns = self.returns.copy()
        returns[environments] = 0.0
        return RewardNormalizer(self.statistics, returns)

    def get_state(self) -> dict[str, Any]:
        """The statistics and running returns as plain values."""
        s = self.statistics
        return {"mean": s.mean, "var": s.var, "count": s.count, "returns": self.returns}

    def with_state(self, state: dict[str, Any]) -> "RewardNormalizer":
        """The normaliser whose ``get_state`` returned ``state``.

        For another number of environments, the running returns start at 0.

        Raises
        ------
        KeyError, TypeError, ValueError
            If ``state`` is not valid.
        """
        mean, var = (float_array(name, state[name], (1,), np.float64) for name in ("mean", "var"))
        statistics = RunningMeanStd(mean, var, float(state["count"]))
        returns = float_array("returns", state["returns"], (None,), np.float64)
        if not (statistics.is_possible and np.isfinite(returns).all()):
            raise ValueError("invalid statistics of rewards")
        same = returns.shape == self.returns.shape
        return RewardNormalizer(statistics, returns if same else np.zeros_like(self.returns))
