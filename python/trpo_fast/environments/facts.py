"""What an environment says of the numbers of a policy that is trained in it: id, control period, scale of actions."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers import ClipAction, RescaleAction

from trpo_fast.spaces.interface import Interface


def facts_of(env: Any) -> dict[str, Any]:
    """Fields of an ``Interface``, those of which an environment says something.

    ``environment`` is the id in its ``spec``, and ``control_period`` the ``dt`` of the environment below all wrappers.
    ``action_scale`` and ``action_offset`` are those of its ``RescaleAction`` wrappers, if no other one changes actions.
    """
    facts = _scale_of(env)
    reads: dict[str, Callable[[], Any]] = {
        "environment": lambda: env.spec.id,
        "control_period": lambda: env.unwrapped.dt,
    }
    for name, read in reads.items():
        with suppress(Exception):  # of the user's code, or because an interface may not have such a value
            facts[name] = getattr(Interface(**{name: read()}), name)
    return {name: value for name, value in facts.items() if value}


def _scale_of(env: Any) -> dict[str, Any]:
    """Scale and offset between the actions of ``env`` and those of the environment below its wrappers."""
    scale, offset, is_rescaled = np.array(1.0), np.array(0.0), False
    while isinstance(env, gym.Wrapper):
        if isinstance(env, RescaleAction):
            inner: Any = env.env.action_space
            outer: Any = env.action_space
            its_scale = (inner.high.astype(np.float64) - inner.low) / (outer.high.astype(np.float64) - outer.low)
            its_offset = inner.low - its_scale * outer.low
            scale, offset, is_rescaled = its_scale * scale, its_offset + its_scale * offset, True
        elif not isinstance(env, ClipAction) and (
            isinstance(env, gym.ActionWrapper) or env.action_space != env.env.action_space
        ):
            return {}
        env = env.env
    if not is_rescaled or not (np.isfinite(scale).all() and np.isfinite(offset).all()):
        return {}
    return {"action_scale": tuple(scale.ravel().tolist()), "action_offset": tuple(offset.ravel().tolist())}
