"""Environments as the rollout sees them: single ones stepped in turn, or a vector environment the user brought.

Whatever they return is checked before it can enter a batch; the error names environment, step and field.
"""

import numbers
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn, Protocol

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from trpo_fast.errors import EnvironmentFaultError, InvalidArgumentError
from trpo_fast.validation import check_integer, describe

MAX_MAGNITUDE = 1e18  # beyond it the squares in float32 statistics overflow
EnvFactory = Callable[[], gym.Env[Any, Any]]
EnvLike = str | gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any] | Sequence[EnvFactory]


class StepResult(NamedTuple):
    """What one step of all n environments gave.

    ``observations`` (n, obs_dim) float64 are the ones to act on next, after any reset. ``final_observations`` holds
    the true last observation (obs_dim,) of every environment whose episode was truncated. ``valid`` (n,) is False
    where the step was an autoreset and no transition.
    """

    observations: npt.NDArray[np.float64]
    rewards: npt.NDArray[np.float64]
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]
    final_observations: dict[int, npt.NDArray[np.float64]]
    valid: npt.NDArray[np.bool_]


class Environments(Protocol):
    """n environments that are stepped together."""

    num_envs: int
    observation_space: gym.Space[Any]
    action_space: gym.Space[Any]

    def reset(self, seed: int | None) -> npt.NDArray[np.float64]:
        """Start an episode everywhere, environment i with seed + i (None: where its own stream is)."""

    def step(self, actions: npt.NDArray[Any]) -> StepResult:
        """Step everywhere with actions (n, ...) of the action space."""

    def close(self) -> None:
        """Free what the environments hold."""


def make_environments(env: Any, n_envs: int, env_kwargs: dict[str, Any] | None = None) -> Environments:
    """An id, an Env, a list of factories or a VectorEnv as Environments.

    Raises
    ------
    InvalidArgumentError
        If ``env`` is none of these, or ``n_envs`` or ``env_kwargs`` do not go with it.
    """
    check_integer("n_envs", n_envs, at_least=1)
    if env_kwargs is not None and not isinstance(env_kwargs, dict):
        raise InvalidArgumentError("env_kwargs", "a dict", describe(env_kwargs))
    if isinstance(env, str):
        try:
            return SingleEnvironments([gym.make(env, **(env_kwargs or {})) for _ in range(n_envs)])
        except gym.error.Error as error:
            raise InvalidArgumentError("env", "an id that gymnasium can make", f"{env!r}: {error}") from error
    if env_kwargs:
        raise InvalidArgumentError("env_kwargs", "None unless env is an id", describe(env_kwargs))
    is_vector = isinstance(env, gym.vector.VectorEnv) or hasattr(env, "single_observation_space")
    if isinstance(env, Sequence) and not is_vector:
        if not env or not all(callable(make) for make in env):
            raise InvalidArgumentError("env", "a non-empty list of environment factories", describe(env))
        if n_envs not in (1, len(env)):
            raise InvalidArgumentError("n_envs", f"{len(env)}, the number of factories", n_envs)
        envs = [make() for make in env]
        if not all(isinstance(made, gym.Env) for made in envs) or len({id(made) for made in envs}) < len(envs):
            raise InvalidArgumentError("env", "factories that each make a gymnasium.Env of its own", describe(envs))
        return SingleEnvironments(envs)
    if not is_vector and not isinstance(env, gym.Env):
        raise InvalidArgumentError("env", "an id, an Env, a VectorEnv or a list of factories", describe(env))
    if n_envs != 1:
        raise InvalidArgumentError("n_envs", "1 unless env is an id", n_envs)
    return VectorEnvironments(env) if is_vector else SingleEnvironments([env])


