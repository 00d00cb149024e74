"""Evaluation of a policy: whole episodes in environments of their own."""

import numpy as np

from trpo_fast.environments.interface import Environments, Trajectories
from trpo_fast.environments.make import EnvLike, make_environments
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.protocols import ActingModel
from trpo_fast.sampling.rollouts import Episode
from trpo_fast.spaces.kinds import same_spaces
from trpo_fast.validation import check_integer


def evaluate_policy(
    model: ActingModel, env: EnvLike, n_eval_episodes: int = 10, deterministic: bool = True, *, seed: int | None = None
) -> list[Episode]:
    """Undiscounted returns and lengths of ``n_eval_episodes`` episodes, shared out evenly among the environments.

    Parameters
    ----------
    model : TRPO
    env : as the ``env`` of TRPO
        Closed afterwards if it was made here, from an id or factories.
    deterministic : bool
        The most probable actions instead of samples.
    seed : int, optional
        Environment i is reset with seed + i; without it, its random stream continues.

    Raises
    ------
    InvalidArgumentError, EnvironmentFaultError
    """
    environments = make_environments(env, 1)
    try:
        return evaluate_environments(model, environments, n_eval_episodes, deterministic, seed=seed)
    finally:
        if isinstance(env, str | list | tuple):
            environments.close()


def evaluate_environments(
    model: ActingModel, environments: Environments, n_episodes: int, deterministic: bool, *, seed: int | None = None
) -> list[Episode]:
    """``evaluate_policy`` in environments that exist already."""
    check_integer("n_eval_episodes", n_episodes, at_least=1)
    spaces = environments.observation_space, environments.action_space
    if not same_spaces(spaces, (model.observation_space, model.action_space)):
        expected = f"environments with spaces {model.observation_space} and {model.action_space}"
        raise InvalidArgumentError("env", expected, "{} and {}".format(*spaces))
    if model.policy.action_masks is not None:
        environments.use_masks()
    n, codec = environments.num_envs, model.policy.observation_codec
    wanted = [(n_episodes + i) // n for i in range(n)]
    done: list[list[Episode]] = [[] for _ in range(n)]
    returns, lengths = np.zeros(n), np.zeros(n, dtype=np.int64)
    step = Trajectories.of_steps(1, n, codec)
    step.observations[1] = environments.reset(seed)
    while any(len(episodes) < number for episodes, number in zip(done, wanted, strict=True)):
        actions = model.act(step.observations.acted_on(1), deterministic)
        step = Trajectories.of_steps(1, n, codec)
        environments.step(actions, 0, step)
        returns += step.rewards[0]
        lengths += step.valid[0]
        for i in np.flatnonzero(step.terminated[0] | step.truncated[0]).tolist():
            if len(done[i]) < wanted[i]:
                done[i].append(Episode(float(returns[i]), int(lengths[i])))
            returns[i] = lengths[i] = 0
    return [episode for episodes in done for episode in episodes]
