"""What environments say in ``info``: of an ended episode, and for callbacks."""

import copy
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Infos: TypeAlias = list[dict[str, Any]]  # one per environment


class Outcome(NamedTuple):
    """What an environment says of an episode that ended; None where it says nothing.

    Parameters
    ----------
    episode_return : float or None
        Return before any wrapper outside of the one that counts, from ``info["episode"]["r"]``: the ``Monitor`` of
        Stable-Baselines3 and Gymnasium's ``RecordEpisodeStatistics`` write it.
    length : int or None
        Length in steps, from ``info["episode"]["l"]``.
    is_success : float or None
        1 or 0, from ``info["is_success"]``.
    continues : bool
        The episode ended for the learner only, and goes on after the reset, from ``info["episode_continues"]``:
        for example after a lost life in an Atari game.
    """

    episode_return: float | None = None
    length: int | None = None
    is_success: float | None = None
    continues: bool = False

    @classmethod
    def of(cls, info: Any) -> "Outcome | None":
        """What ``info``, of the last step of an episode, says of it; None if nothing."""
        if not says_something(info):
            return None
        episode = info.get("episode")
        counted = episode if isinstance(episode, dict) else {}
        episode_return, length = _number(counted.get("r")), _number(counted.get("l"))
        flag = info.get("episode_continues")
        continues = isinstance(flag, bool | np.bool_) and bool(flag)
        return cls(episode_return, None if length is None else int(length), _number(info.get("is_success")), continues)


def says_something(info: Any) -> bool:
    """Whether ``info`` says anything of an episode that ended."""
    return isinstance(info, dict) and not info.keys().isdisjoint(("episode", "is_success", "episode_continues"))


def _number(value: Any) -> float | None:
    """``value`` as a finite float, from a number or an array of one number; None if it is neither."""
    try:
        number = float(np.asarray(value, dtype=np.float64).reshape(()))
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def with_end(info: Any, final_observation: Any, terminated: bool, truncated: bool) -> dict[str, Any]:
    """The info of an episode's last step, with what Stable-Baselines3's vector environments add to it."""
    end = {"TimeLimit.truncated": truncated and not terminated}
    end["terminal_observation"] = copy.deepcopy(final_observation)  # an environment may write the next one to its array
    return {**info, **end} if isinstance(info, dict) else end


def split_infos(infos: Any, n: int) -> list[dict[str, Any]]:
    """The n infos that a Gymnasium vector environment gives as one dict of arrays, with a mask "_name" for each."""
    split: list[dict[str, Any]] = [{} for _ in range(n)]
    if isinstance(infos, dict):
        for name, values in infos.items():
            if name.startswith("_"):
                continue
            parts = split_infos(values, n) if isinstance(values, dict) else values
            if isinstance(parts, list | np.ndarray) and len(parts) == n:
                mask: npt.NDArray[np.bool_] = infos.get(f"_{name}", np.ones(n, np.bool_))
                for i in np.flatnonzero(mask).tolist():
                    split[i][name] = parts[i]
    return split
