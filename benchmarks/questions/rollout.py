"""What Python adds to an environment step: collecting a rollout, less the same env.step calls in a bare loop.

The bare loop replays the recorded actions from the same seeds in environments that ``gymnasium.make`` wraps as for
every contender. Time per environment step, with 1 and 8 environments.
"""

import argparse
import time
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.harness.machine import Others, Setting
from benchmarks.harness.options import SECONDS
from benchmarks.harness.rows import OURS, DisagreementError, Row, spread
from benchmarks.peers import contenders, ours

SETTINGS = (Setting(1),)
OPTIONS = SECONDS
TASKS = ("CartPole-v1", "HalfCheetah-v5")
N_STEPS, SEED, MIN_TURNS = 512, 0, 7  # short of a time limit, at which sb3-contrib changes the reward


class BareLoop:
    """Environments that replay recorded actions."""

    def __init__(self, task: str, n_envs: int) -> None:
        self.envs = [gym.make(task) for _ in range(n_envs)]

    def replay(self, actions: Any) -> tuple[float, np.ndarray]:
        """Seconds of stepping through ``actions`` (T, n, ...), environment i seeded with SEED + i; rewards (T, n)."""
        for i, env in enumerate(self.envs):
            env.reset(seed=SEED + i)
        steps, rewards = [list(row) for row in actions], []
        start = time.perf_counter()
        for row in steps:
            for env, action in zip(self.envs, row, strict=True):
                _, reward, terminated, truncated, _ = env.step(action)
                rewards.append(reward)
                if terminated or truncated:
                    env.reset()
        return time.perf_counter() - start, np.reshape(rewards, (len(steps), -1))


def measure(setting: Setting, options: argparse.Namespace) -> Iterator[Row]:
    for task in TASKS:
        for n_envs in (1, 8):
            yield from overheads(task, n_envs, options)


def overheads(task: str, n_envs: int, options: argparse.Namespace) -> Iterator[Row]:
    """The time of each contender's rollout less that of its replay, which must earn the same rewards."""
    collectors = [*ours.collect(task, n_envs, N_STEPS, SEED), *contenders("collect", task, n_envs, N_STEPS, SEED)]
    bare, steps = BareLoop(task, n_envs), N_STEPS * n_envs
    overhead: dict[str, list[float]] = {c.name: [] for c in collectors}
    env_step: list[float] = []
    for c in collectors:
        actions, rewards = c.call()
        if not np.allclose(rewards, bare.replay(actions)[1], rtol=1e-5):
            raise DisagreementError(f"{c.name}: expected the rewards of its own actions")
    others = Others()
    end = time.perf_counter() + options.seconds * len(collectors)
    while time.perf_counter() < end or len(env_step) < MIN_TURNS * len(collectors):
        for c in collectors:
            start = time.perf_counter()
            actions, _ = c.call()
            collected = time.perf_counter() - start
            env_step.append(bare.replay(actions)[0] / steps)
            overhead[c.name].append(collected / steps - env_step[-1])
    case, quiet = f"{task} envs={n_envs}", others.row()
    yield {"case": case, "contender": "env.step", **spread("seconds", np.array(env_step)), **quiet}
    for c in collectors:
        t = np.array(overhead[c.name])
        ratio = {} if c.name == OURS else {"ratio": float(np.median(t) / np.median(overhead[OURS]))}
        figures = {"turns": len(t), **spread("seconds", t), **ratio}
        yield {"case": case, "contender": c.name, "form": c.form, **figures, **quiet}
