"""Transitions from outside: from a robot, or any other source that is not a Gymnasium environment."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.environments.interface import Trajectories, check_flag, check_reward
from trpo_fast.errors import EnvironmentFaultError, InvalidArgumentError
from trpo_fast.policies.policy import Actor, Policy
from trpo_fast.sampling.rollouts import Rollout, Seconds
from trpo_fast.spaces.images import are_same
from trpo_fast.spaces.observations import EncodedArray, as_network_inputs


class Transitions:
    """Records a robot's transitions in order. ``TRPO.transitions`` creates it, ``TRPO.collect`` turns it into a batch.

    A loop calls ``act`` and ``add`` alternately. All recorded transitions belong to the policy that was committed last:
    when a newer policy is committed, the older transitions are dropped. The observation passed to ``add`` should equal
    the one passed to the next ``act``: within an episode, training uses the observations of ``act``.

    Parameters
    ----------
    policy : Policy
        Encodes observations and actions.
    actor : callable () -> Actor
        Returns the committed policy.
    noise : callable () -> numpy.random.Generator
        Returns the stream of the action noise.

    Attributes
    ----------
    n_dropped : int
        Total number of dropped transitions. Their rewards are not part of any episode's return. An episode whose end
        was dropped is not counted, and the episode that started there is counted from its first recorded transition.
    """

    def __init__(self, policy: Policy, actor: Callable[[], Actor], noise: Callable[[], np.random.Generator]) -> None:
        self._policy = policy
        self._latest_actor = actor
        self._actor = actor()
        self._noise = noise
        self._acted_on: tuple[EncodedArray, npt.NDArray[Any]] | None = None
        self.n_dropped = 0
        self.clear()

    def __len__(self) -> int:
        """Number of transitions since the last ``collect``, of the policy that was committed last."""
        return len(self._rewards) if self._latest_actor() is self._actor else 0

    def act(self, observation: Any, action_masks: Any = None) -> Any:
        """Sample an action for one observation and remember it for ``add``.

        If no ``add`` follows, the action is discarded. If the next ``act`` is then for another observation, some time
        was not recorded, and the episode counts as truncated before it.

        Parameters
        ----------
        observation : observation of the space
        action_masks : array-like, optional
            With ``use_masking``, which actions are possible; all actions by default.

        Returns
        -------
        action
            Action of the action space, within its bounds.

        Raises
        ------
        InvalidArgumentError
            If the observation is not in the space, or has values that are not finite or of magnitude above 1e18.
        """
        row = self._row(observation, action_masks)
        actor = self._drop_those_of_an_older_policy()
        if self._acted_on is not None and not are_same(self._acted_on[0], row[0]):
            self._cut_off()
        codec = self._policy.codec
        taken = np.empty((1, codec.size), self._policy.dtype)
        actor.act(as_network_inputs(row), self._noise().standard_normal(taken.shape, dtype=self._policy.dtype), taken)
        self._acted_on = row[0], taken[0]
        return codec.to_env(taken)[0]

    def add(self, reward: float, next_observation: Any, *, terminated: bool = False, truncated: bool = False) -> None:
        """Record the outcome of the latest action.

        Parameters
        ----------
        reward : float
        next_observation : observation of the space
            Observation after the action; at the end of an episode its last one, before any reset.
        terminated : bool
            The task ended: the value after this step is 0.
        truncated : bool
            The episode was cut off: the critic's value of ``next_observation`` replaces later rewards.

        Raises
        ------
        InvalidArgumentError
            If there is no action before it, or a value is invalid; nothing is recorded then.
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
        """All recorded transitions as a rollout of one environment.

        Raises
        ------
        InvalidArgumentError
            If there are no transitions.
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
        """Truncate the open episode at the latest transition, unless it ended there."""
        if not self._ends:
            self._is_after_gap = True
        elif not self._ends[-1][0]:
            self._ends[-1] = False, True
            self._finals[len(self._ends) - 1, 0] = self._next_observation

    def _drop_those_of_an_older_policy(self) -> Actor:
        """The committed policy; transitions of an older one are dropped first."""
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
        """Remove all transitions."""
        self._observations: list[EncodedArray] = []
        self._taken: list[npt.NDArray[Any]] = []
        self._rewards: list[float] = []
        self._ends: list[tuple[bool, bool]] = []  # terminated, truncated
        self._is_after_gap = False  # the first transition does not continue the episode of the last ``collect``
        self._finals: dict[tuple[int, int], EncodedArray] = {}

    def _row(self, observation: Any, action_masks: Any) -> EncodedArray:
        """Encode one observation, shape (1, size), or with images (1,)."""
        rows, is_batch = self._policy.rows(observation, action_masks)
        if is_batch:
            raise InvalidArgumentError("observation", "one observation", f"a batch of {len(rows)}")
        return rows
