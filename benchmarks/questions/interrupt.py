"""How soon Ctrl-C ends a long C++ call: from the signal at a random moment to KeyboardInterrupt."""

import argparse
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.harness.machine import Others, Setting
from benchmarks.harness.options import Option, Options
from benchmarks.harness.rows import Row
from trpo_fast import FisherOperator, Policy, SurrogateObjective, ValueFunction, conjugate_gradient

SETTINGS = (Setting(1),)
OPTIONS: Options = {"trials": Option(30, "interrupts of each call")}
COLUMNS = ("call", "dtype", "median ms", "greatest ms", "trials")
OBS_DIM, ACTION_DIM, N, WIDTHS = 64, 4, 60_000, (256, 256)


def measure(setting: Setting, options: argparse.Namespace) -> Iterator[Row]:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    delays = np.random.default_rng(1).uniform(0.1, 0.4, options.trials)
    for dtype in ("float32", "float64"):
        for name, call in long_calls(dtype).items():
            others = Others()
            ms = [1e3 * latency(call, delay) for delay in delays]
            figures = {"trials": len(ms), "median_ms": float(np.median(ms)), "max_ms": max(ms)}
            yield {"call": name, "dtype": dtype, **figures, **others.row()}


def cells(row: Row) -> Sequence[str]:
    return [row["call"], row["dtype"], f"{row['median_ms']:.1f}", f"{row['max_ms']:.1f}", str(row["trials"])]


def latency(call: Callable[[], Any], delay: float) -> float:
    """Seconds from a SIGINT ``delay`` seconds into ``call`` to the end of ``call``."""
    sent = []

    def send() -> None:
        sent.append(time.perf_counter())
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    timer = threading.Timer(delay, send)
    timer.start()
    try:
        call()
    except KeyboardInterrupt:
        return time.perf_counter() - sent[0]
    finally:
        timer.join()
    raise SystemExit("interrupt: the call ended before Ctrl-C, or ignored it")


def long_calls(dtype: str) -> dict[str, Callable[[], Any]]:
    """Calls that take many seconds each."""
    rng = np.random.default_rng(0)
    box = gym.spaces.Box(-1, 1, (OBS_DIM,))
    policy = Policy(box, gym.spaces.Box(-1, 1, (ACTION_DIM,)), net_arch=WIDTHS, dtype=dtype)
    theta = policy.initial_parameters(0)
    observations, actions = rng.standard_normal((N, OBS_DIM)), rng.standard_normal((N, ACTION_DIM)).astype(dtype)
    F = FisherOperator(policy, theta, observations, 0.1)
    b = rng.standard_normal(policy.num_params)
    objective = SurrogateObjective(policy, theta, observations, actions, rng.standard_normal(N))
    critic = ValueFunction(box, net_arch=WIDTHS, dtype=dtype)
    state, inputs, returns = critic.initial_state(0), observations.astype(dtype), rng.standard_normal(N)
    order = np.tile(np.arange(N), (100, 1))
    return {
        "conjugate_gradient": lambda: conjugate_gradient(F, b, max_iter=500, rtol=0.0),
        "objective.evaluate": lambda: [objective.evaluate(theta) for _ in range(500)],
        "critic fit": lambda: critic.fit(state, inputs, returns, order, batch_size=128, learning_rate=1e-3),
    }
