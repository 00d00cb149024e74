"""A Sampler takes environments through a rollout with an actor; SerialSampler does it in this process."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from trpo_fast.environments.interface import Environments, Trajectories
from trpo_fast.environments.single import SingleEnvironments
from trpo_fast.errors import SnapshotError
from trpo_fast.policies.policy import Actor, Policy
from trpo_fast.sampling.rollouts import Rollout
from trpo_fast.sampling.stepping import AfterStep, step_through
from trpo_fast.sampling.vine import VinePlan, sample_vine


class Sampler(Protocol):
    """n environments that an actor is taken through, one rollout at a time."""

    num_envs: int

    def reset(self, seed: int | None) -> npt.NDArray[np.float64]:
        """As ``Environments.reset``."""

    def collect(
        self,
        actor: Actor,
        noise: npt.NDArray[Any],
        observations: npt.NDArray[np.float64],
        after_step: AfterStep | None,
        plan: VinePlan | None = None,
    ) -> Rollout | None:
        """Step with ``actor`` from ``observations`` (n, *shape), once for each row of ``noise`` (T, n, A).

        ``after_step`` is called after every step; None is returned if it says False. With a ``plan`` branches follow.
        """


class SerialSampler:
    """Environments of this process, stepped with one policy call a step."""

    def __init__(self, environments: Environments, policy: Policy) -> None:
        self._environments = environments
        self._observation_codec = policy.observation_codec
        self.num_envs = environments.num_envs

    def reset(self, seed: int | None) -> npt.NDArray[np.float64]:
        """As ``Sampler.reset``."""
        return self._environments.reset(seed)

    def collect(
        self,
        actor: Actor,
        noise: npt.NDArray[Any],
        observations: npt.NDArray[np.float64],
        after_step: AfterStep | None,
        plan: VinePlan | None = None,
    ) -> Rollout | None:
        """As ``Sampler.collect``."""
        n_steps, n, _ = noise.shape
        trajectories = Trajectories.of_steps(n_steps, n, self._observation_codec)
        trajectories.observations[0] = observations
        actions = np.empty_like(noise)
        if plan is None:
            seconds = step_through(self._environments, actor, noise, trajectories, actions, after_step)
            return None if seconds is None else Rollout(trajectories, actions, seconds)
        if not isinstance(self._environments, SingleEnvironments):
            raise SnapshotError("vine: expected environments from an id or factories, whose states can be restored")
        sampled = sample_vine(self._environments, plan, actor, noise, trajectories, actions, after_step)
        return None if sampled is None else Rollout(trajectories, actions, *sampled)
