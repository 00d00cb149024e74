"""What sampling returns: rollouts, finished episodes, branches and times."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast.environments.interface import Trajectories


class Episode(NamedTuple):
    """A finished episode: undiscounted return and length in steps."""

    episode_return: float
    length: int


class Seconds(NamedTuple):
    """Of a rollout: in the policy, and in the environments."""

    policy: float
    environments: float


class Branches(NamedTuple):
    """What m states of n environments gave, by K branches each.

    ``observations`` (n, m, D), ``actions`` (n, m, K, A) as kernel rows, ``rewards`` (n, m, K, H) with zeros behind the
    end of a branch, ``tails`` (n, m, K, D) where it was cut, ``tail_discounts`` (n, m, K) what the value there counts:
    0 where the episode terminated instead. ``n_steps`` were taken.
    """

    observations: npt.NDArray[np.float64]
    actions: npt.NDArray[Any]
    rewards: npt.NDArray[np.float64]
    tails: npt.NDArray[np.float64]
    tail_discounts: npt.NDArray[np.float64]
    n_steps: int

    @classmethod
    def joined(cls, shares: "Sequence[Branches]") -> "Branches":
        """Those of several shares of the environments, in their order."""
        arrays = [np.concatenate(parts) for parts in zip(*(share[:-1] for share in shares), strict=True)]
        return cls._make([*arrays, sum(share.n_steps for share in shares)])


class Rollout(NamedTuple):
    """T steps of n environments with one policy: what happened, and the actions (T, n, A) as kernel rows."""

    trajectories: Trajectories
    actions: npt.NDArray[Any]
    seconds: Seconds
    branches: Branches | None = None  # of a vine
    reset_envs: Sequence[int] = ()  # environments whose episodes of before are lost: others began with this rollout

    @property
    def num_transitions(self) -> int:
        """Transitions, without the steps that an autoreset spent, and without those of branches."""
        return int(np.count_nonzero(self.trajectories.valid))
