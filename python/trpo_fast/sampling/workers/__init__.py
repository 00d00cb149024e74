"""Worker processes that step the environments."""

from typing import Any

from trpo_fast.environments.frame_stack import MAX_FRAMES
from trpo_fast.environments.make import factories_of, stacking_factories
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.sampling.workers.pool import ParallelSampler
from trpo_fast.validation import check_integer, check_real, describe

__all__ = ["ParallelSampler", "make_parallel_sampler"]


def make_parallel_sampler(
    env: Any,
    n_envs: int,
    env_kwargs: dict[str, Any] | None,
    frame_stack: int,
    *,
    n_workers: int,
    timeout: float,
    restarts: int,
) -> ParallelSampler:
    """Create the sampler of ``n_workers`` processes for an id or a list of factories, without starting the processes.

    Parameters
    ----------
    env : str or list of factories
    n_envs : int
        Environments to make from an id.
    env_kwargs : dict, optional
        Passed to ``gymnasium.make`` with an id.
    frame_stack : int
        Frames that each environment observes.
    n_workers, timeout, restarts
        As for ``ParallelSampler``.

    Raises
    ------
    InvalidArgumentError
        If ``env`` is neither an id nor a list of factories, or another argument is out of its range.
    """
    check_real("worker_timeout", timeout, above=0.0)
    check_integer("worker_restarts", restarts, at_least=0)
    factories = factories_of(env, n_envs, env_kwargs)
    if factories is None:
        raise InvalidArgumentError("env", "an id or a list of factories with n_workers > 0", describe(env))
    if check_integer("frame_stack", frame_stack, at_least=1, at_most=MAX_FRAMES) > 1:
        factories = stacking_factories(factories, frame_stack)
    return ParallelSampler(factories, n_workers, timeout=timeout, restarts=restarts)
