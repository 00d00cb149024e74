"""TRPO: the class that collects, updates and reports, with the interface of sb3-contrib's."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast.callbacks.base import as_callback, step_locals
from trpo_fast.config import TRPOConfig
from trpo_fast.environments.absent import SpacesOnly
from trpo_fast.environments.interface import Environments, Trajectories
from trpo_fast.environments.make import EnvLike, is_pair_of_spaces, make_environments
from trpo_fast.errors import InvalidArgumentError, PolicyFileError, ResumeWarning
from trpo_fast.monitoring.logger import Logger
from trpo_fast.monitoring.metrics import Clock, Sink, format_table
from trpo_fast.monitoring.progress import progress
from trpo_fast.monitoring.tensorboard import TensorBoard, free_folder
from trpo_fast.policies.factory import activation_name, make_networks
from trpo_fast.policies.normalization import RunningMeanStd
from trpo_fast.policies.policy import Actor
from trpo_fast.policies.value_function import CriticState
from trpo_fast.protocols import Metrics
from trpo_fast.sampling.rollouts import Episode, Rollout
from trpo_fast.sampling.sampler import Sampler, SerialSampler
from trpo_fast.sampling.transitions import Transitions
from trpo_fast.sampling.vine import proposal_of
from trpo_fast.sampling.workers import ParallelSampler, make_parallel_sampler
from trpo_fast.spaces.kinds import Spaces, same_spaces
from trpo_fast.storage.model_file import check_content, model_content, restore
from trpo_fast.storage.plain_values import from_json
from trpo_fast.storage.policy_file import existing_path, load_policy_file, save_policy_file, target_path
from trpo_fast.training.batching import IterationBatch, iteration_batch_of_arrays, make_iteration_batch
from trpo_fast.training.iteration import Learned, learn
from trpo_fast.training.metrics import rollout_metrics
from trpo_fast.training.state import Training
from trpo_fast.update.batches import Batch
from trpo_fast.update.report import UpdateReport
from trpo_fast.validation import check_choice, check_integer, describe, float_array


class TRPO:
    """Trust region policy optimisation.

    Parameters
    ----------
    policy : {"MlpPolicy", "MultiInputPolicy"}
        The same: SB3 has the second name for ``Dict`` observations, which are flattened.
    env : str, gymnasium.Env, gymnasium.vector.VectorEnv (EnvPool too), list of factories, or tuple of two spaces
        An id or factories are stepped as single environments, each with its own random streams. A tuple (observation
        space, action space) where transitions come from outside (``transitions``).
    n_envs : int
        How many environments to make from an id.
    n_workers : int
        Processes that step the environments; 0 steps them in this one. Needs an id or factories. No result depends on
        it, but with workers a ``callback`` sees the steps of a rollout when that is complete.
    worker_timeout : float
        Seconds after which a worker's environment that does not come back from a call ends training with an error.
    worker_restarts : int
        How many workers that die, hang or fail are made anew before one ends training; their environments begin new
        episodes.
    env_kwargs : dict, optional
        Passed to ``gymnasium.make`` with an id.
    policy_kwargs : dict, optional
        net_arch (widths of the hidden layers, or ``{"pi": ..., "vf": ...}``), activation_fn, ortho_init; of Box actions
        log_std_init, state_dependent_std (an output of the network), squash (stretched over the bounds by tanh).
    normalize_observations : bool
        Running normalisation of observations, kept inside the policy.
    use_masking : bool
        Discrete and MultiDiscrete actions: choose only among those that are possible, as ``info["action_mask"]`` or a
        method ``action_masks()`` of the environments says at every step.
    dtype : {"float32", "float64"}
    seed : int, optional
        Fixes everything but the random streams inside a VectorEnv or EnvPool that ignores ``reset(seed=)``; drawn
        from the operating system if not given, and kept in ``seed``.
    verbose : {0, 1}
        1 prints a table every ``log_interval`` iterations.
    stats_window_size : int
        Episodes that rollout/ep_rew_mean averages.
    tensorboard_log : path, optional
        A folder for TensorBoard's files; needs the ``tensorboard`` extra.
    use_sde : False
        State-dependent exploration is not implemented: True raises.
    device, _init_setup_model
        Of sb3-contrib's constructor; of no effect.
    **settings
        Every field of ``TRPOConfig``. ``learning_rate`` and ``target_kl`` may be functions of the part of training that
        remains (1 to 0); a file keeps a ``LinearSchedule``, and of other functions the present value. ``target_kl`` may
        be an ``AdaptiveRadius``.

    Attributes
    ----------
    policy : Policy
    value_function : ValueFunction
    config : TRPOConfig
    num_timesteps : int
        Transitions collected.
    progress_remaining : float
        Of training, from 1 to 0, when the present iteration began.
    policy_kwargs : dict
    report : UpdateReport or None
        Of the last update.
    metrics : dict
        Of the last iteration.
    logger : Logger
        ``record(name, value)`` adds to the metrics of the iteration.
    sinks : list
        Objects with ``write(metrics)``, called every iteration; add your own.

    Raises
    ------
    InvalidArgumentError, UnsupportedSpaceError, SnapshotError
        Before anything is stepped; the last where a vine cannot restore environments.
    """

    def __init__(
        self,
        policy: str,
        env: EnvLike | Spaces | SpacesOnly,
        *,
        n_envs: int = 1,
        n_workers: int = 0,
        worker_timeout: float = 60.0,
        worker_restarts: int = 0,
        env_kwargs: dict[str, Any] | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        normalize_observations: bool = True,
        use_masking: bool = False,
        dtype: npt.DTypeLike = "float32",
        seed: int | None = None,
        verbose: int = 0,
        stats_window_size: int = 100,
        tensorboard_log: str | os.PathLike[str] | None = None,
        use_sde: bool = False,
        device: Any = "auto",
        _init_setup_model: bool = True,
        **settings: Any,
    ) -> None:
        check_choice("policy", policy, ("MlpPolicy", "MultiInputPolicy"))
        if use_sde is not False:
            raise InvalidArgumentError("use_sde", "False (there is no state-dependent exploration)", describe(use_sde))
        self.config = TRPOConfig(**settings)
        self.seed = _fresh_seed() if seed is None else check_integer("seed", seed, at_least=0)
        self.n_workers = check_integer("n_workers", n_workers, at_least=0)
        if is_pair_of_spaces(env):
            env = SpacesOnly(*env, num_envs=1)
        if isinstance(env, SpacesOnly):
            self.env: Environments | ParallelSampler | SpacesOnly = env
        elif n_workers:
            self.env = make_parallel_sampler(
                env, n_envs, env_kwargs, n_workers=n_workers, timeout=worker_timeout, restarts=worker_restarts
            )
        else:
            self.env = make_environments(env, n_envs, env_kwargs)
        self.verbose = check_integer("verbose", verbose, at_least=0)
        self.sinks: list[Sink] = []
        self.logger = Logger()
        self.tensorboard_log = None if tensorboard_log is None else Path(tensorboard_log)
        check_integer("stats_window_size", stats_window_size, at_least=1)
        if not isinstance(policy_kwargs, dict | None):
            raise InvalidArgumentError("policy_kwargs", "a dict", describe(policy_kwargs))
        self.policy_kwargs = dict(policy_kwargs or {})
        if "activation_fn" in self.policy_kwargs:
            self.policy_kwargs["activation_fn"] = activation_name(self.policy_kwargs["activation_fn"])
        networks = partial(
            make_networks,
            self.env.observation_space,
            self.env.action_space,
            self.policy_kwargs,
            normalize_observations=normalize_observations,
            normalize_returns=self.config.normalize_returns,
            use_masking=use_masking,
            dtype=dtype,
        )
        self.policy, self.value_function = networks()
        if use_masking:
            self.env.use_masks()
        policy_seed, critic_seed = np.random.SeedSequence(self.seed).spawn(2)
        self._theta: npt.NDArray[Any]
        self._critic: CriticState
        self._actor: Actor
        theta, critic = self.policy.initial_parameters(policy_seed), self.value_function.initial_state(critic_seed)
        self._commit(Learned(theta, critic, self.policy.normalizer), self.policy.actor(theta))
        if isinstance(self.env, ParallelSampler):
            self.env.start(self.config.rollout_steps, self.policy, networks)
            sampler: Sampler = self.env
        else:
            sampler = SerialSampler(self.env, self.policy)
        if self.config.method == "vine":
            self._check_vine()
        self._training = Training(self.env, sampler, self.policy, self.seed, stats_window_size)
        self.progress_remaining = 1.0
        self.num_timesteps = 0
        self.report: UpdateReport | None = None
        self.metrics: Metrics = {}

    def _check_vine(self) -> None:
        """Refuse what branches cannot start from, before anything is stepped."""
        try:
            if proposal_of(self.policy, self.config)[0] < 2:
                raise InvalidArgumentError("env", "two actions or more, for a vine", self.action_space)
            most = self.config.vine_trunk_steps * self.n_envs
            if self.config.vine_states > most:
                raise InvalidArgumentError(
                    "vine_states", f"at most {most}, the steps of all trunks", self.config.vine_states
                )
            if not isinstance(self.env, SpacesOnly):
                self.env.check_restorable()
        except Exception:
            if isinstance(self.env, ParallelSampler):
                self.env.close()
            raise

    @property
    def theta(self) -> npt.NDArray[Any]:
        """A read-only copy of the policy's parameters, (P,)."""
        return _read_only(self._theta)

    @property
    def actor(self) -> Actor:
        """The committed policy, ready to act, for control loops: of an update all or nothing, also beside one.

        An actor stays what it is; after another update there is another one here.
        """
        return self._actor

    @property
    def value_theta(self) -> npt.NDArray[Any]:
        """A read-only copy of the critic's parameters, (P,)."""
        return _read_only(self._critic.theta)

    @property
    def return_statistics(self) -> RunningMeanStd:
        """Running statistics of the critic's targets (``normalize_returns``)."""
        return self._critic.target_statistics

    @property
    def n_envs(self) -> int:
        """Environments stepped together."""
        return self.env.num_envs

    @property
    def observation_space(self) -> gym.Space[Any]:
        """Of one environment."""
        return self.policy.observation_space

    @property
    def action_space(self) -> gym.Space[Any]:
        """Of one environment."""
        return self.policy.action_space

    @property
    def ep_info_buffer(self) -> list[dict[str, float]]:
        """The latest ``stats_window_size`` episodes as SB3 has them: return "r" and length "l"."""
        return [{"r": episode.episode_return, "l": episode.length} for episode in self._training.collector.episodes]

    @property
    def latest_episodes(self) -> list[Episode]:
        """The episodes that ended in the latest rollout."""
        return list(self._training.collector.latest_episodes)

    @property
    def num_steps(self) -> int:
        """Steps of every environment since training began; a vine's branches are not among them."""
        return self._training.collector.num_steps

    @property
    def num_episodes(self) -> int:
        """How many episodes have ended."""
        return self._training.collector.num_episodes

    def set_env(self, env: EnvLike) -> None:
        """Learn in other environments from now on.

        They begin new episodes; those of a model that was loaded without go on where the file's were, if they can.

        Raises
        ------
        InvalidArgumentError
            If their spaces or their number are others, or the present ones live in workers.
        SnapshotError
            If a vine cannot restore them.
        """
        if self.n_workers:
            raise InvalidArgumentError("set_env", "a model without n_workers", f"n_workers={self.n_workers}")
        environments = make_environments(env, self.n_envs if isinstance(env, str) else 1)
        expected = self.observation_space, self.action_space, self.n_envs
        got = environments.observation_space, environments.action_space, environments.num_envs
        if got != expected:
            raise InvalidArgumentError("env", "{} and {}, {} of them".format(*expected), "{} and {}, {}".format(*got))
        state = self.get_training_state() if isinstance(self.env, SpacesOnly) else {}
        if self.config.method == "vine":
            environments.check_restorable()
        if self.policy.action_masks is not None:
            environments.use_masks()
        self.env = environments
        self._training.change_environments(environments, SerialSampler(environments, self.policy))
        if state.get("rollouts") is not None:
            self._training.resume(state["rollouts"], state["environments"])

    def set_parameters(self, parameters: dict[str, dict[str, npt.NDArray[Any]]]) -> None:
        """Replace parameters by those of another model's ``get_parameters``; statistics and Adam's moments stay.

        Raises
        ------
        InvalidArgumentError
            If names or shapes are others, or a value is not finite; nothing is replaced then.
        """
        new = self.get_parameters()
        if not isinstance(parameters, dict) or parameters.keys() != new.keys():
            raise InvalidArgumentError("parameters", f"a dict of {list(new)}", describe(parameters))
        for part, views in new.items():
            if parameters[part].keys() != views.keys():
                raise InvalidArgumentError("parameters", f"{part} with {list(views)}", list(parameters[part]))
            for name, view in views.items():
                view[...] = float_array(f"{part}.{name}", parameters[part][name], view.shape, view.dtype)
                if not np.isfinite(view).all():
                    raise InvalidArgumentError(f"{part}.{name}", "finite values", "NaN or Inf")
        theta, value_theta = (np.concatenate([v.ravel() for v in views.values()]) for views in new.values())
        critic = replace(self._critic, theta=value_theta)
        self._commit(Learned(theta, critic, self.policy.normalizer), self.policy.actor(theta))

    def set_observation_statistics(self, statistics: RunningMeanStd) -> None:
        """Replace the running statistics that observations are normalised with.

        Raises
        ------
        InvalidArgumentError
            If they are of another size or not finite, or observations are not normalised.
        """
        normalizer = self.policy.normalizer
        size = self.policy.observation_codec.num_features
        if not normalizer.enabled:
            raise InvalidArgumentError(
                "set_observation_statistics", "a model with normalize_observations", "one without"
            )
        for name in ("mean", "var"):
            values = float_array(name, getattr(statistics, name), (size,), np.float64)
            if not np.isfinite(values).all() or (name == "var" and (values < 0.0).any()):
                raise InvalidArgumentError(name, "finite values, variances >= 0", "others")
        rest = normalizer.statistics.mean.size - size  # of a mask, which is not normalised
        mean, var = np.append(statistics.mean, np.zeros(rest)), np.append(statistics.var, np.ones(rest))
        normalizer = replace(normalizer, statistics=RunningMeanStd(mean, var, statistics.count))
        learned = Learned(self._theta, self._critic, normalizer)
        self._commit(learned, self.policy.actor(self._theta, normalizer))

    def set_random_seed(self, seed: int | None = None) -> None:
        """Begin every random stream anew, those of the environments with the next ``learn``."""
        self.seed = _fresh_seed() if seed is None else check_integer("seed", seed, at_least=0)
        self._training.reseed(self.seed)

    def get_env(self) -> Any:
        """The environments; None for a model that was loaded without."""
        return None if isinstance(self.env, SpacesOnly) else self.env

    def get_vec_normalize_env(self) -> None:
        """None: observations are normalised inside the policy."""

    def get_parameters(self) -> dict[str, dict[str, npt.NDArray[Any]]]:
        """Copies of the parameters by name: {"policy": {...}, "value_function": {...}}."""
        return {
            "policy": self.policy.unflatten(self._theta.copy()),
            "value_function": self.value_function.unflatten(self._critic.theta.copy()),
        }

    def learn(
        self,
        total_timesteps: int,
        callback: Any = None,
        log_interval: int = 1,
        tb_log_name: str = "TRPO",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> "TRPO":
        """Train until ``total_timesteps`` transitions are collected; whole iterations, so a little more.

        Parameters
        ----------
        callback : callable, BaseCallback, one of Stable-Baselines3's, or a list of them, optional
            A function is called after every step of the environments with (locals, globals); False stops training. The
            transitions since the last update are then dropped.
        log_interval : int
            Iterations between two tables on the terminal, with ``verbose``.
        tb_log_name : str
            Name of the folder in ``tensorboard_log``, to which a number is added.
        reset_num_timesteps : bool
            False continues the count of an earlier ``learn``, and its episodes.
        progress_bar : bool
            Needs the ``cli`` extra.

        Raises
        ------
        InvalidArgumentError, EnvironmentFaultError, MissingExtraError
            The policy, the critic and the normaliser stay as the last update left them; so too after Ctrl-C.
        """
        check_integer("total_timesteps", total_timesteps, at_least=1)
        check_integer("log_interval", log_interval, at_least=1)
        hooks = None if callback is None else as_callback(callback)
        arguments = {
            "self": self,
            "total_timesteps": total_timesteps,
            "log_interval": log_interval,
            "tb_log_name": tb_log_name,
            "reset_num_timesteps": reset_num_timesteps,
            "progress_bar": progress_bar,
        }
        training = self._training
        with progress(total_timesteps, enabled=progress_bar) as bar:
            training.begin(anew=reset_num_timesteps)
            if reset_num_timesteps:
                self.num_timesteps = 0
            target = self.num_timesteps + total_timesteps
            clock = Clock(self.num_timesteps)
            if hooks is not None:
                hooks.init_callback(self)
                hooks.on_training_start({**arguments, "total_timesteps": target}, {})

            def after_step(trajectories: Trajectories, t: int) -> bool:
                n_transitions = int(np.count_nonzero(trajectories.valid[t]))
                self.num_timesteps += n_transitions
                bar.update(n_transitions)
                if hooks is None:
                    return True
                hooks.update_locals(step_locals(trajectories, t))
                return bool(hooks.on_step())

            every_step = after_step if hooks is not None or progress_bar else None
            with self._open_sinks(tb_log_name, go_on=self.num_timesteps > 0) as sinks:
                while self.num_timesteps < target:
                    training.is_between_rollouts = False
                    self.progress_remaining = 1.0 - self.num_timesteps / target
                    if hooks is not None:
                        hooks.on_rollout_start()
                    rollout = training.collect(self._theta, self.policy, self.config, every_step)
                    if rollout is None:
                        break
                    if hooks is not None:
                        hooks.on_rollout_end()
                    if every_step is None:
                        self.num_timesteps += rollout.num_transitions
                    if rollout.branches is not None:
                        self.num_timesteps += rollout.branches.n_steps
                        bar.update(rollout.branches.n_steps)
                    metrics = self._learn_from(rollout, clock) if rollout.num_transitions else None
                    training.is_between_rollouts = True
                    if metrics is None:  # nothing but the steps of an autoreset
                        continue
                    training.n_iterations += 1
                    times = clock.read(training.n_iterations, self.num_timesteps, rollout.seconds)
                    self.metrics = {**self.logger.take(), **metrics, **times}
                    for sink in sinks:
                        sink.write(self.metrics)
                    if self.verbose and training.n_iterations % log_interval == 0:
                        print(format_table(self.metrics))
            if hooks is not None:
                hooks.on_training_end()
        return self

    def transitions(self) -> Transitions:
        """What takes down the transitions of a robot, for ``collect``: its ``act`` samples from the committed policy.

        For learning without an environment; the model is made, or loaded, with a tuple of spaces in its place.

        Raises
        ------
        InvalidArgumentError
            If the model has several environments.
        """
        if self.n_envs != 1:
            expected = "a tuple of spaces, or one environment"
            raise InvalidArgumentError("env", expected, f"{self.n_envs} environments")
        return Transitions(self.policy, lambda: self.actor, lambda: self._training.collector.noise_streams[0])

    def collect(self, transitions: Transitions) -> Batch:
        """The transitions as a batch, with the critic's advantages and returns; ``update`` learns from it.

        Counts them in ``num_timesteps``, and the episodes that ended in ``ep_info_buffer``; they are gone from
        ``transitions``.

        Raises
        ------
        InvalidArgumentError
            If there are none, or the method is another than "single_path".
        """
        if self.config.method != "single_path":
            raise InvalidArgumentError("method", '"single_path" for transitions from outside', self.config.method)
        rollout, training = transitions.rollout(), self._training
        config = self.config.at(self.progress_remaining, training.radius)
        lesson = make_iteration_batch(rollout, self.policy, self.value_function, self._critic, training.rewards, config)
        self.num_timesteps += rollout.num_transitions
        training.collector.count_episodes(rollout)
        training.rewards = lesson.rewards
        transitions.clear()
        return lesson.batch

    def update(self, batch: Batch) -> UpdateReport:
        """One iteration's learning from a batch: the policy's step, the critic's fit and the new statistics.

        All of it is committed at once, or nothing. ``predict``, and the ``act`` of ``transitions``, may be called from
        another thread meanwhile: they see the policy before or after, never a part of it. ``report``, ``metrics`` and
        the sinks have what ``learn`` gives them, but for times; ``tensorboard_log`` is for ``learn`` alone. Settings
        that are functions of the training that remains read ``progress_remaining``, which is yours to set.

        Parameters
        ----------
        batch : Batch
            What ``collect`` made; or advantages and returns of your own, with actions as the policy sampled them.

        Raises
        ------
        InvalidArgumentError
            If an array is of another kind or shape. Numbers that are not finite are a status of the report.
        """
        if not isinstance(batch, Batch):
            raise InvalidArgumentError("batch", "a Batch", describe(batch))
        training = self._training
        lesson = iteration_batch_of_arrays(batch, self.policy, self.value_function, self._critic, training.rewards)
        report, metrics = self._learn(lesson, Clock(self.num_timesteps))
        training.n_iterations += 1
        counts = {"time/iterations": training.n_iterations, "time/total_timesteps": self.num_timesteps}
        self.metrics = {**self.logger.take(), **metrics, **counts}
        for sink in self.sinks:
            sink.write(self.metrics)
        return report

    @contextmanager
    def _open_sinks(self, tb_log_name: str, *, go_on: bool) -> Iterator[list[Sink]]:
        """The sinks of a ``learn``: with ``tensorboard_log``, TensorBoard too."""
        if self.tensorboard_log is None:
            yield self.sinks
            return
        tensorboard = TensorBoard(free_folder(self.tensorboard_log, tb_log_name, go_on=go_on))
        try:
            yield [*self.sinks, tensorboard]
        finally:
            tensorboard.close()

    def predict(
        self,
        observation: Any,
        state: None = None,
        episode_start: Any = None,
        deterministic: bool = False,
        action_masks: Any = None,
    ) -> tuple[Any, None]:
        """Actions for one observation or a batch as vector environments make it, within the space's bounds.

        A batch of a Box is ``(n, *shape)``, one of a Dict or Tuple has such arrays in the place of its parts.

        Parameters
        ----------
        state, episode_start
            Of recurrent policies; unused.
        deterministic : bool
            The most probable action instead of a sample.
        action_masks : array-like, optional
            With ``use_masking``, which actions are possible; of a batch, one a row. All of them if not given.

        Raises
        ------
        InvalidArgumentError
            If the observation is none of the space, or has values that are not finite or above 1e18.
        """
        rows, is_batch = self.policy.rows(observation, action_masks)
        actions = self.act(rows, deterministic)
        return (actions if is_batch else actions[0]), None

    def act(self, rows: npt.NDArray[np.float64], deterministic: bool = False) -> Any:
        """Actions within the space's bounds, (n, ...), for observations as ``policy.observation_codec`` keeps them.

        Parameters
        ----------
        rows : ndarray of float64, shape (n, size)
        deterministic : bool
            The most probable action instead of a sample.
        """
        size = (len(rows), self.policy.codec.size)
        noise = None if deterministic else self._training.predict_stream.standard_normal(size, dtype=self.policy.dtype)
        out = np.empty(size, dtype=self.policy.dtype)
        self._actor.act(rows, noise, out)
        return self.policy.codec.to_env(out)

    def save(self, path: str | os.PathLike[str], *, previous: str | os.PathLike[str] | None = None) -> None:
        """Write all that the model is, and what training needs to go on, to one checksummed safetensors file.

        Between two rollouts (after ``learn``, or in a sink's ``write``) that includes the state of the environments,
        if it is known (``trpo_fast.environments.snapshots``): ``load(path, env).learn(n, reset_num_timesteps=False)``
        then continues bit-identically. ``previous`` is a path where a file that ``path`` replaces is kept.
        ".safetensors" is added to a path without a suffix. See ``policy_file`` for the format.

        Raises
        ------
        OSError
            If the file cannot be written; an old one is left as it was.
        """
        kept = None if previous is None else target_path(previous)
        save_policy_file(target_path(path), *model_content(self), previous=kept)

    @classmethod
    def load(cls, path: str | os.PathLike[str], env: EnvLike | Spaces | None = None, **kwargs: Any) -> "TRPO":
        """The model that ``save`` wrote.

        Parameters
        ----------
        path : path
            The exact name, or the name without ".safetensors".
        env : as the constructor's, optional
            Needed to learn, not to predict; its spaces must be those of the file. Of an id as many are made as there
            were.
        **kwargs
            Constructor arguments that replace those in the file.

        Raises
        ------
        PolicyFileError
            If the file is damaged, is not one of ours, or does not fit ``env``.
        InvalidArgumentError, UnsupportedSpaceError
            As the constructor.
        FileNotFoundError
        """
        tensors, metadata = load_policy_file(existing_path(path))
        content = check_content(metadata, tensors)
        environments: Any = SpacesOnly(*content.spaces, content.n_envs) if env is None else env
        n_envs = {"n_envs": content.n_envs} if isinstance(env, str) else {}
        model = cls("MlpPolicy", environments, **{**content.arguments, **n_envs, **kwargs})
        if not same_spaces((model.observation_space, model.action_space), content.spaces):
            expected = "environments with spaces {} and {}".format(*content.spaces)
            got = f"{model.policy.observation_space} and {model.policy.action_space}"
            raise PolicyFileError(f"env: expected {expected}, got {got}")
        theta, critic, normalizer = restore(model, tensors)
        model.num_timesteps = content.num_timesteps
        critic = model._training.set_state(from_json(content.training, tensors), critic)
        model._commit(Learned(theta, critic, normalizer), model.policy.actor(theta, normalizer))
        if "seed" in kwargs:
            model.set_random_seed(kwargs["seed"])
        for name in content.functions - kwargs.keys():
            if env is not None:
                text = f"{name} was a function when {path} was saved: it is {getattr(model.config, name):g} from now on"
                warnings.warn(f"{text}, unless you pass it again", ResumeWarning, stacklevel=2)
        return model

    def get_training_state(self) -> dict[str, Any]:
        """What training needs to go on beside parameters, statistics and settings, as plain values."""
        return self._training.get_state(self._critic)

    def _learn_from(self, rollout: Rollout, clock: Clock) -> Metrics:
        config = self.config.at(self.progress_remaining, self._training.radius)
        with clock.phase("critic"):
            lesson = make_iteration_batch(
                rollout, self.policy, self.value_function, self._critic, self._training.rewards, config
            )
        _, metrics = self._learn(lesson, clock)
        return metrics

    def _learn(self, lesson: IterationBatch, clock: Clock) -> tuple[UpdateReport, Metrics]:
        """Learn from a lesson, and commit it: all, or nothing."""
        parts = self.policy, self.value_function, self._theta, self._critic
        new = learn(lesson, *parts, self._training, self.config, self.progress_remaining, clock)
        actor, n_updates = self.policy.actor(new.learned.theta, new.learned.normalizer), self._training.n_updates + 1

        def commit() -> None:
            self._commit(new.learned, actor)
            self.report = new.report
            self._training.rewards, self._training.radius = lesson.rewards, new.radius
            self._training.n_updates = n_updates

        try:
            commit()
        finally:  # parameters and statistics belong together: Ctrl-C between two assignments must not part them
            commit()
        restarts = {"rollout/worker_restarts": self.env.n_restarts} if isinstance(self.env, ParallelSampler) else {}
        collector = self._training.collector
        of_episodes = rollout_metrics(collector.episodes, collector.num_episodes)
        return new.report, {**of_episodes, **new.metrics, **restarts}

    def _commit(self, learned: Learned, actor: Actor) -> None:
        self._theta = learned.theta
        self._critic = learned.critic
        self.policy.normalizer = learned.normalizer
        self._actor = actor


def _fresh_seed() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    copy = array.copy()
    copy.flags.writeable = False
    return copy
