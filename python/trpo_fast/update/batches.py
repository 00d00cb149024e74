"""Batches of a policy update: transitions of single paths, or branches of a vine."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast._core.floating_point import ignores_float_errors
from trpo_fast.config import TRPOConfig
from trpo_fast.policies.policy import Policy
from trpo_fast.spaces.observations import Observations
from trpo_fast.update.objectives import SurrogateObjective, VineObjective
from trpo_fast.validation import float_array


class Batch(NamedTuple):
    """N transitions of single paths, environment by environment.

    Parameters
    ----------
    observations : Observations, or ndarray of float32 or float64, shape (N, obs_dim)
        Raw observations.
    actions : ndarray
        Actions as the policy sampled them: Box (N, d) unclipped, Discrete (N,), MultiDiscrete and MultiBinary (N, k).
    advantages : ndarray, shape (N,)
        Advantages for the policy's update.
    returns : ndarray, shape (N,)
        Targets of the critic.
    """

    observations: Observations | npt.NDArray[Any]
    actions: npt.NDArray[Any]
    advantages: npt.NDArray[np.float64]
    returns: npt.NDArray[np.float64]

    @ignores_float_errors
    def objective(self, policy: Policy, theta: npt.NDArray[Any], config: TRPOConfig) -> SurrogateObjective:
        """The surrogate objective at ``theta``, with normalised advantages if ``config.normalize_advantage``.

        Raises
        ------
        InvalidArgumentError
            If an array has the wrong kind or shape.
        """
        observations = policy.check_observations(self.observations)
        advantages = float_array("advantages", self.advantages, (len(observations),), np.float64)
        if not np.isfinite(advantages).all():
            normalized = advantages
        elif not has_signal(advantages):  # differences by rounding only: do not scale them up
            normalized = np.zeros_like(advantages)
        else:
            normalized = normalize_advantages(advantages) if config.normalize_advantage else advantages
        return SurrogateObjective(policy, theta, observations, self.actions, normalized, ent_coef=config.ent_coef)


class VineBatch(NamedTuple):
    """N states with K branches each.

    Parameters
    ----------
    observations : Observations, or ndarray of float32 or float64, shape (N, obs_dim)
        Raw observations of the rollout set.
    actions : ndarray, shape (N, K, ...)
        First action of each branch, as in a ``Batch``.
    q_values : ndarray, shape (N, K)
        Discounted returns of the branches.
    proposal : {"policy", "uniform"}
        Distribution that the actions were drawn from (``VineObjective``).
    """

    observations: Observations | npt.NDArray[Any]
    actions: npt.NDArray[Any]
    q_values: npt.NDArray[np.float64]
    proposal: str = "policy"

    @ignores_float_errors
    def objective(self, policy: Policy, theta: npt.NDArray[Any], config: TRPOConfig) -> VineObjective:
        """The vine's objective at ``theta``, for Q minus its mean in each state.

        With ``config.normalize_advantage`` the differences are divided by their standard deviation.

        Raises
        ------
        InvalidArgumentError
            If an array has the wrong kind or shape.
        """
        observations = policy.check_observations(self.observations)
        q_values = float_array("q_values", self.q_values, (len(observations), None), np.float64)
        advantages = q_values - q_values.mean(axis=1, keepdims=True)
        if np.isfinite(q_values).all():
            if not has_signal(advantages, q_values):
                advantages = np.zeros_like(advantages)
            elif config.normalize_advantage:
                advantages = advantages / (advantages.std() + 1e-8)
        return VineObjective(
            policy, theta, observations, self.actions, advantages, self.proposal, ent_coef=config.ent_coef
        )


def normalize_advantages(advantages: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(Â - mean) / (std + 1e-8) over a batch, shape (N,)."""
    normalized: npt.NDArray[np.float64] = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    return normalized


def has_signal(advantages: npt.NDArray[np.float64], values: npt.NDArray[np.float64] | None = None) -> bool:
    """Whether advantages differ by more than rounding errors: equal advantages do not tell better actions from worse.

    If the advantages are differences of ``values``, rounding errors are relative to the magnitude of ``values``.
    """
    eps = float(np.finfo(np.float32).eps)
    largest = np.abs(advantages if values is None else values).max()
    return bool(advantages.std() > eps * np.sqrt(advantages.size) * largest)
