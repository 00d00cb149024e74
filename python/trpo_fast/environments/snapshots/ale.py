"""The Arcade Learning Environment: the emulator's state, and environments of ale-py with observations of the RAM.

The emulator's state with its random numbers lacks one thing: the action that sticky actions would repeat.
"""

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.errors import SnapshotError

STICKY = "repeat_action_probability"


def is_environment(env: Any) -> bool:
    """Whether ``env`` is an environment of ale-py."""
    module = sys.modules.get("ale_py.env")
    return module is not None and type(env) is module.AtariEnv


def refuse_sticky_actions(env: Any) -> None:
    """SnapshotError if ``env`` has sticky actions."""
    probability = env.ale.getFloat(STICKY)
    if probability != 0.0:
        raise SnapshotError(
            f"ale_py.env.AtariEnv: expected {STICKY}=0 (the emulator does not reveal the action that it would repeat), "
            f"got {probability:g}"
        )


def get_state(env: Any) -> dict[str, Any]:
    """The emulator's state as bytes, and game, mode and difficulty."""
    return {"plays": _plays(env), "emulator": emulator_state(env.ale)}


def set_state(env: Any, state: dict[str, Any]) -> None:
    """Set the emulator to a state that ``get_state`` returned."""
    if state["plays"] != _plays(env):
        raise ValueError(f"expected game, mode and difficulty {_plays(env)}, got {state['plays']}")
    set_emulator_state(env.ale, state["emulator"])


def _plays(env: Any) -> list[Any]:
    return [env._game, env._game_mode, env._game_difficulty]


def emulator_state(ale: Any) -> npt.NDArray[np.uint8]:
    """The state of an ``ALEInterface`` with its random numbers, as bytes, shape (n,)."""
    return np.frombuffer(ale.cloneState(include_rng=True).serialize(), dtype=np.uint8).copy()


def set_emulator_state(ale: Any, state: npt.NDArray[Any]) -> None:
    """Set an ``ALEInterface`` to what ``emulator_state`` returned; ValueError if ``state`` is anything else."""
    kind = sys.modules["ale_py"].ALEState
    emulator = kind.__new__(kind)
    try:
        emulator.__setstate__(state.astype(np.uint8).tobytes())
        ale.restoreState(emulator)
    except (MemoryError, RuntimeError, SystemError) as error:  # raised by ale-py for bytes that it did not write
        raise ValueError("expected the bytes of an emulator") from error
