"""Callbacks with the hooks of Stable-Baselines3's, which ``learn`` accepts as well; these need no SB3."""

from trpo_fast.callbacks.base import BaseCallback, CallbackList, FunctionCallback
from trpo_fast.callbacks.checkpoint import CheckpointCallback
from trpo_fast.callbacks.evaluation import EvalCallback, StopTrainingOnRewardThreshold

__all__ = [
    "BaseCallback",
    "CallbackList",
    "CheckpointCallback",
    "EvalCallback",
    "FunctionCallback",
    "StopTrainingOnRewardThreshold",
]
