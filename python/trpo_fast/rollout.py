"""Rollouts: step the environments with the policy, then value and advantage in one batch afterwards."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from trpo_fast.advantages import gae, rewards_to_go
from trpo_fast.batches import Batch
from trpo_fast.config import TRPOConfig
from trpo_fast.environment_interface import Environments, Trajectories
from trpo_fast.environments import SingleEnvironments
from trpo_fast.errors import SnapshotError
from trpo_fast.policy import Policy
from trpo_fast.stepping import AfterStep, Seconds, step_through
from trpo_fast.validation import float_array
from trpo_fast.vine import Branches, VinePlan, grow


class Episode(NamedTuple):
    """A finished episode: undiscounted return and length in steps."""

    episode_return: float
    length: int


class Rollout(NamedTuple):
    """T steps of n environments with one policy: what happened, and the actions (T, n, A) as kernel rows."""

    trajectories: Trajectories
    actions: npt.NDArray[Any]
    seconds: Seconds
    branches: Branches | None = None  # of a vine
    begun_anew: Sequence[int] = ()  # environments whose episodes of before are lost: others began with this rollout

    @property
    def num_transitions(self) -> int:
        """Transitions, without the steps that an autoreset spent, and without those of branches."""
        return int(np.count_nonzero(self.trajectories.valid))


class Stepper(Protocol):
    """Environments that a policy is taken through; a rollout at a time."""

    num_envs: int

    def reset(self, seed: int | None) -> npt.NDArray[np.float64]:
        """As ``Environments.reset``."""

    def collect(
        self,
        theta: npt.NDArray[Any],
        noise: npt.NDArray[Any],
        observations: npt.NDArray[np.float64],
        after_step: AfterStep | None,
        plan: VinePlan | None = None,
    ) -> Rollout | None:
        """Steps with the policy ``theta`` from ``observations`` (n, *shape), as many as there is ``noise`` (T, n, A).

        ``after_step`` is called after every step; None is returned if it says False. With a ``plan`` branches follow.
        """


class InProcess:
    """Environments of this process, stepped with one policy call a step."""

    def __init__(self, environments: Environments, policy: Policy) -> None:
        self._environments = environments
        self._policy = policy
        self.num_envs = environments.num_envs

    def reset(self, seed: int | None) -> npt.NDArray[np.float64]:
        """As ``Stepper.reset``."""
        return self._environments.reset(seed)

    def collect(
        self,
        theta: npt.NDArray[Any],
        noise: npt.NDArray[Any],
        observations: npt.NDArray[np.float64],
        after_step: AfterStep | None,
        plan: VinePlan | None = None,
    ) -> Rollout | None:
        """As ``Stepper.collect``."""
        n_steps, n, _ = noise.shape
        trajectories = Trajectories.of_steps(n_steps, n, observations.shape[1:])
        trajectories.observations[0] = observations
        actions = np.empty_like(noise)
        actor, codec = self._policy.actor(theta), self._policy.codec
        if plan is None:
            seconds = step_through(self._environments, actor, codec, noise, trajectories, actions, after_step)
            return None if seconds is None else Rollout(trajectories, actions, seconds)
        if not isinstance(self._environments, SingleEnvironments):
            raise SnapshotError("vine: expected environments from an id or factories, whose states can be restored")
        grown = grow(self._environments, plan, actor, codec, noise, trajectories, actions, after_step)
        return None if grown is None else Rollout(trajectories, actions, *grown)


class RolloutCollector:
    """Steps n environments with one policy call a step.

    Parameters
    ----------
    stepper : Stepper
    policy : Policy
    seeds : numpy.random.SeedSequence
        Every environment draws its action noise from a stream of its own.
    stats_window_size : int
        Finished episodes that ``episodes`` remembers.

    Attributes
    ----------
    episodes : deque of Episode
        The latest ones that ended.
    latest_episodes : list of Episode
        Those that ended in the latest rollout.
    num_episodes : int
        How many ended in all.
    num_steps : int
        Steps of every environment, without those of branches.
    """

    def __init__(self, stepper: Stepper, policy: Policy, seeds: np.random.SeedSequence, stats_window_size: int) -> None:
        n = stepper.num_envs
        self.stepper = stepper
        self._policy = policy
        self.seed_noise(seeds)
        self._observations: npt.NDArray[np.float64] | None = None
        self._returns = np.zeros(n)
        self._lengths = np.zeros(n, dtype=np.int64)
        self.episodes: deque[Episode] = deque(maxlen=stats_window_size)
        self.latest_episodes: list[Episode] = []
        self.num_episodes = 0
        self.num_steps = 0

    def seed_noise(self, seeds: np.random.SeedSequence) -> None:
        """Begin the noise of every environment anew."""
        self._noise_streams = [np.random.default_rng(child) for child in seeds.spawn(self.stepper.num_envs)]

    def forget_episodes(self) -> None:
        """Let the statistics of episodes begin anew."""
        self.episodes.clear()
        self.num_episodes = self.num_steps = 0

    def reset(self, seed: int | None) -> None:
        """Start an episode in every environment, i with ``seed`` + i; with None its random stream goes on."""
        self._observations = self.stepper.reset(seed)
        self._returns[:] = 0.0
        self._lengths[:] = 0

    @property
    def noise_streams(self) -> list[np.random.Generator]:
        """What the actions of each environment are drawn with."""
        return self._noise_streams

    @noise_streams.setter
    def noise_streams(self, streams: list[np.random.Generator]) -> None:
        if len(streams) == self.stepper.num_envs:  # those of other environments are of no use
            self._noise_streams = list(streams)

    def get_state(self) -> dict[str, Any]:
        """Where the unfinished episodes are between two rollouts, as plain values."""
        return {
            "observations": self._observations,
            "returns": self._returns,
            "lengths": self._lengths,
        }

    def get_episodes(self) -> dict[str, Any]:
        """The episodes that have ended, as plain values."""
        latest = np.array(self.episodes, dtype=np.float64).reshape(-1, 2)
        return {"episodes": latest, "num_episodes": self.num_episodes, "steps": self.num_steps}

    def set_episodes(self, state: dict[str, Any]) -> None:
        """Count on from where ``get_episodes`` gave ``state``."""
        episodes = [Episode(float(episode_return), int(length)) for episode_return, length in state["episodes"]]
        self.num_episodes, self.num_steps = int(state["num_episodes"]), int(state["steps"])
        self.episodes.clear()
        self.episodes.extend(episodes)

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where ``get_state`` gave ``state``.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is the state of another number or kind of environments.
        """
        n, shape = self.stepper.num_envs, self._policy.observation_codec.shape
        observations = float_array("observations", state["observations"], (n, *shape), np.float64)
        returns = float_array("returns", state["returns"], (n,), np.float64)
        lengths = np.broadcast_to(state["lengths"].astype(np.int64), (n,)).copy()
        self._observations, self._returns, self._lengths = observations, returns, lengths

    def collect(
        self,
        theta: npt.NDArray[Any],
        n_steps: int,
        after_step: AfterStep | None = None,
        plan: VinePlan | None = None,
    ) -> Rollout | None:
        """``n_steps`` steps of every environment with the policy ``theta``.

        Parameters
        ----------
        after_step : callable, optional
            Called after every step; False ends the rollout, and None is returned.
        plan : VinePlan, optional
            Where branches leave the rollout.

        Raises
        ------
        EnvironmentFaultError
            If an environment raises or returns something unfit; nothing of the rollout is kept.
        """
        if self._observations is None:
            raise RuntimeError("collect: expected reset() before it")
        size, dtype = (n_steps, self._policy.codec.size), self._policy.dtype
        noise = np.stack([stream.standard_normal(size, dtype=dtype) for stream in self._noise_streams], axis=1)
        rollout = self.stepper.collect(theta, noise, self._observations, after_step, plan)
        if rollout is not None:
            self.num_steps += n_steps
            self._observations = rollout.trajectories.observations[-1].copy()
            self.count_episodes(rollout)
        return rollout

    def count_episodes(self, rollout: Rollout) -> None:
        """Add the rewards and transitions of a rollout to the episodes they belong to."""
        trajectories = rollout.trajectories
        for i in rollout.begun_anew:
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
            self.latest_episodes.append(Episode(float(self._returns[i]), int(self._lengths[i])))
            self._returns[i] = self._lengths[i] = 0
        for i in range(len(begins)):
            add(i, len(trajectories.rewards))
        self.episodes.extend(self.latest_episodes)
        self.num_episodes += len(self.latest_episodes)


