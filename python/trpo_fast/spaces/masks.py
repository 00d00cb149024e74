"""Action masks: which choices of a discrete action space are possible in a state."""

from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast.errors import EnvironmentFaultError, InvalidArgumentError
from trpo_fast.spaces.kinds import num_choices
from trpo_fast.validation import describe

KEY = "action_mask"  # key in an environment's info, as in Gymnasium's own environments
METHOD = "action_masks"  # method of an environment, as in sb3-contrib


class ActionMasks:
    """The masks of one action space.

    A mask has a 1 (True) for each choice that is possible and a 0 for the others, and leaves at least one choice. The
    mask of a MultiDiscrete is the concatenation of the masks of its parts, or a tuple of them.

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
        If the space is of another kind.
    """

    def __init__(self, space: gym.Space[Any]) -> None:
        parts = num_choices(space)
        if parts.size == 0 or len(space.shape or ()) > 1:
            expected = "False, unless the action space is Discrete or MultiDiscrete (1-D)"
            raise InvalidArgumentError("use_masking", expected, f"True for {space}")
        self.size = int(parts.sum())
        self._begins = np.cumsum([0, *parts[:-1]])

    def take(self, mask: Any, out: npt.NDArray[np.float64]) -> bool:
        """Copy a mask to ``out`` (size,) as zeros and ones; return whether ``mask`` is valid."""
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
        """Which rows of ``masks`` (N, size) are valid masks, shape (N,)."""
        of_bits = ((masks == 0) | (masks == 1)).all(axis=1)
        leaves_one = np.logical_or.reduceat(masks != 0, self._begins, axis=1).all(axis=1)
        fit: npt.NDArray[np.bool_] = of_bits & leaves_one
        return fit

    def check_rows(self, masks: npt.NDArray[np.float64]) -> None:
        """Raise InvalidArgumentError if a row of ``masks`` (N, size) is not a valid mask."""
        fit = self._fit(masks)
        if not fit.all():
            row = int(np.argmin(fit))
            expected = f"a mask in the last {self.size} columns, zeros and ones, at least one for each choice"
            raise InvalidArgumentError("observations", expected, f"{masks[row]} in row {row}")

    def check_actions(self, encoded: npt.NDArray[Any], masks: npt.NDArray[np.float64]) -> None:
        """Raise InvalidArgumentError if an encoded action (N, A) is ruled out by its row of ``masks`` (N, size)."""
        possible = np.take_along_axis(masks, self._begins + encoded.astype(np.int64), axis=1).all(axis=1)
        if not possible.all():
            row = int(np.argmin(possible))
            raise InvalidArgumentError("actions", "actions that their masks allow", f"{encoded[row]} in row {row}")

    def take_from(
        self, env: gym.Env[Any, Any], info: Any, out: npt.NDArray[np.float64], number: int, step: int
    ) -> None:
        """Copy the mask from an environment's ``info``, or from its method, to ``out`` (size,).

        Raises
        ------
        EnvironmentFaultError
            If there is no mask, or it is not valid. The error names environment ``number`` and the step.
        """
        mask = info.get(KEY) if isinstance(info, dict) else None
        try:
            if mask is None and env.has_wrapper_attr(METHOD):
                mask = env.get_wrapper_attr(METHOD)()
        except Exception as error:
            raise EnvironmentFaultError(number, step, "action mask", "a mask", repr(error)) from error
        self.take_or_fault(mask, out, number, step)

    def take_or_fault(self, mask: Any, out: npt.NDArray[np.float64], number: int, step: int) -> None:
        """Do what ``take`` does, and raise EnvironmentFaultError if the mask is not valid."""
        if not self.take(mask, out):
            expected = f"{self.size} zeros and ones, at least one for each choice, in info[{KEY!r}] or from {METHOD}()"
            raise EnvironmentFaultError(number, step, "action mask", expected, describe(mask))
