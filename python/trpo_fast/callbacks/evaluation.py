"""Callbacks that evaluate the policy during training."""

import os

import numpy as np

from trpo_fast.callbacks.base import BaseCallback
from trpo_fast.environments.make import EnvLike, make_environments
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.sampling.evaluation import evaluate_environments
from trpo_fast.validation import check_integer, check_path, check_real, describe

_EVALUATIONS = "evaluations.npz"


class EvalCallback(BaseCallback):
    """Evaluates the policy every ``eval_freq`` steps per environment, and saves the best model.

    A resumed training continues the evaluations in ``log_path``.

    Parameters
    ----------
    eval_env : as the ``env`` of TRPO
        A separate environment for the evaluations.
    callback_on_new_best, callback_after_eval : BaseCallback, optional
        Called after an evaluation with the best mean return so far, and after every evaluation.
    n_eval_episodes : int
        Episodes per evaluation.
    eval_freq : int
        Steps per environment between two evaluations.
    log_path : path, optional
        Folder for evaluations.npz: timesteps (k,), results and ep_lengths (k, n_eval_episodes).
    best_model_save_path : path, optional
        Folder for best_model.safetensors.
    deterministic : bool
        Take the most probable actions instead of samples.
    verbose : int
        1 prints every evaluation.
    seed : int, optional
        Seed of every evaluation: all of them start from the same states.

    Attributes
    ----------
    best_mean_reward, last_mean_reward : float
        Mean return of the best and of the latest evaluation; -inf before the first.

    Raises
    ------
    InvalidArgumentError
        If ``n_eval_episodes`` or ``eval_freq`` is below 1, or ``eval_env`` is not an environment.
    """

    def __init__(
        self,
        eval_env: EnvLike,
        callback_on_new_best: BaseCallback | None = None,
        callback_after_eval: BaseCallback | None = None,
        n_eval_episodes: int = 5,
        eval_freq: int = 10_000,
        log_path: str | os.PathLike[str] | None = None,
        best_model_save_path: str | os.PathLike[str] | None = None,
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
        self.log_path = None if log_path is None else check_path("log_path", log_path)
        self.best_model_save_path = (
            None if best_model_save_path is None else check_path("best_model_save_path", best_model_save_path)
        )
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
    """Ends training when the best mean return of an EvalCallback reaches ``reward_threshold``.

    Pass it to the EvalCallback as ``callback_on_new_best``.
    """

    parent: EvalCallback | None

    def __init__(self, reward_threshold: float, verbose: int = 0) -> None:
        super().__init__(verbose)
        self.reward_threshold = check_real("reward_threshold", reward_threshold)

    def _on_step(self) -> bool:
        if not isinstance(self.parent, EvalCallback):
            raise InvalidArgumentError(
                "StopTrainingOnRewardThreshold", "an EvalCallback as its parent", describe(self.parent)
            )
        return self.parent.best_mean_reward < self.reward_threshold
