"""TRPO: the class that users train and save, with the interface of sb3-contrib's TRPO."""

import inspect
import os
import warnings
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast._core.files import replace_file
from trpo_fast.callbacks.base import BaseCallback, as_callback
from trpo_fast.environments.absent import SpacesOnly
from trpo_fast.environments.interface import MAX_ENVS, Environments
from trpo_fast.environments.make import EnvLike, is_pair_of_spaces, make_environments
from trpo_fast.errors import InvalidArgumentError, PolicyFileError, ResumeWarning
from trpo_fast.monitoring.logger import Logger
from trpo_fast.monitoring.metrics import Sink, told_of_interruption
from trpo_fast.monitoring.progress import progress
from trpo_fast.monitoring.screen import Screen
from trpo_fast.monitoring.tensorboard import with_tensorboard
from trpo_fast.policies.factory import POLICIES, check_policy, make_networks, plain_kwargs
from trpo_fast.policies.reward_normalization import RewardNormalizer
from trpo_fast.policies.state import ModelState
from trpo_fast.sampling.sampler import Sampler, SerialSampler
from trpo_fast.sampling.workers import ParallelSampler, make_parallel_sampler
from trpo_fast.spaces.as_json import own_copy
from trpo_fast.spaces.kinds import Spaces, same_spaces
from trpo_fast.spaces.naming import Names
from trpo_fast.storage.hyperparameters import tuned_arguments
from trpo_fast.storage.model_file import check_content, model_to_bytes, restore
from trpo_fast.storage.plain_values import from_json
from trpo_fast.storage.policy_file import existing_path, load_policy_file, target_path
from trpo_fast.training.attributes import check_settings
from trpo_fast.training.loop import train
from trpo_fast.training.sb3_arguments import (
    make_config,
    returns_new_model,
    take_load_arguments,
    warn_of_selection,
)
from trpo_fast.training.state import TrainingState
from trpo_fast.training.stepwise import StepwiseTraining
from trpo_fast.training.streams import Streams, fresh_seed
from trpo_fast.validation import MAX_SEED, as_whole, check_choice, check_integer, describe, memory_for