def to_batch(
    rollout: Rollout,
    rewards: npt.NDArray[np.float64],
    policy: Policy,
    predict_values: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
    config: TRPOConfig,
) -> tuple[Batch, npt.NDArray[np.float64]]:
    """A rollout as a batch of its transitions, with advantages and returns; and the values (N,) behind them.

    Parameters
    ----------
    rewards : ndarray, shape (T, n)
        To learn from: the rollout's, or what is made of them.
    predict_values : callable
        Raw observations (N, obs_dim) -> values (N,).
    """
    trajectories = rollout.trajectories
    terminated, keep = trajectories.terminated, trajectories.valid
    n_steps, n = rewards.shape
    observations = trajectories.observations.reshape(n_steps + 1, n, -1)
    values = predict_values(observations.reshape(-1, observations.shape[-1])).reshape(n_steps + 1, n)
    values, next_values = values[:-1], values[1:].copy()
    if trajectories.final_observations:
        t, i = np.array(list(trajectories.final_observations)).T
        finals = np.stack(list(trajectories.final_observations.values()))
        next_values[t, i] = predict_values(finals.reshape(len(finals), -1))
    next_values[terminated] = 0.0
    done = terminated | trajectories.truncated
    if config.advantage == "gae":
        advantages, returns = gae(rewards, values, next_values, done, config.gamma, config.gae_lambda)
    else:
        advantages, returns = rewards_to_go(rewards, values, next_values, done, config.gamma)
    batch = Batch(
        observations[:-1][keep], policy.codec.to_batch(rollout.actions[keep]), advantages[keep], returns[keep]
    )
    return batch, values[keep]
