"""Environments and a policy, step after step."""

import time
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy.typing as npt

from trpo_fast.environments.interface import Environments, Trajectories
from trpo_fast.policies.policy import Actor
from trpo_fast.sampling.rollouts import Seconds
from trpo_fast.spaces.actions import ActionCodec

AfterStep: TypeAlias = Callable[[Trajectories, int], bool]  # what happened until step t, t -> whether to go on


def step_through(
    environments: Environments,
    actor: Actor,
    codec: ActionCodec,
    noise: npt.NDArray[Any],
    trajectories: Trajectories,
    actions: npt.NDArray[Any],
    after_step: AfterStep | None,
) -> Seconds | None:
    """Step ``environments`` with ``actor`` from the first observations of ``trajectories`` on, which are filled.

    ``actions`` (T, n, A) receives kernel rows. Returns None if ``after_step`` says False, there and then.
    """
    n_steps, n, size = noise.shape
    observations = trajectories.observations.reshape(n_steps + 1, n, -1)
    env_actions = codec.empty_env_actions(n_steps, n)
    env_rows = env_actions.reshape(n_steps, n, size)
    acting = stepping = 0.0
    now = time.perf_counter()
    for t in range(n_steps):
        actor.act(observations[t], noise[t], actions[t], env_rows[t])
        acted = time.perf_counter()
        environments.step(codec.in_space(env_actions[t]), t, trajectories)
        stepped = time.perf_counter()
        acting, stepping = acting + (acted - now), stepping + (stepped - acted)
        now = stepped
        if after_step is not None:
            if not after_step(trajectories, t):
                return None
            now = time.perf_counter()
    return Seconds(acting, stepping)
