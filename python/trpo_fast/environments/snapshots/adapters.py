"""Adapters: how to read and set the state of each class of environment and wrapper."""

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from trpo_fast.environments.snapshots import ale, mujoco
from trpo_fast.errors import SnapshotError
from trpo_fast.validation import describe

_WRAPPERS = "gymnasium.wrappers."
_CONTROL = "gymnasium.envs.classic_control."
_TEXT = "gymnasium.envs.toy_text."

# The attributes that change from step to step, by class; those of rendering and warnings are left out.
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    _WRAPPERS + "common.TimeLimit": ("_elapsed_steps",),
    _WRAPPERS + "common.OrderEnforcing": ("_has_reset",),
    _WRAPPERS + "transform_action.ClipAction": (),
    _WRAPPERS + "transform_action.RescaleAction": (),
    _WRAPPERS + "transform_observation.FlattenObservation": (),
    _WRAPPERS + "transform_observation.RescaleObservation": (),
    _WRAPPERS + "transform_observation.DtypeObservation": (),
    _WRAPPERS + "transform_observation.GrayscaleObservation": (),
    _WRAPPERS + "transform_observation.ReshapeObservation": (),
    _WRAPPERS + "transform_observation.ResizeObservation": (),
    _WRAPPERS + "transform_reward.ClipReward": (),
    _WRAPPERS + "stateful_observation.TimeAwareObservation": ("timesteps",),
    _CONTROL + "acrobot.AcrobotEnv": ("state",),
    _CONTROL + "cartpole.CartPoleEnv": ("state", "steps_beyond_terminated"),
    _CONTROL + "continuous_mountain_car.Continuous_MountainCarEnv": ("state",),
    _CONTROL + "mountain_car.MountainCarEnv": ("state",),
    _CONTROL + "pendulum.PendulumEnv": ("state", "last_u"),
    _TEXT + "blackjack.BlackjackEnv": ("dealer", "player"),
    _TEXT + "cliffwalking.CliffWalkingEnv": ("s", "lastaction"),
    _TEXT + "frozen_lake.FrozenLakeEnv": ("s", "lastaction"),
    _TEXT + "taxi.TaxiEnv": ("s", "lastaction", "fickle_step"),
}


class Adapter(NamedTuple):
    """Reads and sets the state of an environment or wrapper."""

    get_state: Callable[[Any], Any]
    set_state: Callable[[Any, Any], None]


def class_name(layer: Any) -> str:
    """Module and qualified name of an object's class."""
    return f"{type(layer).__module__}.{type(layer).__qualname__}"


def adapter_of(layer: Any) -> Adapter:
    """The adapter of a wrapper or an environment.

    Raises
    ------
    SnapshotError
        If its class has none.
    """
    if class_name(layer) == _WRAPPERS + "common.PassiveEnvChecker":
        adapter = Adapter(lambda layer: {}, _set_checked)
    elif class_name(layer) == _WRAPPERS + "common.RecordEpisodeStatistics":
        adapter = Adapter(_recorded, _set_recorded)
    elif class_name(layer) == _WRAPPERS + "stateful_observation.FrameStackObservation":
        adapter = Adapter(lambda layer: {"frames": list(layer.obs_queue)}, _set_frames)
    elif class_name(layer) in ATTRIBUTES:
        adapter = _of_attributes(ATTRIBUTES[class_name(layer)])
    elif mujoco.is_environment(layer):
        adapter = Adapter(mujoco.get_state, mujoco.set_state)
    elif ale.is_environment(layer):
        ale.refuse_sticky_actions(layer)
        adapter = Adapter(ale.get_state, ale.set_state)
    elif _has_methods_of_its_own(layer):
        adapter = Adapter(lambda layer: layer.get_state(), lambda layer, state: layer.set_state(state))
    else:
        raise SnapshotError(
            f"{class_name(layer)}: expected an environment or wrapper whose state is known, "
            "or one with get_state() and set_state(state) of plain values, got neither"
        )
    return adapter if isinstance(layer, gym.Wrapper) else _with_random_stream(adapter)


def _has_methods_of_its_own(layer: Any) -> bool:
    return all(callable(getattr(type(layer), name, None)) for name in ("get_state", "set_state"))


def _set_checked(checker: Any, state: Any) -> None:
    """Mark all checks as done: a stepped environment has passed them."""
    checker.checked_reset = checker.checked_step = checker.checked_data_reuse = True


def _set_frames(stack: Any, state: Any) -> None:
    stack.obs_queue.clear()
    stack.obs_queue.extend(state["frames"])


_COUNTS = ("episode_count", "episode_returns", "episode_lengths")
_QUEUES = ("time_queue", "return_queue", "length_queue")


def _recorded(recorder: Any) -> dict[str, Any]:
    """State of RecordEpisodeStatistics, except the time at which the episode started."""
    return {n: getattr(recorder, n) for n in _COUNTS} | {n: list(getattr(recorder, n)) for n in _QUEUES}


def _set_recorded(recorder: Any, state: dict[str, Any]) -> None:
    for name in _COUNTS:
        setattr(recorder, name, state[name])
    for name in _QUEUES:
        queue = getattr(recorder, name)
        queue.clear()
        queue.extend(state[name])


def _of_attributes(names: tuple[str, ...]) -> Adapter:
    def get_state(layer: Any) -> dict[str, Any]:
        return {name: getattr(layer, name) for name in names}

    def set_state(layer: Any, state: dict[str, Any]) -> None:
        for name in names:
            setattr(layer, name, state[name])

    return Adapter(get_state, set_state)


def _with_random_stream(adapter: Adapter) -> Adapter:
    """The adapter of an environment, extended by the random stream of its resets and steps."""

    def get_state(env: Any) -> dict[str, Any]:
        return {"state": adapter.get_state(env), "np_random": env.np_random}

    def set_state(env: Any, state: dict[str, Any]) -> None:
        if not isinstance(state["np_random"], np.random.Generator):
            raise TypeError(f"expected a random stream, got {describe(state['np_random'])}")
        env.np_random = state["np_random"]
        adapter.set_state(env, state["state"])

    return Adapter(get_state, set_state)
