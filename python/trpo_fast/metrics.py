"""What an iteration reports, and a table of it for the terminal."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from trpo_fast.rollout import Episode
from trpo_fast.stepping import Seconds
from trpo_fast.update_report import UpdateReport
from trpo_fast.value_function import ValueFit

Metrics = dict[str, float | int | str]


class Sink(Protocol):
    """Receives the metrics of every iteration."""

    def write(self, metrics: Metrics) -> None:
        """Take one iteration's metrics; the keys are the same every time."""


PHASES = ("environments", "policy", "update", "critic")


class Clock:
    """Times of a run, in seconds since ``learn`` was called, and what an iteration spent its time on."""

    def __init__(self, num_timesteps: int) -> None:
        self._start = self._read_at = time.perf_counter()
        self._first = num_timesteps
        self._spent = dict.fromkeys(PHASES, 0.0)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count what happens within as time of a phase."""
        begin = time.perf_counter()
        yield
        self._spent[name] += time.perf_counter() - begin

    def read(self, iteration: int, num_timesteps: int, seconds: Seconds) -> Metrics:
        """Of an iteration with a rollout of ``seconds``: counts, and what part of its time each phase took."""
        now = time.perf_counter()
        spent = {**self._spent, "policy": seconds.policy, "environments": seconds.environments}
        shares = {f"time/share_of_{name}": spent[name] / (now - self._read_at) for name in PHASES}
        self._read_at = now
        self._spent = dict.fromkeys(PHASES, 0.0)
        return {
            "time/fps": int((num_timesteps - self._first) / (now - self._start)),
            "time/iterations": iteration,
            "time/time_elapsed": now - self._start,
            "time/total_timesteps": num_timesteps,
            **shares,
        }


def rollout_metrics(episodes: Sequence[Episode], num_episodes: int) -> Metrics:
    """Means over the latest episodes, NaN before the first one ended, and how many ended in all."""
    nan = float("nan")
    return {
        "rollout/ep_rew_mean": float(np.mean([e.episode_return for e in episodes])) if episodes else nan,
        "rollout/ep_len_mean": float(np.mean([e.length for e in episodes])) if episodes else nan,
        "rollout/episodes": num_episodes,
    }


def update_metrics(report: UpdateReport, fit: ValueFit) -> Metrics:
    """The evidence of an update, under sb3-contrib's names where it has one."""
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
    """1 - Var[returns - values] / Var[returns]: 1 is a perfect critic, 0 one that predicts the mean; (N,) each."""
    variance = float(np.var(returns))
    return float("nan") if variance == 0.0 else 1.0 - float(np.var(returns - values)) / variance


def format_table(metrics: Metrics) -> str:
    """Metrics as text, one section a group."""
    rows: list[tuple[str, str]] = []
    section = ""
    for name, value in metrics.items():
        group, _, key = name.partition("/")
        if group != section:
            rows.append((f"{group}/", ""))
            section = group
        rows.append((f"   {key}", f"{value:.4g}" if isinstance(value, float) else str(value)))
    left, right = (max(len(row[column]) for row in rows) for column in (0, 1))
    rule = "-" * (left + right + 7)
    return "\n".join([rule, *(f"| {name:<{left}} | {text:<{right}} |" for name, text in rows), rule])
