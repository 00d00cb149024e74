"""Vine sampling: branches from states along a path (Schulman et al. 2015, Section 5.2).

The trunk is an ordinary rollout. The states of the rollout set are captured along it. From each of them start K
branches: a branch restores the environment, takes its own first action and then follows the policy. All branches of a
state use the same random numbers, in the environment and in the policy's noise, so their returns differ only through
the first action (common random numbers).
"""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast.config import TRPOConfig
from trpo_fast.environments import snapshots
from trpo_fast.environments.interface import Trajectories
from trpo_fast.environments.single import SingleEnvironments
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.policy import Actor, Policy
from trpo_fast.sampling.rollouts import Branches, Seconds
from trpo_fast.sampling.stepping import AfterStep, step_through
from trpo_fast.spaces.observations import EncodedArray, NetworkInputs, stack


class VinePlan(NamedTuple):
    """Where branches start on the trunks of n environments, and how their first actions are drawn.

    Parameters
    ----------
    steps : ndarray of int64, shape (n, m)
        Trunk steps at which each environment is captured, in ascending order.
    seed : int
        Seed of the branches' random numbers.
    n_actions : int
        Branches K of a state.
    horizon : int
        Largest number H of steps of a branch.
    gamma : float
        Discount factor.
    proposal : {"all", "uniform", "policy"}
        First actions: every action once, uniform over ``n_choices``, or from the policy.
    n_choices : int
        Actions of a Discrete space; 0 with "policy".
    first_index : int
        Index of the first environment, if the plan is for a share of them.
    """

    steps: npt.NDArray[np.int64]
    seed: int
    n_actions: int
    horizon: int
    gamma: float
    proposal: str
    n_choices: int
    first_index: int = 0

    @classmethod
    def draw(cls, stream: np.random.Generator, policy: Policy, n_envs: int, config: TRPOConfig) -> "VinePlan":
        """Draw the plan of an iteration: equally many states of every environment, without replacement."""
        m = -(-config.vine_states // n_envs)
        steps = np.stack([np.sort(stream.choice(config.vine_trunk_steps, m, replace=False)) for _ in range(n_envs)])
        seed = int(stream.integers(2**63))
        n_actions, proposal, n_choices = proposal_of(policy, config)
        return cls(steps.astype(np.int64), seed, n_actions, config.vine_horizon, config.gamma, proposal, n_choices)

    def of(self, share: slice) -> "VinePlan":
        """The plan for a share of the environments."""
        return self._replace(steps=self.steps[share], first_index=share.start)


def proposal_of(policy: Policy, config: TRPOConfig) -> tuple[int, str, int]:
    """``n_actions``, ``proposal`` and ``n_choices`` of a plan.

    In a Discrete space all actions are tried if there are at most ``vine_actions``; otherwise they are drawn uniformly.
    In other spaces, and with action masks, they are drawn from the policy.
    """
    space = policy.action_space
    if not isinstance(space, gym.spaces.Discrete) or policy.action_masks is not None:
        return config.vine_actions, "policy", 0
    n = int(space.n)
    return (n, "all", n) if n <= config.vine_actions else (config.vine_actions, "uniform", n)


def sample_vine(
    environments: SingleEnvironments,
    plan: VinePlan,
    actor: Actor,
    noise: npt.NDArray[Any],
    trajectories: Trajectories,
    actions: npt.NDArray[Any],
    after_step: AfterStep | None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> tuple[Seconds, Branches] | None:
    """Sample a trunk, as ``step_through`` does, and then its branches; the environments end at the trunk's end.

    Returns
    -------
    (Seconds, Branches) or None
        None if ``after_step``, which is called for the trunk only, returns False, or ``is_cancelled`` returns True
        between branches.

    Raises
    ------
    EnvironmentFaultError
        If an environment raises or returns invalid values.
    SnapshotError
        If the state of an environment cannot be captured or restored.
    """
    captured_in: dict[int, list[int]] = {}
    for i, steps in enumerate(plan.steps.tolist()):
        for t in steps:
            captured_in.setdefault(t, []).append(i)
    captured: list[list[snapshots.State]] = [[] for _ in plan.steps]

    def capture(t: int) -> None:
        for i in captured_in.get(t, ()):
            captured[i].append(environments.capture(i))

    def capture_and_go_on(trajectories: Trajectories, t: int, encoded: npt.NDArray[Any]) -> bool:
        capture(t + 1)
        return after_step is None or after_step(trajectories, t, encoded)

    capture(0)
    seconds = step_through(environments, actor, noise, trajectories, actions, capture_and_go_on)
    if seconds is None:
        return None
    begin = time.perf_counter()
    sampled = _sample_branches(environments, plan, actor, trajectories, captured, is_cancelled)
    if sampled is None:
        return None
    branches, acting = sampled
    elapsed = time.perf_counter() - begin
    return Seconds(seconds.policy + acting, seconds.environments + elapsed - acting), branches


def _sample_branches(
    environments: SingleEnvironments,
    plan: VinePlan,
    actor: Actor,
    trajectories: Trajectories,
    captured: list[list[snapshots.State]],
    is_cancelled: Callable[[], bool],
) -> tuple[Branches, float] | None:
    """Sample the branches from the ``captured`` states of a complete trunk; also returns the seconds in the policy."""
    policy, n_steps_of_trunk = actor.policy, len(trajectories.rewards)
    (n, m), n_actions, dtype = plan.steps.shape, plan.n_actions, policy.dtype
    actions = np.empty((n, m, n_actions, policy.codec.size), dtype=dtype)
    rewards, discounts = np.zeros((n, m, n_actions, plan.horizon)), np.zeros((n, m, n_actions))
    tails: list[EncodedArray] = []
    n_steps, acting = 0, 0.0
    for i, states in enumerate(captured):
        end = environments.capture(i)
        for j, state in enumerate(states):
            step = int(plan.steps[i, j])
            single = environments.single(i, ago=n_steps_of_trunk - step)
            stream = np.random.default_rng([plan.seed, plan.first_index + i, j])
            acted_on = trajectories.observations.acted_on(step, np.full(n_actions, i))
            _draw_actions(plan, actor, acted_on, actions[i, j], stream)
            noise = stream.standard_normal((plan.horizon, 1, policy.codec.size), dtype=dtype)
            for k, first in enumerate(actions[i, j]):
                if is_cancelled():
                    return None
                environments.restore(i, state)
                branch = rollout_branch(single, actor, first, noise, plan.gamma)
                rewards[i, j, k, : branch.n_steps], discounts[i, j, k] = branch.rewards, branch.discount
                tails.append(branch.tail)
                n_steps, acting = n_steps + branch.n_steps, acting + branch.acting
        environments.restore(i, end)
    observations = trajectories.observations.at(plan.steps)
    return Branches(observations, actions, rewards, stack(tails), discounts, n_steps), acting


def _draw_actions(
    plan: VinePlan,
    actor: Actor,
    observations: NetworkInputs,
    out: npt.NDArray[Any],
    stream: np.random.Generator,
) -> None:
    """Write the first actions of K branches to ``out`` (K, A), encoded; ``observations`` are those of their state."""
    if plan.proposal == "policy":
        noise = stream.standard_normal(out.shape, dtype=out.dtype)
        actor.act(observations, noise, out)
    elif plan.proposal == "all":
        out[:, 0] = np.arange(len(out))
    else:
        out[:, 0] = stream.integers(plan.n_choices, size=len(out))


def check_vine(policy: Policy, n_envs: int, config: TRPOConfig) -> None:
    """Raise InvalidArgumentError if the vine of ``config`` is impossible in these spaces and environments."""
    if proposal_of(policy, config)[0] < 2:
        raise InvalidArgumentError("env", "two actions or more, for a vine", policy.action_space)
    most = config.vine_trunk_steps * n_envs
    if config.vine_states > most:
        raise InvalidArgumentError("vine_states", f"at most {most}, the steps of all trunks", config.vine_states)


class Branch(NamedTuple):
    """One branch.

    Parameters
    ----------
    rewards : ndarray, shape (n_steps,)
    tail : ndarray, shape (*shape)
        Last observation.
    discount : float
        Discount of the value at the tail, 0 after termination.
    n_steps : int
    acting : float
        Seconds spent in the policy.
    """

    rewards: npt.NDArray[np.float64]
    tail: EncodedArray
    discount: float
    n_steps: int
    acting: float


def rollout_branch(
    environment: SingleEnvironments, actor: Actor, first: npt.NDArray[Any], noise: npt.NDArray[Any], gamma: float
) -> Branch:
    """Roll out one branch from the environment's present state.

    Parameters
    ----------
    environment : SingleEnvironments
        One environment.
    first : ndarray, shape (A,)
        First action, encoded; later actions are those of ``actor``.
    noise : ndarray, shape (H, 1, A)
        Standard normal noise of the actions; the branch has at most H steps.
    gamma : float
        Discount factor.
    """
    horizon, codec = len(noise), actor.policy.codec
    into = Trajectories.of_steps(horizon, 1, actor.policy.observation_codec)
    encoded, env_actions = first[None].copy(), codec.to_env(first[None])
    discount, acting, rewards = 1.0, 0.0, into.rewards[:, 0]
    for t in range(horizon):
        if t > 0:
            begin = time.perf_counter()
            taken = codec.empty_env_actions(1)
            actor.act(into.observations.acted_on(t), noise[t], encoded, taken.reshape(1, -1))
            env_actions = codec.in_space(taken)
            acting += time.perf_counter() - begin
        environment.step(env_actions, t, into)
        discount *= gamma
        if into.terminated[t, 0]:
            return Branch(rewards[: t + 1], into.observations[t + 1][0], 0.0, t + 1, acting)
        if into.truncated[t, 0]:
            return Branch(rewards[: t + 1], into.final_observations[t, 0], discount, t + 1, acting)
    return Branch(rewards, into.observations[horizon][0], discount, horizon, acting)
