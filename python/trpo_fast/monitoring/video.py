"""Videos of an environment; they need the ``video`` extra."""

import importlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast.errors import InvalidArgumentError, MissingExtraError
from trpo_fast.validation import check_choice, check_path

SUFFIXES = (".mp4", ".mkv", ".mov", ".avi", ".webm", ".gif")
SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")
OFF_SCREEN = {"MUJOCO_GL": "egl", "SDL_VIDEODRIVER": "dummy"}  # how MuJoCo and pygame draw without a screen

WITHOUT_A_SCREEN = (
    "MuJoCo draws without a screen by MUJOCO_GL=egl or MUJOCO_GL=osmesa, with libegl1 or libosmesa6 installed"
)


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


def make_recorder(make: Callable[[], gym.Env[Any, Any]]) -> FrameRecorder:
    """A recorder of the environment that ``make`` makes, which is reset and drawn once as a test.

    On a Linux machine without a screen, MuJoCo draws by EGL and pygame into memory, unless the environment variables
    MUJOCO_GL and SDL_VIDEODRIVER say otherwise.

    Raises
    ------
    InvalidArgumentError
        If the environment cannot be drawn; the message says what would help.
    """
    if sys.platform == "linux" and not any(os.environ.get(name) for name in SCREENS):
        for name, value in OFF_SCREEN.items():
            os.environ.setdefault(name, value)
    env: gym.Env[Any, Any] | None = None
    try:
        env = make()
        env.reset(seed=0)
        frame = np.asarray(env.render())
    except Exception as error:  # of OpenGL, pygame or the environment
        if env is not None:
            env.close()
        why = " ".join(str(error.args[-1] if isinstance(error, InvalidArgumentError) else error).split()) or repr(error)
        hint = f" ({WITHOUT_A_SCREEN})" if re.search(r"GL|glGet|glfw", why) else ""
        raise InvalidArgumentError("video", f"an environment that draws frames here{hint}", why) from error
    if frame.ndim != 3:
        env.close()
        raise InvalidArgumentError("video", 'an environment with the render_mode "rgb_array"', f"{env}")
    return FrameRecorder(env)


def check_video(path: Path) -> Path:
    """``path`` for ``write_video``, with its folder made, or the error that it would raise.

    Raises
    ------
    InvalidArgumentError
        If the suffix is not that of a video.
    MissingExtraError
        If the ``video`` extra is not installed.
    """
    path = check_path("video", path)
    check_choice("video: suffix", path.suffix.lower(), SUFFIXES)
    _imageio()
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_video(path: Path, frames: list[npt.NDArray[np.uint8]], fps: float) -> None:
    """Write uint8 frames of shape (height, width, 3) as a video; the suffix of ``path`` chooses the format.

    Raises
    ------
    MissingExtraError
        If the ``video`` extra is not installed.
    """
    options = {} if path.suffix.lower() == ".gif" else {"macro_block_size": 2}
    _imageio().imwrite(path, np.stack(frames), fps=fps, **options)


def _imageio() -> Any:
    try:
        importlib.import_module("imageio_ffmpeg")
        return importlib.import_module("imageio.v3")
    except ImportError as error:
        raise MissingExtraError("a video", "video") from error
