"""What the rollout asks of environments, and the checks that keep unfit values out of a batch.

The error names environment, step and field.
"""

import numbers
from typing import Any, NamedTuple, Protocol

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast.errors import EnvironmentFaultError
from trpo_fast.validation import describe

MAX_MAGNITUDE = 1e18  # its square is still a float32


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
