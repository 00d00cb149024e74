"""What callbacks, sinks, evaluations and files ask of a model, so that none of them imports the class TRPO."""

import os
from collections.abc import Sequence
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast.config import TRPOConfig
from trpo_fast.policies.normalization import RunningMeanStd
from trpo_fast.policies.policy import Policy

Metrics = dict[str, float | int | str]


class ActingModel(Protocol):
    """What an evaluation asks of a model: its spaces, its policy, and actions for observations."""

    @property
    def policy(self) -> Policy:
        """The committed policy."""

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

    logger: Any

    @property
    def num_timesteps(self) -> int:
        """Transitions collected."""

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


class StoredModel(Protocol):
    """What a model file asks of a model: settings, parameters, statistics and the state of its training."""

    config: TRPOConfig
    policy_kwargs: dict[str, Any]
    seed: int

    @property
    def policy(self) -> Policy:
        """The committed policy."""

    @property
    def return_statistics(self) -> RunningMeanStd:
        """Running statistics of the critic's targets."""

    @property
    def n_envs(self) -> int:
        """Environments stepped together."""

    @property
    def num_timesteps(self) -> int:
        """Transitions collected."""

    @property
    def progress_remaining(self) -> float:
        """Part of the training that remains, from 1 to 0."""

    def get_parameters(self) -> dict[str, dict[str, npt.NDArray[Any]]]:
        """Copies of the parameters by name, of policy and critic."""

    def get_training_state(self) -> dict[str, Any]:
        """Everything else that training needs to continue, as plain values."""
