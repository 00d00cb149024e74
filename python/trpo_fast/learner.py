"""TRPO: the class that users train and save, with the interface of sb3-contrib's TRPO."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast._core.files import replace_file
from trpo_fast.callbacks.base import BaseCallback, as_callback
from trpo_fast.config import TRPOConfig
from trpo_fast.environments.absent import SpacesOnly
from trpo_fast.environments.interface import Environments
from trpo_fast.environments.make import EnvLike, is_pair_of_spaces, make_environments
from trpo_fast.environments.vec_normalize import find_vec_normalize
from trpo_fast.errors import InvalidArgumentError, PolicyFileError, ResumeWarning
from trpo_fast.monitoring.logger import Logger
from trpo_fast.monitoring.metrics import Sink, told_of_interruption
from trpo_fast.monitoring.progress import progress
from trpo_fast.monitoring.screen import Screen
from trpo_fast.monitoring.tensorboard import TensorBoard, free_folder
from trpo_fast.policies.factory import make_networks, plain_kwargs
from trpo_fast.policies.normalization import RunningMeanStd
from trpo_fast.policies.reward_normalization import RewardNormalizer
from trpo_fast.policies.state import ModelState
from trpo_fast.sampling.sampler import Sampler, SerialSampler
from trpo_fast.sampling.vine import check_vine
from trpo_fast.sampling.workers import ParallelSampler, make_parallel_sampler
from trpo_fast.spaces.as_json import own_copy
from trpo_fast.spaces.kinds import Spaces, same_spaces
from trpo_fast.storage.hyperparameters import tuned_arguments
from trpo_fast.storage.model_file import check_content, model_to_bytes, restore
from trpo_fast.storage.plain_values import from_json
from trpo_fast.storage.policy_file import existing_path, load_policy_file, target_path
from trpo_fast.training.loop import train
from trpo_fast.training.state import TrainingState
from trpo_fast.training.stepwise import StepwiseTraining
from trpo_fast.training.streams import Streams
from trpo_fast.validation import MAX_SEED, check_choice, check_integer, check_path, describe


class TRPO(StepwiseTraining):
    """Trust region policy optimisation.

    Parameters
    ----------
    policy : {"MlpPolicy", "MultiInputPolicy"}
        Both are the same. SB3 uses the second name for ``Dict`` observations, which are flattened.
    env : str, gymnasium.Env, gymnasium.vector.VectorEnv (EnvPool too), list of factories, or tuple of two spaces
        An id or factories are stepped as single environments, each with its own random streams. A tuple (observation
        space, action space) is for transitions from outside (``transitions``).
    n_envs : int
        Number of environments to make from an id.
    n_workers : int
        Number of processes that step the environments; 0 steps them in this process. Needs an id or factories. Results
        do not depend on it, but with workers a ``callback`` is called for the steps of a rollout when it is complete.
    worker_timeout : float
        Seconds after which an environment in a worker that has not returned from a call ends training with an error.
    worker_restarts : int
        Number of restarts of workers that died, hung or failed, over all workers, before the next failure ends training
        with an error. The environments of a restarted worker start new episodes.
    env_kwargs : dict, optional
        Passed to ``gymnasium.make`` with an id.
    policy_kwargs : dict, optional
        net_arch (widths of the hidden layers, or ``{"pi": ..., "vf": ...}``), activation_fn, ortho_init; for Box
        actions also log_std_init, state_dependent_std (an output of the network) and squash (mapped into the bounds by
        tanh).
    normalize_observations : bool
        Normalise observations by running statistics, which are part of the policy.
    use_masking : bool
        For Discrete and MultiDiscrete actions: choose only possible actions, as given by ``info["action_mask"]`` or a
        method ``action_masks()`` of the environments at every step.
    dtype : {"float32", "float64"}
        Dtype of parameters and kernels.
    seed : int, optional
        Makes training reproducible, except for the random streams inside a VectorEnv or EnvPool that ignores
        ``reset(seed=)``. Drawn from the operating system if not given, and stored in ``seed``.
    verbose : int
        1 prints eight lines every ``log_interval`` iterations, 2 a table of all metrics.
    stats_window_size : int
        Number of episodes that rollout/ep_rew_mean averages.
    tensorboard_log : path, optional
        Folder for TensorBoard's files; needs the ``tensorboard`` extra.
    use_sde : False
        State-dependent exploration is not implemented: True raises InvalidArgumentError.
    device
        Accepted for compatibility with sb3-contrib; ignored.
    _init_setup_model : bool
        False leaves every parameter at 0, for ``load``, which fills them.
    **settings
        Any field of ``TRPOConfig``. ``learning_rate`` and ``target_kl`` may be functions of the fraction of training
        that remains (1 to 0). A file stores a ``LinearSchedule`` as it is, and any other function as its present value.
        ``target_kl`` may be an ``AdaptiveRadius``.

    Attributes
    ----------
    value_function : ValueFunction
    config : TRPOConfig
    env : Environments, ParallelSampler or SpacesOnly
    policy_kwargs : dict
    seed : int
        As given, or as drawn.
    n_workers, verbose, tensorboard_log
        As given.
    logger : Logger
        ``record(name, value)`` adds a metric to the present iteration.
    sinks : list
        Objects with ``write(metrics)``, called after every iteration; append your own.

    Raises
    ------
    InvalidArgumentError, UnsupportedSpaceError
        Before any environment is stepped.
    SnapshotError
        If ``method="vine"`` and the environments cannot be restored.
    EnvironmentFaultError
        If a worker cannot make its environments.
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
        self.seed = _fresh_seed() if seed is None else check_integer("seed", seed, at_least=0, at_most=MAX_SEED)
        self.n_workers = check_integer("n_workers", n_workers, at_least=0)
        if is_pair_of_spaces(env):
            env = SpacesOnly(own_copy("observation space", env[0]), own_copy("action space", env[1]), num_envs=1)
        if isinstance(env, SpacesOnly):
            self.env: Environments | ParallelSampler | SpacesOnly = env
        elif n_workers:
            self.env = make_parallel_sampler(
                env, n_envs, env_kwargs, n_workers=n_workers, timeout=worker_timeout, restarts=worker_restarts
            )
        else:
            self.env = make_environments(env, n_envs, env_kwargs)
        if not isinstance(self.env, SpacesOnly):
            self.config.check_rollout(self.env.num_envs)
        self.verbose = check_integer("verbose", verbose, at_least=0)
        self.sinks: list[Sink] = []
        self.logger = Logger()
        self.tensorboard_log = None if tensorboard_log is None else check_path("tensorboard_log", tensorboard_log)
        check_integer("stats_window_size", stats_window_size, at_least=1)
        self.policy_kwargs = plain_kwargs(policy_kwargs)
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
        if self.config.method == "vine":
            check_vine(first_policy, self.env.num_envs, self.config)
        if use_masking:
            self.env.use_masks()
        streams = Streams(self.seed, self.env.num_envs)
        theta = np.zeros(first_policy.num_params, first_policy.dtype)
        if _init_setup_model:
            theta = first_policy.initial_parameters(streams.policy)
        critic = self.value_function.initial_state(streams.critic if _init_setup_model else None)
        state = ModelState(first_policy.actor(theta), critic, RewardNormalizer.initial(self.env.num_envs))
        if isinstance(self.env, ParallelSampler):
            self.env.start(self.config.rollout_steps, first_policy, networks)
            sampler: Sampler = self.env
        else:
            sampler = SerialSampler(self.env, first_policy)
        self._training = TrainingState(state, self.env, sampler, streams, self.seed, stats_window_size)
        if self.config.method == "vine":
            self.env.check_restorable()

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
        self.seed = _fresh_seed() if seed is None else check_integer("seed", seed, at_least=0, at_most=MAX_SEED)
        self._training.reseed(self.seed)

    def get_env(self) -> Any:
        """The environments, to play in: a ``VecEnvView``, or the ``VecEnv`` that was passed; None without environments.

        If anybody plays in them, training continues with new episodes.
        """
        return self._training.view

    def get_vec_normalize_env(self) -> Any:
        """The ``VecNormalize`` in which the model is trained, or None: its own statistics are in the policy."""
        return find_vec_normalize(self._training.view)

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
        """Train until at least ``total_timesteps`` transitions are collected, in whole iterations.

        Parameters
        ----------
        total_timesteps : int
            Transitions to collect, over all environments.
        callback : callable, BaseCallback, one of Stable-Baselines3's, or a list of them, optional
            A function is called after every step of the environments with (locals, globals). If it returns False,
            training stops, and the transitions since the last update are discarded.
        log_interval : int
            Iterations between two reports on the terminal, with ``verbose``.
        tb_log_name : str
            Name of the folder in ``tensorboard_log``; a number is appended.
        reset_num_timesteps : bool
            False continues the count and the episodes of an earlier ``learn``.
        progress_bar : bool
            Show a progress bar, or in a file or pipe a line a minute; needs the ``cli`` extra.

        Returns
        -------
        TRPO
            The model itself.

        Raises
        ------
        InvalidArgumentError
            If an argument is invalid, or the model has no environments.
        AlreadyTrainingError
            If the model is learning already: in a callback, an environment or another thread.
        EnvironmentFaultError
            If an environment raises or returns invalid values. As after Ctrl-C, the learned state is that of the last
            update.
        MissingExtraError
            If an extra is not installed.
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
        with progress(total_timesteps, enabled=progress_bar) as bar, training.session(reset=reset_num_timesteps):
            target = training.num_timesteps + total_timesteps
            hooks.init_callback(self)
            hooks.on_training_start({**arguments, "total_timesteps": target}, {})
            sinks_open = self._open_sinks(tb_log_name, go_on=training.num_timesteps > 0)
            with sinks_open as sinks, told_of_interruption(sinks):
                train(
                    training,
                    self.value_function,
                    lambda: self.config,
                    target,
                    callback=hooks,
                    sinks=sinks,
                    logger=self.logger,
                    screen=Screen(
                        bar,
                        target,
                        interval=log_interval if self.verbose else None,
                        everything=self.verbose > 1,
                        keep_alive=progress_bar and not bar.is_shown,
                    ),
                    watch_steps=callback is not None or bar.is_shown,
                )
            hooks.on_training_end()
        return self

    @contextmanager
    def _open_sinks(self, tb_log_name: str, *, go_on: bool) -> Iterator[list[Sink]]:
        """The sinks of a call of ``learn``, including TensorBoard's with ``tensorboard_log``."""
        if self.tensorboard_log is None:
            yield self.sinks
            return
        tensorboard = TensorBoard(free_folder(self.tensorboard_log, tb_log_name, go_on=go_on))
        try:
            yield [*self.sinks, tensorboard]
        finally:
            tensorboard.close()

    def save(self, path: str | os.PathLike[str], *, previous: str | os.PathLike[str] | None = None) -> None:
        """Write the model, and everything training needs to continue, to one checksummed safetensors file.

        The file includes the state of the environments, if it can be read (``trpo_fast.environments.snapshots``). Then
        ``load(path, env).learn(n, reset_num_timesteps=False)`` is bit-identical to an uninterrupted run. During an
        iteration (in a callback, from another thread, after Ctrl-C) the file holds the last whole iteration. See
        ``trpo_fast.storage.policy_file`` for the format.

        A state of the environments that no file can hold is left out with one warning.

        Parameters
        ----------
        path : path
            ".safetensors" is appended if it has no suffix, which begins with a letter. Its folder is created if
            missing.
        previous : path, optional
            Where to keep the file that ``path`` replaces.

        Raises
        ------
        OSError
            If the file cannot be written; an existing file stays unchanged.
        """
        kept = None if previous is None else target_path(previous)
        with self._training.lock:  # another thread may train
            content, left_out = model_to_bytes(self)
        replace_file(target_path(path), content, previous=kept)
        self._training.warn_if_left_out(left_out)

    @classmethod
    def load(cls, path: str | os.PathLike[str], env: EnvLike | Spaces | None = None, **kwargs: Any) -> "TRPO":
        """Load a model that ``save`` wrote.

        Parameters
        ----------
        path : path
            The file's name, with or without ".safetensors".
        env : as the constructor's, optional
            Needed for ``learn``, not for ``predict``. Its spaces must be those in the file. From an id as many
            environments are made as the saved model had.
        **kwargs
            Constructor arguments that replace those in the file.

        Raises
        ------
        PolicyFileError
            If the file is damaged, is not a model of this package, or has other spaces than ``env``.
        InvalidArgumentError, UnsupportedSpaceError
            As the constructor.
        FileNotFoundError
            If there is no such file.
        """
        tensors, metadata = load_policy_file(existing_path(path))
        content = check_content(metadata, tensors)
        environments: Any = SpacesOnly(*content.spaces, content.n_envs) if env is None else env
        n_envs = {"n_envs": content.n_envs} if isinstance(env, str) else {}
        model = cls("MlpPolicy", environments, **{**content.arguments, **n_envs, "_init_setup_model": False, **kwargs})
        if not same_spaces((model.observation_space, model.action_space), content.spaces):
            expected = "environments with spaces {} and {}".format(*content.spaces)
            got = f"{model.policy.observation_space} and {model.policy.action_space}"
            raise PolicyFileError(f"env: expected {expected}, got {got}")
        policy, theta, critic = restore(model.policy, model.value_function, tensors, metadata["version"])
        training = from_json(content.training, tensors)
        model._training.set_state(training, policy, theta, critic, content.num_timesteps)
        if "seed" in kwargs:
            model.set_random_seed(kwargs["seed"])
        for name in content.functions - kwargs.keys():
            if env is not None:
                text = f"{name} was a function when {path} was saved: it is {getattr(model.config, name):g} from now on"
                warnings.warn(f"{text}, unless you pass it again", ResumeWarning, stacklevel=2)
        return model

    @classmethod
    def tuned(cls, env: str, **overrides: Any) -> "TRPO":
        """A model for the environment id ``env`` with the settings that the package ships for it.

        These are the settings of storage/hyperparameters.yml, with which ``trpo-fast train ENV_ID`` trains too.

        Parameters
        ----------
        env : str
            An id with tuned settings, such as "Hopper-v5".
        **overrides
            Constructor arguments that are added to the tuned settings or replace them.

        Raises
        ------
        InvalidArgumentError
            If there are no settings for ``env``, or as the constructor.
        MissingExtraError
            If the ``cli`` extra is not installed.
        """
        return cls("MlpPolicy", env, **{**tuned_arguments(env), **overrides})

    def get_training_state(self) -> dict[str, Any]:
        """Everything that training needs to continue, except parameters, statistics and settings, as plain values."""
        return self._training.get_state()


def _fresh_seed() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])
