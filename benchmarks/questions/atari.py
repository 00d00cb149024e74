"""Steps of Atari games: AtariEnv, ale-py's vector environment, and Gymnasium's wrappers with OpenCV.

On one core: CPU time of a step of one environment with random actions. On two: time of a step of 8 environments, in
two workers with the policy of the paper, and in two threads of the vector environment with random actions. Frames and
rewards must agree first. All without sticky actions and no-ops, in 84 by 84 and in 52 by 40 pixels.
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
from trpo_fast import TRPO
from trpo_fast.atari import AtariEnv
from trpo_fast.nets import PaperCNN

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
            yield from compare(case, dict(single_steppers(game, size)), time.process_time, options.seconds)
        else:
            yield from compare(f"{case} envs={N_ENVS}", dict(steppers(game, size)), time.perf_counter, options.seconds)


def compare(
    case: str, steppers: dict[str, Callable[[], int]], clock: Callable[[], float], seconds: float
) -> Iterator[Row]:
    """Seconds of a step of each contender, in turns; a stepper returns the number of its steps."""
    times: dict[str, list[float]] = {name: [] for name in steppers}
    others = Others()
    end = time.perf_counter() + seconds * len(steppers)
    while time.perf_counter() < end or len(times[OURS]) < MIN_TURNS:
        for name, step in steppers.items():
            start = clock()
            n_steps = step()
            times[name].append((clock() - start) / n_steps)
    quiet = others.row()
    for name, t in times.items():
        ratio = {} if name == OURS else spread("ratio", np.array(t) / np.array(times[OURS]))
        yield {"case": case, "contender": name, "turns": len(t), **spread("seconds", np.array(t)), **ratio, **quiet}


def single_steppers(game: str, size: tuple[int, int]) -> Iterator[tuple[str, Callable[[], int]]]:
    """One environment each."""
    yield OURS, partial(play, ready(AtariEnv(game, screen_size=size, **PLAIN)), np.random.default_rng(SEED))
    yield VECTOR, partial(play_vector, vector(game, size, 1, 1), np.random.default_rng(SEED))
    if util.find_spec("cv2"):
        env: Any = gym.make(f"ALE/{game.title()}-v5", frameskip=1, repeat_action_probability=0.0)
        env = gym.wrappers.AtariPreprocessing(env, noop_max=0, screen_size=size[::-1])
        env = gym.wrappers.FrameStackObservation(env, 4, padding_type="zero")
        yield "Gymnasium's wrappers", partial(play, ready(env), np.random.default_rng(SEED))


def steppers(game: str, size: tuple[int, int]) -> Iterator[tuple[str, Callable[[], int]]]:
    """Eight environments each, on two cores."""
    factories = [partial(AtariEnv, game, screen_size=size, **PLAIN)] * N_ENVS
    network = {"features_extractor": PaperCNN()}
    model = TRPO("CnnPolicy", factories, n_steps=N_STEPS, n_workers=2, seed=SEED, policy_kwargs=network)
    yield OURS, lambda: model.sample_rollout().num_transitions
    yield VECTOR, partial(play_vector, vector(game, size, N_ENVS, 2), np.random.default_rng(SEED))


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


def play(env: gym.Env[Any, Any], rng: np.random.Generator) -> int:
    """Take N_STEPS steps with random actions."""
    for action in rng.integers(env.action_space.n, size=N_STEPS).tolist():  # type: ignore[attr-defined]
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    return N_STEPS


def play_vector(env: Any, rng: np.random.Generator) -> int:
    """Take N_STEPS steps of every environment with random actions."""
    for actions in rng.integers(env.single_action_space.n, size=(N_STEPS, env.num_envs)):
        env.step(actions)
    return N_STEPS * env.num_envs


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
