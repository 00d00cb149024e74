"""Rollouts: step the environments with the policy, then value and advantage in one batch afterwards."""

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast.advantages import gae, rewards_to_go
from trpo_fast.config import TRPOConfig
from trpo_fast.environment_interface import Environments, Trajectories
from trpo_fast.policy import Policy
from trpo_fast.trpo import Batch


class Episode(NamedTuple):
    """A finished episode: undiscounted return and length in steps."""

    episode_return: float
    length: int


class Rollout(NamedTuple):
    """T steps of n environments with one policy: what happened, and the actions (T, n, A) as kernel rows."""

    trajectories: Trajectories
    actions: npt.NDArray[Any]

    @property
    def num_transitions(self) -> int:
        """Transitions, without the steps that an autoreset spent."""
        return int(np.count_nonzero(self.trajectories.valid))


class RolloutCollector:
    """Steps n environments with one policy call a step.

    Parameters
    ----------
    environments : Environments
    policy : Policy
    seeds : numpy.random.SeedSequence
        Every environment draws its action noise from a stream of its own.
    stats_window_size : int
        Finished episodes that ``episodes`` remembers.
    """

    def __init__(
        self, environments: Environments, policy: Policy, seeds: np.random.SeedSequence, stats_window_size: int
    ) -> None:
        n = environments.num_envs
        self._environments = environments
        self._policy = policy
        self._noise_streams = [np.random.default_rng(child) for child in seeds.spawn(n)]
        self._observations: npt.NDArray[np.float64] | None = None
        self._returns = np.zeros(n)
        self._lengths = np.zeros(n, dtype=np.int64)
        self.episodes: deque[Episode] = deque(maxlen=stats_window_size)
        self.num_episodes = 0

    def forget_episodes(self) -> None:
        """Let the statistics of episodes begin anew."""
        self.episodes.clear()
        self.num_episodes = 0

    def reset(self, seed: int | None) -> None:
        """Start an episode in every environment, i with ``seed`` + i; with None its random stream goes on."""
        self._observations = self._environments.reset(seed)
        self._returns[:] = 0.0
        self._lengths[:] = 0

    def collect(
        self, theta: npt.NDArray[Any], n_steps: int, after_step: Callable[[int], bool] | None = None
    ) -> Rollout | None:
        """``n_steps`` steps of every environment with the policy ``theta``.

        Parameters
        ----------
        after_step : callable, optional
            Called after every step with the number of transitions it brought; False ends the rollout, and None is
            returned.

        Raises
        ------
        EnvironmentFaultError
            If an environment raises or returns something unfit; nothing of the rollout is kept.
        """
        if self._observations is None:
            raise RuntimeError("collect: expected reset() before it")
        policy, environments, codec = self._policy, self._environments, self._policy.codec
        (n, *shape), size = self._observations.shape, codec.size
        noise = np.stack(
            [stream.standard_normal((n_steps, size), dtype=policy.dtype) for stream in self._noise_streams], axis=1
        )
        trajectories = Trajectories.of_steps(n_steps, n, tuple(shape))
        trajectories.observations[0] = self._observations
        observations = trajectories.observations.reshape(n_steps + 1, n, -1)
        actions = np.empty((n_steps, n, size), dtype=policy.dtype)
        env_actions = codec.empty_env_actions(n_steps, n)
        env_rows = env_actions.reshape(n_steps, n, size)
        actor = policy.actor(theta)
        for t in range(n_steps):
            actor.act(observations[t], noise[t], actions[t], env_rows[t])
            n_transitions = environments.step(codec.in_space(env_actions[t]), t, trajectories)
            if after_step is not None and not after_step(n_transitions):
                return None
        self._observations = trajectories.observations[-1].copy()
        self._count_episodes(trajectories)
        return Rollout(trajectories, actions)

    def _count_episodes(self, trajectories: Trajectories) -> None:
        """Add the rewards and transitions of a rollout to the episodes they belong to."""
        begins = np.zeros(len(self._returns), dtype=np.int64)

        def add(i: int, end: int) -> None:
            steps = slice(begins[i], end), i
            self._returns[i] += trajectories.rewards[steps].sum()
            self._lengths[i] += np.count_nonzero(trajectories.valid[steps])
            begins[i] = end

        for t, i in np.argwhere(trajectories.terminated | trajectories.truncated).tolist():
            add(i, t + 1)
            self.episodes.append(Episode(float(self._returns[i]), int(self._lengths[i])))
            self.num_episodes += 1
            self._returns[i] = self._lengths[i] = 0
        for i in range(len(begins)):
            add(i, len(trajectories.rewards))


def to_batch(
    rollout: Rollout,
    policy: Policy,
    predict_values: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]],
    config: TRPOConfig,
) -> tuple[Batch, npt.NDArray[np.float64]]:
    """A rollout as a batch of its transitions, with advantages and returns; and the values (N,) behind them.

    Parameters
    ----------
    predict_values : callable
        Raw observations (N, obs_dim) -> values (N,).
    """
    trajectories = rollout.trajectories
    rewards, terminated, keep = trajectories.rewards, trajectories.terminated, trajectories.valid
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
