"""Callbacks with the hooks of Stable-Baselines3's, which ``learn`` takes just as well; these need no SB3."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from trpo_fast.environment_interface import Trajectories
from trpo_fast.environments import EnvLike, make_environments
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.evaluation import evaluate_environments
from trpo_fast.validation import check_integer, check_real, describe

if TYPE_CHECKING:
    from trpo_fast.learner import TRPO

_EVALUATIONS = "evaluations.npz"
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

    model: "TRPO"

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

    def init_callback(self, model: "TRPO") -> None:
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


class CheckpointCallback(BaseCallback):
    """Saves the model every ``save_freq`` steps of the environments as ``name_prefix_STEPS_steps.safetensors``.

    Amid a rollout: such a file is a policy to keep, not a training to go on with bit for bit (``Checkpoints``).
    """

    def __init__(self, save_freq: int, save_path: str | Path, name_prefix: str = "rl_model", verbose: int = 0) -> None:
        super().__init__(verbose)
        self.save_freq = check_integer("save_freq", save_freq, at_least=1)
        self.save_path = Path(save_path)
        self.name_prefix = name_prefix

    def _on_training_start(self) -> None:
        self.n_calls = self.model.num_steps

    def _init_callback(self) -> None:
        self.save_path.mkdir(parents=True, exist_ok=True)

    def _on_step(self) -> bool:
        if self.n_calls % self.save_freq == 0:
            self.model.save(self.save_path / f"{self.name_prefix}_{self.num_timesteps}_steps")
        return True


class EvalCallback(BaseCallback):
    """Evaluates the policy every ``eval_freq`` steps of the environments, and keeps the best.

    A training that goes on takes up the evaluations that it finds in ``log_path``.

    Parameters
    ----------
    eval_env : as the ``env`` of TRPO
    callback_on_new_best, callback_after_eval : BaseCallback, optional
    n_eval_episodes : int
    eval_freq : int
    log_path : path, optional
        A folder for evaluations.npz: timesteps (k,), results and ep_lengths (k, n_eval_episodes).
    best_model_save_path : path, optional
        A folder for best_model.safetensors.
    deterministic : bool
    seed : int, optional
        Every evaluation begins with it: the same starts for all of them, whatever came before.

    Attributes
    ----------
    best_mean_reward, last_mean_reward : float
    """

    def __init__(
        self,
        eval_env: EnvLike,
        callback_on_new_best: BaseCallback | None = None,
        callback_after_eval: BaseCallback | None = None,
        n_eval_episodes: int = 5,
        eval_freq: int = 10_000,
        log_path: str | Path | None = None,
        best_model_save_path: str | Path | None = None,
        deterministic: bool = True,
        verbose: int = 1,
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__(verbose)
        self.eval_env = make_environments(eval_env, 1)
        self.callback_on_new_best = callback_on_new_best
        self.callback_after_eval = callback_after_eval
        for child in (callback_on_new_best, callback_after_eval):
            if child is not None:
                child.parent = self
        self.n_eval_episodes = check_integer("n_eval_episodes", n_eval_episodes, at_least=1)
        self.eval_freq = check_integer("eval_freq", eval_freq, at_least=1)
        self.log_path = None if log_path is None else Path(log_path)
        self.best_model_save_path = None if best_model_save_path is None else Path(best_model_save_path)
        self.deterministic = deterministic
        self.seed = seed
        self.best_mean_reward = self.last_mean_reward = -float("inf")
        self._timesteps: list[int] = []
        self._results: list[list[float]] = []
        self._lengths: list[list[int]] = []

    def _init_callback(self) -> None:
        for path in (self.log_path, self.best_model_save_path):
            if path is not None:
                path.mkdir(parents=True, exist_ok=True)
        for child in (self.callback_on_new_best, self.callback_after_eval):
            if child is not None:
                child.init_callback(self.model)

    def _on_training_start(self) -> None:
        self.n_calls = self.model.num_steps
        if (
            self.log_path is not None
            and not self._timesteps
            and self.n_calls
            and (self.log_path / _EVALUATIONS).exists()
        ):
            with np.load(self.log_path / _EVALUATIONS, allow_pickle=False) as arrays:
                n = int(np.count_nonzero(arrays["timesteps"] <= self.model.num_timesteps))
                self._timesteps, self._results, self._lengths = (
                    arrays[name][:n].tolist() for name in ("timesteps", "results", "ep_lengths")
                )
            self.best_mean_reward = max((sum(r) / len(r) for r in self._results), default=self.best_mean_reward)
        if self.callback_after_eval is not None:
            self.callback_after_eval.on_training_start(self.locals, self.globals)

    def _on_step(self) -> bool:
        if self.n_calls % self.eval_freq:
            return True
        episodes = evaluate_environments(
            self.model, self.eval_env, self.n_eval_episodes, self.deterministic, seed=self.seed
        )
        returns, lengths = [e.episode_return for e in episodes], [e.length for e in episodes]
        self.last_mean_reward = sum(returns) / len(returns)
        self._log(returns, lengths)
        go_on = True
        if self.last_mean_reward > self.best_mean_reward:
            self.best_mean_reward = self.last_mean_reward
            if self.best_model_save_path is not None:
                self.model.save(self.best_model_save_path / "best_model")
            if self.callback_on_new_best is not None:
                go_on = self.callback_on_new_best.on_step()
        if self.callback_after_eval is not None:
            go_on = self.callback_after_eval.on_step() and go_on
        return go_on

    def _log(self, returns: list[float], lengths: list[int]) -> None:
        self.logger.record("eval/mean_reward", self.last_mean_reward)
        self.logger.record("eval/mean_ep_length", sum(lengths) / len(lengths))
        if self.verbose:
            text = f"{self.last_mean_reward:.2f} +/- {np.std(returns):.2f} over {len(returns)} episodes"
            print(f"Evaluation at {self.num_timesteps} steps: {text}")
        if self.log_path is not None:
            self._timesteps.append(self.num_timesteps)
            self._results.append(returns)
            self._lengths.append(lengths)
            temporary = self.log_path / f".tmp.{_EVALUATIONS}"
            np.savez(temporary, timesteps=self._timesteps, results=self._results, ep_lengths=self._lengths)
            temporary.replace(self.log_path / _EVALUATIONS)


class StopTrainingOnRewardThreshold(BaseCallback):
    """Ends training when an EvalCallback, whose ``callback_on_new_best`` it is, meets a mean return of a threshold."""

    parent: EvalCallback | None

    def __init__(self, reward_threshold: float, verbose: int = 0) -> None:
        super().__init__(verbose)
        self.reward_threshold = check_real("reward_threshold", reward_threshold)

    def _on_step(self) -> bool:
        if not isinstance(self.parent, EvalCallback):
            raise InvalidArgumentError(
                "StopTrainingOnRewardThreshold", "a place in an EvalCallback", describe(self.parent)
            )
        return self.parent.best_mean_reward < self.reward_threshold


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
