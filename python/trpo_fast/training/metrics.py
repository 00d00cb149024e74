"""Metrics of rollouts and updates."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast._core.floating_point import ignores_float_errors
from trpo_fast.policies.value_function import ValueFit
from trpo_fast.protocols import Metrics
from trpo_fast.sampling.rollouts import Episode
from trpo_fast.update.report import UpdateReport


@ignores_float_errors
def rollout_metrics(episodes: Sequence[Episode], num_episodes: int) -> Metrics:
    """Mean return and length of the latest episodes (NaN before the first end), and the number of finished episodes.

    With the share of successes if environments report them.
    """
    nan = float("nan")
    successes = [episode.is_success for episode in episodes if episode.is_success is not None]
    return {
        "rollout/ep_rew_mean": float(np.mean([e.episode_return for e in episodes])) if episodes else nan,
        "rollout/ep_len_mean": float(np.mean([e.length for e in episodes])) if episodes else nan,
        "rollout/episodes": num_episodes,
        **({"rollout/success_rate": float(np.mean(successes))} if successes else {}),
    }


def update_metrics(report: UpdateReport, fit: ValueFit) -> Metrics:
    """Diagnostics of an update, under sb3-contrib's names where it has them."""
    return {
        "train/update_status": report.status.value,
        "train/is_line_search_success": int(report.committed),
        "train/policy_objective": report.surrogate_after,
        "train/improvement": report.surrogate_after - report.surrogate_before,
        "train/expected_improvement": report.expected_improvement,
        "train/kl_divergence_loss": report.mean_kl,
        "train/max_kl": report.max_kl,
        "train/entropy": report.entropy,
        "train/gradient_norm": report.gradient_norm,
        "train/step_norm": report.step_norm,
        "train/n_backtracks": report.n_backtracks,
        "train/cg_iterations": report.cg.n_iter if report.cg else 0,
        "train/cg_residual_norm": report.cg.residual_norm if report.cg else float("nan"),
        "train/value_status": fit.status.value,
        "train/value_loss": fit.loss,
    }


def explained_variance(values: npt.NDArray[Any], returns: npt.NDArray[Any]) -> float:
    """1 - Var[returns - values] / Var[returns] for values and returns of shape (N,).

    1 is a perfect critic, 0 a critic that predicts the mean; NaN if all returns are equal.
    """
    variance = float(np.var(returns))
    return float("nan") if variance == 0.0 else 1.0 - float(np.var(returns - values)) / variance
