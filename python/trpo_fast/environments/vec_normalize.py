"""``VecNormalize`` of Stable-Baselines3, found and synchronised without importing SB3."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trpo_fast.errors import InvalidArgumentError

_SETTINGS = ("norm_obs", "norm_obs_keys", "clip_obs", "epsilon")  # what an observation's normalisation depends on


def find_vec_normalize(env: Any) -> Any:
    """The ``VecNormalize`` among the wrappers of a ``VecEnv``, or None."""
    while env is not None and not any(kind.__name__ == "VecNormalize" for kind in type(env).__mro__):
        env = getattr(env, "__dict__", {}).get("venv")  # a VecEnvWrapper forwards other attributes to what it wraps
    return env


def check_same_normalization(trained_in: Any, evaluated_in: Any) -> None:
    """Raise InvalidArgumentError if a policy would see other observations in an evaluation than in training.

    Parameters
    ----------
    trained_in, evaluated_in : VecNormalize or None
    """
    trained, evaluated = _settings(trained_in), _settings(evaluated_in)
    if trained != evaluated:
        expected = f"an environment in {trained}, as the model is trained in"
        raise InvalidArgumentError("eval_env", expected, f"one in {evaluated}")


def synchronize(trained_in: Any, evaluated_in: Any) -> None:
    """Copy the statistics of the ``VecNormalize`` in which a model is trained to that of an evaluation."""
    if evaluated_in is not None and trained_in is not None and evaluated_in is not trained_in:
        for name in ("obs_rms", "ret_rms"):
            if hasattr(trained_in, name):  # there is no obs_rms without norm_obs
                setattr(evaluated_in, name, copy.deepcopy(getattr(trained_in, name)))


def has_statistics(vec_normalize: Any) -> bool:
    """Whether a ``VecNormalize`` has seen any observation."""
    statistics = getattr(vec_normalize, "obs_rms", None)
    parts = statistics.values() if isinstance(statistics, dict) else [statistics]
    return any(part is not None and part.count >= 1.0 for part in parts)


@contextmanager
def frozen(vec_normalize: Any) -> Iterator[None]:
    """Keep the statistics of a ``VecNormalize`` as they are: an evaluation must not change what it evaluates."""
    if vec_normalize is None:
        yield
        return
    before, vec_normalize.training = vec_normalize.training, False
    try:
        yield
    finally:
        vec_normalize.training = before


def _settings(vec_normalize: Any) -> str:
    if vec_normalize is None or not vec_normalize.norm_obs:
        return "no VecNormalize of observations"
    return f"a VecNormalize({', '.join(f'{n}={getattr(vec_normalize, n, None)}' for n in _SETTINGS)})"
