"""Names for the numbers of observations and actions: given ones, and those that the keys of a Dict make."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import gymnasium as gym

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.spaces.interface import MAX_TEXT, Interface
from trpo_fast.spaces.leaves import Leaf, parts_of
from trpo_fast.validation import describe

Names: TypeAlias = Sequence[str] | Mapping[str, str]  # a mapping has the units: {name: unit}


class Layout:
    """Where the numbers of a policy's observations come from: parts of the space, stacks of frames, a mask.

    Parameters
    ----------
    space : gymnasium.Space
    mask_size : int
        Numbers of the mask behind those of the space.
    action_size : int
    frame_stack : int
        A Box whose first axis has this size is a stack, the oldest frame first.
    """

    def __init__(self, space: gym.Space[Any], mask_size: int, action_size: int, frame_stack: int) -> None:
        self.action_size = action_size
        self.frame_stack = frame_stack
        self._mask_size = mask_size
        self._is_dict = isinstance(space, gym.spaces.Dict)
        self._parts: list[tuple[str, int, int]] = []  # keys joined by ".", numbers of a frame, frames
        for part in parts_of(space):
            if isinstance(part, Leaf):
                is_stack = isinstance(part.space, gym.spaces.Box) and (part.space.shape or ())[:1] == (frame_stack,)
                frames = frame_stack if is_stack else 1
                size = (part.columns.stop - part.columns.start) // frames
                self._parts.append((".".join(map(str, part.path)), size, frames))

    @property
    def frame_size(self) -> int:
        """Numbers of one frame, without a mask."""
        return sum(size for _, size, _ in self._parts)

    @property
    def observation_size(self) -> int:
        """Numbers of an observation, with a mask."""
        return sum(size * frames for _, size, frames in self._parts) + self._mask_size

    def own_interface(self) -> Interface | None:
        """The interface of a ``Dict``, whose keys are names: KEY, or KEY[i] if there are several numbers.

        None of another space, and if these are no names: two are equal, a key is not printable, or they are too many.
        """
        if not self._is_dict or not self._parts or self.observation_size > MAX_TEXT // 2:
            return None
        names = [name for key, size, _ in self._parts for name in ([key] if size == 1 else _indexed(key, size))]
        try:
            return Interface(observation_names=self._names(names), frame_stack=self.frame_stack)
        except InvalidArgumentError:
            return None

    def with_names(
        self, interface: Interface | None, observation_names: Names | None, action_names: Names | None
    ) -> Interface | None:
        """``interface`` with the names that are given, and their units; see ``Policy.named``."""
        fields: dict[str, Any] = {}
        if observation_names is not None:
            sizes = (self.observation_size, self.frame_size)
            names, units = _names_and_units("observation_names", observation_names, sizes)
            if len(names) < self.observation_size:
                names, units = self._names(names), units and self._units(units)
            fields |= {"observation_names": names, "observation_units": units}
        if action_names is not None:
            names, units = _names_and_units("action_names", action_names, (self.action_size,))
            fields |= {"action_names": names, "action_units": units}
        return replace(interface or Interface(frame_stack=self.frame_stack), **fields) if fields else interface

    def _names(self, of_frame: Sequence[str]) -> tuple[str, ...]:
        """NAME[t] in the latest frame of a stack, NAME[t-1] in the one before; mask[i]."""
        names = self._spread(of_frame, lambda name, ago: f"{name}[t-{ago}]" if ago else f"{name}[t]")
        return (*names, *_indexed("mask", self._mask_size))

    def _units(self, of_frame: Sequence[str]) -> tuple[str, ...]:
        return (*self._spread(of_frame, lambda unit, _: unit), *[""] * self._mask_size)

    def _spread(self, of_frame: Sequence[str], text_of: Callable[[str, int], str]) -> list[str]:
        """A text for each number of the space, from one for each number of a frame and how many frames ago it is."""
        texts: list[str] = []
        begin = 0
        for _, size, frames in self._parts:
            its, begin = of_frame[begin : begin + size], begin + size
            for ago in reversed(range(frames)):
                texts += [text_of(text, ago) for text in its] if frames > 1 else its
        return texts


def _indexed(name: str, size: int) -> list[str]:
    return [f"{name}[{i}]" for i in range(size)]


def _names_and_units(argument: str, names: Any, sizes: tuple[int, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names, and their units if any is given, of which there are as many as one of ``sizes``."""
    is_sequence = isinstance(names, Sequence | Mapping) and not isinstance(names, str)
    if not is_sequence or len(names) not in sizes or not all(isinstance(name, str) for name in names):
        counts = " or ".join(map(str, dict.fromkeys(sizes)))
        raise InvalidArgumentError(argument, f"{counts} names without commas", describe(names))
    units = tuple(names.values()) if isinstance(names, Mapping) else ()
    return tuple(names), units
