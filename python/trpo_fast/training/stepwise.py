"""StepwiseTraining: the steps of ``TRPO.learn`` as methods, for your own loop, and read-only views of a model."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from trpo_fast.config import TRPOConfig
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.monitoring.logger import Logger
from trpo_fast.monitoring.metrics import Clock, Sink
from trpo_fast.policies.normalization import RunningMeanStd
from trpo_fast.policies.policy import Actor
from trpo_fast.policies.predictor import Predictor
from trpo_fast.policies.value_function import ValueFunction
from trpo_fast.protocols import Metrics
from trpo_fast.sampling.rollouts import Episode, Rollout
from trpo_fast.sampling.transitions import Transitions
from trpo_fast.training.batching import IterationBatch, iteration_batch_of_arrays, make_iteration_batch
from trpo_fast.training.loop import commit, learn_from
from trpo_fast.training.state import TrainingState
from trpo_fast.update.batches import Batch
from trpo_fast.update.report import UpdateReport
from trpo_fast.validation import describe


class StepwiseTraining(Predictor):
    """Training step by step: sample a rollout, make a batch, update.

    Attributes
    ----------
    config : TRPOConfig
    value_function : ValueFunction
    logger : Logger
        ``record(name, value)`` adds a metric to the present iteration.
    sinks : list
        Objects with ``write(metrics)``, called after every iteration; append your own.
    """

    config: TRPOConfig
    value_function: ValueFunction
    logger: Logger
    sinks: list[Sink]
    _training: TrainingState

    def sample_rollout(self, *, reset: bool = False) -> Rollout:
        """Collect the next rollout with the committed policy, for your own loop, and count its transitions.

        Parameters
        ----------
        reset : bool
            Start new episodes first, and reset the counts of steps and episodes to 0.

        Raises
        ------
        AlreadyTrainingError
            If the model is sampling already: in a callback, an environment or another thread.
        EnvironmentFaultError
            If an environment raises or returns invalid values.
        InvalidArgumentError
            If the model has no environments.
        """
        with self._training.session(reset=reset):
            config = self.config.at(self.progress_remaining, self._training.model.radius)
            rollout = self._training.collect(config, None)
            self._training.end_rollout()
        return cast(Rollout, rollout)  # None comes from callbacks only

    def make_batch(self, rollout: Rollout) -> IterationBatch:
        """Turn a rollout into the batch of an iteration, with advantages and returns; ``update`` takes it.

        Update with the batch before the next rollout: it holds the next statistics of the rewards
        (``normalize_reward``).

        Raises
        ------
        InvalidArgumentError
            If the rollout has no transitions, only steps of an autoreset.
        """
        state = self._training.model
        config = self.config.at(self.progress_remaining, state.radius)
        return make_iteration_batch(rollout, state, self.value_function, config)

    def transitions(self) -> Transitions:
        """Recorder of a robot's transitions for ``collect``; its ``act`` samples from the committed policy.

        For learning without a Gymnasium environment: create or load the model with a tuple of spaces instead.

        Raises
        ------
        InvalidArgumentError
            If the model has several environments.
        """
        if self.n_envs != 1:
            expected = "a tuple of spaces, or one environment"
            raise InvalidArgumentError("env", expected, f"{self.n_envs} environments")
        return Transitions(self.policy, lambda: self.actor, lambda: self._training.streams.action_noise[0])

    def collect(self, transitions: Transitions) -> Batch:
        """Turn recorded transitions into a batch, with the critic's advantages and returns; ``update`` takes it.

        The transitions are counted in ``num_timesteps``, their finished episodes in ``ep_info_buffer``, and they are
        removed from ``transitions``.

        Raises
        ------
        InvalidArgumentError
            If there are no transitions, or ``method`` is not "single_path".
        """
        if self.config.method != "single_path":
            raise InvalidArgumentError("method", '"single_path" for transitions from outside', self.config.method)
        rollout, training = transitions.rollout(), self._training
        batch = self.make_batch(rollout)
        training.num_timesteps += rollout.num_transitions
        training.collector.count_episodes(rollout)
        training.model = replace(training.model, reward_normalizer=batch.reward_normalizer)
        transitions.clear()
        return batch.batch

    def update(self, batch: Batch | IterationBatch) -> UpdateReport:
        """Run one iteration on a batch: the policy's step, the critic's fit and the new statistics.

        All of them are committed together or not at all. Another thread may call ``predict``, or ``act`` of
        ``transitions``, while the update runs: it uses the policy from before or after the update. ``report``,
        ``metrics`` and the sinks receive the same values as in ``learn``, except times; ``tensorboard_log`` is used by
        ``learn`` only. Schedules read ``progress_remaining``, which you may set.

        Parameters
        ----------
        batch : Batch or IterationBatch
            The result of ``collect`` or ``make_batch``; or your own advantages and returns, with actions as the policy
            sampled them.

        Returns
        -------
        UpdateReport
            Report of the policy's update.

        Raises
        ------
        InvalidArgumentError
            If an array has the wrong kind or shape. For values that are not finite, the report has a status.
        """
        if not isinstance(batch, Batch | IterationBatch):
            raise InvalidArgumentError("batch", "a Batch or an IterationBatch", describe(batch))
        training = self._training
        if isinstance(batch, Batch):
            batch = iteration_batch_of_arrays(batch, training.model, self.value_function)
        config = self.config.at(self.progress_remaining, training.model.radius)
        clock = Clock(training.num_timesteps)
        result = learn_from(batch, training, self.value_function, self.config, config, clock)
        metrics = commit(result, training)
        counts = {"time/iterations": training.n_iterations, "time/total_timesteps": training.num_timesteps}
        training.metrics = {**self.logger.take(), **metrics, **counts}
        for sink in self.sinks:
            sink.write(training.metrics)
        return result.report

    @property
    def actor(self) -> Actor:
        """Actor of the committed policy: an immutable snapshot; updates replace it, so any thread may use it."""
        return self._training.model.actor

    @property
    def _prediction_stream(self) -> np.random.Generator:
        return self._training.streams.prediction

    @property
    def value_theta(self) -> npt.NDArray[Any]:
        """Read-only copy of the critic's parameters, shape (P,)."""
        theta = self._training.model.critic.theta.copy()
        theta.flags.writeable = False
        return theta

    @property
    def return_statistics(self) -> RunningMeanStd:
        """Running statistics of the critic's targets (``normalize_returns``)."""
        return self._training.model.critic.target_statistics

    @property
    def num_timesteps(self) -> int:
        """Number of transitions collected."""
        return self._training.num_timesteps

    @num_timesteps.setter
    def num_timesteps(self, n: int) -> None:
        self._training.num_timesteps = n

    @property
    def num_saved_timesteps(self) -> int:
        """Number of transitions up to the end of the last whole iteration: what ``save`` writes."""
        return self._training.num_saved_timesteps

    @property
    def progress_remaining(self) -> float:
        """Fraction of training that remained when the present iteration began, from 1 to 0; schedules read it."""
        return self._training.progress_remaining

    @progress_remaining.setter
    def progress_remaining(self, progress_remaining: float) -> None:
        self._training.progress_remaining = progress_remaining

    @property
    def report(self) -> UpdateReport | None:
        """Report of the last update."""
        return self._training.report

    @property
    def metrics(self) -> Metrics:
        """Metrics of the last iteration."""
        return self._training.metrics

    @property
    def n_envs(self) -> int:
        """Number of environments."""
        return self._training.collector.sampler.num_envs

    @property
    def ep_info_buffer(self) -> list[dict[str, float]]:
        """The latest ``stats_window_size`` episodes in SB3's form: dicts with return "r" and length "l" in steps."""
        return [{"r": episode.episode_return, "l": episode.length} for episode in self._training.collector.episodes]

    @property
    def latest_episodes(self) -> list[Episode]:
        """Episodes that ended in the latest rollout."""
        return list(self._training.collector.latest_episodes)

    @property
    def num_steps(self) -> int:
        """Steps taken by each environment since training began, without the steps of a vine's branches."""
        return self._training.collector.num_steps

    @property
    def num_episodes(self) -> int:
        """Number of finished episodes."""
        return self._training.collector.num_episodes
