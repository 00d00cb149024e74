"""Vine sampling: branches from states along a path (Schulman et al. 2015, Section 5.2).

The trunk is an ordinary rollout. On its way the states of the rollout set are captured; from each, K branches restore
the environment, take an action of their own, and follow the policy. All branches of a state see the same random
numbers, in their environment and in the policy's noise, so that their returns differ by what the first action changed.
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
from trpo_fast.spaces.rows import stack


class VinePlan(NamedTuple):
    """Where branches leave the trunks of n environments, and how.

    ``steps`` (n, m) int64 says in which steps of its trunk each environment is captured, in ascending order. ``seed``
    is that of every branch. ``proposal`` is "all" (every action once), "uniform" over ``n_choices`` or "policy".
    """

    steps: npt.NDArray[np.int64]
    seed: int
    n_actions: int
    horizon: int
    gamma: float
    proposal: str
    n_choices: int
    first_index: int = 0  # the number of the first environment, where they are a share of more

    @classmethod
    def draw(cls, stream: np.random.Generator, policy: Policy, n_envs: int, config: TRPOConfig) -> "VinePlan":
        """The plan of an iteration: as many states of every environment, drawn without replacement."""
        m = -(-config.vine_states // n_envs)
        steps = np.stack([np.sort(stream.choice(config.vine_trunk_steps, m, replace=False)) for _ in range(n_envs)])
        seed = int(stream.integers(2**63))
        n_actions, proposal, n_choices = proposal_of(policy, config)
        return cls(steps.astype(np.int64), seed, n_actions, config.vine_horizon, config.gamma, proposal, n_choices)

    def of(self, share: slice) -> "VinePlan":
        """The plan of some of the environments."""
        return self._replace(steps=self.steps[share], first_index=share.start)


def proposal_of(policy: Policy, config: TRPOConfig) -> tuple[int, str, int]:
    """How many actions of a state are tried, what they are drawn from, and how many there are of a Discrete space.

    Discrete actions: all of them, if there are no more than ``vine_actions``, otherwise uniform draws. Other actions,
    and those that a mask may forbid, come from the policy.
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
    """A trunk, as ``step_through``, and the branches of its rollout set; the environments are left at the trunk's end.

    Returns None if ``after_step``, which sees the trunk, says False, or ``is_cancelled`` says True between branches.
    """
    captured_in: dict[int, list[int]] = {}
    for i, steps in enumerate(plan.steps.tolist()):
        for t in steps:
            captured_in.setdefault(t, []).append(i)
    captured: list[list[snapshots.State]] = [[] for _ in plan.steps]

    def capture(t: int) -> None:
        for i in captured_in.get(t, ()):
            captured[i].append(environments.capture(i))

    def capture_and_go_on(trajectories: Trajectories, t: int) -> bool:
        capture(t + 1)
        return after_step is None or after_step(trajectories, t)

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
    """The branches from the ``captured`` states of a complete trunk, and the seconds spent in the policy."""
    policy, n_steps_of_trunk = actor.policy, len(trajectories.rewards)
    (n, m), n_actions, dtype = plan.steps.shape, plan.n_actions, policy.dtype
    actions = np.empty((n, m, n_actions, policy.codec.size), dtype=dtype)
    rewards, discounts = np.zeros((n, m, n_actions, plan.horizon)), np.zeros((n, m, n_actions))
    tails: list[npt.NDArray[np.float64]] = []
    n_steps, acting = 0, 0.0
    for i, states in enumerate(captured):
        end = environments.capture(i)
        for j, state in enumerate(states):
            step = int(plan.steps[i, j])
            single = environments.single(i, ago=n_steps_of_trunk - step)
            stream = np.random.default_rng([plan.seed, plan.first_index + i, j])
            _draw_actions(plan, actor, trajectories.observations.acted_on(step)[i], actions[i, j], stream)
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
    observation: npt.NDArray[np.float64],
    out: npt.NDArray[Any],
    stream: np.random.Generator,
) -> None:
    """The first actions (K, A), encoded, of the branches of a state with this ``observation`` (size,)."""
    if plan.proposal == "policy":
        noise = stream.standard_normal(out.shape, dtype=out.dtype)
        actor.act(np.tile(observation, (len(out), 1)), noise, out)
    elif plan.proposal == "all":
        out[:, 0] = np.arange(len(out))
    else:
        out[:, 0] = stream.integers(plan.n_choices, size=len(out))


def check_vine(policy: Policy, n_envs: int, config: TRPOConfig) -> None:
    """InvalidArgumentError if a vine cannot have the branches that ``config`` asks for."""
    if proposal_of(policy, config)[0] < 2:
        raise InvalidArgumentError("env", "two actions or more, for a vine", policy.action_space)
    most = config.vine_trunk_steps * n_envs
    if config.vine_states > most:
        raise InvalidArgumentError("vine_states", f"at most {most}, the steps of all trunks", config.vine_states)


class Branch(NamedTuple):
    """Rewards, the last observation, the discount of its value (0 after termination), steps, seconds in the policy."""

    rewards: npt.NDArray[np.float64]
    tail: npt.NDArray[np.float64]
    discount: float
    n_steps: int
    acting: float


def rollout_branch(
    environment: SingleEnvironments, actor: Actor, first: npt.NDArray[Any], noise: npt.NDArray[Any], gamma: float
) -> Branch:
    """A branch: the encoded action ``first`` (A,), then those of ``actor`` with ``noise`` (H, 1, A)."""
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
