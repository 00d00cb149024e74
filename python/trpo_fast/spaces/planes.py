"""Images whose planes are stored once: frames that a stack shares, or that stay as they are, take memory once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast._core.modules import core

ZERO = -1  # number of a plane of zeros, which is not stored


@dataclass(frozen=True, eq=False)
class PlaneStacks:
    """Images as numbers of planes. Copies and pickles hold the planes that are used, and no others.

    Parameters
    ----------
    name : str
        Name of the image in its space.
    planes : ndarray of uint8, shape (M, height, width), C-contiguous
    index : ndarray of int32, shape (..., channels)
        Number of the plane of each channel; -1 for a plane of zeros.
    """

    name: str
    planes: npt.NDArray[np.uint8]
    index: npt.NDArray[np.int32]

    @classmethod
    def of(cls, name: str, images: npt.NDArray[np.uint8]) -> "PlaneStacks":
        """Images of shape (N, channels, height, width), each plane stored as often as it occurs."""
        n, channels, *size = images.shape
        planes = np.ascontiguousarray(images.reshape(n * channels, *size))
        return cls(name, planes, np.arange(n * channels, dtype=np.int32).reshape(n, channels))

    @classmethod
    def concatenated(cls, parts: "Sequence[PlaneStacks]") -> "PlaneStacks":
        """Concatenate images of one name and size; planes are copied unless all parts have the same."""
        first = parts[0]
        if all(part.planes is first.planes for part in parts):
            return cls(first.name, first.planes, np.concatenate([part.index for part in parts]))
        parts = [part.compact() for part in parts]
        begins = np.cumsum([0, *(len(part.planes) for part in parts)])
        moved = [
            np.where(part.index == ZERO, ZERO, part.index + begin).astype(np.int32)
            for part, begin in zip(parts, begins[:-1], strict=True)
        ]
        return cls(first.name, np.concatenate([part.planes for part in parts]), np.concatenate(moved))

    def __getitem__(self, rows: Any) -> "PlaneStacks":
        """Some of the images, with the same planes."""
        return PlaneStacks(self.name, self.planes, np.ascontiguousarray(self.index[rows]))

    def __reduce__(self) -> tuple[Any, ...]:
        kept = self.compact()
        return PlaneStacks, (kept.name, kept.planes, kept.index)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an image: (channels, height, width)."""
        return (int(self.index.shape[-1]), *self.planes.shape[1:])

    @cached_property
    def kernel(self) -> core.Images:
        """The images, shape (N, channels, height, width), for the compiled core."""
        return core.Images(self.planes, self.index)

    def dense(self) -> npt.NDArray[np.uint8]:
        """The images as an array of shape (..., channels, height, width)."""
        images = np.zeros((*self.index.shape, *self.planes.shape[1:]), np.uint8)
        is_stored = self.index != ZERO
        images[is_stored] = self.planes[self.index[is_stored]]
        return images

    def compact(self) -> "PlaneStacks":
        """The same images with a copy of the planes that they use."""
        is_stored = self.index != ZERO
        used, numbers = np.unique(self.index[is_stored], return_inverse=True)
        index = np.full_like(self.index, ZERO)
        index[is_stored] = numbers
        return PlaneStacks(self.name, self.planes[used], index)
