"""Where a training is beside what it has learned: random streams, counters, unfinished episodes; and how to go on."""

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.config import TRPOConfig
from trpo_fast.errors import PolicyFileError, ResumeWarning, SnapshotError
from trpo_fast.policies.policy import Policy
from trpo_fast.policies.value_function import CriticState
from trpo_fast.sampling.collector import RolloutCollector
from trpo_fast.sampling.rollouts import Rollout
from trpo_fast.sampling.sampler import Sampler
from trpo_fast.sampling.stepping import AfterStep
from trpo_fast.sampling.vine import VinePlan
from trpo_fast.storage.plain_values import to_json
from trpo_fast.training.reward_normalization import RewardNormalizer
from trpo_fast.validation import check_real, float_array


class Training:
    """The course of one model's training.

    Parameters
    ----------
    environments : Environments
        Whose state is kept.
    sampler : Sampler
        What steps them.
    policy : Policy
    seed : int
        Of every stream.
    stats_window_size : int
        Finished episodes that are remembered.

    Attributes
    ----------
    collector : RolloutCollector
    order_stream, predict_stream, vine_stream : numpy.random.Generator
        Of the critic's minibatches, of ``predict``, and of a vine's plans.
    rewards : RewardNormalizer
    radius : float or None
        The present trust region, where that is adaptive.
    n_updates, n_iterations : int
    is_between_rollouts : bool
        After a fault or Ctrl-C within a rollout it is not, and environments must be reset.
    """

    def __init__(self, environments: Any, sampler: Sampler, policy: Policy, seed: int, stats_window_size: int) -> None:
        self._environments = environments
        noise_seeds = np.random.SeedSequence(seed).spawn(5)[4]
        self.collector = RolloutCollector(sampler, policy, noise_seeds, stats_window_size)
        self.rewards = RewardNormalizer.initial(environments.num_envs)
        self.radius: float | None = None
        self.n_updates = 0
        self.n_iterations = 0
        self._not_resumed = ""  # why a loaded training cannot go on where it was
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Begin every stream anew, those of the environments with their next reset."""
        self.seed = self._environment_seed = seed
        _, _, order_seed, predict_seed, noise_seeds, vine_seed = np.random.SeedSequence(seed).spawn(6)
        self.order_stream = np.random.default_rng(order_seed)
        self.predict_stream = np.random.default_rng(predict_seed)
        self.vine_stream = np.random.default_rng(vine_seed)
        self.collector.seed_noise(noise_seeds)
        self._seeded = False  # the environments' own random streams go on after their first reset
        self.is_between_rollouts = False

    def change_environments(self, environments: Any, sampler: Sampler) -> None:
        """Go on in other environments, which begin new episodes."""
        self._environments = environments
        self.collector.sampler = sampler
        self.is_between_rollouts = self._seeded = False

    def begin(self, *, anew: bool) -> None:
        """Get ready for a rollout: with new episodes if they are to begin ``anew``, or cannot go on."""
        if anew or not self.is_between_rollouts:
            if self._not_resumed and not anew:
                text = f"training goes on with new episodes: {self._not_resumed}"
                warnings.warn(text, ResumeWarning, stacklevel=3)
            self._not_resumed = ""
            self.is_between_rollouts = False
            self.collector.reset(None if self._seeded else self._environment_seed)
            self.rewards = self.rewards.reset_envs()
            self._seeded = True
        if anew:
            self.n_iterations = 0
            self.collector.forget_episodes()

    def collect(
        self, theta: npt.NDArray[Any], policy: Policy, config: TRPOConfig, after_step: AfterStep | None
    ) -> Rollout | None:
        """A rollout, of one path or a vine, as ``RolloutCollector.collect``."""
        plan = None
        if config.method == "vine":
            plan = VinePlan.draw(self.vine_stream, policy, self._environments.num_envs, config)
        return self.collector.collect(theta, config.rollout_steps, after_step, plan)

    def get_state(self, critic: CriticState) -> dict[str, Any]:
        """What training needs to go on beside parameters, statistics and settings, as plain values."""
        state = {
            "n_updates": self.n_updates,
            "n_iterations": self.n_iterations,
            "first_moment": critic.first_moment,
            "second_moment": critic.second_moment,
            "n_adam_steps": critic.n_steps,
            "order_stream": self.order_stream,
            "predict_stream": self.predict_stream,
            "vine_stream": self.vine_stream,
            "noise_streams": self.collector.noise_streams,
            "rewards": self.rewards.get_state(),
            "episodes": self.collector.get_episodes(),
            "radius": self.radius,
            "rollouts": None,
            "environments": None,
        }
        if not self.is_between_rollouts:
            return {**state, "not_resumable": self._not_resumed or "it was saved before or amid an iteration"}
        try:
            environments = self._environments.get_state()
            to_json(environments, {}, "environments")
        except Exception as error:  # of a get_state of the user's too: what was learned must be saved
            return {**state, "not_resumable": str(error) if isinstance(error, SnapshotError) else repr(error)}
        return {**state, "rollouts": self.collector.get_state(), "environments": environments, "not_resumable": ""}

    def set_state(self, state: dict[str, Any], critic: CriticState) -> CriticState:
        """Go on where ``get_state`` gave ``state``; in new episodes, where the environments are others.

        Returns the critic with its optimiser's state.

        Raises
        ------
        PolicyFileError
            If ``state`` is none.
        """
        try:
            shape, dtype = critic.theta.shape, critic.theta.dtype
            first, second = (float_array(n, state[n], shape, dtype) for n in ("first_moment", "second_moment"))
            n_steps = int(state["n_adam_steps"])
            streams = [state[name] for name in ("order_stream", "predict_stream", "vine_stream")]
            if not all(isinstance(s, np.random.Generator) for s in (*streams, *state["noise_streams"])):
                raise ValueError("streams that are none")
            self.order_stream, self.predict_stream, self.vine_stream = streams
            self.collector.noise_streams = state["noise_streams"]
            self.collector.set_episodes(state["episodes"])
            self.rewards = self.rewards.with_state(state["rewards"])
            self.radius = None if state["radius"] is None else check_real("radius", state["radius"], above=0.0)
            self.n_updates, self.n_iterations = int(state["n_updates"]), int(state["n_iterations"])
            self._environment_seed = int(np.random.SeedSequence([self.seed, self.n_updates]).generate_state(1)[0])
            self._not_resumed = str(state["not_resumable"])
            rollouts, environments = state["rollouts"], state["environments"]
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise PolicyFileError(f"policy file: expected the state of a training, got {error!r}") from error
        if rollouts is not None:
            self.resume(rollouts, environments)
        return replace(critic, first_moment=first, second_moment=second, n_steps=n_steps)

    def resume(self, rollouts: dict[str, Any], environments: dict[str, Any]) -> None:
        """Go on with unfinished episodes, if the environments can."""
        try:
            self.collector.set_state(rollouts)
            self._environments.set_state(environments)
            self._seeded = self.is_between_rollouts = True
            self._not_resumed = ""
        except (SnapshotError, AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            self._not_resumed = str(error)
