"""What callbacks, sinks, evaluations and files ask of a model, so that none of them imports the class TRPO."""

import os
from collections.abc import Sequence
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast.policies.policy import Policy

Metrics = dict[str, float | int | str]


class ActingModel(Protocol):
    """What an evaluation asks of a model: its spaces, its policy, and actions for observations."""

    policy: Policy

    @property
    def observation_space(self) -> gym.Space[Any]:
        """Space of one environment's observations."""

    @property
    def action_space(self) -> gym.Space[Any]:
        """Space of one environment's actions."""

    def act(self, rows: npt.NDArray[np.float64], deterministic: bool = False) -> Any:
        """Actions of the action space, (n, ...), for encoded observations (n, size)."""


class Model(ActingModel, Protocol):
    """What callbacks and sinks ask of a model: counters, episodes, the logger, environments, and to be saved."""

    num_timesteps: int
    logger: Any

    @property
    def num_steps(self) -> int:
        """Steps of every environment since training began."""

    @property
    def num_episodes(self) -> int:
        """Number of finished episodes."""

    @property
    def latest_episodes(self) -> Sequence[Any]:
        """Episodes that ended in the latest rollout."""

    def get_env(self) -> Any:
        """Environments that the model learns in."""

    def save(self, path: str | os.PathLike[str], *, previous: str | os.PathLike[str] | None = None) -> None:
        """Write the model to a file."""
