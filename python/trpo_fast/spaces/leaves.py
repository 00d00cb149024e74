"""The parts of an observation space: which of them are images, and which columns of a vector the others are."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from trpo_fast.errors import UnsupportedSpaceError

SUPPORTED = "expected a Box, Discrete, MultiDiscrete, MultiBinary, or a Dict or Tuple of them"
VECTOR = "vector"  # field of an encoded observation for all that is not an image


class Leaf(NamedTuple):
    """A part of a space that is not a Dict, Tuple or image: its path in the space, and its columns in the vector."""

    path: tuple[Any, ...]
    space: gym.Space[Any]
    columns: slice


class ImageLeaf(NamedTuple):
    """A part of a space that is an image.

    Parameters
    ----------
    path : tuple
        Path in the space.
    name : str
        The path as text, its parts joined by "."; "image" if the space is one image.
    height, width, channels : int
    is_channels_last : bool
        Whether the space is (height, width, channels) instead of (channels, height, width).
    """

    path: tuple[Any, ...]
    name: str
    height: int
    width: int
    channels: int
    is_channels_last: bool

    @property
    def planes_shape(self) -> tuple[int, int, int]:
        """Shape of an encoded image: (channels, height, width)."""
        return self.channels, self.height, self.width

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an image in the space."""
        return (self.height, self.width, self.channels) if self.is_channels_last else self.planes_shape


def is_image(space: gym.Space[Any]) -> bool:
    """Whether a space is an image: a Box of uint8 with three axes and all values from 0 to 255."""
    if not isinstance(space, gym.spaces.Box) or space.dtype != np.uint8 or len(space.shape) != 3 or 0 in space.shape:
        return False
    return bool((space.low == 0).all() and (space.high == 255).all())


def channel_axis(shape: tuple[int, ...]) -> int:
    """Axis of the channels of an image: the smaller one of the first and the last, the first if they are equal."""
    return 2 if shape[2] < shape[0] else 0


def parts_of(space: gym.Space[Any]) -> Iterator[Leaf | ImageLeaf]:
    """Iterate over the leaves of a space, in its order, without allocating anything.

    Raises
    ------
    UnsupportedSpaceError
        If a leaf cannot be encoded, or two images would have the same name.
    """
    begin = 0
    names = {VECTOR}
    for path, part in _leaves(space, ()):
        if is_image(part):
            image = _image_leaf(path, part.shape or ())
            if image.name in names:
                expected = f'images whose paths, joined by ".", are unique and not "{VECTOR}"'
                raise UnsupportedSpaceError(f"observation space: expected {expected}, got {image.name!r} in {space}")
            names.add(image.name)
            yield image
        else:
            size = _size(part, space)
            yield Leaf(path, part, slice(begin, begin + size))
            begin += size


def images_of(space: gym.Space[Any]) -> tuple[ImageLeaf, ...]:
    """The images of a space, in its order; errors are those of ``parts_of``."""
    return tuple(part for part in parts_of(space) if isinstance(part, ImageLeaf))


def _image_leaf(path: tuple[Any, ...], shape: tuple[int, ...]) -> ImageLeaf:
    is_channels_last = channel_axis(shape) == 2
    height, width, channels = shape if is_channels_last else (*shape[1:], shape[0])
    return ImageLeaf(path, ".".join(map(str, path)) or "image", height, width, channels, is_channels_last)


def _leaves(space: gym.Space[Any], path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], gym.Space[Any]]]:
    if isinstance(space, gym.spaces.Dict):
        for key, part in space.spaces.items():
            yield from _leaves(part, (*path, key))
    elif isinstance(space, gym.spaces.Tuple):
        for i, part in enumerate(space.spaces):
            yield from _leaves(part, (*path, i))
    else:
        yield path, space


def _size(leaf: gym.Space[Any], space: gym.Space[Any]) -> int:
    if isinstance(leaf, gym.spaces.Box):
        return math.prod(leaf.shape)
    if isinstance(leaf, gym.spaces.Discrete | gym.spaces.MultiDiscrete | gym.spaces.MultiBinary):
        return int(gym.spaces.utils.flatdim(leaf))
    raise UnsupportedSpaceError(f"observation space: {SUPPORTED}, got {space}")
