"""Evaluation of a policy over whole episodes."""

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
    """Run ``n_eval_episodes`` episodes, distributed evenly over the environments.

    Parameters
    ----------
    model : TRPO
    env : as the ``env`` of TRPO
        Closed afterwards if it is created here, from an id or factories.
    n_eval_episodes : int
    deterministic : bool
        Use the most probable actions instead of samples.
    seed : int, optional
        Environment i is reset with seed + i; by default its random stream continues.

    Returns
    -------
    list of Episode
        Undiscounted return and length in steps of each episode.

    Raises
    ------
    InvalidArgumentError
        If the spaces of ``env`` differ from the model's.
    EnvironmentFaultError
        If an environment raises or returns invalid values.
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
    """Do what ``evaluate_policy`` does, in existing environments."""
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
