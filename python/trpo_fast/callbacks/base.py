"""The base of callbacks, and how ``learn`` calls them."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from trpo_fast.environments.interface import Trajectories
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.protocols import Model
from trpo_fast.validation import describe

Function: TypeAlias = Callable[[dict[str, Any], dict[str, Any]], bool | None]


class BaseCallback:
    """What ``learn`` calls on its way; override the methods that begin with an underscore.

    Attributes
    ----------
    model : TRPO
    n_calls : int
        Steps of the environments seen.
    num_timesteps : int
        Transitions collected.
    locals : dict
        In a step: "rewards", "dones" (n,), "new_obs" ``(n, *shape)``, "infos" (a dict an environment, with
        "TimeLimit.truncated" at the end of an episode), and the arguments of ``learn``.
    """

    model: Model

    def __init__(self, verbose: int = 0) -> None:
        self.verbose = verbose
        self.n_calls = 0
        self.num_timesteps = 0
        self.locals: dict[str, Any] = {}
        self.globals: dict[str, Any] = {}
        self.parent: BaseCallback | None = None

    @property
    def training_env(self) -> Any:
        """The environments that the model learns in."""
        return self.model.get_env()

    @property
    def logger(self) -> Any:
        """The model's logger."""
        return self.model.logger

    def init_callback(self, model: Model) -> None:
        """Once, before training."""
        self.model = model
        self._init_callback()

    def on_training_start(self, locals_: dict[str, Any], globals_: dict[str, Any]) -> None:
        """Before the first step of a ``learn``."""
        self.locals, self.globals = locals_, globals_
        self.num_timesteps = self.model.num_timesteps
        self._on_training_start()

    def on_rollout_start(self) -> None:
        """Before every rollout."""
        self._on_rollout_start()

    def update_locals(self, locals_: dict[str, Any]) -> None:
        """Take the latest step's values."""
        self.locals.update(locals_)

    def on_step(self) -> bool:
        """After every step of the environments; False ends training."""
        self.n_calls += 1
        self.num_timesteps = self.model.num_timesteps
        return self._on_step()

    def on_rollout_end(self) -> None:
        """After every rollout, before the update."""
        self._on_rollout_end()

    def on_training_end(self) -> None:
        """After the last update of a ``learn``."""
        self._on_training_end()

    def _init_callback(self) -> None:
        pass

    def _on_training_start(self) -> None:
        pass

    def _on_rollout_start(self) -> None:
        pass

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        pass

    def _on_training_end(self) -> None:
        pass


class FunctionCallback(BaseCallback):
    """A function called with (locals, globals) after every step; False ends training."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self._function = function

    def _on_step(self) -> bool:
        answer = self._function(self.locals, self.globals)
        return answer is None or bool(answer)


class CallbackList(BaseCallback):
    """Callbacks one after the other; training ends if one of them says so."""

    def __init__(self, callbacks: Sequence[Any]) -> None:
        super().__init__()
        self.callbacks = [as_callback(callback) for callback in callbacks]

    def _init_callback(self) -> None:
        for callback in self.callbacks:
            callback.init_callback(self.model)

    def _on_training_start(self) -> None:
        for callback in self.callbacks:
            callback.on_training_start(self.locals, self.globals)

    def _on_rollout_start(self) -> None:
        for callback in self.callbacks:
            callback.on_rollout_start()

    def update_locals(self, locals_: dict[str, Any]) -> None:
        super().update_locals(locals_)
        for callback in self.callbacks:
            callback.update_locals(locals_)

    def _on_step(self) -> bool:
        answers = [callback.on_step() for callback in self.callbacks]  # all of them are called
        return all(answers)

    def _on_rollout_end(self) -> None:
        for callback in self.callbacks:
            callback.on_rollout_end()

    def _on_training_end(self) -> None:
        for callback in self.callbacks:
            callback.on_training_end()


def step_locals(trajectories: Trajectories, t: int) -> dict[str, Any]:
    """What callbacks see of step t, under SB3's names."""
    dones = trajectories.terminated[t] | trajectories.truncated[t]
    infos: list[dict[str, Any]] = [{} for _ in dones]
    for i in np.flatnonzero(dones).tolist():
        infos[i]["TimeLimit.truncated"] = bool(trajectories.truncated[t, i] and not trajectories.terminated[t, i])
        if (t, i) in trajectories.final_observations:
            infos[i]["terminal_observation"] = trajectories.final_observations[t, i]
    return {
        "rewards": trajectories.rewards[t],
        "dones": dones,
        "infos": infos,
        "new_obs": trajectories.observations[t + 1],
    }


def as_callback(callback: Any) -> Any:
    """A function, a list of callbacks, a callback of ours or one of Stable-Baselines3's as something with its hooks.

    Raises
    ------
    InvalidArgumentError
        If it is none of these.
    """
    if isinstance(callback, list | tuple):
        return CallbackList(callback)
    if all(hasattr(callback, hook) for hook in ("init_callback", "on_training_start", "update_locals", "on_step")):
        return callback
    if callable(callback):
        return FunctionCallback(callback)
    raise InvalidArgumentError(
        "callback", "a function (locals, globals) -> bool, a callback or a list", describe(callback)
    )
