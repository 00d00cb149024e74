"""Environments as users play in them: the interface of Stable-Baselines3's ``VecEnv``, without SB3."""

import math
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import concatenate, create_empty_array

from trpo_fast.environments.infos import split_infos, with_end
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.spaces.observation_codec import ObservationCodec
from trpo_fast.validation import describe

Indices: TypeAlias = int | Iterable[int] | None
Step: TypeAlias = tuple[Any, npt.NDArray[np.float32], npt.NDArray[np.bool_], list[dict[str, Any]]]
# runs a method of ``Player`` in some environments, with the arguments by index of the environment
InEach: TypeAlias = Callable[[str, dict[int, tuple[Any, ...]]], list[Any]]


class Player:
    """Plays in one environment, which it resets as soon as an episode ends."""

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        self._env = env

    def reset(self, seed: int | None) -> tuple[Any, dict[str, Any]]:
        """Observation and info of a new episode."""
        return self._env.reset(seed=seed)

    def step(self, action: Any) -> tuple[Any, float, bool, dict[str, Any]]:
        """Observation, reward, whether the episode ended, and info."""
        observation, reward, terminated, truncated, info = self._env.step(action)
        if not (terminated or truncated):
            return observation, float(reward), False, info
        info = with_end(info, observation, bool(terminated), bool(truncated))
        return self._env.reset()[0], float(reward), True, info

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What a method of the environment, or of a wrapper, returns."""
        return self._env.get_wrapper_attr(name)(*args, **kwargs)

    def get(self, name: str) -> Any:
        """An attribute of the environment, or of a wrapper."""
        return self._env.get_wrapper_attr(name)

    def set(self, name: str, value: Any) -> None:
        """Set an attribute where it is found, otherwise of the outermost wrapper."""
        self._env.set_wrapper_attr(name, value)

    def is_wrapped(self, wrapper_class: type) -> bool:
        """Whether the environment has a wrapper of this class."""
        env: Any = self._env
        while isinstance(env, gym.Wrapper) and not isinstance(env, wrapper_class):
            env = env.env
        return isinstance(env, wrapper_class)


class VecEnvView:
    """Environments with the interface of Stable-Baselines3's ``VecEnv``. Whatever accepts environments accepts a view.

    An environment whose episode ends is reset within the same step; its last observation is in
    ``infos[i]["terminal_observation"]``.

    Parameters
    ----------
    num_envs : int
    observation_space, action_space : gymnasium.Space
        Spaces of one environment.
    in_each : callable
        Runs a method of ``Player`` in each environment.
    environments : callable () -> Environments
        What training and evaluation step instead of the view.
    close : callable
        Closes the environments.

    Attributes
    ----------
    reset_infos : list of dict
        Infos of the latest ``reset``.
    """

    def __init__(
        self,
        num_envs: int,
        observation_space: gym.Space[Any],
        action_space: gym.Space[Any],
        in_each: InEach,
        environments: Callable[["VecEnvView"], Any],
        close: Callable[[], None],
    ) -> None:
        self.num_envs = num_envs
        self.observation_space = observation_space
        self.action_space = action_space
        self.reset_infos: list[dict[str, Any]] = [{} for _ in range(num_envs)]
        self.close = close
        self._in_each = in_each
        self._environments = environments
        self._actions: Any = None
        self._seeds: list[int | None] = [None] * num_envs

    def environments(self) -> Any:
        """The environments for training or evaluation in them."""
        return self._environments(self)

    def reset(self) -> Any:
        """Start an episode in every environment; returns observations, (n, ...) or a dict or tuple of such."""
        resets = self._in_each("reset", {i: (seed,) for i, seed in enumerate(self._seeds)})
        self._seeds = [None] * self.num_envs
        self.reset_infos = [info for _, info in resets]
        return self._batch([observation for observation, _ in resets])

    def step_async(self, actions: Any) -> None:
        """Keep ``actions`` (n, ...) for ``step_wait``.

        Raises
        ------
        InvalidArgumentError
            If there are not n of them.
        """
        if np.ndim(actions) == 0 or len(actions) != self.num_envs:
            raise InvalidArgumentError(
                "actions", f"{self.num_envs} actions, one for each environment", describe(actions)
            )
        self._actions = actions

    def step_wait(self) -> Step:
        """Observations, rewards (n,), dones (n,) and infos after the actions of ``step_async``."""
        steps = self._in_each("step", {i: (self._actions[i],) for i in range(self.num_envs)})
        observations, rewards, dones, infos = zip(*steps, strict=True)
        return self._batch(observations), np.array(rewards, np.float32), np.array(dones, np.bool_), list(infos)

    def step(self, actions: Any) -> Step:
        """Step every environment with ``actions`` (n, ...): observations, rewards (n,), dones (n,) and infos."""
        self.step_async(actions)
        return self.step_wait()

    def seed(self, seed: int | None = None) -> list[int | None]:
        """Seed environment i at the next ``reset`` with ``seed`` + i."""
        self._seeds = [None if seed is None else seed + i for i in range(self.num_envs)]
        return self._seeds

    def env_method(self, method_name: str, *args: Any, indices: Indices = None, **kwargs: Any) -> list[Any]:
        """What a method of each environment returns."""
        return self._in_each("call", dict.fromkeys(self._range(indices), (method_name, args, kwargs)))

    def get_attr(self, attr_name: str, indices: Indices = None) -> list[Any]:
        """An attribute of each environment."""
        return self._in_each("get", dict.fromkeys(self._range(indices), (attr_name,)))

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        """Set an attribute of each environment."""
        self._in_each("set", dict.fromkeys(self._range(indices), (attr_name, value)))

    def has_attr(self, attr_name: str) -> bool:
        """Whether every environment has the attribute."""
        try:
            self.get_attr(attr_name)
        except AttributeError:
            return False
        return True

    def env_is_wrapped(self, wrapper_class: type, indices: Indices = None) -> list[bool]:
        """Whether each environment has a wrapper of this class."""
        return self._in_each("is_wrapped", dict.fromkeys(self._range(indices), (wrapper_class,)))

    @property
    def render_mode(self) -> str | None:
        """The environments' ``render_mode``."""
        mode: str | None = self.get_attr("render_mode", 0)[0] if self.has_attr("render_mode") else None
        return mode

    @property
    def metadata(self) -> dict[str, Any]:
        """The render modes, as SB3's vector environments have them."""
        return {"render_modes": [mode for mode in [self.render_mode] if mode is not None]}

    @property
    def unwrapped(self) -> "VecEnvView":
        """The view itself."""
        return self

    def get_images(self) -> list[Any]:
        """What each environment renders."""
        return self.env_method("render")

    def render(self, mode: str | None = None) -> Any:
        """Render; with "rgb_array", all environments as tiles of one image. Without a render mode it only warns."""
        has = self.render_mode
        if has is None or (mode or has) != has:
            text = f"render() does nothing: the environments have render_mode={has!r}; make them with another one"
            warnings.warn(text, stacklevel=2)
            return None
        images = self.get_images()
        return _tiled(images) if has == "rgb_array" else None

    def _range(self, indices: Indices) -> Iterable[int]:
        if indices is None:
            return range(self.num_envs)
        return [indices] if isinstance(indices, int) else indices

    def _batch(self, observations: Sequence[Any]) -> Any:
        batch: Any = create_empty_array(self.observation_space, len(observations))
        return concatenate(self.observation_space, observations, batch)