class TRPO(StepwiseTraining):
    """Trust region policy optimisation.

    Parameters
    ----------
    policy : {"MlpPolicy", "CnnPolicy", "MultiInputPolicy", "auto"}
        "CnnPolicy" is for images, "MultiInputPolicy" for a ``Dict`` or ``Tuple``, "MlpPolicy" for all without images;
        "auto" takes the one for the space.
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
        tanh). features_extractor, a network of ``trpo_fast.nets`` that policy and critic have one each of, or SB3's
        features_extractor_class and features_extractor_kwargs; share_features_extractor (one for both: the critic is a
        second head on it); normalize_images (divide pixels by 255).
    frame_stack : int
        Latest frames that an observation is made of, with zeros before the first one of an episode. 1 leaves
        observations as they are. The environments are wrapped for it, also in evaluations; ``predict`` and spaces that
        are passed instead of environments take stacks, not frames. Vector environments have to stack frames themselves.
    normalize_observations : bool
        Normalise observations by running statistics, which are part of the policy.
    use_masking : bool
        For Discrete and MultiDiscrete actions: choose only possible actions, as given by ``info["action_mask"]`` or a
        method ``action_masks()`` of the environments at every step.
    observation_names, action_names : sequence of str, or mapping of str to unit, optional
        Names of the numbers of observations and actions (``Policy.named``), which files and exports hold. The keys of a
        Dict are names already. Files with names also hold the environment's id, its ``dt`` and the scale of its
        ``RescaleAction``.
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
        *in_order: Any,
        n_envs: int = 1,
        n_workers: int = 0,
        worker_timeout: float = 60.0,
        worker_restarts: int = 0,
        env_kwargs: dict[str, Any] | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        frame_stack: int = 1,
        normalize_observations: bool = True,
        use_masking: bool = False,
        observation_names: Names | None = None,
        action_names: Names | None = None,
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
        check_choice("policy", policy, POLICIES)
        if use_sde is not False:
            raise InvalidArgumentError("use_sde", "False (there is no state-dependent exploration)", describe(use_sde))
        self._config = make_config(in_order, settings, inspect.signature(TRPO).parameters)
        seed = fresh_seed() if seed is None else check_integer("seed", seed, at_least=0, at_most=MAX_SEED)
        self.n_workers = check_integer("n_workers", n_workers, at_least=0)
        if is_pair_of_spaces(env):
            env = SpacesOnly(own_copy("observation space", env[0]), own_copy("action space", env[1]), num_envs=1)
        if isinstance(env, SpacesOnly):
            environments: Environments | ParallelSampler | SpacesOnly = env
        elif n_workers:
            arguments = env, n_envs, env_kwargs, frame_stack
            environments = make_parallel_sampler(
                *arguments, n_workers=n_workers, timeout=worker_timeout, restarts=worker_restarts
            )
        else:
            environments = make_environments(env, n_envs, env_kwargs, frame_stack)
        check_integer("n_envs", environments.num_envs, at_least=1, at_most=MAX_ENVS)
        self.verbose = verbose
        self.sinks: list[Sink] = []
        self.logger = Logger()
        self.tensorboard_log = tensorboard_log
        window = check_integer("stats_window_size", stats_window_size, at_least=1)
        check_policy(policy, environments.observation_space)
        self.policy_kwargs = plain_kwargs(policy_kwargs)
        networks = partial(
            make_networks,
            environments.observation_space,
            environments.action_space,
            self.policy_kwargs,
            normalize_observations=normalize_observations,
            normalize_returns=self.config.normalize_returns,
            use_masking=use_masking,
            frame_stack=frame_stack,
            dtype=dtype,
        )
        streams = Streams(seed, environments.num_envs)
        with memory_for(net_arch=self.policy_kwargs.get("net_arch"), dtype=str(dtype)):
            first_policy, self.value_function = networks()
            first_policy = first_policy.named(observation_names, action_names)
            if first_policy.interface is not None:
                interface = replace(first_policy.interface, **environments.facts())
                first_policy = first_policy.with_interface(interface)
            theta = np.zeros(first_policy.num_params, first_policy.dtype)
            if _init_setup_model:
                theta = first_policy.initial_parameters(streams.policy)
            critic = self.value_function.initial_state(streams.critic if _init_setup_model else None)
            actor = first_policy.actor(theta)
        check_settings(self.config, first_policy, self.value_function, environments)
        if use_masking:
            environments.use_masks()
        state = ModelState(actor, critic, RewardNormalizer.initial(environments.num_envs))
        if isinstance(environments, ParallelSampler):
            with memory_for(**self.config.rollout_sizes, n_envs=environments.num_envs):
                environments.start(self.config.rollout_steps, first_policy, networks)
            sampler: Sampler = environments
        else:
            sampler = SerialSampler(environments, first_policy)
        self._training = TrainingState(state, environments, sampler, streams, seed, window)
        if self.config.method == "vine":
            environments.check_restorable()

    def learn(
        self,
        total_timesteps: float,
        callback: Any = None,
        log_interval: int | None = 1,
        tb_log_name: str = "TRPO",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> "TRPO":
        """Train until at least ``total_timesteps`` transitions are collected, in whole iterations.

        Parameters
        ----------
        total_timesteps : int
            Transitions to collect, over all environments; 1e6 is an integer too.
        callback : callable, BaseCallback, one of Stable-Baselines3's, or a list of them, optional
            A function is called after every step of the environments with (locals, globals). If it returns False,
            training stops, and the transitions since the last update are discarded.
        log_interval : int
            Iterations between two reports on the terminal, with ``verbose``; None for no reports.
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
        total_timesteps = check_integer("total_timesteps", as_whole(total_timesteps), at_least=1)
        if log_interval is not None:
            check_integer("log_interval", log_interval, at_least=1)
        if isinstance(self.env, SpacesOnly):
            self.env.reset(None)  # raises, before the open episodes of a file are given up
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
            sinks_open = with_tensorboard(
                self.sinks, self.tensorboard_log, tb_log_name, go_on=training.num_timesteps > 0
            )
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

    def save(
        self,
        path: str | os.PathLike[str],
        exclude: Any = None,
        include: Any = None,
        *,
        previous: str | os.PathLike[str] | None = None,
    ) -> None:
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
        exclude, include
            Part of SB3's interface; ignored with a warning.
        previous : path, optional
            Where to keep the file that ``path`` replaces.

        Raises
        ------
        OSError
            If the file cannot be written; an existing file stays unchanged.
        """
        warn_of_selection(exclude, include)
        kept = None if previous is None else target_path(previous)
        with self._training.lock:  # another thread may train
            content, left_out = model_to_bytes(self)
        replace_file(target_path(path), content, previous=kept)
        self._training.warn_if_left_out(left_out)

    @returns_new_model
    @classmethod
    def load(
        cls, path: str | os.PathLike[str], env: EnvLike | Spaces | None = None, device: Any = "auto", **kwargs: Any
    ) -> "TRPO":
        """Load a model that ``save`` wrote.

        Parameters
        ----------
        path : path
            The file's name, with or without ".safetensors".
        env : as the constructor's, optional
            Needed for ``learn``, not for ``predict``. Its spaces must be those in the file. From an id as many
            environments are made as the saved model had.
        device
            Accepted for compatibility with SB3; ignored.
        **kwargs
            Constructor arguments that replace those in the file. Of SB3's: ``force_reset`` begins new episodes,
            ``custom_objects`` replaces settings, ``print_system_info`` prints versions.

        Raises
        ------
        PolicyFileError
            If the file is damaged, is not a model of this package, or has other spaces than ``env``.
        InvalidArgumentError, UnsupportedSpaceError
            As the constructor.
        FileNotFoundError
            If there is no such file.
        """
        kwargs, force_reset = take_load_arguments(kwargs)
        tensors, metadata = load_policy_file(existing_path(path))
        content = check_content(metadata, tensors)
        environments: Any = SpacesOnly(*content.spaces, content.n_envs) if env is None else env
        n_envs = {"n_envs": content.n_envs} if isinstance(env, str) else {}
        model = cls("auto", environments, **{**content.arguments, **n_envs, "_init_setup_model": False, **kwargs})
        if not same_spaces((model.observation_space, model.action_space), content.spaces):
            expected = "environments with spaces {} and {}".format(*content.spaces)
            got = f"{model.policy.observation_space} and {model.policy.action_space}"
            raise PolicyFileError(f"env: expected {expected}, got {got}")
        policy, theta, critic = restore(
            model.policy, model.value_function, model._training.model.critic, tensors, metadata["version"]
        )
        policy = policy.named(kwargs.get("observation_names"), kwargs.get("action_names"))
        training = from_json(content.training, tensors)
        model._training.set_state(training, policy, theta, critic, content.num_timesteps)
        if force_reset:
            model._training.forget_episodes()
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
        return cls(**{"policy": "auto", "env": env, **tuned_arguments(env), **overrides})
