"""How soon Ctrl-C ends a long C++ call: from the signal to KeyboardInterrupt, at random moments.

python -m benchmarks.questions.interrupt
"""

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.harness.problems import save
from trpo_fast import FisherOperator, Policy, SurrogateObjective, ValueFunction, conjugate_gradient

TRIALS = 30
OBS_DIM, ACTION_DIM, N, WIDTHS = 64, 4, 60_000, (256, 256)


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
    raise SystemExit("bench_interrupt: the call ended before Ctrl-C, or swallowed it")


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


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    delays = np.random.default_rng(1).uniform(0.1, 0.4, TRIALS)
    rows = []
    for dtype in ("float32", "float64"):
        for name, call in long_calls(dtype).items():
            ms = [1e3 * latency(call, delay) for delay in delays]
            median = float(np.median(ms))
            rows.append({"call": name, "dtype": dtype, "trials": TRIALS, "median_ms": median, "max_ms": max(ms)})
            print(f"{name:20} {dtype}  median {median:6.1f} ms  max {max(ms):6.1f} ms", flush=True)
    save("bench_interrupt", rows)


if __name__ == "__main__":
    main()
