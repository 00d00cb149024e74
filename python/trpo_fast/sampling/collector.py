"""RolloutCollector: collects rollouts and counts the episodes that end in them."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from trpo_fast.environments.interface import check_limits
from trpo_fast.policies.policy import Actor
from trpo_fast.sampling.rollouts import Episode, Rollout
from trpo_fast.sampling.sampler import Sampler
from trpo_fast.sampling.stepping import AfterStep
from trpo_fast.sampling.vine import VinePlan
from trpo_fast.spaces.images import as_plain, from_plain
from trpo_fast.spaces.observation_codec import ObservationCodec
from trpo_fast.spaces.observations import EncodedArray
from trpo_fast.validation import float_array


class RolloutCollector:
    """Collects rollouts of n environments, one after the other, and keeps statistics of their episodes.

    Episodes continue from one rollout to the next.

    Parameters
    ----------
    sampler : Sampler
    observation_codec : ObservationCodec
    stats_window_size : int
        Finished episodes kept in ``episodes``.

    Attributes
    ----------
    sampler : Sampler
    episodes : deque of Episode
        The latest finished episodes.
    latest_episodes : list of Episode
        Episodes that ended in the latest rollout.
    num_episodes : int
        Number of finished episodes.
    num_steps : int
        Steps taken by each environment, without the steps of branches.
    """

    def __init__(self, sampler: Sampler, observation_codec: ObservationCodec, stats_window_size: int) -> None:
        n = sampler.num_envs
        self.sampler = sampler
        self._codec = observation_codec
        self._observations: EncodedArray | None = None
        self._returns = np.zeros(n)
        self._lengths = np.zeros(n, dtype=np.int64)
        self.episodes: deque[Episode] = deque(maxlen=stats_window_size)
        self.latest_episodes: list[Episode] = []
        self.num_episodes = 0
        self.num_steps = 0

    def forget_episodes(self) -> None:
        """Clear the statistics of episodes and the step count."""
        self.episodes.clear()
        self.num_episodes = self.num_steps = 0

    def reset(self, seed: int | None) -> None:
        """Start an episode in every environment, i with ``seed`` + i; with None its random stream continues."""
        self._observations = self.sampler.reset(seed)
        self._returns[:] = 0.0
        self._lengths[:] = 0

    def get_state(self) -> dict[str, Any]:
        """Copy of the open episodes between two rollouts, as plain values."""
        return {
            "observations": None if self._observations is None else as_plain(self._observations),
            "returns": self._returns.copy(),
            "lengths": self._lengths.copy(),
        }

    def get_episodes(self) -> dict[str, Any]:
        """The statistics of finished episodes, as plain values."""
        latest = np.array(self.episodes, dtype=np.float64).reshape(-1, 3)  # NaN where nothing is said of success
        return {"episodes": latest, "num_episodes": self.num_episodes, "steps": self.num_steps}

    def set_episodes(self, state: dict[str, Any]) -> None:
        """Restore the statistics that ``get_episodes`` returned."""
        episodes = [
            Episode(float(episode_return), int(length), *(float(s) for s in success if np.isfinite(s)))
            for episode_return, length, *success in state["episodes"]  # of earlier versions without success
        ]
        self.num_episodes, self.num_steps = int(state["num_episodes"]), int(state["steps"])
        self.episodes.clear()
        self.episodes.extend(episodes)

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue the open episodes that ``get_state`` returned.

        Raises
        ------
        KeyError, TypeError, ValueError
            If ``state`` belongs to another number or kind of environments.
        """
        n, codec = self.sampler.num_envs, self._codec
        observations = from_plain(state["observations"], codec.empty(n))
        returns = float_array("returns", state["returns"], (n,), np.float64)
        lengths = np.broadcast_to(state["lengths"].astype(np.int64), (n,)).copy()
        self._observations, self._returns, self._lengths = observations, returns, lengths

    def collect(
        self,
        actor: Actor,
        noise_streams: Sequence[np.random.Generator],
        n_steps: int,
        after_step: AfterStep | None = None,
        plan: VinePlan | None = None,
    ) -> Rollout | None:
        """Step every environment ``n_steps`` times with ``actor``.

        Parameters
        ----------
        actor : Actor
        noise_streams : sequence of n Generator
            Streams of the action noise, one for each environment.
        n_steps : int
            Steps of each environment.
        after_step : callable, optional
            Called after every step; the rollout ends if it returns False.
        plan : VinePlan, optional
            Where branches start along the rollout.

        Returns
        -------
        Rollout or None
            None if ``after_step`` returned False.

        Raises
        ------
        EnvironmentFaultError
            If an environment raises or returns invalid values; nothing of the rollout is kept.
        RuntimeError
            If ``reset`` has not been called.
        """
        if self._observations is None:
            raise RuntimeError("collect: expected a call of reset() before, got none")
        size, dtype = (n_steps, actor.policy.codec.size), actor.policy.dtype
        noise = np.stack([stream.standard_normal(size, dtype=dtype) for stream in noise_streams], axis=1)
        rollout = self.sampler.collect(actor, noise, self._observations, after_step, plan)
        if rollout is not None:
            check_limits(self._codec, rollout.trajectories, self.num_steps)
            self.num_steps += n_steps
            self._observations = rollout.trajectories.observations[-1].copy()
            self.count_episodes(rollout)
        return rollout

    def count_episodes(self, rollout: Rollout) -> None:
        """Add the rewards and transitions of a rollout to the episodes they belong to."""
        trajectories = rollout.trajectories
        for i in rollout.reset_envs:
            self._returns[i] = self._lengths[i] = 0
        begins = np.zeros(len(self._returns), dtype=np.int64)
        self.latest_episodes = []

        def add(i: int, end: int) -> None:
            steps = slice(begins[i], end), i
            self._returns[i] += trajectories.rewards[steps].sum()
            self._lengths[i] += np.count_nonzero(trajectories.valid[steps])
            begins[i] = end

        for t, i in np.argwhere(trajectories.terminated | trajectories.truncated).tolist():
            add(i, t + 1)
            outcome = trajectories.outcomes.get((t, i))
            if outcome is not None and outcome.continues:
                continue
            self.latest_episodes.append(Episode.of(self._returns[i], self._lengths[i], outcome))
            self._returns[i] = self._lengths[i] = 0
        for i in range(len(begins)):
            add(i, len(trajectories.rewards))
        self.episodes.extend(self.latest_episodes)
        self.num_episodes += len(self.latest_episodes)
