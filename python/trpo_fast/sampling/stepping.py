"""The inner loop of sampling: act, step, record."""

import time
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy.typing as npt

from trpo_fast.environments.interface import Environments, Trajectories
from trpo_fast.policies.policy import Actor
from trpo_fast.sampling.rollouts import Seconds

# (trajectories up to step t, t, encoded actions (n, A) of step t) -> whether to continue
AfterStep: TypeAlias = Callable[[Trajectories, int, npt.NDArray[Any]], bool]


def step_through(
    environments: Environments,
    actor: Actor,
    noise: npt.NDArray[Any],
    trajectories: Trajectories,
    actions: npt.NDArray[Any],
    after_step: AfterStep | None,
) -> Seconds | None:
    """Step ``environments`` with ``actor`` and record the steps in ``trajectories`` and ``actions``.

    Parameters
    ----------
    noise : ndarray of the policy's dtype, shape (T, n, A)
        Standard normal noise of the actions.
    trajectories : Trajectories
        Memory for T steps; its first observations are where the environments are.
    actions : ndarray of the policy's dtype, shape (T, n, A)
        Receives encoded actions.
    after_step : callable or None
        Called after every step with (trajectories, t, actions[t]).

    Returns
    -------
    Seconds or None
        Times spent in the policy and the environments; None as soon as ``after_step`` returns False.
    """
    n_steps, n, size = noise.shape
    observations, codec = trajectories.observations, actor.policy.codec
    env_actions = codec.empty_env_actions(n_steps, n)
    env_rows = env_actions.reshape(n_steps, n, size)
    acting = stepping = 0.0
    now = time.perf_counter()
    for t in range(n_steps):
        actor.act(observations.acted_on(t), noise[t], actions[t], env_rows[t])
        acted = time.perf_counter()
        environments.step(codec.in_space(env_actions[t]), t, trajectories)
        stepped = time.perf_counter()
        acting, stepping = acting + (acted - now), stepping + (stepped - acted)
        now = stepped
        if after_step is not None:
            if not after_step(trajectories, t, actions[t]):
                return None
            now = time.perf_counter()
    return Seconds(acting, stepping)
