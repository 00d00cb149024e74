"""TRPO: the class that collects, updates and reports, with the interface of sb3-contrib's."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.config import TRPOConfig
from trpo_fast.environment_interface import MAX_MAGNITUDE, copy_if_fit
from trpo_fast.environments import EnvLike, NoEnvironments, make_environments
from trpo_fast.errors import InvalidArgumentError, PolicyFileError
from trpo_fast.metrics import Clock, Metrics, Sink, explained_variance, format_table, rollout_metrics, update_metrics
from trpo_fast.model_file import check_content, model_content, restore
from trpo_fast.networks import make_networks
from trpo_fast.normalization import ObservationNormalizer, RunningMeanStd
from trpo_fast.observation_statistics import merge_observations
from trpo_fast.policy import Actor
from trpo_fast.policy_file import existing_path, load_policy_file, save_policy_file, target_path
from trpo_fast.progress import progress
from trpo_fast.rollout import Rollout, RolloutCollector, to_batch
from trpo_fast.trpo import UpdateReport, trpo_update, trust_region
from trpo_fast.validation import check_choice, check_integer, describe
from trpo_fast.value_function import CriticState

NORMALIZER_SHARE = 0.25  # of the trust region: how far new observation statistics alone may move the policy

StepCallback = Callable[[dict[str, Any], dict[str, Any]], bool | None]


class TRPO:
    """Trust region policy optimisation.

    Parameters
    ----------
    policy : {"MlpPolicy"}
    env : str, gymnasium.Env, gymnasium.vector.VectorEnv (EnvPool too) or list of factories
        An id or factories are stepped as single environments, each with its own random streams.
    n_envs : int
        How many environments to make from an id.
    env_kwargs : dict, optional
        Passed to ``gymnasium.make`` with an id.
    policy_kwargs : dict, optional
        net_arch (widths of the hidden layers, or ``{"pi": ..., "vf": ...}``), activation_fn, log_std_init, ortho_init.
    normalize_observations : bool
        Running normalisation of observations, kept inside the policy.
    dtype : {"float32", "float64"}
    seed : int, optional
        Fixes everything but the random streams inside a VectorEnv or EnvPool that ignores ``reset(seed=)``; drawn
        from the operating system if not given, and kept in ``seed``.
    verbose : {0, 1}
        1 prints a table every ``log_interval`` iterations.
    stats_window_size : int
        Episodes that rollout/ep_rew_mean averages.
    **settings
        Every field of ``TRPOConfig``.

    Attributes
    ----------
    policy : Policy
    value_function : ValueFunction
    config : TRPOConfig
    num_timesteps : int
        Transitions collected.
    policy_kwargs : dict
    report : UpdateReport or None
        Of the last update.
    metrics : dict
        Of the last iteration.
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
        env_kwargs: dict[str, Any] | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        normalize_observations: bool = True,
        dtype: npt.DTypeLike = "float32",
        seed: int | None = None,
        verbose: int = 0,
        stats_window_size: int = 100,
        **settings: Any,
    ) -> None:
        check_choice("policy", policy, ("MlpPolicy",))
        self.config = TRPOConfig(**settings)
        self.seed = _fresh_seed() if seed is None else check_integer("seed", seed, at_least=0)
        self.env = env if isinstance(env, NoEnvironments) else make_environments(env, n_envs, env_kwargs)
        self.verbose = check_integer("verbose", verbose, at_least=0)
        self.sinks: list[Sink] = []
        check_integer("stats_window_size", stats_window_size, at_least=1)
        if not isinstance(policy_kwargs, dict | None):
            raise InvalidArgumentError("policy_kwargs", "a dict", describe(policy_kwargs))
        self.policy_kwargs = dict(policy_kwargs or {})
        self.policy, self.value_function = make_networks(
            self.env.observation_space,
            self.env.action_space,
            self.policy_kwargs,
            normalize_observations=normalize_observations,
            normalize_returns=self.config.normalize_returns,
            dtype=dtype,
        )
        seeds = np.random.SeedSequence(self.seed)
        policy_seed, critic_seed, order_seed, predict_seed, noise_seeds = seeds.spawn(5)
        theta, critic = self.policy.initial_parameters(policy_seed), self.value_function.initial_state(critic_seed)
        self._commit(theta, critic, self.policy.normalizer, self.policy.actor(theta))
        self._order_stream = np.random.default_rng(order_seed)
        self._predict_stream = np.random.default_rng(predict_seed)
        self._collector = RolloutCollector(self.env, self.policy, noise_seeds, stats_window_size)
        self._seeded = False  # the environments' own random streams go on after their first reset
        self._between_rollouts = False  # after a fault or Ctrl-C within one, environments must be reset
        self._n_updates = 0
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

    def get_parameters(self) -> dict[str, dict[str, npt.NDArray[Any]]]:
        """Copies of the parameters by name: {"policy": {...}, "value_function": {...}}."""
        return {
            "policy": self.policy.unflatten(self._theta.copy()),
            "value_function": self.value_function.unflatten(self._critic.theta.copy()),
        }

    def learn(
        self,
        total_timesteps: int,
        callback: StepCallback | None = None,
        log_interval: int = 1,
        tb_log_name: str = "TRPO",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> "TRPO":
        """Train until ``total_timesteps`` transitions are collected; whole iterations, so a little more.

        Parameters
        ----------
        callback : callable, optional
            Called after every step of the environments with ({"self": model}, {}); False stops training. The
            transitions since the last update are then dropped.
        log_interval : int
            Iterations between two tables on the terminal, with ``verbose``.
        tb_log_name : str
            Part of sb3's signature; nothing is written to TensorBoard yet.
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
        if callback is not None and not callable(callback):
            raise InvalidArgumentError("callback", "a function (locals, globals) -> bool", describe(callback))
        with progress(total_timesteps, enabled=progress_bar) as bar:
            if reset_num_timesteps or not self._between_rollouts:
                self._between_rollouts = False
                self._collector.reset(None if self._seeded else self.seed)
                self._seeded = True
            if reset_num_timesteps:
                self.num_timesteps = 0
                self._collector.forget_episodes()
            target = self.num_timesteps + total_timesteps
            clock = Clock(self.num_timesteps)

            def count(n_transitions: int) -> bool:
                self.num_timesteps += n_transitions
                bar.update(n_transitions)
                return callback is None or callback({"self": self}, {}) is not False

            every_step = callback is not None or progress_bar
            iteration = 0
            while self.num_timesteps < target:
                self._between_rollouts = False
                rollout = self._collector.collect(self._theta, self.config.n_steps, count if every_step else None)
                if rollout is None:
                    break
                self._between_rollouts = True
                if not every_step:
                    count(rollout.num_transitions)
                if rollout.num_transitions == 0:  # nothing but the steps of an autoreset
                    continue
                iteration += 1
                self.metrics = {**self._update(rollout), **clock.read(iteration, self.num_timesteps)}
                for sink in self.sinks:
                    sink.write(self.metrics)
                if self.verbose and iteration % log_interval == 0:
                    print(format_table(self.metrics))
        return self

    def predict(
        self,
        observation: Any,
        state: None = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, None]:
        """Actions for one observation (the space's shape) or a batch (n, *shape), within the space's bounds.

        Parameters
        ----------
        state, episode_start
            Of recurrent policies; unused.
        deterministic : bool
            The most probable action instead of a sample.

        Raises
        ------
        InvalidArgumentError
            If the observation has another shape, is no array of real numbers, or is not finite or above 1e18.
        """
        shape = self.policy.observation_space.shape or ()
        try:
            array = np.asarray(observation)
        except ValueError:  # nested lists of unequal lengths
            array = np.empty(0, dtype=object)
        is_batch = array.ndim == len(shape) + 1
        if array.dtype.kind not in "fiub" or array.shape[is_batch:] != shape or array.size == 0:
            expected = f"a real array of shape {shape} or (n, {', '.join(map(str, shape))})"
            raise InvalidArgumentError("observation", expected, describe(observation))
        rows = np.empty(array.shape)
        if not copy_if_fit(array, rows):
            raise InvalidArgumentError("observation", f"magnitudes <= {MAX_MAGNITUDE:g}", describe(observation))
        size = (len(array) if is_batch else 1, self.policy.codec.size)
        noise = None if deterministic else self._predict_stream.standard_normal(size, dtype=self.policy.dtype)
        out = np.empty(size, dtype=self.policy.dtype)
        self._actor.act(rows.reshape(size[0], -1), noise, out)
        actions = self.policy.codec.to_env(out)
        return (actions if is_batch else actions[0]), None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the policy, the critic, the statistics and the settings to one checksummed safetensors file.

        ".safetensors" is added to a ``path`` without a suffix. See ``policy_file`` for the format.
        """
        save_policy_file(target_path(path), *model_content(self))

    @classmethod
    def load(cls, path: str | os.PathLike[str], env: EnvLike | None = None, **kwargs: Any) -> "TRPO":
        """The model that ``save`` wrote.

        Parameters
        ----------
        path : path
            The exact name, or the name without ".safetensors".
        env : as the constructor's, optional
            Needed to learn, not to predict; its spaces must be those of the file.
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
        content = check_content(metadata)
        environments: Any = NoEnvironments(*content.spaces) if env is None else env
        model = cls("MlpPolicy", environments, **{**content.arguments, **kwargs})
        if (model.policy.observation_space, model.policy.action_space) != content.spaces:
            expected = "environments with spaces {} and {}".format(*content.spaces)
            got = f"{model.policy.observation_space} and {model.policy.action_space}"
            raise PolicyFileError(f"env: expected {expected}, got {got}")
        theta, critic, normalizer = restore(model, tensors)
        model._commit(theta, critic, normalizer, model.policy.actor(theta, normalizer))
        model.num_timesteps = content.num_timesteps
        return model

    def _update(self, rollout: Rollout) -> Metrics:
        """One iteration's learning: the policy step beside the critic's fit, and last the normaliser's new data."""
        config, policy, critic = self.config, self.policy, self._critic

        def predict_values(observations: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
            return self.value_function.predict(critic, policy.normalize(observations))

        batch, values = to_batch(rollout, policy, predict_values, config)
        inputs = policy.normalize(batch.observations)
        order = self._order_stream.permuted(np.tile(np.arange(len(values)), (config.n_critic_updates, 1)), axis=1)
        fitting = self.value_function.begin_fit(
            critic, inputs, batch.returns, order, batch_size=config.batch_size, learning_rate=config.learning_rate
        )
        theta, report = trpo_update(policy, self._theta, batch, config)
        fit = fitting.result()
        max_shift = NORMALIZER_SHARE * trust_region(policy, config)[0]
        theta, normalizer, normalizer_kl = merge_observations(policy, theta, batch.observations, inputs, max_shift)
        learned = theta, fit.state, normalizer, policy.actor(theta, normalizer)
        try:
            self._commit(*learned)
        finally:  # parameters and statistics belong together: Ctrl-C between two assignments must not part them
            self._commit(*learned)
        self.report = report
        self._n_updates += 1
        return {
            **rollout_metrics(self._collector.episodes, self._collector.num_episodes),
            **update_metrics(report, fit),
            "train/explained_variance": explained_variance(values, batch.returns),
            "train/normalizer_kl": normalizer_kl,
            "train/n_updates": self._n_updates,
            "train/std": policy.mean_std(theta),
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
