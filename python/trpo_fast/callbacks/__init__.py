"""Callbacks with the hooks of Stable-Baselines3's, without needing SB3. ``learn`` accepts callbacks of SB3 as well."""

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
