"""TrainedModel: what users read of a model, and what they may replace."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.config import TRPOConfig
from trpo_fast.environments.absent import SpacesOnly
from trpo_fast.environments.interface import Environments
from trpo_fast.environments.make import EnvLike, as_observed, make_environments
from trpo_fast.environments.vec_env_view import registered
from trpo_fast.environments.vec_normalize import find_vec_normalize
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.monitoring.logger import Logger, LoggerSink
from trpo_fast.monitoring.metrics import Sink
from trpo_fast.policies.normalization import RunningMeanStd
from trpo_fast.policies.policy import Actor
from trpo_fast.policies.predictor import Predictor
from trpo_fast.policies.value_function import ValueFunction
from trpo_fast.protocols import Metrics
from trpo_fast.sampling.rollouts import Episode
from trpo_fast.sampling.sampler import SerialSampler
from trpo_fast.sampling.workers import ParallelSampler
from trpo_fast.spaces.kinds import name_of
from trpo_fast.training.attributes import assign, check_change, check_settings, read_setting
from trpo_fast.training.copies import copied, pickled
from trpo_fast.training.sb3_arguments import SETTINGS
from trpo_fast.training.state import TrainingState
from trpo_fast.training.streams import fresh_seed
from trpo_fast.update.report import UpdateReport
from trpo_fast.validation import MAX_SEED, check_integer, describe


class TrainedModel(Predictor):
    """A model's settings, environments, parameters and training state.

    Settings are attributes: assigning one takes effect with the next iteration, or raises. Reading or assigning an
    unknown attribute raises. ``TRPO`` describes them.
    """

    _config: TRPOConfig
    value_function: ValueFunction
    policy_kwargs: dict[str, Any]
    n_workers: int
    verbose: int
    tensorboard_log: str | os.PathLike[str] | None
    logger: Logger
    sinks: list[Sink]
    _training: TrainingState

    def __getattr__(self, name: str) -> Any:
        return read_setting(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        assign(self, name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *SETTINGS})

    def __copy__(self) -> "TrainedModel":
        twin: TrainedModel = copied(self)
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> "TrainedModel":
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        return pickled(self)

    def __repr__(self) -> str:
        spaces = f"{name_of(self.observation_space)} -> {name_of(self.action_space)}"
        config = f"target_kl={self.config.target_kl}, gamma={self.config.gamma:g}, seed={self.seed}"
        return f"{type(self).__name__}({spaces}, {self.n_envs} environments, {self.num_timesteps} steps, {config})"

    @property
    def config(self) -> TRPOConfig:
        """The settings. Assigning a setting to the model, or all of them here, takes effect with the next iteration."""
        return self._config

    @config.setter
    def config(self, config: TRPOConfig) -> None:
        if not isinstance(config, TRPOConfig):
            raise InvalidArgumentError("config", "a TRPOConfig", describe(config))
        check_change(self._config, config, self.env)
        check_settings(config, self.policy, self.value_function, self.env)
        if config.method == "vine" and self._config.method != "vine":
            self.env.check_restorable()
        self._config = config

    @property
    def env(self) -> Environments | ParallelSampler | SpacesOnly:
        """The environments as training steps them; ``get_env()`` gives them to play in. Assigning calls ``set_env``."""
        environments: Environments | ParallelSampler | SpacesOnly = self._training.environments
        return environments

    @env.setter
    def env(self, env: EnvLike) -> None:
        self.set_env(env)

    @property
    def seed(self) -> int:
        """Seed of the random streams. Assigning calls ``set_random_seed``."""
        return self._training.seed

    @seed.setter
    def seed(self, seed: int | None) -> None:
        self.set_random_seed(seed)

    def set_logger(self, logger: Any) -> None:
        """Write all metrics to a logger of Stable-Baselines3 as well, as ``configure(folder, ["csv"])`` makes them.

        Raises
        ------
        InvalidArgumentError
            If ``logger`` has no methods ``record`` and ``dump``.
        """
        sink = LoggerSink(logger, self.logger)
        self.sinks[:] = [*(s for s in self.sinks if not isinstance(s, LoggerSink)), sink]

    def dump_logs(self, iteration: int = 0) -> None:
        """Part of SB3's interface; has no effect: metrics are written at the end of an iteration."""

    def set_env(self, env: EnvLike) -> None:
        """Replace the environments that the model is trained in.

        The new environments start new episodes. If the model was loaded without environments, they continue the
        episodes stored in the file if possible.

        Parameters
        ----------
        env : as the constructor's

        Raises
        ------
        InvalidArgumentError
            If spaces or number of environments differ, or the present environments are in workers.
        SnapshotError
            If ``method="vine"`` and the environments cannot be restored.
        """
        if self.n_workers:
            raise InvalidArgumentError("set_env", "a model without n_workers", f"n_workers={self.n_workers}")
        environments = make_environments(env, self.n_envs if isinstance(env, str) else 1)
        environments = as_observed(environments, self.observation_space, self.policy.frame_stack)
        expected = self.observation_space, self.action_space, self.n_envs
        got = environments.observation_space, environments.action_space, environments.num_envs
        if got != expected:
            raise InvalidArgumentError("env", "{} and {}, {} of them".format(*expected), "{} and {}, {}".format(*got))
        state = self.get_training_state() if isinstance(self.env, SpacesOnly) else {}
        check_settings(self.config, self.policy, self.value_function, environments)
        if self.config.method == "vine":
            environments.check_restorable()
        if self.policy.action_masks is not None:
            environments.use_masks()
        self._training.change_environments(environments, SerialSampler(environments, self.policy))
        if state.get("rollouts") is not None:
            self._training.resume(state["rollouts"], state["environments"])

    def set_parameters(self, parameters: dict[str, dict[str, npt.NDArray[Any]]]) -> None:
        """Replace the parameters of policy and critic; statistics and Adam's moments stay.

        Parameters
        ----------
        parameters : dict
            In the form of ``get_parameters``.

        Raises
        ------
        InvalidArgumentError
            If names or shapes differ, or a value is not finite; nothing is replaced then.
        """
        self._training.model = self._training.model.with_parameters(self.value_function, parameters)

    def set_observation_statistics(self, statistics: RunningMeanStd) -> None:
        """Replace the running statistics by which observations are normalised.

        Parameters
        ----------
        statistics : RunningMeanStd
            One column for each number of an observation, without an action mask.

        Raises
        ------
        InvalidArgumentError
            If the statistics have another size or are invalid, or observations are not normalised.
        """
        state = self._training.model
        self._training.model = state.with_policy(state.policy.with_statistics(statistics), state.theta)

    def set_random_seed(self, seed: int | None = None) -> None:
        """Restart every random stream; those of the environments restart with the next ``learn``.

        Parameters
        ----------
        seed : int, optional
            Drawn from the operating system by default.

        Raises
        ------
        InvalidArgumentError
            If ``seed`` is not an integer >= 0.
        """
        self._training.reseed(
            fresh_seed() if seed is None else check_integer("seed", seed, at_least=0, at_most=MAX_SEED)
        )

    @property
    def actor(self) -> Actor:
        """Actor of the committed policy: an immutable snapshot; updates replace it, so any thread may use it."""
        return self._training.model.actor

    @property
    def _prediction_stream(self) -> np.random.Generator:
        return self._training.streams.prediction

    def get_env(self) -> Any:
        """The environments, to play in: a ``VecEnvView``, or the ``VecEnv`` that was passed; None without environments.

        If anybody plays in them, training continues with new episodes.
        """
        return registered(self._training.view)

    def get_vec_normalize_env(self) -> Any:
        """The ``VecNormalize`` in which the model is trained, or None: its own statistics are in the policy."""
        return find_vec_normalize(self._training.view)

    def get_parameters(self) -> dict[str, dict[str, npt.NDArray[Any]]]:
        """Copies of the parameters by name: {"policy": {...}, "value_function": {...}}."""
        return self._training.model.parameters(self.value_function)

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

    def get_training_state(self) -> dict[str, Any]:
        """Everything that training needs to continue, except parameters, statistics and settings, as plain values."""
        return self._training.get_state()
