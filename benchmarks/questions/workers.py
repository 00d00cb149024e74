"""Rollouts of 8 environments on two cores: stepped in this process, by two workers, by Gymnasium's AsyncVectorEnv.

Time per environment step, policy included. The workers' rollouts must be bit-identical to those of one process.
EnvPool, which has its own simulators, takes part if it is installed.
"""

import argparse
import importlib
import time
from collections.abc import Callable, Iterator
from importlib import util
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.harness.machine import Others, Setting
from benchmarks.harness.options import SECONDS
from benchmarks.harness.rows import OURS, DisagreementError, Row, spread
from trpo_fast import TRPO

SETTINGS = (Setting(2),)
OPTIONS = SECONDS
TASKS = ("Hopper-v5", "HalfCheetah-v5")
N_ENVS, N_STEPS, SEED, MIN_TURNS = 8, 512, 0, 7
TWO_WORKERS = f"{OURS}, 2 workers"


def measure(setting: Setting, options: argparse.Namespace) -> Iterator[Row]:
    for task in TASKS:
        yield from rollouts(task, options)


def rollouts(task: str, options: argparse.Namespace) -> Iterator[Row]:
    """Rollouts of the contenders in turn."""
    models = dict(contenders(task))
    first = {name: rewards(model) for name, model in models.items()}
    if not np.array_equal(first[TWO_WORKERS], first[OURS]):
        raise DisagreementError(f"{TWO_WORKERS}: expected the rewards of the process's own rollout")
    seconds: dict[str, list[float]] = {name: [] for name in models}
    others = Others()
    end = time.perf_counter() + options.seconds * len(models)
    while time.perf_counter() < end or len(seconds[OURS]) < MIN_TURNS:
        for name, model in models.items():
            start = time.perf_counter()
            model.sample_rollout()
            seconds[name].append((time.perf_counter() - start) / (N_STEPS * N_ENVS))
    quiet = others.row()
    for name, t in seconds.items():
        ratio = {} if name == TWO_WORKERS else spread("ratio", np.array(t) / np.array(seconds[TWO_WORKERS]))
        yield {"case": f"{task} envs={N_ENVS}", "contender": name, **spread("seconds", np.array(t)), **ratio, **quiet}
    for model in models.values():
        model.env.close()


def contenders(task: str) -> Iterator[tuple[str, TRPO]]:
    """Models that are ready to collect."""
    yield OURS, make(task, n_envs=N_ENVS)
    yield TWO_WORKERS, make(task, n_envs=N_ENVS, n_workers=2)
    yield "AsyncVectorEnv", make(gym.make_vec(task, N_ENVS, vectorization_mode="async"))
    if util.find_spec("envpool"):
        pool: Callable[..., Any] = importlib.import_module("envpool").make_gymnasium
        yield "EnvPool", make(pool(task, num_envs=N_ENVS, num_threads=2))


def make(env: Any, **arguments: Any) -> TRPO:
    return TRPO("MlpPolicy", env, n_steps=N_STEPS, seed=SEED, **arguments)


def rewards(model: TRPO) -> np.ndarray:
    """The rewards of the next rollout."""
    return model.sample_rollout().trajectories.rewards
