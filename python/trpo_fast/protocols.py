"""Protocols of a model for callbacks, sinks, evaluation and storage, so that they need not import the class TRPO."""

import os
from collections.abc import Sequence
from typing import Any, Protocol

import gymnasium as gym
import numpy.typing as npt

from trpo_fast.config import TRPOConfig
from trpo_fast.policies.normalization import RunningMeanStd
from trpo_fast.policies.policy import Actor, Policy
from trpo_fast.spaces.observations import NetworkInputs

Metrics = dict[str, float | int | str]


class ActingModel(Protocol):
    """A model that can be evaluated: spaces, policy, and actions for observations."""

    @property
    def policy(self) -> Policy:
        """The committed policy."""

    @property
    def observation_space(self) -> gym.Space[Any]:
        """Observation space of one environment."""

    @property
    def action_space(self) -> gym.Space[Any]:
        """Action space of one environment."""

    @property
    def actor(self) -> Actor:
        """The committed policy at its theta."""

    def act(self, rows: NetworkInputs, deterministic: bool = False) -> Any:
        """Actions of the action space, shape (n, ...), for n encoded observations."""

    def get_env(self) -> Any:
        """The environments that the model is trained in; None without any."""

    def get_vec_normalize_env(self) -> Any:
        """The ``VecNormalize`` of Stable-Baselines3 that the model is trained in, or None."""


class Model(ActingModel, Protocol):
    """A model as callbacks and sinks use it: counters, episodes, logger, environments, saving."""

    logger: Any

    @property
    def num_timesteps(self) -> int:
        """Number of transitions collected."""

    @property
    def num_saved_timesteps(self) -> int:
        """Number of transitions up to the end of the last whole iteration: what ``save`` writes."""

    @property
    def num_steps(self) -> int:
        """Steps taken by each environment since training began."""

    @property
    def num_episodes(self) -> int:
        """Number of finished episodes."""

    @property
    def latest_episodes(self) -> Sequence[Any]:
        """Episodes that ended in the latest rollout."""

    def save(self, path: str | os.PathLike[str], *, previous: str | os.PathLike[str] | None = None) -> None:
        """Write the model to a file."""


class StoredModel(Protocol):
    """A model as model files store it: settings, parameters, statistics and training state."""

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
        """Number of environments."""

    @property
    def num_saved_timesteps(self) -> int:
        """Number of transitions up to the end of the last whole iteration."""

    @property
    def progress_remaining(self) -> float:
        """Fraction of training that remains, from 1 to 0."""

    def get_parameters(self) -> dict[str, dict[str, npt.NDArray[Any]]]:
        """Copies of the parameters of policy and critic by name."""

    def get_training_state(self) -> dict[str, Any]:
        """Everything that training needs to continue, except parameters, statistics and settings, as plain values."""
