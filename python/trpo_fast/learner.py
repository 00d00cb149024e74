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

from trpo_fast.callbacks import as_callback, step_locals
from trpo_fast.config import TRPOConfig
from trpo_fast.environment_interface import Environments, Trajectories
from trpo_fast.environments import EnvLike, NoEnvironments, make_environments
from trpo_fast.errors import InvalidArgumentError, PolicyFileError, ResumeWarning, SnapshotError
from trpo_fast.logger import Logger
from trpo_fast.metrics import Clock, Metrics, Sink, explained_variance, format_table, rollout_metrics, update_metrics
from trpo_fast.model_file import check_content, model_content, restore
from trpo_fast.networks import activation_name, make_networks
from trpo_fast.normalization import ObservationNormalizer, RunningMeanStd
from trpo_fast.observation_statistics import merge_observations
from trpo_fast.plain_values import from_json, to_json
from trpo_fast.policy import Actor
from trpo_fast.policy_file import existing_path, load_policy_file, save_policy_file, target_path
from trpo_fast.progress import progress
from trpo_fast.reward_normalization import RewardNormalizer
from trpo_fast.rollout import InProcess, Rollout, RolloutCollector, Stepper, to_batch
from trpo_fast.spaces import same_spaces
from trpo_fast.tensorboard import TensorBoard, free_folder
from trpo_fast.trpo import UpdateReport, trpo_update, trust_region
from trpo_fast.validation import check_choice, check_integer, describe, float_array
from trpo_fast.value_function import CriticState
from trpo_fast.workers import WorkerEnvironments, make_worker_environments

NORMALIZER_SHARE = 0.25  # of the trust region: how far new observation statistics alone may move the policy