class GymnasiumVectorView(VecEnvView):
    """A view of a Gymnasium vector environment, or EnvPool.

    If it resets an environment in the step after the end of its episode, so does the view: that step has reward 0.
    """

    def __init__(self, env: Any, mode: AutoresetMode, environments: Callable[[VecEnvView], Any]) -> None:
        spaces = env.single_observation_space, env.single_action_space
        super().__init__(int(env.num_envs), *spaces, self._in_each_of_env, environments, env.close)
        self._env = env
        self._mode = mode
        self._items = ObservationCodec(self.observation_space).items

    def reset(self) -> Any:
        observations, infos = self._env.reset(**({} if self._seeds[0] is None else {"seed": self._seeds[0]}))
        self._seeds = [None] * self.num_envs
        self.reset_infos = split_infos(infos, self.num_envs)
        return observations

    def step_wait(self) -> Step:
        observations, rewards, terminated, truncated, infos = self._env.step(np.asarray(self._actions))
        dones, split = terminated | truncated, split_infos(infos, self.num_envs)
        items = list(self._items(observations, self.num_envs)) if dones.any() else []
        for i in np.flatnonzero(dones).tolist():
            final, last = split[i].get("final_obs", items[i]), split[i].get("final_info", split[i])
            split[i] = with_end(last, final, bool(terminated[i]), bool(truncated[i]))
        if self._mode is AutoresetMode.DISABLED and dones.any():
            observations, _ = self._env.reset(options={"reset_mask": dones.copy()})
        return observations, np.asarray(rewards, np.float32), dones, split

    def set_attr(self, attr_name: str, value: Any, indices: Indices = None) -> None:
        values = self.get_attr(attr_name) if indices is not None else [None] * self.num_envs
        for i in self._range(indices):
            values[i] = value
        self._env.set_attr(attr_name, values)

    def _in_each_of_env(self, method: str, arguments: dict[int, tuple[Any, ...]]) -> list[Any]:
        first = next(iter(arguments.values()))
        if method == "is_wrapped":
            return [False for _ in arguments]
        if method == "call":
            values = self._env.call(first[0], *first[1], **first[2])
        else:
            values = self._env.get_attr(first[0]) if hasattr(self._env, "get_attr") else [getattr(self._env, first[0])]
        return [values[min(i, len(values) - 1)] for i in arguments]


def registered(view: Any) -> Any:
    """``view``, whose class SB3's functions take for a ``VecEnv`` from now on if SB3 has been imported."""
    vec_env = sys.modules.get("stable_baselines3.common.vec_env")
    if vec_env is not None and isinstance(view, VecEnvView):
        vec_env.VecEnv.register(type(view))
    return view


def _tiled(images: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """Images of one size side by side, in about as many rows as columns, with black where one is missing."""
    columns = math.ceil(math.sqrt(len(images)))
    missing = -len(images) % columns
    tiles = np.stack([*images, *[np.zeros_like(images[0])] * missing])
    height, width = tiles.shape[1:3]
    rows = tiles.reshape(-1, columns, *tiles.shape[1:]).swapaxes(1, 2)
    return rows.reshape(len(tiles) // columns * height, columns * width, *tiles.shape[3:])
