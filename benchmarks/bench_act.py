"""One observation, one thread: how long a call takes that acts, beside the same policy in NumPy.

python benchmarks/bench_act.py
"""

import statistics
import timeit

import gymnasium as gym
import numpy as np
from problems import SIZES, make_problem, relative_error

from trpo_fast import TRPO
from trpo_fast.environments import NoEnvironments

CALLS, REPEATS = 2000, 41


def microseconds(call) -> list[float]:
    """Per call, over ``REPEATS`` rounds of ``CALLS``."""
    return [1e6 * seconds / CALLS for seconds in timeit.repeat(call, number=CALLS, repeat=REPEATS)]


def main() -> None:
    p = make_problem("HalfCheetah", 1, "float32")
    obs_dim, action_dim = SIZES["HalfCheetah"]
    spaces = gym.spaces.Box(-np.inf, np.inf, (obs_dim,)), gym.spaces.Box(-1.0, 1.0, (action_dim,))
    model = TRPO("MlpPolicy", NoEnvironments(*spaces), seed=0)
    actor, observation, theta64 = p.policy.actor(p.theta), p.observations[0], p.theta.astype(np.float64)
    noise, out = np.zeros((2, 1, action_dim), dtype=np.float32)
    env_actions = p.policy.codec.empty_env_actions(1)

    actor.act(p.observations, noise, out)
    error = relative_error(out, p.baseline.dist_params(theta64, p.inputs)[:, :action_dim])
    if not error < 1e-5:
        raise SystemExit(f"bench_act: actions differ by {error:.1e}")
    calls = {
        "actor.act(out=)": lambda: actor.act(p.observations, noise, out),
        "the same, and what env.step takes": lambda: actor.act(p.observations, noise, out, env_actions),
        "policy.act(theta, out=)": lambda: p.policy.act(p.theta, p.observations, noise, out),
        "model.predict": lambda: model.predict(observation),
        "model.predict, deterministic": lambda: model.predict(observation, deterministic=True),
        "NumPy float64, the network only": lambda: p.baseline.dist_params(theta64, p.inputs),
    }
    print(f"17-64-64-6, float32, error {error:.1e}\n\n| call | median | least |\n|---|---|---|")
    for name, call in calls.items():
        times = microseconds(call)
        print(f"| {name} | {statistics.median(times):.2f} µs | {min(times):.2f} µs |")


if __name__ == "__main__":
    main()
