"""Evaluation of a policy over whole episodes."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from trpo_fast.environments.interface import Environments, Trajectories
from trpo_fast.environments.make import EnvLike, as_observed, make_environments
from trpo_fast.environments.ownership import check_free
from trpo_fast.environments.sb3_vec_env import SB3Environments
from trpo_fast.environments.vec_normalize import check_same_normalization, frozen, has_statistics, synchronize
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.protocols import ActingModel
from trpo_fast.sampling.rollouts import Episode
from trpo_fast.spaces.kinds import same_spaces
from trpo_fast.storage.policy_content import PolicyLike, as_acting
from trpo_fast.validation import check_integer, check_real


@dataclass(frozen=True)
class Evaluation:
    """The episodes of an evaluation.

    Parameters
    ----------
    episodes : list of Episode
        Undiscounted return, length in steps, and success of each episode.
    """

    episodes: list[Episode]

    @property
    def returns(self) -> npt.NDArray[np.float64]:
        """Undiscounted returns, shape (n,)."""
        return np.array([episode.episode_return for episode in self.episodes])

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Lengths in steps, shape (n,)."""
        return np.array([episode.length for episode in self.episodes], dtype=np.int64)

    @property
    def mean(self) -> float:
        """Mean return."""
        return float(self.returns.mean())

    @property
    def std(self) -> float:
        """Standard deviation of the returns, over the n episodes."""
        return float(self.returns.std())

    @property
    def success_rate(self) -> float | None:
        """Mean of ``info["is_success"]`` at the ends of episodes; None if the environments do not report it."""
        successes = [episode.is_success for episode in self.episodes if episode.is_success is not None]
        return float(np.mean(successes)) if successes else None

    def __str__(self) -> str:
        success = "" if self.success_rate is None else f", success rate {self.success_rate:.2f}"
        counts = f"length {self.lengths.mean():.1f}, {len(self.episodes)} episodes"
        return f"return {self.mean:.2f} +/- {self.std:.2f}, {counts}{success}"


def evaluate(
    model: PolicyLike,
    env: EnvLike,
    n_eval_episodes: int = 10,
    deterministic: bool = True,
    *,
    seed: int | None = None,
) -> Evaluation:
    """Run ``n_eval_episodes`` episodes, distributed evenly over the environments.

    Parameters
    ----------
    model : TRPO, path, or the result of ``load_policy``
    env : as the ``env`` of TRPO
        Closed afterwards if it is created here, from an id or factories.
    n_eval_episodes : int
    deterministic : bool
        Use the most probable actions instead of samples.
    seed : int, optional
        Environment i is reset with seed + i; by default its random stream continues.

    Returns
    -------
    Evaluation
        Undiscounted return, length in steps and success of each episode, with their mean and standard deviation.

    Raises
    ------
    InvalidArgumentError
        If the spaces of ``env`` differ from the model's, or its ``VecNormalize`` from the one the model is trained in.
    EnvironmentFaultError
        If an environment raises or returns invalid values.
    PolicyFileError, FileNotFoundError
        If ``model`` is a path, as ``load_policy``.
    """
    acting, environments = as_acting(model), make_environments(env, 1)
    try:
        return evaluate_environments(acting, environments, n_eval_episodes, deterministic, seed=seed)
    finally:
        if isinstance(env, str | list | tuple):
            environments.close()


def evaluate_policy(
    model: PolicyLike,
    env: EnvLike,
    n_eval_episodes: int = 10,
    deterministic: bool = True,
    render: bool = False,
    callback: Callable[[dict[str, Any], dict[str, Any]], Any] | None = None,
    reward_threshold: float | None = None,
    return_episode_rewards: bool = False,
    warn: bool = True,
    *,
    seed: int | None = None,
) -> tuple[float, float] | tuple[list[float], list[int]]:
    """Do what ``evaluate`` does, with the arguments and results of Stable-Baselines3's function of this name.

    Parameters
    ----------
    model, env, n_eval_episodes, deterministic, seed
        As for ``evaluate``.
    render : bool
        Render the environments after every step.
    callback : callable, optional
        Called after every step for each environment that still plays, with (locals, globals). ``locals`` has "i",
        "reward", "done" and "info" of environment i, and "model", "env", "observations", "actions", "rewards", "dones",
        "infos".
    reward_threshold : float, optional
        Mean return below which the function raises.
    return_episode_rewards : bool
        Return the lists of returns and lengths.
    warn : bool
        Warn if returns are sums of normalised rewards.

    Returns
    -------
    (float, float), or (list of float, list of int)
        Mean and standard deviation of the undiscounted returns; with ``return_episode_rewards`` the return and the
        length in steps of each episode.

    Raises
    ------
    InvalidArgumentError
        As ``evaluate``, and if the mean return is below ``reward_threshold``.
    EnvironmentFaultError, PolicyFileError, FileNotFoundError
        As ``evaluate``.
    """
    if reward_threshold is not None:
        check_real("reward_threshold", reward_threshold)
    acting, environments = as_acting(model), make_environments(env, 1)
    view = environments.view()
    draw = drawing(view) if render else None

    def watch(step: dict[str, Any]) -> None:
        if draw is not None:
            draw()
        if callback is not None:
            for i in np.flatnonzero(step["plays"]).tolist():
                one = {"i": i, "reward": step["rewards"][i], "done": step["dones"][i], "info": step["infos"][i]}
                callback({**step, **one, "model": model, "env": view}, {})

    after_step = watch if draw is not None or callback is not None else None
    try:
        arguments = acting, environments, n_eval_episodes, deterministic
        result = evaluate_environments(*arguments, seed=seed, after_step=after_step, warn=warn)
    finally:
        if isinstance(env, str | list | tuple):
            environments.close()
    if reward_threshold is not None and result.mean <= reward_threshold:
        raise InvalidArgumentError(
            "reward_threshold", f"a mean return above {reward_threshold:g}", f"{result.mean:.2f}"
        )
    if return_episode_rewards:
        return result.returns.tolist(), result.lengths.tolist()
    return result.mean, result.std


