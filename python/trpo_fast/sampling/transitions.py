"""Transitions that come from outside: from a robot, or whatever else is no Gymnasium environment."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.environments.interface import Trajectories, check_flag, check_reward
from trpo_fast.errors import EnvironmentFaultError, InvalidArgumentError
from trpo_fast.policies.policy import Actor, Policy
from trpo_fast.sampling.rollouts import Rollout, Seconds


class Transitions:
    """What one robot does and what comes of it, in order; ``TRPO.transitions`` makes one, ``TRPO.collect`` takes it.

    A loop calls ``act`` and then ``add``, again and again. All transitions are of the policy that was committed last:
    once there is a newer one, those of the older are dropped. The observation that ``add`` takes is the one that the
    next ``act`` is about to get: of an episode that goes on, only that of ``act`` is learned from.

    Attributes
    ----------
    n_dropped : int
        Transitions that were dropped in all. Their rewards are in no episode's return; an episode whose end was among
        them is not counted, and the one that began there counts from the first transition that was kept.
    """

    def __init__(self, policy: Policy, actor: Callable[[], Actor], noise: Callable[[], np.random.Generator]) -> None:
        self._policy = policy
        self._latest_actor = actor
        self._actor = actor()
        self._noise = noise
        self._acted_on: tuple[npt.NDArray[np.float64], npt.NDArray[Any]] | None = None
        self.n_dropped = 0
        self.clear()

    def __len__(self) -> int:
        """Transitions since the last ``collect``, of the policy that was committed last."""
        return len(self._rewards) if self._latest_actor() is self._actor else 0

    def act(self, observation: Any, action_masks: Any = None) -> Any:
        """An action of the policy for one observation, within the space's bounds; what was sampled is remembered.

        An action that no ``add`` follows is forgotten. If the next one is for another observation, time has gone by
        that nobody took down, and the episode counts as cut off before it.

        Parameters
        ----------
        action_masks : array-like, optional
            With ``use_masking``, which actions are possible; all of them if not given.

        Raises
        ------
        InvalidArgumentError
            If the observation is none of the space, or has values that are not finite or above 1e18.
        """
        row = self._row(observation, action_masks)
        actor = self._drop_those_of_an_older_policy()
        if self._acted_on is not None and (self._acted_on[0] != row[0]).any():
            self._cut_off()
        codec = self._policy.codec
        taken = np.empty((1, codec.size), self._policy.dtype)
        actor.act(row, self._noise().standard_normal(taken.shape, dtype=self._policy.dtype), taken)
        self._acted_on = row[0], taken[0]
        return codec.to_env(taken)[0]

    def add(self, reward: float, next_observation: Any, *, terminated: bool = False, truncated: bool = False) -> None:
        """What came of the latest action.

        Parameters
        ----------
        reward : float
        next_observation : observation
            The one after the action; of an episode that ends the last one, before any reset.
        terminated : bool
            The task ended: nothing is to come.
        truncated : bool
            The episode was cut off: the critic says what would have come.

        Raises
        ------
        InvalidArgumentError
            If there is no action before it, or a value is unfit; nothing is added then.
        """
        if self._acted_on is None:
            raise InvalidArgumentError("add", "an act() before it", "none")
        try:
            reward = check_reward(reward, 0, 0)
            ends = check_flag(terminated, 0, 0, "terminated"), check_flag(truncated, 0, 0, "truncated")
        except EnvironmentFaultError as fault:
            _, _, field, expected, got, _ = fault.args
            raise InvalidArgumentError(field, expected, got) from fault
        next_row = self._row(next_observation, None)[0]
        observation, taken = self._acted_on
        self._acted_on = None
        self._observations.append(observation)
        self._taken.append(taken)
        self._rewards.append(reward)
        self._ends.append(ends)
        self._next_observation = next_row
        if ends == (False, True):
            self._cut_off()

    def rollout(self) -> Rollout:
        """All of them as a rollout of one environment.

        Raises
        ------
        InvalidArgumentError
            If there are none.
        """
        self._drop_those_of_an_older_policy()
        n = len(self)
        if n == 0:
            raise InvalidArgumentError("transitions", "one or more", "none")
        trajectories = Trajectories.of_steps(n, 1, self._policy.observation_codec)
        for t, observation in enumerate([*self._observations, self._next_observation]):
            trajectories.observations[t] = observation.reshape(self._policy.observation_codec.shape)
        trajectories.rewards[:, 0] = self._rewards
        trajectories.terminated[:, 0], trajectories.truncated[:, 0] = np.transpose(self._ends)
        trajectories.final_observations.update(self._finals)
        actions = np.stack(self._taken)[:, None]
        return Rollout(trajectories, actions, Seconds(0.0, 0.0), reset_envs=(0,) if self._is_after_gap else ())

    def _cut_off(self) -> None:
        """The latest transition, if it does not terminate its episode, is the last that is known of it."""
        if not self._ends:
            self._is_after_gap = True
        elif not self._ends[-1][0]:
            self._ends[-1] = False, True
            self._finals[len(self._ends) - 1, 0] = self._next_observation

    def _drop_those_of_an_older_policy(self) -> Actor:
        """The policy that was committed last, of which all that is left is."""
        actor = self._latest_actor()
        if actor is not self._actor:
            self.n_dropped += len(self._rewards)
            is_after_gap = self._is_after_gap or any(map(any, self._ends))
            self.clear()
            self._is_after_gap = is_after_gap
            self._acted_on = None
            self._actor = actor
        return actor

    def clear(self) -> None:
        """Forget all of them."""
        self._observations: list[npt.NDArray[np.float64]] = []
        self._taken: list[npt.NDArray[Any]] = []
        self._rewards: list[float] = []
        self._ends: list[tuple[bool, bool]] = []  # terminated, truncated
        self._is_after_gap = False  # the first of them is of another episode than those of the last ``collect``
        self._finals: dict[tuple[int, int], npt.NDArray[np.float64]] = {}

    def _row(self, observation: Any, action_masks: Any) -> npt.NDArray[np.float64]:
        """One observation as a kernel row (1, D)."""
        rows, is_batch = self._policy.rows(observation, action_masks)
        if is_batch:
            raise InvalidArgumentError("observation", "one observation", f"a batch of {len(rows)}")
        return rows
