"""TrainingState: the mutable state of training, and how it is saved and resumed."""

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.config import TRPOConfig
from trpo_fast.environments.fingerprint import Fingerprint, Footprint
from trpo_fast.environments.ownership import owned
from trpo_fast.errors import AlreadyTrainingError, PolicyFileError, ResumeWarning, SnapshotError
from trpo_fast.policies.policy import Policy
from trpo_fast.policies.state import ModelState
from trpo_fast.policies.value_function import CriticState
from trpo_fast.protocols import Metrics
from trpo_fast.sampling.collector import RolloutCollector
from trpo_fast.sampling.rollouts import Rollout
from trpo_fast.sampling.sampler import Sampler
from trpo_fast.sampling.stepping import AfterStep
from trpo_fast.sampling.vine import VinePlan
from trpo_fast.training.streams import Streams
from trpo_fast.update.report import UpdateReport
from trpo_fast.validation import check_real, float_array, memory_for

PATIENCE = 10  # updates without a change of the policy before a warning


class TrainingState:
    """Mutable training state: the learned state, streams, counters, open episodes.

    Parameters
    ----------
    model : ModelState
    environments : Environments
        Environments whose state is saved and restored.
    sampler : Sampler
        Steps the environments.
    streams : Streams
    seed : int
        Seed of ``streams``.
    stats_window_size : int
        Finished episodes kept for statistics.

    Attributes
    ----------
    model : ModelState
        Replaced by one assignment after every update.
    streams : Streams
    environments : Environments, ParallelSampler or SpacesOnly
    view : VecEnvView, or the user's VecEnv
        The environments as a user plays in them; None if there are only spaces.
    collector : RolloutCollector
    seed : int
    num_timesteps : int
        Transitions collected.
    num_saved_timesteps : int
        Transitions up to the end of the last whole iteration, which is what a file holds.
    n_iterations : int
        Iterations since training began.
    progress_remaining : float
        Fraction of training that remained when the present iteration began, from 1 to 0.
    report : UpdateReport or None
        Report of the last update.
    metrics : dict
        Metrics of the last iteration.
    is_between_rollouts : bool
        False before the first rollout, and after an error or Ctrl-C during an iteration: environments must be reset.
    lock : RLock
        Held while the state changes from one iteration boundary to the next, and while it is read for a file: any
        thread may save.
    """

    def __init__(
        self,
        model: ModelState,
        environments: Any,
        sampler: Sampler,
        streams: Streams,
        seed: int,
        stats_window_size: int,
    ) -> None:
        self.model = model
        self.environments = environments
        self.view = environments.view()
        self.collector = RolloutCollector(sampler, model.policy.observation_codec, stats_window_size)
        self.num_timesteps = 0
        self.n_iterations = 0
        self.progress_remaining = 1.0
        self.report: UpdateReport | None = None
        self._n_in_vain = 0  # updates before the first that changed the policy
        self.metrics: Metrics = {}
        self.lock = threading.RLock()
        self._not_resumed = ""  # why the open episodes of a file, or of the previous session, cannot be continued
        self._failure = ""  # of the environments' own get_state
        self._has_warned = False
        self._has_warned_of_outliers = False
        self._sampling, self._process = threading.Lock(), os.getpid()
        self._footprint = Footprint()
        self._boundary: dict[str, Any] | None = None  # state when the present iteration began; None outside of one
        self._use_streams(streams, seed)

    def reseed(self, seed: int) -> None:
        """Restart every stream, those of the environments at their next reset."""
        self._use_streams(Streams(seed, self.environments.num_envs), seed)

    def _use_streams(self, streams: Streams, seed: int) -> None:
        self.streams, self.seed = streams, seed
        self._environment_seed = streams.environments
        self._is_seeded = False  # after their first reset, the environments' own random streams continue
        self.forget_episodes()

    def forget_episodes(self) -> None:
        """Let the next rollout begin with new episodes."""
        self.is_between_rollouts, self._boundary = False, None

    @property
    def num_saved_timesteps(self) -> int:
        boundary = self._boundary
        return self.num_timesteps if boundary is None else int(boundary["num_timesteps"])

    def change_environments(self, environments: Any, sampler: Sampler) -> None:
        """Continue in other environments, which start new episodes."""
        self.environments = environments
        self._footprint = Footprint()
        self.view = environments.view()
        self.collector.sampler = sampler
        self._is_seeded = False
        self.forget_episodes()

    @contextmanager
    def session(self, *, reset: bool) -> Iterator[None]:
        """Context of a call that samples rollouts: one at a time.

        The environments are reset first if asked to, or if their open episodes cannot be continued.

        Raises
        ------
        AlreadyTrainingError
            Within another session, of this or of another thread.
        InvalidArgumentError
            If another model is training in the same environments.
        """
        if self._process != os.getpid():  # a fork, where nothing samples
            self._process, self._sampling = os.getpid(), threading.Lock()
        sampling = self._sampling
        if not sampling.acquire(blocking=False):
            raise AlreadyTrainingError("learn: expected a model that is not learning, got one that is (one at a time)")
        try:
            fingerprints = self.environments.fingerprints()
            self._notice_others(fingerprints)
            self._footprint.begin(fingerprints)
            try:
                with owned(self.environments):
                    self._begin(reset=reset)
                    yield
            finally:
                self._footprint.end(self.environments.fingerprints())
        finally:
            sampling.release()

    def _notice_others(self, fingerprints: list[Fingerprint]) -> None:
        """Give up the open episodes if somebody else moved the environments since the latest session."""
        moved = self._footprint.moved(fingerprints) if self.is_between_rollouts else None
        if moved is not None:
            self.forget_episodes()
            self._not_resumed = f"environment {moved} was stepped or reset outside of this training"

    def _begin(self, *, reset: bool) -> None:
        with self.lock:
            if reset or not self.is_between_rollouts:
                if self._not_resumed and not reset:
                    text = f"training continues with new episodes: {self._not_resumed}"
                    warnings.warn(text, ResumeWarning, stacklevel=5)
                self._not_resumed = ""
                self.forget_episodes()
                self.collector.reset(None if self._is_seeded else self._environment_seed)
                self.model = replace(self.model, reward_normalizer=self.model.reward_normalizer.reset_envs())
                self._is_seeded = True
            if reset:
                self.num_timesteps = self.n_iterations = 0
                self.collector.forget_episodes()
            self.is_between_rollouts = True

    def collect(self, config: TRPOConfig, after_step: AfterStep | None) -> Rollout | None:
        """Collect the next rollout, of a single path or a vine, and count its transitions.

        Returns None if ``after_step`` returned False. Until ``commit``, files hold the state before the rollout.
        """
        with self.lock:
            boundary = self._get_progress() if self.is_between_rollouts else None
            self.is_between_rollouts, self._boundary = False, boundary
        counted = self.num_timesteps

        def count(trajectories: Any, t: int, encoded: npt.NDArray[Any]) -> bool:
            self.num_timesteps += int(np.count_nonzero(trajectories.valid[t]))
            return after_step is None or after_step(trajectories, t, encoded)

        with memory_for(**config.rollout_sizes, n_envs=self.environments.num_envs):
            plan = None
            if config.method == "vine":
                plan = VinePlan.draw(self.streams.vine, self.model.policy, self.environments.num_envs, config)
            rollout = self.collector.collect(
                self.model.actor,
                self.streams.action_noise,
                config.rollout_steps,
                None if after_step is None else count,
                plan,
            )
        if rollout is not None:
            branches = 0 if rollout.branches is None else rollout.branches.n_steps
            self.num_timesteps = counted + rollout.num_transitions + branches
        return rollout

    def end_rollout(self) -> None:
        """Let the next rollout continue the open episodes of this one."""
        with self.lock:
            self.is_between_rollouts, self._boundary = True, None

    def commit(self, model: ModelState, report: UpdateReport) -> None:
        """Make the result of an iteration the learned state, and its end the state that files hold."""
        with self.lock:
            self.model, self.report = model, report
            self.n_iterations += 1
            if self._boundary is not None:
                self.end_rollout()

    def watch_progress(self, report: UpdateReport) -> None:
        """Warn once if none of the first updates changed the policy: with such settings it may never learn."""
        if report.committed or self.model.n_updates > self._n_in_vain + 1:
            self._n_in_vain = PATIENCE
        elif self._n_in_vain < PATIENCE:
            self._n_in_vain += 1
            if self._n_in_vain == PATIENCE:
                text = f"none of the first {PATIENCE} updates changed the policy, the last one because of"
                warnings.warn(f"{text} {report.status.value}: {report.status.advice}", RuntimeWarning, stacklevel=5)

    def watch_outliers(self, metrics: Metrics) -> None:
        """Warn once if outliers were clipped before they entered the statistics."""
        if metrics["train/outliers"] and not self._has_warned_of_outliers:
            self._has_warned_of_outliers = True
            text = f"{metrics['train/outliers']} outliers among observations, rewards or returns were clipped for the"
            further = "running statistics; train/outliers counts further ones"
            warnings.warn(f"iteration {self.n_iterations}: {text} {further}", RuntimeWarning, stacklevel=5)

    def get_state(self) -> dict[str, Any]:
        """Everything that training needs to continue, except parameters, statistics and settings, as plain values.

        During an iteration it is the state when that began: the environments, streams and counts of the last whole
        iteration.
        """
        with self.lock:
            critic = self.model.critic
            progress = self._get_progress() if self._boundary is None else self._boundary
            return {name: value for name, value in progress.items() if name != "num_timesteps"} | {
                "n_updates": self.model.n_updates,
                "first_moment": critic.first_moment,
                "second_moment": critic.second_moment,
                "n_adam_steps": critic.n_steps,
                "rewards": self.model.reward_normalizer.get_state(),
                "radius": self.model.radius,
            }

    def _get_progress(self) -> dict[str, Any]:
        """Copy of the state that changes during a rollout: counts, streams, episodes and environments."""
        progress = {
            "num_timesteps": self.num_timesteps,
            "n_iterations": self.n_iterations,
            **self.streams.get_state(),
            "episodes": self.collector.get_episodes(),
            "rollouts": None,
            "environments": None,
        }
        if not self._sampling.locked():
            self._notice_others(self.environments.fingerprints())
        if not self.is_between_rollouts:
            return {**progress, "not_resumable": self._not_resumed or "it was saved before or during an iteration"}
        try:
            environments = self.environments.get_state()
        except SnapshotError as error:
            return {**progress, "not_resumable": str(error)}
        except Exception as error:  # a user's get_state may raise anything: the learned state must be saved anyway
            self._failure = f"get_state of the environments raised {error!r}"
            return {**progress, "not_resumable": self._failure}
        return {**progress, "rollouts": self.collector.get_state(), "environments": environments, "not_resumable": ""}

    def warn_if_left_out(self, reason: str) -> None:
        """Warn once why files do not hold a state that the environments have: ``reason``, or a failure to read it."""
        reason = reason or self._failure
        if reason and not self._has_warned:
            self._has_warned = True
            text = f"a training that is resumed from this model's files will begin new episodes: {reason}"
            warnings.warn(text, ResumeWarning, stacklevel=3)

    def set_state(
        self, state: dict[str, Any], policy: Policy, theta: npt.NDArray[Any], critic: CriticState, num_timesteps: int
    ) -> None:
        """Restore the state that ``get_state`` returned; with new episodes if the environments cannot be restored.

        Parameters
        ----------
        state : dict
        policy, theta, critic
            Learned state from a file; Adam's moments are in ``state``.
        num_timesteps : int
            Transitions collected.

        Raises
        ------
        PolicyFileError
            If ``state`` is not valid.
        """
        try:
            shape, dtype = critic.theta.shape, critic.theta.dtype
            first, second = (float_array(n, state[n], shape, dtype) for n in ("first_moment", "second_moment"))
            critic = replace(critic, first_moment=first, second_moment=second, n_steps=int(state["n_adam_steps"]))
            streams = [state[name] for name in ("order_stream", "predict_stream", "vine_stream")]
            if not all(isinstance(s, np.random.Generator) for s in (*streams, *state["noise_streams"])):
                raise ValueError("not random streams")
            self.streams.minibatch_order, self.streams.prediction, self.streams.vine = streams
            if len(state["noise_streams"]) == self.environments.num_envs:  # streams belong to one environment each
                self.streams.action_noise = list(state["noise_streams"])
            self.collector.set_episodes(state["episodes"])
            rewards = self.model.reward_normalizer.with_state(state["rewards"])
            radius = None if state["radius"] is None else check_real("radius", state["radius"], above=0.0)
            self.n_iterations = int(state["n_iterations"])
            self.model = ModelState(policy.actor(theta), critic, rewards, radius, int(state["n_updates"]))
            if num_timesteps > 0:  # new episodes; otherwise training begins as that of a new model
                seeds = np.random.SeedSequence([self.seed, self.model.n_updates])
                self._environment_seed = int(seeds.generate_state(1)[0])
                self._not_resumed = str(state["not_resumable"])
            rollouts, environments = state["rollouts"], state["environments"]
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise PolicyFileError(f"policy file: expected the state of a training, got {error!r}") from error
        self.num_timesteps = num_timesteps
        if rollouts is not None:
            self.resume(rollouts, environments)

    def resume(self, rollouts: dict[str, Any], environments: dict[str, Any]) -> None:
        """Continue the open episodes, if the environments can be restored."""
        try:
            self.collector.set_state(rollouts)
            self.environments.set_state(environments)
            self._is_seeded = self.is_between_rollouts = True
            self._not_resumed = ""
        except SnapshotError as error:
            self._not_resumed = str(error)
        except Exception as error:  # a user's set_state may raise anything: the learned state must be loaded anyway
            self._not_resumed = f"set_state of the environments raised {error!r}"
