"""TRPO: the class that collects, updates and reports, with the interface of sb3-contrib's."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.callbacks.base import BaseCallback, as_callback
from trpo_fast.config import TRPOConfig
from trpo_fast.environments.absent import SpacesOnly
from trpo_fast.environments.interface import Environments
from trpo_fast.environments.make import EnvLike, is_pair_of_spaces, make_environments
from trpo_fast.errors import InvalidArgumentError, PolicyFileError, ResumeWarning
from trpo_fast.monitoring.logger import Logger
from trpo_fast.monitoring.metrics import Sink
from trpo_fast.monitoring.progress import progress
from trpo_fast.monitoring.tensorboard import TensorBoard, free_folder
from trpo_fast.policies.factory import activation_name, make_networks
from trpo_fast.policies.normalization import RunningMeanStd
from trpo_fast.policies.reward_normalization import RewardNormalizer
from trpo_fast.policies.state import ModelState
from trpo_fast.sampling.sampler import Sampler, SerialSampler
from trpo_fast.sampling.vine import check_vine
from trpo_fast.sampling.workers import ParallelSampler, make_parallel_sampler
from trpo_fast.spaces.kinds import Spaces, same_spaces
from trpo_fast.storage.model_file import check_content, model_content, restore
from trpo_fast.storage.plain_values import from_json
from trpo_fast.storage.policy_file import existing_path, load_policy_file, save_policy_file, target_path
from trpo_fast.training.loop import train
from trpo_fast.training.state import TrainingState
from trpo_fast.training.stepwise import StepwiseTraining
from trpo_fast.training.streams import Streams
from trpo_fast.validation import check_choice, check_integer, describe


class TRPO(StepwiseTraining):
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
    value_function : ValueFunction
    config : TRPOConfig
    env : Environments, ParallelSampler or SpacesOnly
    policy_kwargs : dict
    seed, n_workers, verbose, tensorboard_log
        As given; ``seed`` is drawn if it was not.
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
        first_policy, self.value_function = networks()
        if use_masking:
            self.env.use_masks()
        streams = Streams(self.seed, self.env.num_envs)
        theta = first_policy.initial_parameters(streams.policy)
        critic = self.value_function.initial_state(streams.critic)
        state = ModelState(first_policy.actor(theta), critic, RewardNormalizer.initial(self.env.num_envs))
        if isinstance(self.env, ParallelSampler):
            self.env.start(self.config.rollout_steps, first_policy, networks)
            sampler: Sampler = self.env
        else:
            sampler = SerialSampler(self.env, first_policy)
        self._training = TrainingState(state, self.env, sampler, streams, self.seed, stats_window_size)
        if self.config.method == "vine":
            self._check_vine()

    def _check_vine(self) -> None:
        """Refuse what branches cannot start from, before anything is stepped."""
        try:
            check_vine(self.policy, self.n_envs, self.config)
            if not isinstance(self.env, SpacesOnly):
                self.env.check_restorable()
        except Exception:
            if isinstance(self.env, ParallelSampler):
                self.env.close()
            raise

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
        self._training.model = self._training.model.with_parameters(self.value_function, parameters)

    def set_observation_statistics(self, statistics: RunningMeanStd) -> None:
        """Replace the running statistics that observations are normalised with.

        Raises
        ------
        InvalidArgumentError
            If they are of another size or not finite, or observations are not normalised.
        """
        state = self._training.model
        self._training.model = state.with_policy(state.policy.with_statistics(statistics), state.theta)

    def set_random_seed(self, seed: int | None = None) -> None:
        """Restart every random stream, those of the environments with the next ``learn``."""
        self.seed = _fresh_seed() if seed is None else check_integer("seed", seed, at_least=0)
        self._training.reseed(self.seed)

    def get_env(self) -> Any:
        """The environments; None for a model that was loaded without."""
        return None if isinstance(self.env, SpacesOnly) else self.env

    def get_vec_normalize_env(self) -> None:
        """None: observations are normalised inside the policy."""

    def get_parameters(self) -> dict[str, dict[str, npt.NDArray[Any]]]:
        """Copies of the parameters by name: {"policy": {...}, "value_function": {...}}."""
        return self._training.model.parameters(self.value_function)

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
        hooks = BaseCallback() if callback is None else as_callback(callback)
        arguments = {
            "self": self,
            "log_interval": log_interval,
            "tb_log_name": tb_log_name,
            "reset_num_timesteps": reset_num_timesteps,
            "progress_bar": progress_bar,
        }
        training = self._training
        with progress(total_timesteps, enabled=progress_bar) as bar:
            training.begin(reset=reset_num_timesteps)
            target = training.num_timesteps + total_timesteps
            hooks.init_callback(self)
            hooks.on_training_start({**arguments, "total_timesteps": target}, {})
            with self._open_sinks(tb_log_name, go_on=training.num_timesteps > 0) as sinks:
                train(
                    training,
                    self.value_function,
                    self.config,
                    target,
                    callback=hooks,
                    sinks=sinks,
                    logger=self.logger,
                    bar=bar,
                    watch_steps=callback is not None or progress_bar,
                    table_interval=log_interval if self.verbose else None,
                )
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
        actor = self._training.model.actor
        codec, dtype = actor.policy.codec, actor.policy.dtype
        size = (len(rows), codec.size)
        noise = None if deterministic else self._training.streams.prediction.standard_normal(size, dtype=dtype)
        out = np.empty(size, dtype=dtype)
        actor.act(rows, noise, out)
        return codec.to_env(out)

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
        policy, theta, critic = restore(model.policy, model.value_function, tensors)
        training = from_json(content.training, tensors)
        model._training.set_state(training, policy, theta, critic, content.num_timesteps)
        if "seed" in kwargs:
            model.set_random_seed(kwargs["seed"])
        for name in content.functions - kwargs.keys():
            if env is not None:
                text = f"{name} was a function when {path} was saved: it is {getattr(model.config, name):g} from now on"
                warnings.warn(f"{text}, unless you pass it again", ResumeWarning, stacklevel=2)
        return model

    def get_training_state(self) -> dict[str, Any]:
        """Everything that training needs to continue, besides parameters, statistics and settings, as plain values."""
        return self._training.get_state()


def _fresh_seed() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])
