"""Reward normalisation by the standard deviation of the discounted return, as in Stable-Baselines3's VecNormalize."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast._core.floating_point import ignores_float_errors
from trpo_fast.policies.normalization import CLIP, RunningMeanStd
from trpo_fast.validation import float_array


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
    """

    statistics: RunningMeanStd
    returns: npt.NDArray[np.float64]

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
        """Normaliser that includes the rewards of a rollout.

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
        discounted = np.empty_like(rewards)
        returns = self.returns.copy()
        for t, now in enumerate(rewards):
            returns = gamma * returns + now
            discounted[t] = returns
            returns[done[t]] = 0.0
        return RewardNormalizer(self.statistics.updated(discounted[valid][:, None]), returns)

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
