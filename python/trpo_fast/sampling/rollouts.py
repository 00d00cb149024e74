"""Results of sampling: rollouts, finished episodes, branches, times."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast.environments.infos import Outcome
from trpo_fast.environments.interface import Trajectories
from trpo_fast.spaces.observations import Observations, concatenate


class Episode(NamedTuple):
    """A finished episode: undiscounted return, length in steps, and its success where ``info["is_success"]`` says so.

    Return and length are those of ``info["episode"]`` if the environment counts them, as the ``Monitor`` of
    Stable-Baselines3 does: wrappers around it that change rewards do not change them.
    """

    episode_return: float
    length: int
    is_success: float | None = None

    @classmethod
    def of(cls, episode_return: float, length: int, outcome: Outcome | None) -> "Episode":
        """An episode of these rewards and steps, or as the environment itself counts them."""
        if outcome is None:
            return cls(float(episode_return), int(length))
        return cls(
            float(episode_return) if outcome.episode_return is None else outcome.episode_return,
            int(length) if outcome.length is None else outcome.length,
            outcome.is_success,
        )


class Seconds(NamedTuple):
    """Wall-clock seconds of a rollout, in the policy and in the environments."""

    policy: float
    environments: float


class Branches(NamedTuple):
    """K branches of up to H steps from each of m states of n environments.

    Parameters
    ----------
    observations : Observations
        Observations of the n m states.
    actions : ndarray, shape (n, m, K, A)
        First action of each branch, encoded.
    rewards : ndarray, shape (n, m, K, H)
        Rewards of each branch, 0 after its end.
    tails : Observations
        Last observation of each of the n m K branches.
    tail_discounts : ndarray, shape (n, m, K)
        Discount of the value at the tail, 0 if the episode terminated there.
    n_steps : int
        Environment steps of all branches together.
    """

    observations: Observations
    actions: npt.NDArray[Any]
    rewards: npt.NDArray[np.float64]
    tails: Observations
    tail_discounts: npt.NDArray[np.float64]
    n_steps: int

    @classmethod
    def joined(cls, shares: "Sequence[Branches]") -> "Branches":
        """Concatenate the branches of several shares of the environments, in their order."""
        observations, actions, rewards, tails, discounts, n_steps = zip(*shares, strict=True)
        return cls(
            concatenate(observations),
            np.concatenate(actions),
            np.concatenate(rewards),
            concatenate(tails),
            np.concatenate(discounts),
            sum(n_steps),
        )


class Rollout(NamedTuple):
    """T steps of n environments with one policy.

    Parameters
    ----------
    trajectories : Trajectories
        Observations, rewards and ends of episodes.
    actions : ndarray, shape (T, n, A)
        Encoded actions.
    seconds : Seconds
    branches : Branches, optional
        Branches of a vine.
    reset_envs : sequence of int
        Environments that were reset at the start of this rollout; their open episodes are discarded.
    """

    trajectories: Trajectories
    actions: npt.NDArray[Any]
    seconds: Seconds
    branches: Branches | None = None
    reset_envs: Sequence[int] = ()

    @property
    def num_transitions(self) -> int:
        """Number of transitions, without autoreset steps and without the steps of branches."""
        return int(np.count_nonzero(self.trajectories.valid))
