"""Rollouts: step the environments with the policy, then value and advantage in one batch afterwards."""

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast.advantages import gae, rewards_to_go
from trpo_fast.config import TRPOConfig
from trpo_fast.environment_interface import Environments
from trpo_fast.policy import Policy
from trpo_fast.trpo import Batch


class Episode(NamedTuple):
    """A finished episode: undiscounted return and length in steps."""

    episode_return: float
    length: int


class Rollout(NamedTuple):
    """T steps of n environments, as they happened.

    observations (T, n, obs_dim) raw float64; actions (T, n, A) kernel rows; rewards, terminated, truncated, valid
    (T, n); last_observations (n, obs_dim), those after the last step; final_observations {(t, i): (obs_dim,)} of
    truncated episodes.
    """

    observations: npt.NDArray[np.float64]
    actions: npt.NDArray[Any]
    rewards: npt.NDArray[np.float64]
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]
    valid: npt.NDArray[np.bool_]
    last_observations: npt.NDArray[np.float64]
    final_observations: dict[tuple[int, int], npt.NDArray[np.float64]]

    @property
    def num_transitions(self) -> int:
        """Transitions, without the steps that an autoreset spent."""
        return int(self.valid.sum())


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

    def collect(self, theta: npt.NDArray[Any], n_steps: int, after_step: Callable[[int], bool]) -> Rollout | None:
        """``n_steps`` steps of every environment with the policy ``theta``.

        Parameters
        ----------
        after_step : callable
            Called after every step with the transitions it brought; False ends the rollout, and None is returned.

        Raises
        ------
        EnvironmentFaultError
            If an environment raises or returns something unfit; nothing of the rollout is kept.
        """
        if self._observations is None:
            raise RuntimeError("collect: expected reset() before it")
        policy, n, size = self._policy, self._environments.num_envs, self._policy.codec.size
        noise = np.stack(
            [stream.standard_normal((n_steps, size), dtype=policy.dtype) for stream in self._noise_streams], axis=1
        )
        observations = np.empty((n_steps, n, self._observations.shape[1]))
        actions = np.empty((n_steps, n, size), dtype=policy.dtype)
        rewards = np.empty((n_steps, n))
        terminated, truncated, valid = np.empty((3, n_steps, n), dtype=np.bool_)
        final_observations = {}
        for t in range(n_steps):
            observations[t] = self._observations
            policy.act(theta, observations[t], noise[t], actions[t])
            step = self._environments.step(policy.codec.to_env(actions[t]))
            rewards[t], terminated[t], truncated[t], valid[t] = (
                step.rewards, step.terminated, step.truncated, step.valid,
            )  # fmt: skip
            final_observations.update({(t, i): row for i, row in step.final_observations.items()})
            self._observations = step.observations
            self._count_episodes(step.rewards, step.terminated | step.truncated, step.valid)
            if not after_step(int(step.valid.sum())):
                return None
        return Rollout(
            observations, actions, rewards, terminated, truncated, valid, self._observations, final_observations
        )

    def _count_episodes(
        self,
        rewards: npt.NDArray[np.float64],
        done: npt.NDArray[np.bool_],
        valid: npt.NDArray[np.bool_],
    ) -> None:
        self._returns += rewards
        self._lengths += valid
        for i in np.flatnonzero(done):
            self.episodes.append(Episode(float(self._returns[i]), int(self._lengths[i])))
            self.num_episodes += 1
            self._returns[i] = self._lengths[i] = 0


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
    n_steps, n, obs_dim = rollout.observations.shape
    values = predict_values(rollout.observations.reshape(-1, obs_dim)).reshape(n_steps, n)
    next_values = np.vstack([values[1:], predict_values(rollout.last_observations)])
    if rollout.final_observations:
        t, i = np.array(list(rollout.final_observations)).T
        next_values[t, i] = predict_values(np.stack(list(rollout.final_observations.values())))
    next_values[rollout.terminated] = 0.0
    done = rollout.terminated | rollout.truncated
    if config.advantage == "gae":
        advantages, returns = gae(rollout.rewards, values, next_values, done, config.gamma, config.gae_lambda)
    else:
        advantages, returns = rewards_to_go(rollout.rewards, values, next_values, done, config.gamma)
    keep = rollout.valid
    batch = Batch(
        rollout.observations[keep], policy.codec.to_batch(rollout.actions[keep]), advantages[keep], returns[keep]
    )
    return batch, values[keep]
