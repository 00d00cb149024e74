"""The Arcade Learning Environment, from which policies here see the RAM.

The emulator's state with its random numbers is complete but for one thing: which action sticky actions would repeat.
"""

import sys
from typing import Any

import numpy as np

from trpo_fast.errors import SnapshotError

STICKY = "repeat_action_probability"


def is_environment(env: Any) -> bool:
    """Whether ``env`` is ale-py's own."""
    module = sys.modules.get("ale_py.env")
    return module is not None and type(env) is module.AtariEnv


def refuse_sticky_actions(env: Any) -> None:
    """SnapshotError, if ``env`` has them."""
    probability = env.ale.getFloat(STICKY)
    if probability != 0.0:
        raise SnapshotError(
            f"ale_py.env.AtariEnv: expected {STICKY}=0 (the emulator tells nobody which action sticky ones repeat), "
            f"got {probability:g}"
        )


def get_state(env: Any) -> dict[str, Any]:
    """The emulator, as bytes, and what it plays."""
    emulator = np.frombuffer(env.ale.cloneState(include_rng=True).serialize(), dtype=np.uint8).copy()
    return {"plays": _plays(env), "emulator": emulator}


def _plays(env: Any) -> list[Any]:
    return [env._game, env._game_mode, env._game_difficulty]


def set_state(env: Any, state: dict[str, Any]) -> None:
    """The emulator, as ``get_state`` gave it."""
    if state["plays"] != _plays(env):
        raise ValueError(f"expected game, mode and difficulty {_plays(env)}, got {state['plays']}")
    kind = sys.modules["ale_py"].ALEState
    emulator = kind.__new__(kind)
    try:
        emulator.__setstate__(state["emulator"].astype(np.uint8).tobytes())
        env.ale.restoreState(emulator)
    except (MemoryError, RuntimeError, SystemError) as error:  # what ale-py says to bytes that are not its own
        raise ValueError("expected the bytes of an emulator") from error
