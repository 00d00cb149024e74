"""Action masks: which choices of a discrete action space are possible now."""

from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast.errors import EnvironmentFaultError, InvalidArgumentError
from trpo_fast.spaces.kinds import num_choices
from trpo_fast.validation import describe

KEY = "action_mask"  # in an environment's info, as Gymnasium's own environments have it
METHOD = "action_masks"  # of an environment, as sb3-contrib wants it


class ActionMasks:
    """The masks of one action space.

    A mask has a 1 (True) for each choice that is possible, otherwise a 0, and leaves a choice at least. That of a
    MultiDiscrete has the masks of its parts one after the other, or in a tuple.

    Parameters
    ----------
    space : gymnasium.spaces.Discrete or MultiDiscrete (1-D)

    Attributes
    ----------
    size : int
        Entries of a mask.

    Raises
    ------
    InvalidArgumentError
        If the space is another.
    """

    def __init__(self, space: gym.Space[Any]) -> None:
        parts = num_choices(space)
        if parts.size == 0 or len(space.shape or ()) > 1:
            expected = "False, unless the action space is Discrete or MultiDiscrete (1-D)"
            raise InvalidArgumentError("use_masking", expected, f"True for {space}")
        self.size = int(parts.sum())
        self._begins = np.cumsum([0, *parts[:-1]])

    def take(self, mask: Any, out: npt.NDArray[np.float64]) -> bool:
        """Whether ``mask`` is one; ``out`` (size,) receives it as zeros and ones."""
        try:
            flat = (
                np.concatenate([np.ravel(part) for part in mask]) if isinstance(mask, tuple | list) else np.ravel(mask)
            )
        except ValueError:
            return False
        if flat.size != self.size or flat.dtype.kind not in "biuf" or not self._fit(flat[None])[0]:
            return False
        out[:] = flat
        return True

    def _fit(self, masks: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Which rows (N, size) are masks."""
        of_bits = ((masks == 0) | (masks == 1)).all(axis=1)
        leaves_one = np.logical_or.reduceat(masks != 0, self._begins, axis=1).all(axis=1)
        fit: npt.NDArray[np.bool_] = of_bits & leaves_one
        return fit

    def check_rows(self, masks: npt.NDArray[np.float64]) -> None:
        """InvalidArgumentError if a row of ``masks`` (N, size) is none."""
        fit = self._fit(masks)
        if not fit.all():
            row = int(np.argmin(fit))
            expected = f"a mask in the last {self.size} columns, zeros and ones, one at least for each choice"
            raise InvalidArgumentError("observations", expected, f"{masks[row]} in row {row}")

    def check_actions(self, rows: npt.NDArray[Any], masks: npt.NDArray[np.float64]) -> None:
        """InvalidArgumentError if an action, of kernel rows (N, A), is impossible by its row of ``masks`` (N, size)."""
        possible = np.take_along_axis(masks, self._begins + rows.astype(np.int64), axis=1).all(axis=1)
        if not possible.all():
            row = int(np.argmin(possible))
            raise InvalidArgumentError("actions", "actions that their masks leave", f"{rows[row]} in row {row}")

    def take_from(
        self, env: gym.Env[Any, Any], info: Any, out: npt.NDArray[np.float64], number: int, step: int
    ) -> None:
        """The mask that an environment offers in its info, or by its method; ``out`` (size,) receives it.

        Raises
        ------
        EnvironmentFaultError
            If there is none, or it is unfit; it names the environment by ``number``, and the step.
        """
        mask = info.get(KEY) if isinstance(info, dict) else None
        try:
            if mask is None and env.has_wrapper_attr(METHOD):
                mask = env.get_wrapper_attr(METHOD)()
        except Exception as error:
            raise EnvironmentFaultError(number, step, "action mask", "a mask", repr(error)) from error
        self.take_or_fault(mask, out, number, step)

    def take_or_fault(self, mask: Any, out: npt.NDArray[np.float64], number: int, step: int) -> None:
        """``take``, or EnvironmentFaultError."""
        if not self.take(mask, out):
            expected = f"{self.size} zeros and ones, one at least for each choice, in info[{KEY!r}] or from {METHOD}()"
            raise EnvironmentFaultError(number, step, "action mask", expected, describe(mask))
