"""A vector environment the user brought, in any autoreset mode."""

import numbers
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from trpo_fast.environment_interface import StepResult, check_observation, check_reward
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
        return self._reset(seed=seed)

    def step(self, actions: npt.NDArray[Any]) -> StepResult:
        self._steps += 1
        valid = ~self._ended if self._mode is AutoresetMode.NEXT_STEP else np.ones(self.num_envs, dtype=np.bool_)
        try:
            raw, rewards, terminated, truncated, infos = self._env.step(actions)
        except Exception as error:
            raise EnvironmentFaultError(None, self._steps, "step", "five values", repr(error)) from error
        observations = self._check(raw, "observation")
        rewards = self._check_rewards(rewards)
        terminated = self._check_ended("terminated", terminated) & valid
        truncated = self._check_ended("truncated", truncated) & valid
        finals = self._final_observations(observations, np.flatnonzero(truncated), infos)
        ended = terminated | truncated
        if self._mode is AutoresetMode.DISABLED and ended.any():
            fresh = self._reset(options={"reset_mask": ended.copy()})
            observations = np.where(ended[:, None], fresh, observations)
        self._ended = ended
        return StepResult(observations, np.where(valid, rewards, 0.0), terminated, truncated, finals, valid)

    def close(self) -> None:
        self._env.close()

    def _reset(self, **arguments: Any) -> npt.NDArray[np.float64]:
        try:
            observations, _ = self._env.reset(**arguments)
        except Exception as error:
            expected = "observations and infos"
            raise EnvironmentFaultError(None, self._steps, "reset", expected, repr(error)) from error
        return self._check(observations, "reset observation")

    def _final_observations(
        self, observations: npt.NDArray[np.float64], truncated: npt.NDArray[np.intp], infos: dict[str, Any]
    ) -> dict[int, npt.NDArray[np.float64]]:
        if self._mode is not AutoresetMode.SAME_STEP:
            return {int(i): observations[i] for i in truncated}
        shape = self.observation_space.shape or ()
        finals: Any = infos.get("final_obs") if isinstance(infos, dict) else None
        if len(truncated) and not (isinstance(finals, np.ndarray) and finals.shape[:1] == (self.num_envs,)):
            i = int(truncated[0])
            expected = f"an array infos['final_obs'] of {self.num_envs}"
            raise EnvironmentFaultError(i, self._steps, "final observation", expected, describe(finals))
        return {
            int(i): check_observation(finals[i], shape, int(i), self._steps, "final observation") for i in truncated
        }

    def _check(self, observations: Any, field: str) -> npt.NDArray[np.float64]:
        shape = self.observation_space.shape or ()
        if not isinstance(observations, np.ndarray) or observations.shape[:1] != (self.num_envs,):
            expected = f"an array of shape {(self.num_envs, *shape)}"
            raise EnvironmentFaultError(None, self._steps, field, expected, describe(observations))
        rows = [check_observation(row, shape, i, self._steps, field) for i, row in enumerate(observations)]
        return np.stack(rows)

    def _check_rewards(self, rewards: Any) -> npt.NDArray[np.float64]:
        if not isinstance(rewards, np.ndarray) or rewards.shape != (self.num_envs,):
            expected = f"an array of shape ({self.num_envs},)"
            raise EnvironmentFaultError(None, self._steps, "reward", expected, describe(rewards))
        return np.array([check_reward(reward, i, self._steps) for i, reward in enumerate(rewards)])

    def _check_ended(self, name: str, flags: Any) -> npt.NDArray[np.bool_]:
        if not isinstance(flags, np.ndarray) or flags.shape != (self.num_envs,) or flags.dtype != np.bool_:
            expected = f"a bool array of shape ({self.num_envs},)"
            raise EnvironmentFaultError(None, self._steps, name, expected, describe(flags))
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
