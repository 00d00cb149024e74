"""FrameStack: the latest frames of an environment side by side, so that a policy without memory sees motion."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.wrappers.utils import create_zero_array

from trpo_fast.errors import UnsupportedSpaceError
from trpo_fast.spaces.leaves import channel_axis, is_image
from trpo_fast.validation import describe

MAX_FRAMES = 1 << 10  # in an observation


class FrameStack(gym.Wrapper[Any, Any, Any, Any]):
    """Observes the latest ``frame_stack`` observations, the oldest first.

    Images of three axes are joined along their channels; every other Box gets a new first axis. The parts of a Dict or
    Tuple are stacked one by one. Before the first frame of an episode there are zeros, or the numbers of
    the space that are nearest to them.

    Parameters
    ----------
    env : gymnasium.Env
        Its observations are a Box, or a Dict or Tuple of Boxes.
    frame_stack : int
        Frames in an observation.

    Raises
    ------
    UnsupportedSpaceError
        If the observations have other parts.
    """

    def __init__(self, env: gym.Env[Any, Any], frame_stack: int) -> None:
        super().__init__(env)
        self.frame_stack = frame_stack
        self.observation_space = stacked_space(env.observation_space, frame_stack)
        self._stack: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        frame, info = self.env.reset(seed=seed, options=options)
        self._stack = _pushed(create_zero_array(self.observation_space), frame)
        return self._stack, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        frame, *rest = self.env.step(action)
        self._stack = _pushed(self._stack, frame)
        return self._stack, *rest

    def get_state(self) -> dict[str, Any]:
        """The stack; None before the first reset."""
        return {"stack": self._stack}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore what ``get_state`` returned."""
        stack = state["stack"]
        if stack is not None and not _is_like(stack, create_zero_array(self.observation_space)):
            raise ValueError(f"expected an observation of {self.observation_space}, got {describe(stack)}")
        self._stack = stack


def stacked_space(space: gym.Space[Any], frame_stack: int) -> gym.Space[Any]:
    """The space of stacks of ``frame_stack`` observations of ``space``; errors are those of ``FrameStack``."""
    if isinstance(space, gym.spaces.Dict):
        return gym.spaces.Dict({key: stacked_space(part, frame_stack) for key, part in space.spaces.items()})
    if isinstance(space, gym.spaces.Tuple):
        return gym.spaces.Tuple([stacked_space(part, frame_stack) for part in space.spaces])
    if not isinstance(space, gym.spaces.Box):
        raise UnsupportedSpaceError(f"frame_stack: expected a Box, or a Dict or Tuple of them, got {space}")
    axis = channel_axis(space.shape) if is_image(space) else None
    low, high = (
        np.stack([bound] * frame_stack) if axis is None else np.concatenate([bound] * frame_stack, axis)
        for bound in (space.low, space.high)
    )
    stacked = gym.spaces.Box(low, high, dtype=space.dtype.type)
    if is_image(stacked) and channel_axis(stacked.shape) != (axis or 0):
        expected = "images with more pixels to a side than channels in all frames"
        raise UnsupportedSpaceError(f"frame_stack: expected {expected}, got {frame_stack} frames of {space}")
    return stacked


def _is_like(value: Any, stack: Any) -> bool:
    """Whether ``value`` has the parts, shapes and dtypes of ``stack``; a frame may be somewhat outside of its space."""
    if isinstance(stack, dict):
        is_dict = isinstance(value, dict) and value.keys() == stack.keys()
        return is_dict and all(_is_like(value[key], stack[key]) for key in stack)
    if isinstance(stack, tuple):
        return isinstance(value, tuple) and len(value) == len(stack) and all(map(_is_like, value, stack))
    return isinstance(value, np.ndarray) and (value.shape, value.dtype) == (stack.shape, stack.dtype)


def _pushed(stack: Any, frame: Any) -> Any:
    """A new stack with ``frame`` and without the oldest frame of ``stack``."""
    if isinstance(stack, dict):
        return {key: _pushed(part, frame[key]) for key, part in stack.items()}
    if isinstance(stack, tuple):
        return tuple(_pushed(part, frame[k]) for k, part in enumerate(stack))
    latest = np.asarray(frame)
    if latest.ndim < stack.ndim:
        latest = latest[None]
    axis = 0 if latest.shape[0] != stack.shape[0] else 2  # of the channels, whose number is all that differs
    kept = stack[latest.shape[0] :] if axis == 0 else stack[..., latest.shape[2] :]
    joined = np.concatenate([kept, latest], axis)
    if joined.dtype == stack.dtype:
        return joined
    fits = stack.dtype.kind == "f" or (
        latest.dtype.kind in "iub" and np.array_equal(joined.astype(stack.dtype), joined)
    )
    return joined.astype(stack.dtype) if fits else joined  # which is then refused, as one frame would be
