"""StepwiseTraining: the steps of ``TRPO.learn`` as methods, for your own loop."""

from dataclasses import replace
from typing import cast

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.monitoring.metrics import Clock
from trpo_fast.sampling.rollouts import Rollout
from trpo_fast.sampling.transitions import Transitions
from trpo_fast.training.batching import IterationBatch, iteration_batch_of_arrays, make_iteration_batch
from trpo_fast.training.loop import commit, learn_from
from trpo_fast.training.trained_model import TrainedModel
from trpo_fast.update.batches import Batch
from trpo_fast.update.report import UpdateReport
from trpo_fast.validation import describe


class StepwiseTraining(TrainedModel):
    """Training step by step: sample a rollout, make a batch, update."""

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
        training.metrics = self.logger.complete({**metrics, **counts})
        for sink in self.sinks:
            sink.write(training.metrics)
        return result.report
