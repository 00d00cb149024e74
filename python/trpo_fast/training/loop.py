"""The training loop: collect a rollout, make a batch of it, update policy and critic, report.

From the outside in: ``TRPO.learn`` -> ``train`` -> ``learn_from`` -> ``run_iteration`` -> ``trpo_update``.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast._core.floating_point import ignores_float_errors
from trpo_fast._core.signals import delayed_signals
from trpo_fast.callbacks.base import goes_on, step_locals
from trpo_fast.config import TRPOConfig
from trpo_fast.environments.interface import Trajectories
from trpo_fast.monitoring.logger import Logger
from trpo_fast.monitoring.metrics import Clock, Sink
from trpo_fast.monitoring.progress import Bar
from trpo_fast.monitoring.screen import Screen
from trpo_fast.policies.policy import Policy
from trpo_fast.policies.value_function import ValueFunction
from trpo_fast.protocols import Metrics
from trpo_fast.sampling.stepping import AfterStep
from trpo_fast.sampling.workers import ParallelSampler
from trpo_fast.schedules import AdaptiveRadius
from trpo_fast.training.batching import IterationBatch, make_iteration_batch
from trpo_fast.training.iteration import IterationResult, run_iteration
from trpo_fast.training.metrics import rollout_metrics
from trpo_fast.training.state import TrainingState
from trpo_fast.validation import memory_for


def train(
    training: TrainingState,
    value_function: ValueFunction,
    present_settings: Callable[[], TRPOConfig],
    target: int,
    *,
    callback: Any,
    sinks: Sequence[Sink],
    logger: Logger,
    screen: Screen,
    watch_steps: bool,
) -> None:
    """Run whole iterations until ``target`` transitions are collected in total, or ``callback`` stops training.

    Parameters
    ----------
    training : TrainingState
        Changed in place.
    value_function : ValueFunction
    present_settings : callable () -> TRPOConfig
        Returns the settings, possibly with schedules. Called once an iteration: a callback or sink may replace them.
    target : int
        Value of ``training.num_timesteps`` at which to stop.
    callback : BaseCallback, or one of Stable-Baselines3's
    sinks : sequence of Sink
        Receive the metrics of every iteration.
    logger : Logger
        Further metrics that the user has recorded.
    screen : Screen
        Shows the progress to a person.
    watch_steps : bool
        Whether the callback and the progress bar are called after every step; a rollout is faster without.
    """
    clock = Clock(training.num_timesteps)
    after_step = _after_step(callback, screen.bar, training.model.policy) if watch_steps else None
    while training.num_timesteps < target:
        training.progress_remaining = 1.0 - training.num_timesteps / target
        callback.on_rollout_start()
        settings = present_settings()
        config = settings.at(training.progress_remaining, training.model.radius)
        rollout = training.collect(config, after_step)
        if rollout is None:
            return
        callback.on_rollout_end()
        if rollout.branches is not None:
            screen.bar.update(rollout.branches.n_steps)
        if rollout.num_transitions == 0:  # all steps were autoresets
            training.end_rollout()
            continue
        with clock.phase("critic"):  # whose predictions take most of this time
            batch = make_iteration_batch(rollout, training.model, value_function, config)
        result = learn_from(batch, training, value_function, settings, config, clock)
        with delayed_signals():  # every iteration that is committed has its row in the files of the sinks
            metrics = commit(result, training)
            times = clock.read(training.n_iterations, training.num_timesteps, rollout.seconds)
            training.metrics = logger.complete({**metrics, **times})
            for sink in sinks:
                sink.write(training.metrics)
        screen.write(training.metrics)
        del rollout, batch  # before the next rollout, which needs as much memory


@ignores_float_errors
def learn_from(
    batch: IterationBatch,
    training: TrainingState,
    value_function: ValueFunction,
    settings: TRPOConfig,
    config: TRPOConfig,
    clock: Clock,
) -> IterationResult:
    """Run one iteration on a batch; nothing is committed.

    Parameters
    ----------
    settings : TRPOConfig
        Settings, possibly with schedules.
    config : TRPOConfig
        ``settings`` with the present values of the schedules.
    """
    adaptive = settings.target_kl if isinstance(settings.target_kl, AdaptiveRadius) else None
    with memory_for(n_critic_updates=config.n_critic_updates, **config.rollout_sizes):
        return run_iteration(
            batch, training.model, value_function, config, training.streams.minibatch_order, clock, adaptive
        )


def commit(result: IterationResult, training: TrainingState) -> Metrics:
    """Commit the result of an iteration, and return its metrics, without times."""
    training.commit(result.state, result.report)
    training.watch_progress(result.report)
    training.watch_outliers(result.metrics)
    collector = training.collector
    metrics = {**rollout_metrics(collector.episodes, collector.num_episodes), **result.metrics}
    if isinstance(collector.sampler, ParallelSampler):
        metrics["rollout/worker_restarts"] = collector.sampler.n_restarts
    return metrics


def _after_step(callback: Any, bar: Bar, policy: Policy) -> AfterStep:
    def after_step(trajectories: Trajectories, t: int, encoded: npt.NDArray[Any]) -> bool:
        bar.update(int(np.count_nonzero(trajectories.valid[t])))
        infos = (trajectories.infos or {}).pop(t)  # nobody needs them after this
        callback.update_locals(step_locals(trajectories, t, encoded, policy, infos))
        return goes_on(callback)

    return after_step