def drawing(view: Any) -> Callable[[], Any] | None:
    """What renders environments after a step; None, after their warning, if they cannot be."""
    if getattr(view, "render_mode", None) is not None:
        return cast(Callable[[], Any], view.render)
    view.render()
    return None


def evaluate_environments(
    model: ActingModel,
    environments: Environments,
    n_episodes: int,
    deterministic: bool,
    *,
    seed: int | None = None,
    after_step: Callable[[dict[str, Any]], None] | None = None,
    warn: bool = True,
) -> Evaluation:
    """Do what ``evaluate`` does, in existing environments.

    Parameters
    ----------
    after_step : callable, optional
        Called after every step with "observations", "actions", "rewards", "dones", "infos", and "plays": which
        environments have episodes left to play.
    warn : bool
        Warn if returns are sums of normalised rewards.
    """
    check_integer("n_eval_episodes", n_episodes, at_least=1)
    check_free(environments)
    environments = as_observed(environments, model.observation_space, model.policy.frame_stack)
    spaces = environments.observation_space, environments.action_space
    if not same_spaces(spaces, (model.observation_space, model.action_space)):
        expected = f"environments with spaces {model.observation_space} and {model.action_space}"
        raise InvalidArgumentError("env", expected, "{} and {}".format(*spaces))
    if model.policy.action_masks is not None:
        environments.use_masks()
    vec_normalize = environments.vec_normalize if isinstance(environments, SB3Environments) else None
    _use_statistics_of_training(model, vec_normalize)
    n, codec = environments.num_envs, model.policy.observation_codec
    wanted = np.array([(n_episodes + i) // n for i in range(n)])
    done: list[list[Episode]] = [[] for _ in range(n)]
    returns, lengths = np.zeros(n), np.zeros(n, dtype=np.int64)
    step = Trajectories.of_steps(1, n, codec)
    with frozen(vec_normalize):
        step.observations[1] = environments.reset(seed)
        while (plays := np.array([len(episodes) for episodes in done]) < wanted).any():
            observations = step.observations
            actions = model.act(observations.acted_on(1), deterministic)
            step = Trajectories.of_steps(1, n, codec, with_infos=after_step is not None)
            environments.step(actions, 0, step)
            returns += step.rewards[0]
            lengths += step.valid[0]
            dones = step.terminated[0] | step.truncated[0]
            for i in np.flatnonzero(dones).tolist():
                outcome = step.outcomes.get((0, i))
                if outcome is not None and outcome.continues:
                    continue
                if plays[i]:
                    done[i].append(Episode.of(returns[i], lengths[i], outcome))
                returns[i] = lengths[i] = 0
            if after_step is not None and step.infos is not None:
                seen = {"observations": observations[1], "rewards": step.rewards[0], "infos": step.infos[0]}
                after_step({**seen, "actions": actions, "dones": dones, "plays": plays})
    if warn and vec_normalize is not None and vec_normalize.norm_reward and not step.outcomes:
        text = "returns are sums of normalised rewards: put a Monitor inside of VecNormalize, or set norm_reward=False"
        warnings.warn(text, stacklevel=3)
    return Evaluation([episode for episodes in done for episode in episodes])


def _use_statistics_of_training(model: ActingModel, vec_normalize: Any) -> None:
    """Let a ``VecNormalize`` without statistics have those that the model is trained with; raise if they cannot be."""
    if model.get_env() is None:  # nobody knows what it was trained in
        return
    trained_in = model.get_vec_normalize_env()
    check_same_normalization(trained_in, vec_normalize)
    if vec_normalize is not None and vec_normalize.norm_obs and not has_statistics(vec_normalize):
        synchronize(trained_in, vec_normalize)
