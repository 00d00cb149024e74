"""Evaluation during training, early stopping, a schedule, an adaptive trust region, and a metric of your own."""

from trpo_fast import TRPO, AdaptiveRadius, LinearSchedule
from trpo_fast.callbacks.base import BaseCallback
from trpo_fast.callbacks.evaluation import EvalCallback, StopTrainingOnRewardThreshold


class CountSteps(BaseCallback):
    """Adds a number to the metrics of every iteration."""

    def _on_step(self) -> bool:
        self.logger.record("custom/calls", self.n_calls)
        return True


model = TRPO(
    "MlpPolicy",
    "CartPole-v1",
    n_steps=1024,
    learning_rate=LinearSchedule(1e-3),
    target_kl=AdaptiveRadius(0.01),
    seed=0,
)
evaluation = EvalCallback(
    "CartPole-v1",
    callback_on_new_best=StopTrainingOnRewardThreshold(475.0),
    eval_freq=2048,
    n_eval_episodes=5,
    best_model_save_path="best",
    log_path="best",
    seed=1,
)
model.learn(60_000, callback=[CountSteps(), evaluation])
print(f"stopped after {model.num_timesteps} steps, best mean return {evaluation.best_mean_reward:.0f}")
