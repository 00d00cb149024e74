"""Steps of Atari games: AtariEnv, ale-py's vector environment, and Gymnasium's wrappers with OpenCV.

On one core: CPU time of a step of one environment with random actions. On two: time of a step of 8 environments, in
two workers or on two threads of the vector environment: in rollouts of a small policy, and alone, without the policy.
Frames and rewards must agree first. All without sticky actions, in 84 by 84 and in 52 by 40 pixels.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import util
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.harness.machine import Others, Setting
from benchmarks.harness.options import SECONDS
from benchmarks.harness.rows import OURS, DisagreementError, NotMeasuredError, Row, spread
from trpo_fast import TRPO, nets
from trpo_fast.atari import AtariEnv

SETTINGS = (Setting(1), Setting(2))
OPTIONS = SECONDS
CASES = (("pong", (84, 84)), ("breakout", (84, 84)), ("pong", (52, 40)))
VECTOR = "AtariVectorEnv"
PLAIN = {"noop_max": 0, "fire_reset": False, "terminal_on_life_loss": False, "clip_rewards": False}
N_STEPS, N_ENVS, MIN_TURNS, SEED = 200, 8, 7, 0


def measure(setting: Setting, options: argparse.Namespace) -> Iterator[Row]:
    if not util.find_spec("ale_py"):
        raise NotMeasuredError("ale-py is not installed")
    for game, size in CASES:
        check_agreement(game, size)
        case = f"{game} {size[0]}x{size[1]}"
        if setting.threads == 1:
            yield from compare(case, dict(single_environments(game, size)), options.seconds)
        else:
            yield from on_two_cores(game, size, f"{case} envs={N_ENVS}", options.seconds)


def on_two_cores(game: str, size: tuple[int, int], case: str, seconds: float) -> Iterator[Row]:
    """Rollouts, and steps alone."""
    ours, theirs = models(game, size)
    yield from compare(
        case, {OURS: lambda: rollout_seconds(ours)[0], VECTOR: lambda: rollout_seconds(theirs)[0]}, seconds
    )
    alone = partial(vector_seconds, vector(game, size, N_ENVS, 2), np.random.default_rng(SEED), time.perf_counter)
    yield from compare(f"{case} alone", {OURS: lambda: rollout_seconds(ours)[1], VECTOR: alone}, seconds)
    ours.env.close()


def compare(case: str, contenders: dict[str, Callable[[], float]], seconds: float) -> Iterator[Row]:
    """Rows of the contenders, which run in turns and return the seconds of a step."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    others = Others()
    end = time.perf_counter() + seconds * len(contenders)
    while time.perf_counter() < end or len(times[OURS]) < MIN_TURNS:
        for name, run in contenders.items():
            times[name].append(run())
    quiet = others.row()
    for name, t in times.items():
        ratio = {} if name == OURS else spread("ratio", np.array(t) / np.array(times[OURS]))
        yield {"case": case, "contender": name, "turns": len(t), **spread("seconds", np.array(t)), **ratio, **quiet}


def single_environments(game: str, size: tuple[int, int]) -> Iterator[tuple[str, Callable[[], float]]]:
    """One environment each, with random actions."""
    env: gym.Env[Any, Any] = AtariEnv(game, screen_size=size, **PLAIN)
    yield OURS, partial(seconds_of, ready(env), np.random.default_rng(SEED))
    yield VECTOR, partial(vector_seconds, vector(game, size, 1, 1), np.random.default_rng(SEED), time.process_time)
    if util.find_spec("cv2"):
        env = gym.make(f"ALE/{game.title()}-v5", frameskip=1, repeat_action_probability=0.0)
        env = gym.wrappers.AtariPreprocessing(env, noop_max=0, screen_size=size[::-1])
        env = gym.wrappers.FrameStackObservation(env, 4, padding_type="zero")
        yield "Gymnasium's wrappers", partial(seconds_of, ready(env), np.random.default_rng(SEED))


def models(game: str, size: tuple[int, int]) -> tuple[TRPO, TRPO]:
    """A small policy that plays AtariEnv in two workers, and ale-py's vector environment on two threads."""
    factories = [partial(AtariEnv, game, screen_size=size, **PLAIN)] * N_ENVS
    network = nets.Sequential(nets.Conv2d(4, 8, 8), nets.Flatten())
    settings = {"n_steps": N_STEPS, "seed": SEED, "policy_kwargs": {"features_extractor": network}}
    return (
        TRPO("CnnPolicy", factories, n_workers=2, **settings),
        TRPO("CnnPolicy", vector(game, size, N_ENVS, 2), **settings),
    )


def rollout_seconds(model: TRPO) -> tuple[float, float]:
    """Seconds of a step of a rollout, and of the part of it that is not the policy's."""
    start = time.perf_counter()
    rollout = model.sample_rollout()
    elapsed = time.perf_counter() - start
    return elapsed / (N_STEPS * N_ENVS), rollout.seconds.environments / (N_STEPS * N_ENVS)


def vector(game: str, size: tuple[int, int], n_envs: int, n_threads: int) -> Any:
    """An ``AtariVectorEnv`` that has been reset; it draws 0 or 1 no-ops."""
    from ale_py.vector_env import AtariVectorEnv

    env = AtariVectorEnv(
        game, n_envs, num_threads=n_threads, img_height=size[0], img_width=size[1], noop_max=2, use_fire_reset=False,
        reward_clipping=False,
    )  # fmt: skip
    env.reset(seed=SEED)
    return env


def ready(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """The environment after a reset."""
    env.reset(seed=SEED)
    return env


def seconds_of(env: gym.Env[Any, Any], rng: np.random.Generator) -> float:
    """CPU time of a step of an environment with random actions."""
    actions = rng.integers(env.action_space.n, size=N_STEPS).tolist()  # type: ignore[attr-defined]
    start = time.process_time()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    return (time.process_time() - start) / N_STEPS


def vector_seconds(env: Any, rng: np.random.Generator, clock: Callable[[], float]) -> float:
    """Time of a step of each of a vector environment's environments with random actions."""
    rows = rng.integers(env.single_action_space.n, size=(N_STEPS, env.num_envs))
    start = clock()
    for actions in rows:
        env.step(actions)
    return (clock() - start) / (N_STEPS * env.num_envs)


def check_agreement(game: str, size: tuple[int, int]) -> None:
    """DisagreementError unless frames, up to rounding, and rewards are those of the vector environment."""
    env, theirs = AtariEnv(game, screen_size=size, **PLAIN), vector(game, size, 1, 1)
    env.reset(seed=SEED)
    for action in np.random.default_rng(SEED).integers(env.action_space.n, size=100).tolist():  # type: ignore[attr-defined]
        observation, reward, *_ = env.step(action)
        observations, rewards, *_ = theirs.step(np.array([action]))
        if np.abs(observation.astype(int) - observations[0]).max() > 1 or reward != rewards[0]:
            raise DisagreementError(f"{game}: expected the frames and rewards of {VECTOR}")
    theirs.close()