class TRPO:
    """Trust region policy optimisation.

    Parameters
    ----------
    policy : {"MlpPolicy", "MultiInputPolicy"}
        The same: SB3 has the second name for ``Dict`` observations, which are flattened.
    env : str, gymnasium.Env, gymnasium.vector.VectorEnv (EnvPool too) or list of factories
        An id or factories are stepped as single environments, each with its own random streams.
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
        net_arch (widths of the hidden layers, or ``{"pi": ..., "vf": ...}``), activation_fn, ortho_init; for Box actions
        log_std_init, state_dependent_std (an output of the network) and squash (stretched over the bounds by tanh, not
        clipped at them).
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
        remains (1 to 0); a file keeps a ``LinearSchedule``, and of other functions the present value.

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
    InvalidArgumentError, UnsupportedSpaceError
        Before anything is stepped.
    """

    def __init__(
        self,
        policy: str,
        env: EnvLike | NoEnvironments,
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
        if isinstance(env, NoEnvironments):
            self.env: Environments | WorkerEnvironments | NoEnvironments = env
        elif n_workers:
            self.env = make_worker_environments(
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
        seeds = np.random.SeedSequence(self.seed)
        policy_seed, critic_seed, order_seed, predict_seed, noise_seeds = seeds.spawn(5)
        self._theta: npt.NDArray[Any]
        self._critic: CriticState
        self._actor: Actor
        theta, critic = self.policy.initial_parameters(policy_seed), self.value_function.initial_state(critic_seed)
        self._commit(theta, critic, self.policy.normalizer, self.policy.actor(theta))
        self._order_stream = np.random.default_rng(order_seed)
        self._predict_stream = np.random.default_rng(predict_seed)
        if isinstance(self.env, WorkerEnvironments):
            self.env.start(self.config.n_steps, self.policy, networks)
            stepper: Stepper = self.env
        else:
            stepper = InProcess(self.env, self.policy)
        self._collector = RolloutCollector(stepper, self.policy, noise_seeds, stats_window_size)
        self._rewards = RewardNormalizer.initial(self.env.num_envs)
        self._environment_seed = self.seed
        self._seeded = False  # the environments' own random streams go on after their first reset
        self._between_rollouts = False  # after a fault or Ctrl-C within one, environments must be reset
        self.progress_remaining = 1.0
        self._not_resumed = ""  # why a loaded training cannot go on where it was
        self._n_updates = 0
        self._n_iterations = 0
        self.num_timesteps = 0
        self.report: UpdateReport | None = None
        self.metrics: Metrics = {}

    @property
    def theta(self) -> npt.NDArray[Any]:
        """A read-only copy of the policy's parameters, (P,)."""
        return _read_only(self._theta)

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
        return [{"r": episode.episode_return, "l": episode.length} for episode in self._collector.episodes]

    def set_env(self, env: EnvLike) -> None:
        """Learn in other environments from now on.

        They begin new episodes; those of a model that was loaded without go on where the file's were, if they can.

        Raises
        ------
        InvalidArgumentError
            If their spaces or their number are others, or the present ones live in workers.
        """
        if self.n_workers:
            raise InvalidArgumentError("set_env", "a model without n_workers", f"n_workers={self.n_workers}")
        environments = make_environments(env, self.n_envs if isinstance(env, str) else 1)
        expected = self.observation_space, self.action_space, self.n_envs
        got = environments.observation_space, environments.action_space, environments.num_envs
        if got != expected:
            raise InvalidArgumentError("env", "{} and {}, {} of them".format(*expected), "{} and {}, {}".format(*got))
        state = self.get_training_state() if isinstance(self.env, NoEnvironments) else {}
        if self.policy.action_masks is not None:
            environments.use_masks()
        self.env = environments
        self._collector.stepper = InProcess(environments, self.policy)
        if state.get("rollouts") is not None:
            self._go_on(state["rollouts"], state["environments"])
        else:
            self._between_rollouts = self._seeded = False

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
        self._commit(theta, critic, self.policy.normalizer, self.policy.actor(theta))

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
        self._commit(self._theta, self._critic, normalizer, self.policy.actor(self._theta, normalizer))

    def set_random_seed(self, seed: int | None = None) -> None:
        """Begin every random stream anew, those of the environments with the next ``learn``."""
        self.seed = _fresh_seed() if seed is None else check_integer("seed", seed, at_least=0)
        self._environment_seed = self.seed
        _, _, order_seed, predict_seed, noise_seeds = np.random.SeedSequence(self.seed).spawn(5)
        self._order_stream = np.random.default_rng(order_seed)
        self._predict_stream = np.random.default_rng(predict_seed)
        self._collector.seed_noise(noise_seeds)
        self._seeded = self._between_rollouts = False

    def get_env(self) -> Any:
        """The environments; None for a model that was loaded without."""
        return None if isinstance(self.env, NoEnvironments) else self.env

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
        with progress(total_timesteps, enabled=progress_bar) as bar:
            if reset_num_timesteps or not self._between_rollouts:
                if self._not_resumed and not reset_num_timesteps:
                    warnings.warn(
                        f"training goes on with new episodes: {self._not_resumed}", ResumeWarning, stacklevel=2
                    )
                self._not_resumed = ""
                self._between_rollouts = False
                self._collector.reset(None if self._seeded else self._environment_seed)
                self._rewards = self._rewards.begun_anew()
                self._seeded = True
            if reset_num_timesteps:
                self.num_timesteps = self._n_iterations = 0
                self._collector.forget_episodes()
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
                    self._between_rollouts = False
                    self.progress_remaining = 1.0 - self.num_timesteps / target
                    if hooks is not None:
                        hooks.on_rollout_start()
                    rollout = self._collector.collect(self._theta, self.config.n_steps, every_step)
                    if rollout is None:
                        break
                    if hooks is not None:
                        hooks.on_rollout_end()
                    if every_step is None:
                        self.num_timesteps += rollout.num_transitions
                    update = self._update(rollout) if rollout.num_transitions else None
                    self._between_rollouts = True
                    if update is None:  # nothing but the steps of an autoreset
                        continue
                    self._n_iterations += 1
                    self.metrics = {
                        **self.logger.take(),
                        **update,
                        **clock.read(self._n_iterations, self.num_timesteps),
                    }
                    for sink in sinks:
                        sink.write(self.metrics)
                    if self.verbose and self._n_iterations % log_interval == 0:
                        print(format_table(self.metrics))
            if hooks is not None:
                hooks.on_training_end()
        return self

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

        A batch of a Box is (n, *shape), one of a Dict or Tuple has such arrays in the place of its parts.

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
        rows, is_batch = self.policy.observation_codec.rows(observation)
        if action_masks is not None:
            self._set_masks(rows, action_masks if is_batch else [action_masks])
        actions = self.act(rows, deterministic)
        return (actions if is_batch else actions[0]), None

    def _set_masks(self, rows: npt.NDArray[np.float64], masks: Any) -> None:
        """Write ``masks``, one a row, behind the observations in ``rows`` (n, size)."""
        if self.policy.action_masks is None:
            raise InvalidArgumentError("action_masks", "None without use_masking", describe(masks))
        features, size = self.policy.observation_codec.num_features, self.policy.action_masks.size
        fit = len(masks) == len(rows)
        if not fit or not all(map(self.policy.action_masks.take, masks, rows[:, features:])):
            expected = f"{len(rows)} masks of {size} zeros and ones, one at least for each choice"
            raise InvalidArgumentError("action_masks", expected, describe(masks))

    def act(self, rows: npt.NDArray[np.float64], deterministic: bool = False) -> Any:
        """Actions within the space's bounds, (n, ...), for observations as ``policy.observation_codec`` keeps them.

        Parameters
        ----------
        rows : ndarray of float64, shape (n, size)
        deterministic : bool
            The most probable action instead of a sample.
        """
        size = (len(rows), self.policy.codec.size)
        noise = None if deterministic else self._predict_stream.standard_normal(size, dtype=self.policy.dtype)
        out = np.empty(size, dtype=self.policy.dtype)
        self._actor.act(rows, noise, out)
        return self.policy.codec.to_env(out)

    def save(self, path: str | os.PathLike[str], *, previous: str | os.PathLike[str] | None = None) -> None:
        """Write all that the model is, and what training needs to go on, to one checksummed safetensors file.

        Between two rollouts (after ``learn``, or in a sink's ``write``) that includes the state of the environments,
        if it is known (``trpo_fast.snapshots``): ``load(path, env).learn(n, reset_num_timesteps=False)`` then goes
        on bit for bit. ``previous`` is a path where a file that ``path`` replaces is kept. ".safetensors" is added to a
        path without a suffix. See ``policy_file`` for the format.

        Raises
        ------
        OSError
            If the file cannot be written; an old one is left as it was.
        """
        kept = None if previous is None else target_path(previous)
        save_policy_file(target_path(path), *model_content(self), previous=kept)

    @classmethod
    def load(cls, path: str | os.PathLike[str], env: EnvLike | None = None, **kwargs: Any) -> "TRPO":
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
        environments: Any = NoEnvironments(*content.spaces, content.n_envs) if env is None else env
        n_envs = {"n_envs": content.n_envs} if isinstance(env, str) else {}
        model = cls("MlpPolicy", environments, **{**content.arguments, **n_envs, **kwargs})
        if not same_spaces((model.observation_space, model.action_space), content.spaces):
            expected = "environments with spaces {} and {}".format(*content.spaces)
            got = f"{model.policy.observation_space} and {model.policy.action_space}"
            raise PolicyFileError(f"env: expected {expected}, got {got}")
        theta, critic, normalizer = restore(model, tensors)
        model._commit(theta, critic, normalizer, model.policy.actor(theta, normalizer))
        model.num_timesteps = content.num_timesteps
        model._set_training_state(from_json(content.training, tensors))
        if "seed" in kwargs:
            model.set_random_seed(kwargs["seed"])
        for name in content.functions - kwargs.keys():
            if env is not None:
                text = f"{name} was a function when {path} was saved: it is {getattr(model.config, name):g} from now on"
                warnings.warn(f"{text}, unless you pass it again", ResumeWarning, stacklevel=2)
        return model

    def get_training_state(self) -> dict[str, Any]:
        """What training needs to go on beside parameters, statistics and settings, as plain values."""
        critic = self._critic
        state = {
            "n_updates": self._n_updates,
            "n_iterations": self._n_iterations,
            "first_moment": critic.first_moment,
            "second_moment": critic.second_moment,
            "n_adam_steps": critic.n_steps,
            "order_stream": self._order_stream,
            "predict_stream": self._predict_stream,
            "noise_streams": self._collector.noise_streams,
            "rewards": self._rewards.get_state(),
            "rollouts": None,
            "environments": None,
        }
        if not self._between_rollouts:
            return {**state, "not_resumable": self._not_resumed or "it was saved before or amid an iteration"}
        try:
            environments = self.env.get_state()
            to_json(environments, {}, "environments")
        except Exception as error:  # of a get_state of the user's too: what was learned must be saved
            return {**state, "not_resumable": str(error) if isinstance(error, SnapshotError) else repr(error)}
        return {**state, "rollouts": self._collector.get_state(), "environments": environments, "not_resumable": ""}

    def _set_training_state(self, state: dict[str, Any]) -> None:
        """Go on where ``get_training_state`` gave ``state``; in new episodes, where the environments are others."""
        try:
            shape, dtype = self._critic.theta.shape, self._critic.theta.dtype
            first, second = (float_array(n, state[n], shape, dtype) for n in ("first_moment", "second_moment"))
            n_steps = int(state["n_adam_steps"])
            self._critic = replace(self._critic, first_moment=first, second_moment=second, n_steps=n_steps)
            self._order_stream, self._predict_stream = state["order_stream"], state["predict_stream"]
            self._collector.noise_streams = state["noise_streams"]
            self._rewards = self._rewards.with_state(state["rewards"])
            self._n_updates, self._n_iterations = int(state["n_updates"]), int(state["n_iterations"])
            self._environment_seed = int(np.random.SeedSequence([self.seed, self._n_updates]).generate_state(1)[0])
            self._not_resumed = str(state["not_resumable"])
            rollouts, environments = state["rollouts"], state["environments"]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise PolicyFileError(f"policy file: expected the state of a training, got {error!r}") from error
        if rollouts is not None:
            self._go_on(rollouts, environments)

    def _go_on(self, rollouts: dict[str, Any], environments: dict[str, Any]) -> None:
        """Take up unfinished episodes, if the environments can."""
        try:
            self._collector.set_state(rollouts)
            self.env.set_state(environments)
            self._seeded = self._between_rollouts = True
            self._not_resumed = ""
        except (SnapshotError, AttributeError, KeyError, TypeError, ValueError) as error:
            self._not_resumed = str(error)

    def _update(self, rollout: Rollout) -> Metrics:
        """One iteration's learning: the policy step beside the critic's fit, and last the normaliser's new data."""
        config, policy, critic = self.config.at(self.progress_remaining), self.policy, self._critic

        def predict_values(observations: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            return self.value_function.predict(critic, policy.features(policy.normalize(observations)))

        reward_normalizer, rewards = self._rewards, rollout.trajectories.rewards
        if config.normalize_reward:
            begun_anew = reward_normalizer.begun_anew(list(rollout.begun_anew))
            reward_normalizer = begun_anew.seen(rollout.trajectories, config.gamma)
            rewards = reward_normalizer.scaled(rewards)
        batch, values = to_batch(rollout, rewards, policy, predict_values, config)
        inputs = policy.normalize(batch.observations)
        order = self._order_stream.permuted(np.tile(np.arange(len(values)), (config.n_critic_updates, 1)), axis=1)
        fitting = self.value_function.begin_fit(
            critic, policy.features(inputs), batch.returns, order,
            batch_size=config.batch_size, learning_rate=config.learning_rate,
        )  # fmt: skip
        theta, report = trpo_update(policy, self._theta, batch, config)
        fit = fitting.result()
        max_shift = NORMALIZER_SHARE * trust_region(policy, config)[0]
        theta, normalizer, normalizer_kl = merge_observations(policy, theta, batch.observations, inputs, max_shift)
        learned = theta, fit.state, normalizer, policy.actor(theta, normalizer)
        try:
            self._commit(*learned)
        finally:  # parameters and statistics belong together: Ctrl-C between two assignments must not part them
            self._commit(*learned)
        self.report, self._rewards = report, reward_normalizer
        self._n_updates += 1
        return {
            **rollout_metrics(self._collector.episodes, self._collector.num_episodes),
            **update_metrics(report, fit),
            "train/explained_variance": explained_variance(values, batch.returns),
            "train/normalizer_kl": normalizer_kl,
            "train/n_updates": self._n_updates,
            "train/std": policy.mean_std(theta, inputs),
            "train/learning_rate": config.learning_rate,
            "train/target_kl": config.target_kl,
            **({"rollout/worker_restarts": self.env.n_restarts} if isinstance(self.env, WorkerEnvironments) else {}),
        }

    def _commit(
        self, theta: npt.NDArray[Any], critic: CriticState, normalizer: ObservationNormalizer, actor: Actor
    ) -> None:
        self._theta = theta
        self._critic = critic
        self.policy.normalizer = normalizer
        self._actor = actor


def _fresh_seed() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    copy = array.copy()
    copy.flags.writeable = False
    return copy
