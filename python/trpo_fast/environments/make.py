"""Makes environments from an id, an Env, factories, a VectorEnv or a VecEnv."""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeGuard

import gymnasium as gym

from trpo_fast.environments.frame_stack import MAX_FRAMES, FrameStack
from trpo_fast.environments.interface import MAX_ENVS, Environments
from trpo_fast.environments.sb3_vec_env import SB3Environments
from trpo_fast.environments.single import SingleEnvironments
from trpo_fast.environments.vec_env_view import VecEnvView
from trpo_fast.environments.vector import VectorEnvironments
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.spaces.kinds import Spaces
from trpo_fast.validation import check_integer, describe, suggestion

EnvFactory = Callable[[], gym.Env[Any, Any]]


EnvLike = str | gym.Env[Any, Any] | gym.vector.VectorEnv[Any, Any, Any] | Sequence[EnvFactory]


def make_environments(
    env: Any, n_envs: int, env_kwargs: dict[str, Any] | None = None, frame_stack: int = 1
) -> Environments:
    """Environments from an id, an Env, a list of factories, a VectorEnv, or a VecEnv of Stable-Baselines3.

    Or those of another model: what its ``get_env()`` returns, or its ``env``. With ``frame_stack`` > 1 each observes
    that many frames (``FrameStack``).

    Raises
    ------
    InvalidArgumentError
        If ``env`` is not one of these, or ``n_envs``, ``env_kwargs`` or ``frame_stack`` do not apply to it.
    UnsupportedSpaceError
        If frames of its observations cannot be stacked.
    """
    environments = _make_environments(env, n_envs, env_kwargs)
    if check_integer("frame_stack", frame_stack, at_least=1, at_most=MAX_FRAMES) == 1:
        return environments
    if not isinstance(environments, SingleEnvironments):
        expected = "1 with a vector environment, which has to stack frames itself"
        raise InvalidArgumentError("frame_stack", expected, frame_stack)
    return environments.stacked(frame_stack)


def as_observed(environments: Environments, observation_space: gym.Space[Any], frame_stack: int) -> Environments:
    """``environments``, stacked if they do not observe ``observation_space`` and ``frame_stack`` > 1."""
    if not isinstance(environments, SingleEnvironments) or environments.observation_space == observation_space:
        return environments
    return environments.stacked(frame_stack) if frame_stack > 1 else environments


def _make_environments(env: Any, n_envs: int, env_kwargs: dict[str, Any] | None) -> Environments:
    factories = factories_of(env, n_envs, env_kwargs)
    if factories is not None:
        return SingleEnvironments(make_from_factories(factories))
    if hasattr(env, "check_restorable"):  # Environments
        env = env.view()
    if n_envs != 1:
        raise InvalidArgumentError("n_envs", "1 unless env is an id", n_envs)
    if is_vector(env):
        return VectorEnvironments(env)
    if isinstance(env, VecEnvView):
        environments: Environments = env.environments()
        return environments
    if all(hasattr(env, name) for name in ("step_async", "step_wait", "num_envs")):
        return SB3Environments(env)
    if isinstance(env, gym.Env):
        return SingleEnvironments([env])
    raise InvalidArgumentError("env", "an id, an Env, a VectorEnv, a VecEnv or a list of factories", describe(env))


def stacking_factories(factories: Sequence[EnvFactory], frame_stack: int) -> list[EnvFactory]:
    """Factories of the same environments that observe ``frame_stack`` frames."""
    return [partial(_make_stacked, make, frame_stack) for make in factories]


def _make_stacked(make: EnvFactory, frame_stack: int) -> gym.Env[Any, Any]:
    return FrameStack(make(), frame_stack)


def factories_of(env: Any, n_envs: int, env_kwargs: dict[str, Any] | None) -> list[EnvFactory] | None:
    """The factories of the environments, one each, if ``env`` is an id or a list of factories; otherwise None.

    Raises
    ------
    InvalidArgumentError
        If ``env`` is a list of anything else, or ``n_envs`` or ``env_kwargs`` do not apply to it.
    """
    check_integer("n_envs", n_envs, at_least=1, at_most=MAX_ENVS)
    if env_kwargs is not None and not isinstance(env_kwargs, dict):
        raise InvalidArgumentError("env_kwargs", "a dict", describe(env_kwargs))
    if isinstance(env, str):
        return [partial(_make_from_id, env, _own_copy(env_kwargs or {}))] * n_envs
    if env_kwargs:
        raise InvalidArgumentError("env_kwargs", "None unless env is an id", describe(env_kwargs))
    if not isinstance(env, Sequence) or is_vector(env):
        return None
    if not env or not all(callable(make) for make in env):
        raise InvalidArgumentError("env", "a non-empty list of environment factories", describe(env))
    if n_envs not in (1, len(env)):
        raise InvalidArgumentError("n_envs", f"{len(env)}, the number of factories", n_envs)
    return list(env)


def _own_copy(env_kwargs: dict[str, Any]) -> dict[str, Any]:
    """A copy that the caller cannot change: a worker that is restarted makes its environments once more."""
    try:
        return copy.deepcopy(env_kwargs)
    except Exception:  # of an object that cannot be copied
        return dict(env_kwargs)


def is_pair_of_spaces(env: Any) -> TypeGuard[Spaces]:
    """Whether ``env`` is a pair of an observation and an action space instead of an environment."""
    return isinstance(env, tuple) and len(env) == 2 and all(isinstance(part, gym.Space) for part in env)


def is_vector(env: Any) -> bool:
    """Whether ``env`` steps several environments at a time."""
    return isinstance(env, gym.vector.VectorEnv) or hasattr(env, "single_observation_space")


def _make_from_id(env_id: str, env_kwargs: dict[str, Any]) -> gym.Env[Any, Any]:
    try:
        return gym.make(env_id, **env_kwargs)
    except Exception as error:  # of gymnasium, an ImportError of the id's module, or a TypeError of env_kwargs
        nearest = suggestion(env_id, gym.registry) if isinstance(error, gym.error.UnregisteredEnv) else ""
        arguments = f" with {env_kwargs}" if env_kwargs else ""
        why = " ".join(str(error).split()) or repr(error)
        expected = f"an id and env_kwargs that gymnasium.make accepts{nearest}"
        raise InvalidArgumentError("env", expected, f"{env_id!r}{arguments}: {why}") from error


def make_from_factories(factories: Sequence[EnvFactory]) -> list[gym.Env[Any, Any]]:
    """One environment from each factory.

    Raises
    ------
    InvalidArgumentError
        If a factory does not return an environment, or two return the same one.
    """
    envs = [make() for make in factories]
    if not all(isinstance(env, gym.Env) for env in envs) or len({id(env) for env in envs}) < len(envs):
        raise InvalidArgumentError("env", "factories that each make a separate gymnasium.Env", describe(envs))
    return envs
