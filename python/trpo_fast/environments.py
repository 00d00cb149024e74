"""Environments from an id, an Env, factories or a VectorEnv; single ones are stepped in turn."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn, TypeGuard

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast import snapshots
from trpo_fast.action_masks import ActionMasks
from trpo_fast.environment_interface import Environments, Trajectories, check_flag, check_reward, take_observation
from trpo_fast.errors import EnvironmentFaultError, InvalidArgumentError, SnapshotError
from trpo_fast.observations import ObservationCodec
from trpo_fast.spaces import Spaces
from trpo_fast.validation import check_integer, describe
from trpo_fast.vector_environments import SB3Environments, VectorEnvironments

EnvFactory = Callable[[], gym.Env[Any, Any]]
EnvLike = str | gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any] | Sequence[EnvFactory]


def make_environments(env: Any, n_envs: int, env_kwargs: dict[str, Any] | None = None) -> Environments:
    """An id, an Env, a list of factories, a VectorEnv or Stable-Baselines3's VecEnv as Environments.

    Raises
    ------
    InvalidArgumentError
        If ``env`` is none of these, or ``n_envs`` or ``env_kwargs`` do not go with it.
    """
    factories = factories_of(env, n_envs, env_kwargs)
    if factories is not None:
        return SingleEnvironments(make_from_factories(factories))
    if n_envs != 1:
        raise InvalidArgumentError("n_envs", "1 unless env is an id", n_envs)
    if is_vector(env):
        return VectorEnvironments(env)
    if all(hasattr(env, name) for name in ("step_async", "step_wait", "num_envs")):
        return SB3Environments(env)
    if isinstance(env, gym.Env):
        return SingleEnvironments([env])
    raise InvalidArgumentError("env", "an id, an Env, a VectorEnv, a VecEnv or a list of factories", describe(env))


def factories_of(env: Any, n_envs: int, env_kwargs: dict[str, Any] | None) -> list[EnvFactory] | None:
    """What makes the environments, where ``env`` is an id or a list of factories; otherwise None.

    Raises
    ------
    InvalidArgumentError
        If ``env`` is a list of something else, or ``n_envs`` or ``env_kwargs`` do not go with it.
    """
    check_integer("n_envs", n_envs, at_least=1)
    if env_kwargs is not None and not isinstance(env_kwargs, dict):
        raise InvalidArgumentError("env_kwargs", "a dict", describe(env_kwargs))
    if isinstance(env, str):
        return [partial(_make_from_id, env, env_kwargs or {})] * n_envs
    if env_kwargs:
        raise InvalidArgumentError("env_kwargs", "None unless env is an id", describe(env_kwargs))
    if not isinstance(env, Sequence) or is_vector(env):
        return None
    if not env or not all(callable(make) for make in env):
        raise InvalidArgumentError("env", "a non-empty list of environment factories", describe(env))
    if n_envs not in (1, len(env)):
        raise InvalidArgumentError("n_envs", f"{len(env)}, the number of factories", n_envs)
    return list(env)


def is_pair_of_spaces(env: Any) -> TypeGuard[Spaces]:
    """Whether ``env`` is an observation and an action space, and no environment."""
    return isinstance(env, tuple) and len(env) == 2 and all(isinstance(part, gym.Space) for part in env)


def is_vector(env: Any) -> bool:
    """Whether ``env`` steps several environments at a time."""
    return isinstance(env, gym.vector.VectorEnv) or hasattr(env, "single_observation_space")


def _make_from_id(env_id: str, env_kwargs: dict[str, Any]) -> gym.Env[Any, Any]:
    try:
        return gym.make(env_id, **env_kwargs)
    except Exception as error:  # gymnasium's own, an ImportError of the id's module, a TypeError of env_kwargs
        expected = "an id and env_kwargs that gymnasium can make an environment of"
        raise InvalidArgumentError("env", expected, f"{env_id!r}, {env_kwargs}: {error!r}") from error


def make_from_factories(factories: Sequence[EnvFactory]) -> list[gym.Env[Any, Any]]:
    """An environment of each.

    Raises
    ------
    InvalidArgumentError
        If what they make is no environment, or the same one twice.
    """
    envs = [make() for make in factories]
    if not all(isinstance(env, gym.Env) for env in envs) or len({id(env) for env in envs}) < len(envs):
        raise InvalidArgumentError("env", "factories that each make a gymnasium.Env of its own", describe(envs))
    return envs


class SingleEnvironments:
    """gymnasium.Env objects stepped one after the other; each is reset as soon as its episode ends.

    Parameters
    ----------
    envs : sequence of gymnasium.Env
    first_index : int
        The number of the first one, where they are a share of more.
    position : memoryview of int64, optional
        Receives step and number of the environment that is called, for somebody who watches.
    """

    def __init__(
        self, envs: Sequence[gym.Env[Any, Any]], first_index: int = 0, position: "memoryview[int] | None" = None
    ) -> None:
        first = envs[0]
        for i, env in enumerate(envs):
            if env.observation_space != first.observation_space or env.action_space != first.action_space:
                expected = f"the spaces of environment 0, {first.observation_space} and {first.action_space}"
                got = f"{env.observation_space} and {env.action_space} of environment {i}"
                raise InvalidArgumentError("env", expected, got)
        self._envs = list(envs)
        self._first_index = first_index
        self._position = memoryview(bytearray(16)).cast("q") if position is None else position
        self._steps = 0
        self.num_envs = len(envs)
        self.observation_space = first.observation_space
        self._codec = ObservationCodec(self.observation_space)
        self._masks: ActionMasks | None = None
        self.action_space = first.action_space

    def use_masks(self) -> None:
        self._masks = ActionMasks(self.action_space)
        self._codec = ObservationCodec(self.observation_space, self._masks.size)

    def reset(self, seed: int | None) -> npt.NDArray[np.float64]:
        observations = np.empty((self.num_envs, *self._codec.shape))
        for i, out in enumerate(observations):
            self._reset_one(i, None if seed is None else seed + i, out)
        return observations

    def step(self, actions: npt.NDArray[Any], t: int, into: Trajectories) -> None:
        self._steps += 1
        step, observations, rewards = self._steps, into.observations[t + 1], into.rewards[t]
        codec, self._position[0], number = self._codec, step, self._first_index
        for i, env in enumerate(self._envs):
            self._position[1] = number
            try:
                observation, reward, terminated, truncated, info = env.step(actions[i])
            except Exception as error:
                raise EnvironmentFaultError(number, step, "step", "five values", repr(error)) from error
            terminated = check_flag(terminated, number, step, "terminated")
            truncated = check_flag(truncated, number, step, "truncated")
            field = "final observation" if terminated or truncated else "observation"
            out = take_observation(codec, observation, observations[i], number, step, field)
            rewards[i] = check_reward(reward, number, step)
            if terminated or truncated:
                into.terminated[t, i], into.truncated[t, i] = terminated, truncated
                if truncated:
                    into.final_observations[t, i] = out.copy()
                self._reset_one(i, None, out)
            elif self._masks is not None:
                self._masks.take_from(env, info, out[codec.num_features :], number, step)
            number += 1

    def check_restorable(self) -> None:
        for env in self._envs:
            snapshots.check(env)

    def capture(self, i: int) -> snapshots.State:
        """The state of environment ``i`` of these; SnapshotError if it is not known."""
        return snapshots.capture(self._envs[i])

    def restore(self, i: int, state: snapshots.State) -> None:
        """Put environment ``i`` of these where it was when ``capture`` gave ``state``."""
        snapshots.restore(self._envs[i], state)

    def alone(self, i: int, ago: int) -> "SingleEnvironments":
        """Environment ``i`` of these, the same object, by itself; its steps count on from ``ago`` steps before now."""
        alone = SingleEnvironments(self._envs[i : i + 1], self._first_index + i, self._position)
        if self._masks is not None:
            alone.use_masks()
        alone._steps = self._steps - ago
        return alone

    def get_state(self) -> dict[str, Any]:
        return {"steps": self._steps, "environments": [snapshots.capture(env) for env in self._envs]}

    def set_state(self, state: dict[str, Any]) -> None:
        states = state["environments"]
        if len(states) != self.num_envs:
            raise SnapshotError(f"snapshot: expected {self.num_envs} environments, got {len(states)}")
        for env, its_state in zip(self._envs, states, strict=True):
            snapshots.restore(env, its_state)
        self._steps = state["steps"]

    def close(self) -> None:
        for env in self._envs:
            env.close()

    def _reset_one(self, i: int, seed: int | None, out: npt.NDArray[np.float64]) -> None:
        self._position[1] = number = self._first_index + i
        try:
            observation, info = self._envs[i].reset(seed=seed)
        except Exception as error:
            expected = "an observation and an info"
            raise EnvironmentFaultError(number, self._steps, "reset", expected, repr(error)) from error
        take_observation(self._codec, observation, out, number, self._steps, "reset observation")
        if self._masks is not None:
            self._masks.take_from(self._envs[i], info, out[self._codec.num_features :], number, self._steps)


class NoEnvironments:
    """The spaces of a model without environments: predict works, and learning from transitions that come from outside.

    ``learn`` says what is missing.
    """

    def __init__(self, observation_space: gym.Space[Any], action_space: gym.Space[Any], num_envs: int) -> None:
        self.observation_space = observation_space
        self.action_space = action_space
        self.num_envs = num_envs
        self._state: dict[str, Any] | None = None  # of the environments that are missing, to be saved again

    def use_masks(self) -> None:
        pass

    def reset(self, seed: int | None) -> NoReturn:
        raise InvalidArgumentError(
            "env", "an environment to learn in: load(path, env=...), or collect() and update()", "none"
        )

    def step(self, actions: npt.NDArray[Any], t: int, into: Trajectories) -> NoReturn:
        self.reset(0)

    def check_restorable(self) -> None:
        pass

    def get_state(self) -> dict[str, Any]:
        if self._state is None:
            raise SnapshotError("it was loaded without environments")
        return self._state

    def set_state(self, state: dict[str, Any]) -> None:
        self._state = state

    def close(self) -> None:
        pass
