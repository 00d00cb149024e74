"""The base class of callbacks, and how ``learn`` calls them."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy.typing as npt

from trpo_fast.environments.infos import Infos
from trpo_fast.environments.interface import Trajectories
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.policy import Policy
from trpo_fast.protocols import Model
from trpo_fast.validation import describe

Function: TypeAlias = Callable[[dict[str, Any], dict[str, Any]], bool | None]


class BaseCallback:
    """Base class of callbacks for ``learn``; override the methods that start with an underscore.

    Attributes
    ----------
    model : TRPO
    n_calls : int
        Calls of ``on_step``: steps per environment.
    num_timesteps : int
        Transitions collected so far.
    locals : dict
        During a step: "observations" (those acted on) and "new_obs", as a vector environment returns them, "actions"
        as the policy sampled them and "clipped_actions" as the environments got them (n, ...), "rewards" and "dones"
        (n,), "infos" (one dict per environment, with "TimeLimit.truncated" and "terminal_observation" at the end of an
        episode), and the arguments of ``learn``.
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
        """The model's environments."""
        return self.model.get_env()

    @property
    def logger(self) -> Any:
        """The model's logger."""
        return self.model.logger

    def init_callback(self, model: Model) -> None:
        """Called once, before training."""
        self.model = model
        self._init_callback()

    def on_training_start(self, locals_: dict[str, Any], globals_: dict[str, Any]) -> None:
        """Called before the first step of a ``learn``."""
        self.locals, self.globals = locals_, globals_
        self.num_timesteps = self.model.num_timesteps
        self._on_training_start()

    def on_rollout_start(self) -> None:
        """Called before every rollout."""
        self._on_rollout_start()

    def update_locals(self, locals_: dict[str, Any]) -> None:
        """Update ``locals`` with the values of the latest step."""
        self.locals.update(locals_)

    def on_step(self) -> bool:
        """Called after every step of the environments; False ends training."""
        self.n_calls += 1
        self.num_timesteps = self.model.num_timesteps
        return self._on_step()

    def on_rollout_end(self) -> None:
        """Called after every rollout, before the update."""
        self._on_rollout_end()

    def on_training_end(self) -> None:
        """Called after the last update of a ``learn``."""
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
    """Calls a function with (locals, globals) after every step; False ends training."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self._function = function

    def _on_step(self) -> bool:
        answer = self._function(self.locals, self.globals)
        return answer is None or bool(answer)


class CallbackList(BaseCallback):
    """Calls several callbacks in order; training ends if one of them returns False."""

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
        answers = [goes_on(callback) for callback in self.callbacks]  # a list: all are called
        return all(answers)

    def _on_rollout_end(self) -> None:
        for callback in self.callbacks:
            callback.on_rollout_end()

    def _on_training_end(self) -> None:
        for callback in self.callbacks:
            callback.on_training_end()


def goes_on(callback: Any) -> bool:
    """Call ``on_step`` of a callback of trpo_fast or SB3, and return whether training goes on."""
    answer = callback.on_step()
    if answer is None:
        name = type(callback).__name__
        text = f"{name}._on_step returned None, and training goes on: return True, or False to end it"
        warnings.warn(text, stacklevel=2)
        return True
    return bool(answer)


def step_locals(
    trajectories: Trajectories, t: int, encoded: npt.NDArray[Any], policy: Policy, infos: Infos
) -> dict[str, Any]:
    """The ``locals`` of step t for callbacks, under SB3's names.

    Parameters
    ----------
    encoded : ndarray, shape (n, A)
        Actions of step t, encoded.
    """
    codec, decode = policy.codec, policy.observation_codec.decode
    return {
        "observations": decode(trajectories.observations[t]),
        "actions": codec.decode(encoded),
        "clipped_actions": codec.to_env(encoded),
        "rewards": trajectories.rewards[t],
        "dones": trajectories.terminated[t] | trajectories.truncated[t],
        "infos": infos,
        "new_obs": decode(trajectories.observations[t + 1]),
    }


def as_callback(callback: Any) -> Any:
    """An object with the hooks of ``BaseCallback`` from a function, a list, or a callback of trpo_fast or SB3.

    Raises
    ------
    InvalidArgumentError
        If ``callback`` is not one of these.
    """
    if isinstance(callback, list | tuple):
        return CallbackList(callback)
    if isinstance(callback, type):
        raise InvalidArgumentError("callback", f"a callback, as {callback.__name__}() makes it", describe(callback))
    if all(hasattr(callback, hook) for hook in ("init_callback", "on_training_start", "update_locals", "on_step")):
        return callback
    if callable(callback):
        return FunctionCallback(callback)
    raise InvalidArgumentError(
        "callback", "a function (locals, globals) -> bool, a callback or a list", describe(callback)
    )
