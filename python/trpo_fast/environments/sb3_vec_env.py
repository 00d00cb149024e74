"""Vector environments of Stable-Baselines3."""

from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.environments.infos import Outcome
from trpo_fast.environments.interface import Trajectories, take_observation
from trpo_fast.environments.vec_normalize import find_vec_normalize
from trpo_fast.environments.vector import UserVectorEnv, check_flags, take_observations, take_rewards
from trpo_fast.errors import EnvironmentFaultError
from trpo_fast.spaces.observations import EncodedArray
from trpo_fast.validation import describe_error


class SB3Environments(UserVectorEnv):
    """A ``VecEnv`` of Stable-Baselines3, which resets an environment within the step that ends its episode."""

    def __init__(self, env: Any) -> None:
        super().__init__(env, env.observation_space, env.action_space)

    @property
    def vec_normalize(self) -> Any:
        """The ``VecNormalize`` among the wrappers, or None."""
        return find_vec_normalize(self._env)

    def view(self) -> Any:
        return self._env

    def reset(self, seed: int | None) -> EncodedArray:
        if seed is not None:
            self._env.seed(seed)
        observations = self._codec.empty(self.num_envs)
        try:
            raw = self._env.reset()
        except Exception as error:
            raise EnvironmentFaultError(None, self._steps, "reset", "observations", describe_error(error)) from error
        take_observations(self._codec, raw, observations, self._steps, "reset observation")
        self._take_masks(self._offered_masks(), observations, range(self.num_envs))
        return observations

    def _offered_masks(self) -> Any:
        return None if self._masks is None else self._ask_for_masks(self._env.env_method)

    def step(self, actions: npt.NDArray[Any], t: int, into: Trajectories) -> None:
        self._steps += 1
        try:
            raw, rewards, dones, infos = self._env.step(actions)
        except Exception as error:
            raise EnvironmentFaultError(None, self._steps, "step", "four values", describe_error(error)) from error
        observations = into.observations.begin(t + 1)
        take_observations(self._codec, raw, observations, self._steps, "observation")
        self._take_masks(self._offered_masks(), observations, range(self.num_envs))
        into.observations.end(t + 1)
        take_rewards(rewards, into.rewards[t], self._steps)
        dones = check_flags(dones, self.num_envs, self._steps, "terminated")
        if into.infos is not None:
            into.infos[t] = list(infos)
        for i in np.flatnonzero(dones).tolist():
            truncated = bool(infos[i].get("TimeLimit.truncated", False))
            into.terminated[t, i], into.truncated[t, i] = not truncated, truncated
            if (outcome := Outcome.of(infos[i])) is not None:  # of a Monitor, whatever wrappers make of its rewards
                into.outcomes[t, i] = outcome
            if truncated:
                out = self._codec.empty()
                final = infos[i].get("terminal_observation")
                into.final_observations[t, i] = take_observation(
                    self._codec, final, out, i, self._steps, "final observation"
                )
