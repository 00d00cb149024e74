"""AtariEnv: a game of the Arcade Learning Environment with the conventions of a protocol.

The emulator of ale-py plays single frames without random numbers; everything random is drawn here, from ``np_random``.
"""

import operator
import warnings
from dataclasses import replace
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast._core.modules import core
from trpo_fast.atari.games import GAMES
from trpo_fast.atari.protocols import ACTIONS, PROTOCOLS, AtariProtocol, protocol_of
from trpo_fast.environments.snapshots.ale import emulator_state, set_emulator_state
from trpo_fast.errors import InvalidArgumentError, MissingExtraError
from trpo_fast.validation import check_choice, check_flag, check_integer, check_real, describe, suggestion

# The 18 actions by their factors: the joystick's horizontal axis (centre, left, right), its vertical one (centre, up,
# down), and the button (released, pressed)
FACTORED = [
    f"{vertical}{horizontal}{button}" or "NOOP"
    for horizontal in ("", "LEFT", "RIGHT")
    for vertical in ("", "UP", "DOWN")
    for button in ("", "FIRE")
]


class AtariEnv(gym.Env[npt.NDArray[np.uint8], Any]):
    """An Atari game, as a protocol plays it. Observations are stacks of images, uint8 of shape (frame_stack, H, W).

    An image is the pixelwise maximum of a step's last two screens in shades of grey, made smaller by averaging over
    areas. A stack has zeros for what was before the game. It continues when a life is lost.

    With ``terminal_on_life_loss`` an episode ends with a life. The game goes on at the next reset, with a step without
    action, and ``info["episode_continues"]`` says so. ``info["lives"]`` always has the number of lives. At the end of a
    game ``info["episode"]`` has its raw score "r", whatever the learner's rewards are, and its length "l" in steps.

    ``get_state`` and ``set_state`` make resumed trainings bit-identical, and the vine possible. With a frameskip of 1
    or 2, the first image after ``set_state`` may differ where a game does not draw all rows of every frame.

    Parameters
    ----------
    game : str
        Such as "space_invaders": ``trpo_fast.atari.games.GAMES`` has all.
    protocol : {"v4", "machado", "paper"}
        The settings that are not given below.
    frameskip, repeat_action_probability, noop_max, fire_reset, terminal_on_life_loss, actions, clip_rewards, \
screen_size, frame_stack, max_num_frames : optional
        See ``AtariProtocol``.
    render_mode : {None, "rgb_array"}

    Raises
    ------
    InvalidArgumentError
        If there is no such game or protocol, or a setting is invalid.
    MissingExtraError
        Without ale-py.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012

    def __init__(
        self,
        game: str,
        protocol: str = "v4",
        *,
        frameskip: int | None = None,
        repeat_action_probability: float | None = None,
        noop_max: int | None = None,
        fire_reset: bool | None = None,
        terminal_on_life_loss: bool | None = None,
        actions: str | None = None,
        clip_rewards: bool | None = None,
        screen_size: tuple[int, int] | None = None,
        frame_stack: int | None = None,
        max_num_frames: int | None = None,
        render_mode: str | None = None,
    ) -> None:
        if game not in GAMES:
            raise InvalidArgumentError("game", f"the name of a game{suggestion(str(game), GAMES)}", describe(game))
        changes: dict[str, Any] = {
            "frameskip": frameskip, "repeat_action_probability": repeat_action_probability, "noop_max": noop_max,
            "fire_reset": fire_reset, "terminal_on_life_loss": terminal_on_life_loss, "actions": actions,
            "clip_rewards": clip_rewards, "screen_size": screen_size, "frame_stack": frame_stack,
            "max_num_frames": max_num_frames,
        }  # fmt: skip
        settings = protocol_of(check_choice("protocol", protocol, tuple(PROTOCOLS)), game)
        settings = replace(settings, **{name: value for name, value in changes.items() if value is not None})
        if render_mode not in (None, "rgb_array"):
            raise InvalidArgumentError("render_mode", "None or 'rgb_array'", describe(render_mode))
        self.game, self.protocol, self.render_mode = game, settings, render_mode
        _check(settings)
        self._ale, kinds = _load(game)
        height, width = self._ale.getScreenDims()
        for length, most in zip(settings.screen_size, (height, width), strict=True):
            check_integer("screen_size", length, at_least=1, at_most=most)
        self._noop = kinds["NOOP"]
        minimal = list(self._ale.getMinimalActionSet())
        has_fire = kinds["FIRE"] in minimal and len(minimal) > 2
        self._after_reset = (kinds["FIRE"], minimal[2]) if settings.fire_reset and has_fire else ()
        full = list(self._ale.getLegalActionSet())
        self._by_number = {kind.value: kind for kind in full}
        choices = {"minimal": minimal, "full": full, "factored": [kinds[name] for name in FACTORED]}
        self._actions = choices[settings.actions]
        if settings.actions == "factored":
            self.action_space = gym.spaces.MultiDiscrete([3, 3, 2])
        else:
            self.action_space = gym.spaces.Discrete(len(self._actions))
        shape = (settings.frame_stack, *settings.screen_size)
        self.observation_space = gym.spaces.Box(0, 255, shape, np.uint8)
        self._resize = core.AreaResize(height, width, *settings.screen_size)
        self._screens = np.empty((2, height, width), np.uint8)
        self._is_factored = settings.actions == "factored"
        self._remember_start()
        self._stack = np.zeros(shape, np.uint8)
        self._is_playing = self._has_next_life = False
        self._begin_counts()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        """Start a game, or its next life if the last step ended one and no ``seed`` is given."""
        super().reset(seed=seed)
        if seed is not None or not self._has_next_life:
            self._start_game()
        for action in (self._noop, *self._after_reset) if self._has_next_life else self._after_reset:
            self._score += self._emulate(action)
            if self._ale.game_over():
                self._start_game()
        self._is_playing, self._has_next_life = True, False
        self._lives = self._ale.lives()
        return self._stack.copy(), {"lives": self._lives}

    def step(self, action: Any) -> tuple[npt.NDArray[np.uint8], SupportsFloat, bool, bool, dict[str, Any]]:
        """Play ``frameskip`` frames, or fewer if the game ends.

        Raises
        ------
        gymnasium.error.ResetNeeded
            After the end of an episode.
        InvalidArgumentError
            If ``action`` is not in the action space.
        """
        if not self._is_playing:
            raise gym.error.ResetNeeded("step: expected a call of reset() before, got none")
        reward = self._emulate(self._actions[self._index_of(action)])
        self._score += reward
        self._steps += 1
        lives, is_over = self._ale.lives(), self._ale.game_over()
        has_lost_life = 0 < lives < self._lives and self.protocol.terminal_on_life_loss
        is_last = is_over or self._frames >= self.protocol.max_num_frames
        terminated = is_over or has_lost_life
        truncated = is_last and not terminated
        self._lives, self._is_playing = lives, not (terminated or truncated)
        self._has_next_life = has_lost_life and not is_last
        info: dict[str, Any] = {"lives": lives}
        if is_last:
            info["episode"] = {"r": float(self._score), "l": self._steps}
        elif has_lost_life:
            info["episode_continues"] = True
        learned = (reward > 0) - (reward < 0) if self.protocol.clip_rewards else reward
        return self._stack.copy(), float(learned), terminated, truncated, info

    def render(self) -> npt.NDArray[np.uint8] | None:
        """The screen in colours, if ``render_mode`` is "rgb_array"."""
        screen: npt.NDArray[np.uint8] | None = self._ale.getScreenRGB() if self.render_mode else None
        return screen

    def get_state(self) -> dict[str, Any]:
        """Everything that the next steps depend on but the random stream, as plain values."""
        return {
            "game": self.game,
            "emulator": emulator_state(self._ale),
            "stack": self._stack.copy(),
            "last_action": self._last_action.value,
            "counts": [self._score, self._steps, self._frames, self._lives],
            "flags": [self._is_playing, self._has_next_life],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Restore a state that ``get_state`` returned.

        Raises
        ------
        ValueError
            If it is the state of another game or of other images, or no state.
        """
        if state["game"] != self.game:
            raise ValueError(f"expected a state of the game {self.game}, got one of {state['game']}")
        stack = state["stack"]
        if stack.shape != self._stack.shape or stack.dtype != np.uint8:
            raise ValueError(f"expected images of shape {self._stack.shape}, got {describe(stack)}")
        last_action = self._by_number[state["last_action"]]
        score, steps, frames, lives = map(int, state["counts"])
        is_playing, has_next_life = map(bool, state["flags"])
        set_emulator_state(self._ale, state["emulator"])
        self._stack, self._last_action = stack.copy(), last_action
        self._score, self._steps, self._frames, self._lives = score, steps, frames, lives
        self._is_playing, self._has_next_life = is_playing, has_next_life

    def _index_of(self, action: Any) -> int:
        """The position in ``_actions`` of an action of the space."""
        try:
            if self._is_factored:
                horizontal, vertical, button = map(operator.index, np.asarray(action).tolist())
                if 0 <= horizontal < 3 and 0 <= vertical < 3 and 0 <= button < 2:
                    return 6 * horizontal + 2 * vertical + button
            elif 0 <= (number := operator.index(action)) < len(self._actions):
                return number
        except (TypeError, ValueError):  # no whole numbers, or not three of them
            pass
        raise InvalidArgumentError("action", f"one of {self.action_space}", describe(action))

    def _remember_start(self) -> None:
        """Keep how the game is one frame after it was switched on, and the screens of this frame and the next.

        A game that is switched on again is not always the same: the emulator keeps something of the one before. And
        a state of before the first frame cannot be restored exactly, nor can all of the screen of the frame after it.
        """
        ale = self._ale
        ale.reset_game()
        ale.act(self._noop)
        self._start = ale.cloneState(include_rng=True)
        self._first_screens = [ale.getScreenGrayscale()]
        ale.act(self._noop)
        self._first_screens.append(ale.getScreenGrayscale())

    def _begin_counts(self) -> None:
        self._last_action = self._noop
        self._score = self._steps = self._frames = 0
        self._lives = self._ale.lives()

    def _start_game(self) -> None:
        """Switch the game on and let the no-ops pass."""
        ale = self._ale
        ale.restoreState(self._start)
        more = int(self.np_random.integers(self.protocol.noop_max)) if self.protocol.noop_max > 1 else 0
        for _ in range(more):
            ale.act(self._noop)
            if ale.game_over():
                ale.restoreState(self._start)
        screen = self._first_screens[more] if more < 2 else ale.getScreenGrayscale()
        self._stack = np.zeros_like(self._stack)
        self._resize.apply(screen, screen, self._stack[-1])
        self._has_next_life = False
        self._begin_counts()

    def _emulate(self, action: Any) -> int:
        """Play the frames of a step, add its image to the stack, and return the raw reward."""
        ale, (before, latest), last = self._ale, self._screens, self.protocol.frameskip - 1
        act, game_over, max_num_frames = ale.act, ale.game_over, self.protocol.max_num_frames
        sticky, draws, current = self.protocol.repeat_action_probability, None, action
        if sticky > 0.0:
            draws, current = self.np_random.random(last + 1).tolist(), self._last_action
        reward = k = 0
        for k in range(last + 1):
            if draws is not None and draws[k] >= sticky:
                current = action
            reward += act(current)
            self._frames += 1
            if game_over() or self._frames >= max_num_frames:
                break
            if k == last - 1:
                ale.getScreenGrayscale(before)
        ale.getScreenGrayscale(latest)
        self._last_action = current
        stack = np.empty_like(self._stack)
        stack[:-1] = self._stack[1:]
        self._resize.apply(before if k == last > 0 else latest, latest, stack[-1])
        self._stack = stack
        return reward


