"""Snapshots: capture and restore everything that an environment's next steps depend on, as plain values.

After ``restore``, the same actions give the same observations, rewards and episode ends, bit for bit, and so do later
resets. For your own environment or wrapper, write ``get_state()`` and ``set_state(state)``, with a state of plain
values (``trpo_fast.storage.plain_values``). The environment's ``np_random`` is captured automatically.
"""

from copy import deepcopy
from typing import Any

import gymnasium as gym

from trpo_fast.environments.snapshots.adapters import Adapter, adapter_of, class_name
from trpo_fast.errors import SnapshotError

__all__ = ["State", "capture", "check", "restore"]


State = list[tuple[str, Any]]


def check(env: gym.Env[Any, Any]) -> None:
    """Check that the classes of ``env`` and its wrappers are known, without reading their state.

    Raises
    ------
    SnapshotError
        If one is not.
    """
    _layers(env)


def capture(env: gym.Env[Any, Any]) -> State:
    """The state of ``env``: a list of (class name, plain values), the outermost wrapper first.

    Raises
    ------
    SnapshotError
        If the state of a wrapper or of the environment cannot be read; the message names its class.
    """
    return [(class_name(layer), deepcopy(adapter.get_state(layer))) for layer, adapter in _layers(env)]


def restore(env: gym.Env[Any, Any], state: State) -> None:
    """Set ``env`` to a state that ``capture`` returned, of this or another environment; it needs no reset.

    Raises
    ------
    SnapshotError
        If ``env`` and its wrappers have other classes, or ``state`` does not fit them.
    """
    layers = _layers(env)
    names, its_names = [class_name(layer) for layer, _ in layers], [name for name, _ in state]
    if its_names != names:
        raise SnapshotError(f"snapshot: expected one of {' of '.join(names)}, got {' of '.join(its_names)}")
    for (layer, adapter), (name, its_state) in zip(layers, state, strict=True):
        try:
            adapter.set_state(layer, deepcopy(its_state))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SnapshotError(f"{name}: expected a state that get_state returned, got {error!r}") from error


def _layers(env: Any) -> list[tuple[Any, Adapter]]:
    """The wrappers, the outermost first, and the environment, each with its adapter."""
    layers = [(env, adapter_of(env))]
    while isinstance(env, gym.Wrapper):
        env = env.env
        layers.append((env, adapter_of(env)))
    return layers
