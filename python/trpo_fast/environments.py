"""Environments from an id, an Env, factories or a VectorEnv; single ones are stepped in turn."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast.environment_interface import Environments, Trajectories, check_flag, check_reward, take_observation
from trpo_fast.errors import EnvironmentFaultError, InvalidArgumentError
from trpo_fast.validation import check_integer, describe
from trpo_fast.vector_environments import VectorEnvironments

EnvFactory = Callable[[], gym.Env[Any, Any]]
EnvLike = str | gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any] | Sequence[EnvFactory]


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
        except Exception as error:  # gymnasium's own, an ImportError of the id's module, a TypeError of env_kwargs
            expected = "an id and env_kwargs that gymnasium can make an environment of"
            raise InvalidArgumentError("env", expected, f"{env!r}, {env_kwargs}: {error!r}") from error
    if env_kwargs:
        raise InvalidArgumentError("env_kwargs", "None unless env is an id", describe(env_kwargs))
    is_vector = isinstance(env, gym.vector.VectorEnv) or hasattr(env, "single_observation_space")
    if isinstance(env, Sequence) and not is_vector:
        return SingleEnvironments(_make_from_factories(env, n_envs))
    if not is_vector and not isinstance(env, gym.Env):
        raise InvalidArgumentError("env", "an id, an Env, a VectorEnv or a list of factories", describe(env))
    if n_envs != 1:
        raise InvalidArgumentError("n_envs", "1 unless env is an id", n_envs)
    return VectorEnvironments(env) if is_vector else SingleEnvironments([env])


def _make_from_factories(factories: Sequence[Any], n_envs: int) -> list[gym.Env[Any, Any]]:
    if not factories or not all(callable(make) for make in factories):
        raise InvalidArgumentError("env", "a non-empty list of environment factories", describe(factories))
    if n_envs not in (1, len(factories)):
        raise InvalidArgumentError("n_envs", f"{len(factories)}, the number of factories", n_envs)
    envs = [make() for make in factories]
    if not all(isinstance(env, gym.Env) for env in envs) or len({id(env) for env in envs}) < len(envs):
        raise InvalidArgumentError("env", "factories that each make a gymnasium.Env of its own", describe(envs))
    return envs


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
        observations = np.empty((self.num_envs, *(self.observation_space.shape or ())))
        for i, out in enumerate(observations):
            self._reset_one(i, None if seed is None else seed + i, out)
        return observations

    def step(self, actions: npt.NDArray[Any], t: int, into: Trajectories) -> int:
        self._steps += 1
        step, observations, rewards = self._steps, into.observations[t + 1], into.rewards[t]
        for i, env in enumerate(self._envs):
            try:
                observation, reward, terminated, truncated, _ = env.step(actions[i])
            except Exception as error:
                raise EnvironmentFaultError(i, step, "step", "five values", repr(error)) from error
            terminated = check_flag(terminated, i, step, "terminated")
            truncated = check_flag(truncated, i, step, "truncated")
            field = "final observation" if terminated or truncated else "observation"
            out = take_observation(observation, observations[i], i, step, field)
            rewards[i] = check_reward(reward, i, step)
            if terminated or truncated:
                into.terminated[t, i], into.truncated[t, i] = terminated, truncated
                if truncated:
                    into.final_observations[t, i] = out.copy()
                self._reset_one(i, None, out)
        return self.num_envs

    def close(self) -> None:
        for env in self._envs:
            env.close()

    def _reset_one(self, i: int, seed: int | None, out: npt.NDArray[np.float64]) -> None:
        try:
            observation, _ = self._envs[i].reset(seed=seed)
        except Exception as error:
            expected = "an observation and an info"
            raise EnvironmentFaultError(i, self._steps, "reset", expected, repr(error)) from error
        take_observation(observation, out, i, self._steps, "reset observation")


class NoEnvironments:
    """The spaces of a loaded policy without its environments: predict works, learn says what is missing."""

    num_envs = 1

    def __init__(self, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> None:
        self.observation_space = observation_space
        self.action_space = action_space

    def reset(self, seed: int | None) -> NoReturn:
        raise InvalidArgumentError("env", "an environment to learn in: load(path, env=...)", "none")

    def step(self, actions: npt.NDArray[Any], t: int, into: Trajectories) -> NoReturn:
        self.reset(0)

    def close(self) -> None:
        pass