def _load(game: str) -> tuple[Any, dict[str, Any]]:
    """An emulator with the game, and the 18 actions by name."""
    try:
        with warnings.catch_warnings():  # a worker process knows the ids that the import registers
            warnings.filterwarnings("ignore", ".*Overriding environment")
            import ale_py
            from ale_py import roms
    except ImportError as error:
        raise MissingExtraError("an Atari game", "atari") from error
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)
    ale = ale_py.ALEInterface()
    ale.setFloat("repeat_action_probability", 0.0)
    ale.setInt("random_seed", 0)
    path: Any = roms.get_rom_path(game)  # None for other games than GAMES
    ale.loadROM(path)
    return ale, dict(ale_py.Action.__members__)


def _check(settings: AtariProtocol) -> None:
    """InvalidArgumentError if a setting is invalid for every game."""
    check_integer("frameskip", settings.frameskip, at_least=1)
    check_real("repeat_action_probability", settings.repeat_action_probability, at_least=0.0, at_most=1.0)
    check_integer("noop_max", settings.noop_max, at_least=0)
    for name in ("fire_reset", "terminal_on_life_loss", "clip_rewards"):
        check_flag(name, getattr(settings, name))
    check_choice("actions", settings.actions, ACTIONS)
    size = settings.screen_size
    if not isinstance(size, tuple | list) or len(size) != 2:
        raise InvalidArgumentError("screen_size", "height and width", describe(size))
    check_integer("frame_stack", settings.frame_stack, at_least=1)
    check_integer("max_num_frames", settings.max_num_frames, at_least=1)
