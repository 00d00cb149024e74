"""Separate environments, stepped one after the other."""

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy.typing as npt

from trpo_fast.environments import snapshots
from trpo_fast.environments.facts import facts_of
from trpo_fast.environments.fingerprint import Fingerprint, fingerprint
from trpo_fast.environments.frame_stack import FrameStack
from trpo_fast.environments.infos import Outcome, with_end
from trpo_fast.environments.interface import Trajectories, check_flag, check_reward, take_observation
from trpo_fast.environments.ownership import bases
from trpo_fast.environments.vec_env_view import Player, VecEnvView
from trpo_fast.errors import EnvironmentFaultError, InvalidArgumentError, SnapshotError
from trpo_fast.spaces.masks import ActionMasks
from trpo_fast.spaces.observation_codec import ObservationCodec
from trpo_fast.spaces.observations import EncodedArray
from trpo_fast.validation import describe_error


class SingleEnvironments:
    """gymnasium.Env objects stepped one after the other; each is reset as soon as its episode ends.

    Parameters
    ----------
    envs : sequence of gymnasium.Env
    first_index : int
        Index of the first one, if they are a worker's share of the environments.
    position : memoryview of int64, optional
        Receives the step and the index of the environment that is being called, so that a parent process can name it.
    on_return : callable () -> None, optional
        Is called when a step or reset of an environment has returned, before anything of it is written.

    Raises
    ------
    InvalidArgumentError
        If their spaces differ.
    """

    def __init__(
        self,
        envs: Sequence[gym.Env[Any, Any]],
        first_index: int = 0,
        position: "memoryview[int] | None" = None,
        on_return: Callable[[], None] | None = None,
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
        self._on_return = on_return
        self._steps = 0
        self.num_envs = len(envs)
        self.observation_space = first.observation_space
        self._codec = ObservationCodec(self.observation_space)
        self._masks: ActionMasks | None = None
        self.action_space = first.action_space

    def stacked(self, frame_stack: int) -> "SingleEnvironments":
        """The same environments observing ``frame_stack`` frames; those that do already are not stacked again."""
        is_stacked = [isinstance(env, FrameStack) and env.frame_stack == frame_stack for env in self._envs]
        if all(is_stacked):
            return self
        envs = [FrameStack(env, frame_stack) for env in self._envs]
        return SingleEnvironments(envs, self._first_index, self._position, self._on_return)

    def use_masks(self) -> None:
        self._masks = ActionMasks(self.action_space)
        self._codec = ObservationCodec(self.observation_space, self._masks.size)

    def reset(self, seed: int | None) -> EncodedArray:
        observations = self._codec.empty(self.num_envs)
        for i, out in enumerate(observations):
            self._reset_one(i, None if seed is None else seed + i, out)
        return observations

    def step(self, actions: npt.NDArray[Any], t: int, into: Trajectories) -> None:
        self._steps += 1
        step, observations, rewards = self._steps, into.observations.begin(t + 1), into.rewards[t]
        codec, self._position[0], number = self._codec, step, self._first_index
        infos: list[Any] = []
        for i, env in enumerate(self._envs):
            self._position[1] = number
            try:
                observation, reward, terminated, truncated, info = env.step(actions[i])
            except Exception as error:
                raise EnvironmentFaultError(number, step, "step", "five values", describe_error(error)) from error
            if self._on_return is not None:
                self._on_return()
            terminated = check_flag(terminated, number, step, "terminated")
            truncated = check_flag(truncated, number, step, "truncated")
            field = "final observation" if terminated or truncated else "observation"
            out = take_observation(codec, observation, observations[i], number, step, field)
            rewards[i] = check_reward(reward, number, step)
            if terminated or truncated:
                into.terminated[t, i], into.truncated[t, i] = terminated, truncated
                if truncated:
                    into.final_observations[t, i] = out.copy()
                if (outcome := Outcome.of(info)) is not None:
                    into.outcomes[t, i] = outcome
                info = with_end(info, observation, terminated, truncated) if into.infos is not None else info
                self._reset_one(i, None, out)
            elif self._masks is not None:
                self._masks.take_from(env, info, codec.mask_in(out), number, step)
            if into.infos is not None:
                infos.append(dict(info) if isinstance(info, dict) else {})
            number += 1
        into.observations.end(t + 1)
        if into.infos is not None:
            into.infos[t] = infos

    def check_restorable(self) -> None:
        for env in self._envs:
            snapshots.check(env)

    def capture(self, i: int) -> snapshots.State:
        """The state of the i-th environment; SnapshotError if it cannot be read."""
        return snapshots.capture(self._envs[i])

    def restore(self, i: int, state: snapshots.State) -> None:
        """Set the i-th environment to a state that ``capture`` returned."""
        snapshots.restore(self._envs[i], state)

    def single(self, i: int, ago: int) -> "SingleEnvironments":
        """The i-th environment alone, the same object, with its step count reduced by ``ago``."""
        single = SingleEnvironments(self._envs[i : i + 1], self._first_index + i, self._position, self._on_return)
        if self._masks is not None:
            single.use_masks()
        single._steps = self._steps - ago
        return single

    def get_state(self) -> dict[str, Any]:
        return {"steps": self._steps, "environments": [snapshots.capture(env) for env in self._envs]}

    def set_state(self, state: dict[str, Any]) -> None:
        states = state["environments"]
        if len(states) != self.num_envs:
            raise SnapshotError(f"snapshot: expected {self.num_envs} environments, got {len(states)}")
        for env, its_state in zip(self._envs, states, strict=True):
            snapshots.restore(env, its_state)
        self._steps = state["steps"]

    def fingerprints(self) -> list[Fingerprint]:
        return [fingerprint(env) for env in self._envs]

    def bases(self) -> list[Any]:
        return [base for env in self._envs for base in bases(env)]

    def facts(self) -> dict[str, Any]:
        return facts_of(self._envs[0])

    def view(self) -> VecEnvView:
        spaces = self.observation_space, self.action_space
        return VecEnvView(self.num_envs, *spaces, self.in_each, lambda _: SingleEnvironments(self._envs), self.close)

    def in_each(self, method: str, arguments: dict[int, tuple[Any, ...]]) -> list[Any]:
        """See ``InEach`` of ``vec_env_view``."""
        return [getattr(Player(self._envs[i]), method)(*args) for i, args in arguments.items()]

    def close(self) -> None:
        for env in self._envs:
            env.close()

    def _reset_one(self, i: int, seed: int | None, out: EncodedArray) -> None:
        self._position[1] = number = self._first_index + i
        try:
            observation, info = self._envs[i].reset(seed=seed)
        except Exception as error:
            expected = "an observation and an info"
            raise EnvironmentFaultError(number, self._steps, "reset", expected, describe_error(error)) from error
        if self._on_return is not None:
            self._on_return()
        take_observation(self._codec, observation, out, number, self._steps, "reset observation")
        if self._masks is not None:
            self._masks.take_from(self._envs[i], info, self._codec.mask_in(out), number, self._steps)
