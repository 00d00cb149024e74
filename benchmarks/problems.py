"""The problems that the benchmarks share, and how they are timed: results are compared first, then A B A B, medians."""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # before NumPy: one thread against one thread

import gymnasium as gym
import numpy as np

from trpo_fast import Policy
from trpo_fast.diagnostics import versions

sys.path.insert(0, str(Path(__file__).parent / "baselines"))

import numpy_trpo

RESULTS = Path(__file__).parent / "results"
SIZES = {"Hopper": (11, 3), "HalfCheetah": (17, 6)}  # observation and action dimensions, hidden layers 64-64


class Problem(NamedTuple):
    """A policy at its initial parameters, a batch, and the NumPy baseline of the same policy."""

    policy: Policy
    theta: np.ndarray
    observations: np.ndarray
    inputs: np.ndarray  # normalised, in float64: what the baseline takes
    actions: np.ndarray
    advantages: np.ndarray
    baseline: numpy_trpo.Policy


def make_problem(name: str, n: int, dtype: str, seed: int = 7) -> Problem:
    obs_dim, action_dim = SIZES[name]
    rng = np.random.default_rng(seed)
    policy = Policy(gym.spaces.Box(-np.inf, np.inf, (obs_dim,)), gym.spaces.Box(-1.0, 1.0, (action_dim,)), dtype=dtype)
    theta = policy.initial_parameters(seed)
    observations = rng.standard_normal((n, obs_dim))
    actions = rng.standard_normal((n, action_dim)).astype(dtype)
    baseline = numpy_trpo.Policy(obs_dim, numpy_trpo.Gaussian(action_dim))
    inputs = policy.normalize(observations).astype(np.float64)
    return Problem(policy, theta, observations, inputs, actions, rng.standard_normal(n), baseline)


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(actual - expected) / np.linalg.norm(expected))


def time_in_turns(contenders: dict[str, Callable[[], Any]], seconds: float = 2.0) -> dict[str, list[float]]:
    """Seconds a call, the contenders in turn (A B A B) until ``seconds`` are spent on each; at least 7 calls."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for call in contenders.values():
        call()  # warm up
    while any(sum(t) < seconds or len(t) < 7 for t in times.values()):
        for name, call in contenders.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return times


def row(problem: str, n: int, dtype: str, error: float, times: dict[str, list[float]]) -> dict[str, Any]:
    """One line of a table: medians, the median of the ratios of neighbouring calls, and their spread."""
    ours, baseline = times["trpo_fast"], times["numpy"]
    ratios = [b / a for a, b in zip(ours, baseline, strict=True)]
    return {
        "problem": problem,
        "n": n,
        "dtype": dtype,
        "error": error,
        "trpo_fast_ms": 1e3 * statistics.median(ours),
        "numpy_ms": 1e3 * statistics.median(baseline),
        "ratio": statistics.median(ratios),
        "ratio_p10_p90": [float(q) for q in np.quantile(ratios, [0.1, 0.9])],
        "calls": len(ours),
    }


def report(name: str, rows: list[dict[str, Any]]) -> None:
    """Print the rows as Markdown and ``save`` them."""
    print(
        "| problem | N | dtype | error | trpo_fast | NumPy float64 | ratio (p10-p90) |\n|---|---|---|---|---|---|---|"
    )
    for r in rows:
        low, high = r["ratio_p10_p90"]
        print(
            f"| {r['problem']} | {r['n']} | {r['dtype']} | {r['error']:.1e} | {r['trpo_fast_ms']:.2f} ms "
            f"| {r['numpy_ms']:.2f} ms | {r['ratio']:.1f} ({low:.1f}-{high:.1f}) |"
        )
    save(name, rows)


def save(name: str, rows: list[dict[str, Any]]) -> None:
    """Write the rows, with the machine and the command, to results/NAME.json."""
    machine = {"processor": _processor(), "cores": os.cpu_count(), "load": os.getloadavg()[0], **versions()}
    result = {"command": f"python benchmarks/{name}.py", "threads": 1, "machine": machine, "rows": rows}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":")[1].strip() for line in info.open() if line.startswith("model name")] if info.exists() else []
    )
    return names[0] if names else platform.processor()
