"""Snapshots: everything an environment's next steps depend on, as plain values, and back.

After ``restore`` the same actions give the same observations, rewards and ends of episodes, bit for bit, and so do the
resets that follow. For an environment or wrapper of yours, write ``get_state()`` and ``set_state(state)``; the state is
made of plain values (``trpo_fast.storage.plain_values``). The environment's ``np_random`` is kept without your help.
"""

from copy import deepcopy
from typing import Any

import gymnasium as gym

from trpo_fast.environments.snapshots.adapters import Adapter, adapter_of, class_name
from trpo_fast.errors import SnapshotError

__all__ = ["State", "capture", "check", "restore"]


State = list[tuple[str, Any]]


def check(env: gym.Env[Any, Any]) -> None:
    """Refuse ``env`` if it is of a kind whose state is not known, without looking at the state.

    Raises
    ------
    SnapshotError
        As ``capture``.
    """
    _layers(env)


def capture(env: gym.Env[Any, Any]) -> State:
    """The state of ``env`` and of its wrappers from the outermost in: name of the class, plain values.

    Raises
    ------
    SnapshotError
        If a wrapper or the environment is of a kind whose state is not known; the message names it.
    """
    return [(class_name(layer), deepcopy(adapter.get_state(layer))) for layer, adapter in _layers(env)]


def restore(env: gym.Env[Any, Any], state: State) -> None:
    """Put ``env``, which needs no reset, where another one was when ``capture`` gave ``state``.

    Raises
    ------
    SnapshotError
        If ``env`` is not made of the same classes, or ``state`` does not fit them.
    """
    layers = _layers(env)
    names, its_names = [class_name(layer) for layer, _ in layers], [name for name, _ in state]
    if its_names != names:
        raise SnapshotError(f"snapshot: expected one of {' of '.join(names)}, got {' of '.join(its_names)}")
    for (layer, adapter), (name, its_state) in zip(layers, state, strict=True):
        try:
            adapter.set_state(layer, deepcopy(its_state))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise SnapshotError(f"{name}: expected a state of its own, got {error!r}") from error


def _layers(env: Any) -> list[tuple[Any, Adapter]]:
    """The wrappers, the outermost first, and the environment, each with what knows its state."""
    layers = [(env, adapter_of(env))]
    while isinstance(env, gym.Wrapper):
        env = env.env
        layers.append((env, adapter_of(env)))
    return layers
