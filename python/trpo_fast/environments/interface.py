"""What the rollout asks of environments, and the checks that keep unfit values out of a batch.

The error names environment, step and field.
"""

import numbers
from typing import Any, NamedTuple, Protocol

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast.errors import EnvironmentFaultError
from trpo_fast.spaces.observations import MAX_MAGNITUDE, ObservationCodec
from trpo_fast.spaces.rows import ObservationBuffer
from trpo_fast.validation import describe


class Trajectories(NamedTuple):
    """T steps of n environments, as they happened.

    ``observations[t]`` are those acted on in step t, after any reset. ``rewards``, ``terminated``, ``truncated`` and
    ``valid`` are (T, n); ``valid`` is False where the step was an autoreset and no transition.
    ``final_observations`` holds at (t, i) the true last observation (*shape) of a truncated episode.
    """

    observations: ObservationBuffer
    rewards: npt.NDArray[np.float64]
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]
    valid: npt.NDArray[np.bool_]
    final_observations: dict[tuple[int, int], npt.NDArray[np.float64]]

    @classmethod
    def of_steps(cls, n_steps: int, n_envs: int, codec: ObservationCodec) -> "Trajectories":
        """Memory for ``n_steps`` steps in which no episode ended yet."""
        size = (n_steps, n_envs)
        terminated, truncated = np.zeros((2, *size), dtype=np.bool_)
        valid = np.ones(size, dtype=np.bool_)
        return cls(codec.buffer(n_steps, n_envs), np.empty(size), terminated, truncated, valid, {})


class Environments(Protocol):
    """n environments that are stepped together."""

    num_envs: int
    observation_space: gym.Space[Any]
    action_space: gym.Space[Any]

    def use_masks(self) -> None:
        """From now on an observation has its action mask behind it (``action_masks.py``).

        Raises
        ------
        InvalidArgumentError
            If the action space has none.
        """

    def reset(self, seed: int | None) -> npt.NDArray[np.float64]:
        """Start an episode everywhere, environment i with seed + i (None: where its own stream is).

        Returns the observations (n, *shape).
        """

    def step(self, actions: npt.NDArray[Any], t: int, into: Trajectories) -> None:
        """Step everywhere with actions (n, ...) of the action space, which the environments may keep.

        Writes step ``t`` of ``into`` and the observations after it.
        """

    def check_restorable(self) -> None:
        """SnapshotError if it is known that the state of these environments cannot be read or set."""

    def get_state(self) -> dict[str, Any]:
        """Everything that the next steps depend on, as plain values (``trpo_fast.storage.plain_values``).

        Raises
        ------
        SnapshotError
            If that is not known of these environments.
        """

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on where ``get_state`` gave ``state``; no reset is needed.

        Raises
        ------
        SnapshotError
            If ``state`` is not one of such environments.
        """

    def close(self) -> None:
        """Free what the environments hold."""


def take_observation(
    codec: ObservationCodec, value: Any, out: npt.NDArray[np.float64], env_index: int, step: int, field: str
) -> npt.NDArray[np.float64]:
    """``out`` (*codec.shape), which receives the observation ``value``.

    Raises
    ------
    EnvironmentFaultError
        If it is none of the space, or has entries that are not finite or of a magnitude above 1e18.
    """
    if codec.take(value, out):
        return out
    if not isinstance(codec.space, gym.spaces.Box):
        expected, got = f"an observation of {codec.space}", describe(value)
    elif not isinstance(value, np.ndarray) or value.shape != codec.space.shape or value.dtype.kind not in "fiub":
        expected, got = f"a real array of shape {codec.space.shape}", describe(value)
    else:
        worst = int(np.argmax(~(np.abs(out.ravel()) <= MAX_MAGNITUDE)))
        expected, got = f"finite values of magnitude <= {MAX_MAGNITUDE:g}", f"{out.ravel()[worst]} at index {worst}"
    raise EnvironmentFaultError(env_index, step, field, expected, got)


def check_reward(value: Any, env_index: int, step: int) -> float:
    """``value`` as a finite float; arrays, None and text are refused, even where float() would take them."""
    is_number = isinstance(value, (float, np.floating, numbers.Real, np.bool_))  # the usual types are found first
    if not (is_number and -MAX_MAGNITUDE <= value <= MAX_MAGNITUDE):
        expected = f"a finite number of magnitude <= {MAX_MAGNITUDE:g}"
        raise EnvironmentFaultError(env_index, step, "reward", expected, describe(value))
    return float(value)


def check_flag(value: Any, env_index: int, step: int, field: str) -> bool:
    """``value``, terminated or truncated, as a bool."""
    if not isinstance(value, (bool, np.bool_)):
        raise EnvironmentFaultError(env_index, step, field, "True or False", describe(value))
    return bool(value)
