"""Callbacks that evaluate the policy during training."""

import os
from typing import Any

from trpo_fast._core.files import Refusals
from trpo_fast.callbacks.base import BaseCallback, goes_on
from trpo_fast.callbacks.evaluation_file import Evaluations, read_evaluations, write_evaluations
from trpo_fast.environments.make import EnvLike, make_environments
from trpo_fast.environments.ownership import check_free
from trpo_fast.environments.vec_normalize import check_same_normalization, find_vec_normalize, synchronize
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.sampling.evaluation import Evaluation, drawing, evaluate_environments
from trpo_fast.validation import check_integer, check_path, check_real, describe

_EVALUATIONS = "evaluations.npz"


class EvalCallback(BaseCallback):
    """Evaluates the policy every ``eval_freq`` steps per environment, and saves the best model.

    A resumed training continues the evaluations in ``log_path``. If the model is trained in a ``VecNormalize`` of
    Stable-Baselines3, ``eval_env`` must be in one with the same settings, and has its statistics in every evaluation.

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
        Folder for evaluations.npz: timesteps (k,), results and ep_lengths (k, n_eval_episodes), and successes of the
        same shape if the environment reports ``info["is_success"]``.
    best_model_save_path : path, optional
        Folder for best_model.safetensors.
    deterministic : bool
        Take the most probable actions instead of samples.
    render : bool
        Render the environment after every step.
    verbose : int
        1 prints every evaluation.
    warn : bool
        Warn if returns are sums of normalised rewards.
    seed : int, optional
        Seed of every evaluation: all of them start from the same states.

    Attributes
    ----------
    best_mean_reward, last_mean_reward : float
        Mean return of the best and of the latest evaluation; -inf before the first.

    Raises
    ------
    InvalidArgumentError
        If ``n_eval_episodes`` or ``eval_freq`` is below 1, or ``eval_env`` is not an environment; when training starts,
        if ``eval_env`` normalises observations differently from the environments of the model.
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
        render: bool = False,
        verbose: int = 1,
        warn: bool = True,
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
        self.render = render
        self.warn = warn
        self.seed = seed
        self.best_mean_reward = self.last_mean_reward = -float("inf")
        self._evaluations = Evaluations([], [], [], [])
        self._refusals = Refusals()

    def _init_callback(self) -> None:
        check_free(self.eval_env)
        check_same_normalization(self.model.get_vec_normalize_env(), find_vec_normalize(self.eval_env.view()))
        for path in (self.log_path, self.best_model_save_path):
            if path is not None:
                path.mkdir(parents=True, exist_ok=True)
        for child in (self.callback_on_new_best, self.callback_after_eval):
            if child is not None:
                child.init_callback(self.model)

    def _on_training_start(self) -> None:
        self.n_calls = self.model.num_steps
        if self.log_path is not None and self.n_calls and not self._evaluations.timesteps:
            self._evaluations = read_evaluations(self.log_path / _EVALUATIONS, self.model.num_timesteps)
            means = (sum(returns) / len(returns) for returns in self._evaluations.results)
            self.best_mean_reward = max(means, default=self.best_mean_reward)
        if self.callback_after_eval is not None:
            self.callback_after_eval.on_training_start(self.locals, self.globals)

    def update_locals(self, locals_: dict[str, Any]) -> None:
        super().update_locals(locals_)
        for child in (self.callback_on_new_best, self.callback_after_eval):
            if child is not None:
                child.update_locals(locals_)

    def _on_step(self) -> bool:
        if self.n_calls % self.eval_freq:
            return True
        view = self.eval_env.view()
        draw = drawing(view) if self.render else None
        synchronize(self.model.get_vec_normalize_env(), find_vec_normalize(view))
        evaluation = evaluate_environments(
            self.model,
            self.eval_env,
            self.n_eval_episodes,
            self.deterministic,
            seed=self.seed,
            after_step=None if draw is None else lambda _: draw(),
            warn=self.warn,
        )
        self.last_mean_reward = evaluation.mean
        self._log(evaluation)
        go_on = True
        if self.last_mean_reward > self.best_mean_reward:
            self.best_mean_reward = self.last_mean_reward
            if self.best_model_save_path is not None:
                with Refusals().tolerated("the best model is not saved"):
                    self.model.save(self.best_model_save_path / "best_model")
            if self.callback_on_new_best is not None:
                go_on = goes_on(self.callback_on_new_best)
        if self.callback_after_eval is not None:
            go_on = goes_on(self.callback_after_eval) and go_on
        return go_on

    def _log(self, evaluation: Evaluation) -> None:
        self.logger.record("eval/mean_reward", evaluation.mean)
        self.logger.record("eval/mean_ep_length", float(evaluation.lengths.mean()))
        if evaluation.success_rate is not None:
            self.logger.record("eval/success_rate", evaluation.success_rate)
        if self.verbose:
            print(f"Evaluation at {self.num_timesteps} steps: {evaluation}")
        if self.log_path is not None:
            self._evaluations.timesteps.append(self.num_timesteps)
            self._evaluations.results.append(evaluation.returns.tolist())
            self._evaluations.ep_lengths.append(evaluation.lengths.tolist())
            successes = [e.is_success for e in evaluation.episodes if e.is_success is not None]
            if len(successes) == len(evaluation.episodes):
                self._evaluations.successes.append(successes)
            with self._refusals.tolerated(f"{_EVALUATIONS} is written again after the next evaluation"):
                write_evaluations(self.log_path / _EVALUATIONS, self._evaluations)


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
