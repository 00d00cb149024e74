"""The interface of environments, and checks that keep invalid values out of a batch.

Their errors name environment, step and field.
"""

import numbers
from typing import Any, NamedTuple, Protocol

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast.environments.fingerprint import Fingerprint
from trpo_fast.environments.infos import Infos, Outcome
from trpo_fast.errors import EnvironmentFaultError
from trpo_fast.spaces.buffers import new_buffer
from trpo_fast.spaces.image_buffer import ImageBuffer
from trpo_fast.spaces.images import vector_of
from trpo_fast.spaces.observation_codec import MAX_MAGNITUDE, ObservationCodec
from trpo_fast.spaces.observations import EncodedArray, ObservationBuffer
from trpo_fast.validation import describe

MAX_ENVS = 4096  # of one model: a file holds a random stream of each


class Trajectories(NamedTuple):
    """T steps of n environments, as they happened.

    Parameters
    ----------
    observations : ObservationBuffer or ImageBuffer
        ``observations[t]`` (n, *shape) are the observations acted on in step t, after any reset.
    rewards : ndarray, shape (T, n)
    terminated, truncated : ndarray of bool, shape (T, n)
        True where an episode ended with the step.
    valid : ndarray of bool, shape (T, n)
        False where the step was an autoreset and not a transition.
    final_observations : dict
        At (t, i) the true last observation (*shape) of an episode of environment i that was truncated in step t.
    outcomes : dict
        At (t, i) what the environment itself says of an episode of environment i that ended in step t, if anything.
    infos : dict or None
        At t the n infos of step t, as Stable-Baselines3's vector environments give them; None if nobody reads them.
    """

    observations: ObservationBuffer | ImageBuffer
    rewards: npt.NDArray[np.float64]
    terminated: npt.NDArray[np.bool_]
    truncated: npt.NDArray[np.bool_]
    valid: npt.NDArray[np.bool_]
    final_observations: dict[tuple[int, int], EncodedArray]
    outcomes: dict[tuple[int, int], Outcome]
    infos: dict[int, Infos] | None = None

    @classmethod
    def of_steps(
        cls, n_steps: int, n_envs: int, codec: ObservationCodec, *, with_infos: bool = False
    ) -> "Trajectories":
        """Uninitialised memory for ``n_steps`` steps, all valid and without ends of episodes."""
        size = (n_steps, n_envs)
        terminated, truncated = np.zeros((2, *size), dtype=np.bool_)
        valid = np.ones(size, dtype=np.bool_)
        infos: dict[int, Infos] | None = {} if with_infos else None
        return cls(new_buffer(codec, n_steps, n_envs), np.empty(size), terminated, truncated, valid, {}, {}, infos)


class Environments(Protocol):
    """n environments that are stepped together.

    Attributes
    ----------
    num_envs : int
    observation_space, action_space : gymnasium.Space
        Spaces of one environment.
    """

    num_envs: int
    observation_space: gym.Space[Any]
    action_space: gym.Space[Any]

    def use_masks(self) -> None:
        """Append the action mask to each observation from now on (``spaces/masks.py``).

        Raises
        ------
        InvalidArgumentError
            If the action space has no masks.
        """

    def reset(self, seed: int | None) -> EncodedArray:
        """Start an episode in every environment.

        Parameters
        ----------
        seed : int or None
            Environment i is reset with seed + i; with None its random stream continues.

        Returns
        -------
        observations : ndarray, shape (n, *shape), of the codec's dtype
        """

    def step(self, actions: npt.NDArray[Any], t: int, into: Trajectories) -> None:
        """Step every environment; write step ``t`` of ``into`` and the observations after it.

        Parameters
        ----------
        actions : ndarray, shape (n, ...)
            Actions of the action space; the environments may keep the array.
        t : int
        into : Trajectories

        Raises
        ------
        EnvironmentFaultError
            If an environment raises or returns invalid values.
        """

    def check_restorable(self) -> None:
        """Raise SnapshotError if the state of these environments is known to be impossible to read or set."""

    def get_state(self) -> dict[str, Any]:
        """Everything that the next steps depend on, as plain values (``trpo_fast.storage.plain_values``).

        Raises
        ------
        SnapshotError
            If the state of these environments cannot be read.
        """

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore the state that ``get_state`` returned; no reset is needed.

        Raises
        ------
        SnapshotError
            If ``state`` is not a state of such environments.
        """

    def fingerprints(self) -> list[Fingerprint]:
        """What can be compared to notice that somebody else moved these environments; empty if nobody else can."""

    def bases(self) -> list[Any]:
        """The objects of the user that are stepped, without wrappers."""

    def facts(self) -> dict[str, Any]:
        """What the first environment says of the numbers of a policy (``facts_of``); nothing in vector environments."""

    def view(self) -> Any:
        """These environments as a user plays in them: a ``VecEnvView``, or the user's own ``VecEnv``."""

    def close(self) -> None:
        """Release the resources of the environments."""


def take_observation(
    codec: ObservationCodec, value: Any, out: EncodedArray, env_index: int, step: int, field: str
) -> EncodedArray:
    """Encode the observation ``value`` into ``out`` (*codec.shape) and return ``out``.

    Raises
    ------
    EnvironmentFaultError
        If ``value`` is not in the space, or has entries that are not finite or of magnitude above 1e18.
    """
    if codec.take(value, out):
        return out
    expected, got = codec.fault(value)
    raise EnvironmentFaultError(env_index, step, field, expected, got)


def check_limits(codec: ObservationCodec, trajectories: Trajectories, steps_before: int) -> None:
    """Check that no observation is far outside the bounds of its Box; ``steps_before`` steps were taken earlier.

    Raises
    ------
    EnvironmentFaultError
        If a number is outside ``codec.limits``.
    """
    if codec.limits is None:
        return
    low, high = codec.limits

    def check(rows: npt.NDArray[np.float64], step: int, first_env: int, field: str) -> None:
        outside = (rows < low) | (rows > high)
        if outside.any():
            t, i, j = (int(index) for index in np.argwhere(outside)[0])
            expected = f"values in or near {codec.space}, from {low[j]:g} to {high[j]:g} at index {j}"
            raise EnvironmentFaultError(first_env + i, step + t, field, expected, rows[t, i, j])

    for (t, i), observation in trajectories.final_observations.items():
        check(vector_of(observation).reshape(1, 1, -1), steps_before + t + 1, i, "final observation")
    check(trajectories.observations.rows, steps_before, 0, "observation")


def check_reward(value: Any, env_index: int, step: int) -> float:
    """``value`` as a finite float. Arrays, None and text are rejected, even where float() would accept them.

    Raises
    ------
    EnvironmentFaultError
        If ``value`` is not a real number, not finite, or of magnitude above 1e18.
    """
    is_number = isinstance(value, (float, np.floating, numbers.Real, np.bool_))  # the usual types come first
    if not (is_number and -MAX_MAGNITUDE <= value <= MAX_MAGNITUDE):
        expected = f"a finite number of magnitude <= {MAX_MAGNITUDE:g}"
        raise EnvironmentFaultError(env_index, step, "reward", expected, describe(value))
    return float(value)


def check_flag(value: Any, env_index: int, step: int, field: str) -> bool:
    """``value`` (terminated or truncated) as a bool.

    Raises
    ------
    EnvironmentFaultError
        If ``value`` is not a bool.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise EnvironmentFaultError(env_index, step, field, "True or False", describe(value))
    return bool(value)
