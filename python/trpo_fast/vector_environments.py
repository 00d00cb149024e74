"""A vector environment the user brought, in any autoreset mode."""

import numbers
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from trpo_fast.environment_interface import Trajectories, check_reward, copy_if_fit, take_observation
from trpo_fast.errors import EnvironmentFaultError, InvalidArgumentError
from trpo_fast.validation import describe


class VectorEnvironments:
    """A VectorEnv or EnvPool, in any autoreset mode.

    NEXT_STEP spends a step of its own on a reset: that step is not ``valid``. SAME_STEP delivers the final observation
    in its infos. DISABLED is reset here.
    """

    def __init__(self, env: Any) -> None:
        self._env = env
        self.num_envs = int(env.num_envs)
        self.observation_space = env.single_observation_space
        self.action_space = env.single_action_space
        self._mode = autoreset_mode(env)
        self._steps = 0
        self._ended: npt.NDArray[np.bool_] = np.zeros(self.num_envs, dtype=np.bool_)  # by the step before
        batch_size = _asynchronous_batch_size(env)
        if batch_size is not None and batch_size < self.num_envs:
            expected = f"batch_size = num_envs = {self.num_envs} (an asynchronous pool mixes policies within a batch)"
            raise InvalidArgumentError("env", expected, f"batch_size = {batch_size}")

    def reset(self, seed: int | None) -> npt.NDArray[np.float64]:
        self._ended[:] = False
        observations = np.empty((self.num_envs, *(self.observation_space.shape or ())))
        self._reset(observations, seed=seed)
        return observations

    def step(self, actions: npt.NDArray[Any], t: int, into: Trajectories) -> int:
        self._steps += 1
        observations = into.observations[t + 1]
        try:
            raw, rewards, terminated, truncated, infos = self._env.step(actions)
        except Exception as error:
            raise EnvironmentFaultError(None, self._steps, "step", "five values", repr(error)) from error
        self._take(raw, observations, "observation")
        self._take_rewards(rewards, into.rewards[t])
        terminated = self._check_flags("terminated", terminated)
        truncated = self._check_flags("truncated", truncated)
        n_valid = self.num_envs
        if self._mode is AutoresetMode.NEXT_STEP and np.count_nonzero(self._ended):
            n_valid -= int(np.count_nonzero(self._ended))
            into.valid[t] = ~self._ended
            into.rewards[t, self._ended] = 0.0
            terminated, truncated = terminated & into.valid[t], truncated & into.valid[t]
        self._ended = terminated | truncated
        if np.count_nonzero(self._ended):
            into.terminated[t], into.truncated[t] = terminated, truncated
            self._keep_final_observations(observations, infos, t, into)
            if self._mode is AutoresetMode.DISABLED:
                fresh = np.empty_like(observations)
                self._reset(fresh, options={"reset_mask": self._ended.copy()})
                observations[self._ended] = fresh[self._ended]
        return n_valid

    def close(self) -> None:
        self._env.close()

    def _reset(self, out: npt.NDArray[np.float64], **arguments: Any) -> None:
        try:
            observations, _ = self._env.reset(**arguments)
        except Exception as error:
            expected = "observations and infos"
            raise EnvironmentFaultError(None, self._steps, "reset", expected, repr(error)) from error
        self._take(observations, out, "reset observation")

    def _keep_final_observations(
        self, observations: npt.NDArray[np.float64], infos: Any, t: int, into: Trajectories
    ) -> None:
        truncated = np.flatnonzero(into.truncated[t]).tolist()
        if self._mode is not AutoresetMode.SAME_STEP:
            into.final_observations.update({(t, i): observations[i].copy() for i in truncated})
            return
        finals: Any = infos.get("final_obs") if isinstance(infos, dict) else None
        if truncated and not (isinstance(finals, np.ndarray) and finals.shape[:1] == (self.num_envs,)):
            expected = f"an array infos['final_obs'] of {self.num_envs}"
            raise EnvironmentFaultError(truncated[0], self._steps, "final observation", expected, describe(finals))
        for i in truncated:
            out = np.empty_like(observations[i])
            into.final_observations[t, i] = take_observation(finals[i], out, i, self._steps, "final observation")

    def _take(self, observations: Any, out: npt.NDArray[np.float64], field: str) -> None:
        if copy_if_fit(observations, out):
            return
        if not isinstance(observations, np.ndarray) or observations.shape[:1] != (self.num_envs,):
            expected = f"an array of shape {out.shape}"
            raise EnvironmentFaultError(None, self._steps, field, expected, describe(observations))
        for i, observation in enumerate(observations):
            take_observation(observation, out[i], i, self._steps, field)

    def _take_rewards(self, rewards: Any, out: npt.NDArray[np.float64]) -> None:
        if copy_if_fit(rewards, out):
            return
        if not isinstance(rewards, np.ndarray) or rewards.shape != (self.num_envs,):
            expected = f"an array of shape ({self.num_envs},)"
            raise EnvironmentFaultError(None, self._steps, "reward", expected, describe(rewards))
        out[:] = [check_reward(reward, i, self._steps) for i, reward in enumerate(rewards)]

    def _check_flags(self, field: str, flags: Any) -> npt.NDArray[np.bool_]:
        if not isinstance(flags, np.ndarray) or flags.shape != (self.num_envs,) or flags.dtype != np.bool_:
            expected = f"a bool array of shape ({self.num_envs},)"
            raise EnvironmentFaultError(None, self._steps, field, expected, describe(flags))
        return flags


def autoreset_mode(env: Any) -> AutoresetMode:
    """The mode that a vector environment declares in ``metadata["autoreset_mode"]``."""
    mode = (getattr(env, "metadata", None) or {}).get("autoreset_mode")
    try:
        return AutoresetMode(mode)
    except ValueError:
        expected = "metadata['autoreset_mode'] of a gymnasium.vector.AutoresetMode"
        raise InvalidArgumentError("env", expected, describe(mode)) from None


def _asynchronous_batch_size(env: Any) -> int | None:
    """Environments answering at a time, of pools that know such a thing (EnvPool, ALE)."""
    config = getattr(env, "config", None)
    size = config.get("batch_size") if isinstance(config, dict) else getattr(env, "batch_size", None)
    return int(size) if isinstance(size, numbers.Integral) and int(size) > 0 else None
