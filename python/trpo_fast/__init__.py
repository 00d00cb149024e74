"""Trust Region Policy Optimization for people who have CPUs.

>>> from trpo_fast import TRPO
>>> model = TRPO("MlpPolicy", "CartPole-v1", seed=0)
>>> model = model.learn(total_timesteps=20_000)
>>> model.save("cartpole")
"""

from trpo_fast._version import __version__
from trpo_fast.batches import Batch, VineBatch
from trpo_fast.checkpoints import Checkpoints
from trpo_fast.config import TRPOConfig
from trpo_fast.conjugate_gradient import CGResult, CGStatus, conjugate_gradient
from trpo_fast.diagnostics import show_config
from trpo_fast.errors import (
    EnvironmentFaultError,
    InvalidArgumentError,
    MissingExtraError,
    PolicyFileError,
    ResumeWarning,
    SnapshotError,
    TRPOFastError,
    UnsupportedSpaceError,
)
from trpo_fast.evaluation import evaluate_policy
from trpo_fast.export import export_policy
from trpo_fast.fisher import FisherOperator
from trpo_fast.kfac import KFACPreconditioner
from trpo_fast.learner import TRPO
from trpo_fast.line_search import LineSearchResult, backtracking_line_search
from trpo_fast.objective import SurrogateValue
from trpo_fast.policy import Policy
from trpo_fast.policy_content import load_policy, save_policy
from trpo_fast.schedules import AdaptiveRadius, LinearSchedule
from trpo_fast.surrogate import SurrogateObjective
from trpo_fast.threads import get_num_threads, set_num_threads, use_environment_variable
from trpo_fast.transitions import Transitions
from trpo_fast.trpo import trpo_update
from trpo_fast.update_report import UpdateReport, UpdateStatus
from trpo_fast.value_function import CriticState, PendingFit, ValueFit, ValueFitStatus, ValueFunction
from trpo_fast.vine_objective import VineObjective

__all__ = [
    "TRPO",
    "AdaptiveRadius",
    "Batch",
    "CGResult",
    "CGStatus",
    "Checkpoints",
    "CriticState",
    "EnvironmentFaultError",
    "FisherOperator",
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
    "evaluate_policy",
    "export_policy",
    "get_num_threads",
    "load_policy",
    "save_policy",
    "set_num_threads",
    "show_config",
    "trpo_update",
]

use_environment_variable()
