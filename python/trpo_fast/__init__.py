"""Trust Region Policy Optimization for people who have CPUs.

>>> from trpo_fast import TRPO
>>> model = TRPO("MlpPolicy", "CartPole-v1", seed=0)
>>> model = model.learn(total_timesteps=20_000)
>>> model.save("cartpole")
"""

from trpo_fast._core.diagnostics import show_config
from trpo_fast._core.threads import get_num_threads, set_num_threads, use_default
from trpo_fast._version import __version__
from trpo_fast.atari.games import register_games
from trpo_fast.config import TRPOConfig
from trpo_fast.errors import (
    AlreadyTrainingError,
    EnvironmentFaultError,
    InsufficientMemoryError,
    InvalidArgumentError,
    MissingExtraError,
    PolicyFileError,
    ResumeWarning,
    SnapshotError,
    TRPOFastError,
    UnknownAttributeError,
    UnsupportedSpaceError,
)
from trpo_fast.export import export_policy
from trpo_fast.learner import TRPO
from trpo_fast.policies.policy import Policy
from trpo_fast.policies.value_function import CriticState, PendingFit, ValueFit, ValueFitStatus, ValueFunction
from trpo_fast.sampling.evaluation import Evaluation, evaluate, evaluate_policy
from trpo_fast.sampling.transitions import Transitions
from trpo_fast.schedules import AdaptiveRadius, LinearSchedule
from trpo_fast.spaces.interface import Interface
from trpo_fast.storage.checkpoints import Checkpoints
from trpo_fast.storage.policy_content import load_policy, save_policy
from trpo_fast.trpo import trpo_update
from trpo_fast.update.batches import Batch, VineBatch
from trpo_fast.update.conjugate_gradient import CGResult, CGStatus, conjugate_gradient
from trpo_fast.update.fisher import EmpiricalFisherOperator, FisherOperator
from trpo_fast.update.kfac import KFACPreconditioner
from trpo_fast.update.line_search import LineSearchResult, backtracking_line_search
from trpo_fast.update.objectives import SurrogateObjective, SurrogateValue, VineObjective
from trpo_fast.update.report import UpdateReport, UpdateStatus

__all__ = [
    "TRPO",
    "AdaptiveRadius",
    "AlreadyTrainingError",
    "Batch",
    "CGResult",
    "CGStatus",
    "Checkpoints",
    "CriticState",
    "EmpiricalFisherOperator",
    "EnvironmentFaultError",
    "Evaluation",
    "FisherOperator",
    "InsufficientMemoryError",
    "Interface",
    "InvalidArgumentError",
    "KFACPreconditioner",
    "LineSearchResult",
    "LinearSchedule",
    "MissingExtraError",
    "PendingFit",
    "Policy",
    "PolicyFileError",
    "ResumeWarning",
    "SnapshotError",
    "SurrogateObjective",
    "SurrogateValue",
    "TRPOConfig",
    "TRPOFastError",
    "Transitions",
    "UnknownAttributeError",
    "UnsupportedSpaceError",
    "UpdateReport",
    "UpdateStatus",
    "ValueFit",
    "ValueFitStatus",
    "ValueFunction",
    "VineBatch",
    "VineObjective",
    "__version__",
    "backtracking_line_search",
    "conjugate_gradient",
    "evaluate",
    "evaluate_policy",
    "export_policy",
    "get_num_threads",
    "load_policy",
    "save_policy",
    "set_num_threads",
    "show_config",
    "trpo_update",
]

use_default()
register_games()
