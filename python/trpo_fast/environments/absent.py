"""The spaces of a model that has no environments."""

from typing import Any, NoReturn

import gymnasium as gym
import numpy.typing as npt

from trpo_fast.environments.fingerprint import Fingerprint
from trpo_fast.environments.interface import Trajectories
from trpo_fast.errors import InvalidArgumentError, SnapshotError


class SpacesOnly:
    """Stands in for the environments of a model that only has spaces.

    Such a model predicts, and learns from transitions by ``collect`` and ``update``; ``learn`` raises.
    """

    def __init__(self, observation_space: gym.Space[Any], action_space: gym.Space[Any], num_envs: int) -> None:
        self.observation_space = observation_space
        self.action_space = action_space
        self.num_envs = num_envs
        self._state: dict[str, Any] | None = None  # of the file's environments, kept for the next save

    def use_masks(self) -> None:
        pass

    def reset(self, seed: int | None) -> NoReturn:
        raise InvalidArgumentError(
            "env", "an environment to learn in: load(path, env=...) or set_env(env), or collect() and update()", "none"
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

    def fingerprints(self) -> list[Fingerprint]:
        return []

    def bases(self) -> list[Any]:
        return []

    def facts(self) -> dict[str, Any]:
        return {}

    def view(self) -> None:
        return None

    def close(self) -> None:
        pass