class SingleEnvironments:
    """gymnasium.Env objects stepped one after the other; each is reset as soon as its episode ends."""

    def __init__(self, envs: Sequence[gym.Env[Any, Any]]) -> None:
        first = envs[0]
        for i, env in enumerate(envs):
            if env.observation_space != first.observation_space or env.action_space != first.action_space:
                expected = f"the spaces of environment 0, {first.observation_space} and {first.action_space}"
                got = f"{env.observation_space} and {env.action_space} of environment {i}"
                raise InvalidArgumentError("env", expected, got)
        self._envs = list(envs)
        self._steps = 0
        self.num_envs = len(envs)
        self.observation_space = first.observation_space
        self.action_space = first.action_space

    def reset(self, seed: int | None) -> npt.NDArray[np.float64]:
        return np.stack([self._reset_one(i, None if seed is None else seed + i) for i in range(self.num_envs)])

    def step(self, actions: npt.NDArray[Any]) -> StepResult:
        n = self.num_envs
        self._steps += 1
        rewards = np.empty(n)
        ended = np.empty((2, n), dtype=np.bool_)
        observations, final_observations = [], {}
        for i, env in enumerate(self._envs):
            try:
                observation, reward, terminated, truncated, _ = env.step(actions[i])
            except Exception as error:
                raise EnvironmentFaultError(i, self._steps, "step", "five values", repr(error)) from error
            ended[:, i] = check_flags(terminated, truncated, i, self._steps)
            row = self._check(observation, i, "final observation" if ended[:, i].any() else "observation")
            rewards[i] = check_reward(reward, i, self._steps)
            if ended[1, i]:
                final_observations[i] = row
            observations.append(self._reset_one(i, None) if ended[:, i].any() else row)
        valid = np.ones(n, dtype=np.bool_)
        return StepResult(np.stack(observations), rewards, ended[0], ended[1], final_observations, valid)

    def close(self) -> None:
        for env in self._envs:
            env.close()

    def _reset_one(self, i: int, seed: int | None) -> npt.NDArray[np.float64]:
        try:
            observation, _ = self._envs[i].reset(seed=seed)
        except Exception as error:
            expected = "an observation and an info"
            raise EnvironmentFaultError(i, self._steps, "reset", expected, repr(error)) from error
        return self._check(observation, i, "reset observation")

    def _check(self, observation: Any, i: int, field: str) -> npt.NDArray[np.float64]:
        return check_observation(observation, self.observation_space.shape or (), i, self._steps, field)


class NoEnvironments:
    """The spaces of a loaded policy without its environments: predict works, learn says what is missing."""

    num_envs = 1

    def __init__(self, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> None:
        self.observation_space = observation_space
        self.action_space = action_space

    def reset(self, seed: int | None) -> NoReturn:
        raise InvalidArgumentError("env", "an environment to learn in: load(path, env=...)", "none")

    def step(self, actions: npt.NDArray[Any]) -> NoReturn:
        self.reset(0)

    def close(self) -> None:
        pass


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


def check_observation(
    value: Any, shape: tuple[int, ...], env_index: int, step: int, field: str
) -> npt.NDArray[np.float64]:
    """``value`` flattened to a (obs_dim,) float64 row.

    Raises
    ------
    EnvironmentFaultError
        If it is not a real array of ``shape`` with finite entries of magnitude up to 1e18.
    """
    if not isinstance(value, np.ndarray) or value.shape != shape or value.dtype.kind not in "fiub":
        expected = f"a real array of shape {shape}"
        raise EnvironmentFaultError(env_index, step, field, expected, describe(value))
    row = value.reshape(-1).astype(np.float64)
    if not np.abs(row).max() <= MAX_MAGNITUDE:
        worst = int(np.argmax(~(np.abs(row) <= MAX_MAGNITUDE)))
        expected = f"finite values of magnitude <= {MAX_MAGNITUDE:g}"
        raise EnvironmentFaultError(env_index, step, field, expected, f"{row[worst]} at index {worst}")
    return row


def check_reward(value: Any, env_index: int, step: int) -> float:
    """``value`` as a finite float; arrays, None and text are refused, even where float() would take them."""
    is_number = isinstance(value, (numbers.Real, np.bool_))
    if not (is_number and -MAX_MAGNITUDE <= value <= MAX_MAGNITUDE):
        expected = f"a finite number of magnitude <= {MAX_MAGNITUDE:g}"
        raise EnvironmentFaultError(env_index, step, "reward", expected, describe(value))
    return float(value)


def check_flags(terminated: Any, truncated: Any, env_index: int, step: int) -> tuple[bool, bool]:
    """Both flags as bools."""
    for name, value in (("terminated", terminated), ("truncated", truncated)):
        if not isinstance(value, (bool, np.bool_)):
            raise EnvironmentFaultError(env_index, step, name, "True or False", describe(value))
    return bool(terminated), bool(truncated)
