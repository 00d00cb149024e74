"""Sampler: steps environments through a rollout with an actor. SerialSampler does so in this process."""

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
from trpo_fast.spaces.observations import EncodedArray


class Sampler(Protocol):
    """Steps n environments with an actor, one rollout at a time."""

    num_envs: int

    def reset(self, seed: int | None) -> EncodedArray:
        """Start an episode in every environment, as ``Environments.reset``; returns observations (n, *shape)."""

    def collect(
        self,
        actor: Actor,
        noise: npt.NDArray[Any],
        observations: EncodedArray,
        after_step: AfterStep | None,
        plan: VinePlan | None = None,
    ) -> Rollout | None:
        """Collect a rollout.

        Parameters
        ----------
        actor : Actor
        noise : ndarray of the policy's dtype, shape (T, n, A)
            Standard normal noise of the actions; T is the number of steps.
        observations : ndarray, shape (n, *shape)
            Observations that the first actions are for.
        after_step : callable or None
            Called after every step; the rollout ends if it returns False.
        plan : VinePlan, optional
            Where branches start.

        Returns
        -------
        Rollout or None
            None if ``after_step`` returned False.

        Raises
        ------
        EnvironmentFaultError
            If an environment raises or returns invalid values.
        """


class SerialSampler:
    """Steps environments in this process, with one policy call per step."""

    def __init__(self, environments: Environments, policy: Policy) -> None:
        self._environments = environments
        self._observation_codec = policy.observation_codec
        self.num_envs = environments.num_envs

    def reset(self, seed: int | None) -> EncodedArray:
        """See ``Sampler.reset``."""
        return self._environments.reset(seed)

    def collect(
        self,
        actor: Actor,
        noise: npt.NDArray[Any],
        observations: EncodedArray,
        after_step: AfterStep | None,
        plan: VinePlan | None = None,
    ) -> Rollout | None:
        """See ``Sampler.collect``."""
        n_steps, n, _ = noise.shape
        trajectories = Trajectories.of_steps(n_steps, n, self._observation_codec, with_infos=after_step is not None)
        trajectories.observations[0] = observations
        actions = np.empty_like(noise)
        if plan is None:
            seconds = step_through(self._environments, actor, noise, trajectories, actions, after_step)
            return None if seconds is None else Rollout(trajectories, actions, seconds)
        if not isinstance(self._environments, SingleEnvironments):
            raise SnapshotError("vine: expected environments from an id or factories, whose states can be restored")
        sampled = sample_vine(self._environments, plan, actor, noise, trajectories, actions, after_step)
        return None if sampled is None else Rollout(trajectories, actions, *sampled)
