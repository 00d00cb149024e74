"""MuJoCo: the tasks of Gymnasium.

A step depends on MuJoCo's integration state. Some tasks also read derived quantities: the rewards of Ant and Humanoid
use the body positions of the last forward pass, which lags behind qpos. All derived quantities whose size the model
fixes are therefore captured; contacts and constraints are not.
"""

import sys
from typing import Any

import numpy as np

_TASKS = "gymnasium.envs.mujoco."

DERIVED = (
    "xpos", "xquat", "xmat", "xipos", "ximat", "xanchor", "xaxis", "geom_xpos", "geom_xmat", "site_xpos", "site_xmat",
    "subtree_com", "subtree_linvel", "subtree_angmom", "cinert", "cvel", "cacc", "cfrc_int", "cfrc_ext",
    "qacc", "qfrc_actuator", "qfrc_bias", "qfrc_passive", "qfrc_constraint", "actuator_length",
    "actuator_velocity", "actuator_force", "ten_length", "ten_velocity", "sensordata", "energy",
)  # fmt: skip


def is_environment(env: Any) -> bool:
    """Whether ``env`` is a MuJoCo task of Gymnasium; their Python objects have no state from step to step."""
    base = sys.modules.get("gymnasium.envs.mujoco.mujoco_env")
    return base is not None and isinstance(env, base.MujocoEnv) and type(env).__module__.startswith(_TASKS)


def get_state(env: Any) -> dict[str, Any]:
    """The integration state and the derived quantities."""
    mujoco = sys.modules["mujoco"]
    state = np.empty(mujoco.mj_stateSize(env.model, mujoco.mjtState.mjSTATE_INTEGRATION))
    mujoco.mj_getState(env.model, env.data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
    return {"integration": state, "derived": np.concatenate([a.ravel() for a in _derived(env)])}


def set_state(env: Any, state: dict[str, Any]) -> None:
    """Set both to what ``get_state`` returned."""
    mujoco = sys.modules["mujoco"]
    arrays = _derived(env)
    ends = np.cumsum([a.size for a in arrays])
    if state["derived"].shape != (ends[-1],):
        raise ValueError(f"expected {ends[-1]} derived values, got shape {state['derived'].shape}")
    mujoco.mj_setState(env.model, env.data, state["integration"], mujoco.mjtState.mjSTATE_INTEGRATION)
    for array, values in zip(arrays, np.split(state["derived"], ends[:-1]), strict=True):
        array[...] = values.reshape(array.shape)


def _derived(env: Any) -> list[np.ndarray[Any, Any]]:
    return [getattr(env.data, name) for name in DERIVED if hasattr(env.data, name)]
