"""What sampling returns: rollouts, finished episodes, branches and times."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast.environments.interface import Trajectories
from trpo_fast.spaces.rows import Observations, concatenate


class Episode(NamedTuple):
    """A finished episode: undiscounted return and length in steps."""

    episode_return: float
    length: int


class Seconds(NamedTuple):
    """Seconds that a rollout spent in the policy and in the environments."""

    policy: float
    environments: float


class Branches(NamedTuple):
    """K branches from each of m states of n environments.

    ``observations`` are the n m states, ``actions`` (n, m, K, A) the first actions, encoded, ``rewards`` (n, m, K, H)
    end with zeros after the end of a branch, ``tails`` are the n m K observations where the branches were cut, and
    ``tail_discounts`` (n, m, K) the factors of the values there, 0 where the episode terminated. The branches took
    ``n_steps`` steps.
    """

    observations: Observations
    actions: npt.NDArray[Any]
    rewards: npt.NDArray[np.float64]
    tails: Observations
    tail_discounts: npt.NDArray[np.float64]
    n_steps: int

    @classmethod
    def joined(cls, shares: "Sequence[Branches]") -> "Branches":
        """Those of several shares of the environments, in their order."""
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

    ``actions`` (T, n, A) are encoded; ``branches`` are those of a vine; ``reset_envs`` are the environments that were
    reset at the start of this rollout, whose open episodes are discarded.
    """

    trajectories: Trajectories
    actions: npt.NDArray[Any]
    seconds: Seconds
    branches: Branches | None = None
    reset_envs: Sequence[int] = ()

    @property
    def num_transitions(self) -> int:
        """Transitions, without the steps that an autoreset spent, and without those of branches."""
        return int(np.count_nonzero(self.trajectories.valid))
