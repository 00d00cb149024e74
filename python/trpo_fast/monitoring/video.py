"""Videos of an environment; they need the ``video`` extra."""

import importlib
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast.errors import MissingExtraError


class FrameRecorder(gym.Wrapper[Any, Any, Any, Any]):
    """Records a frame of every step and reset; the environment needs the ``render_mode`` "rgb_array"."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.frames: list[npt.NDArray[np.uint8]] = []
        self.fps = float(env.metadata.get("render_fps", 30))

    def reset(self, **arguments: Any) -> Any:
        result = self.env.reset(**arguments)
        self.frames.append(np.asarray(self.env.render()))
        return result

    def step(self, action: Any) -> Any:
        result = self.env.step(action)
        self.frames.append(np.asarray(self.env.render()))
        return result


def write_video(path: Path, frames: list[npt.NDArray[np.uint8]], fps: float) -> None:
    """Write uint8 frames of shape (height, width, 3) as a video; the suffix of ``path`` chooses the format.

    Raises
    ------
    MissingExtraError
        If the ``video`` extra is not installed.
    """
    try:
        iio = importlib.import_module("imageio.v3")
        importlib.import_module("imageio_ffmpeg")
    except ImportError as error:
        raise MissingExtraError("a video", "video") from error
    iio.imwrite(path, np.stack(frames), fps=fps, macro_block_size=2)
