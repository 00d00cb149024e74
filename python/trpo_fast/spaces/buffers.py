"""Memory for the observations of T steps of n environments, as the codec of their space encodes them."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from trpo_fast.spaces.image_buffer import ImageBuffer
from trpo_fast.spaces.observation_codec import ObservationCodec
from trpo_fast.spaces.observations import ObservationBuffer
from trpo_fast.spaces.planes import PlaneStacks

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]
Shapes: TypeAlias = dict[str, tuple[tuple[int, ...], Any]]  # shape and dtype of each array by name

OBSERVATIONS = "observations"


def index_name(image: str) -> str:
    """Name of the array with the numbers of an image's planes."""
    return f"index.{image}"


def array_shapes(codec: ObservationCodec, n_steps: int, n_envs: int) -> Shapes:
    """The arrays of a buffer, without planes, by name. Their second axis is that of the environments."""
    steps = (n_steps + 1, n_envs)
    if not codec.images:
        return {OBSERVATIONS: ((*steps, *codec.shape), "float64")}
    indices: Shapes = {index_name(image.name): ((*steps, image.channels), "int32") for image in codec.images}
    return {OBSERVATIONS: ((*steps, codec.size), "float64"), **indices}


def plane_shapes(codec: ObservationCodec, n_steps: int, n_envs: int) -> Shapes:
    """Memory for all planes by the name of the image, environment by environment; most of it stays untouched."""
    return {
        image.name: ((n_envs * (n_steps + 1) * image.channels, image.height, image.width), "uint8")
        for image in codec.images
    }


def buffer_in(
    codec: ObservationCodec, arrays: Arrays, planes: Arrays, *, is_filled: bool
) -> ObservationBuffer | ImageBuffer:
    """A buffer in the memory of ``array_shapes`` and ``plane_shapes``, which holds observations if ``is_filled``."""
    if not codec.images:
        return ObservationBuffer(arrays[OBSERVATIONS])
    images = [PlaneStacks(i.name, planes[i.name], arrays[index_name(i.name)]) for i in codec.images]
    return ImageBuffer(codec.dtype, arrays[OBSERVATIONS], images, is_filled=is_filled)


def new_buffer(codec: ObservationCodec, n_steps: int, n_envs: int) -> ObservationBuffer | ImageBuffer:
    """A buffer for the observations of ``n_steps`` steps of ``n_envs`` environments and those after the last step."""
    if not codec.images:
        return ObservationBuffer(codec.empty(n_steps + 1, n_envs))
    arrays, planes = (
        {name: np.empty(shape, dtype) for name, (shape, dtype) in shapes(codec, n_steps, n_envs).items()}
        for shapes in (array_shapes, plane_shapes)
    )
    return buffer_in(codec, arrays, planes, is_filled=False)
