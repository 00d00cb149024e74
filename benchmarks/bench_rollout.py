"""What a rollout costs beside env.step: collect, minus a bare loop that steps the same environments through the same.

python benchmarks/bench_rollout.py
"""

import statistics
import time

import gymnasium as gym
import numpy as np
import problems  # noqa: F401  one thread

from trpo_fast import Policy
from trpo_fast.environments import make_environments
from trpo_fast.rollout import RolloutCollector

N_STEPS, REPEATS = 2048, 9


def replay(envs: list[gym.Env], actions: list[list]) -> tuple[float, float]:
    """Seconds that ``actions`` (T, n) take in freshly seeded environments, and the sum of their rewards."""
    for i, env in enumerate(envs):
        env.reset(seed=i)
    total, start = 0.0, time.perf_counter()
    for step in actions:
        for env, action in zip(envs, step, strict=True):
            _, reward, terminated, truncated, _ = env.step(action)
            total += reward
            if terminated or truncated:
                env.reset()
    return time.perf_counter() - start, total


def measure(env_id: str, n_envs: int) -> tuple[list[float], list[float]]:
    """Microseconds a step of one environment, by turns: in the bare loop, and in collect."""
    environments = make_environments(env_id, n_envs)
    envs = [gym.make(env_id) for _ in range(n_envs)]
    policy = Policy(environments.observation_space, environments.action_space)
    collector = RolloutCollector(environments, policy, np.random.SeedSequence(0), 100)
    theta, times = policy.initial_parameters(0), []
    for _ in range(REPEATS):
        collector.reset(seed=0)
        start = time.perf_counter()
        rollout = collector.collect(theta, N_STEPS)
        collected = time.perf_counter() - start
        replayed, total = replay(envs, [list(policy.codec.to_env(rows)) for rows in rollout.actions])
        if not np.isclose(total, rollout.trajectories.rewards.sum()):
            raise SystemExit(f"bench_rollout: the replay of {env_id} went another way")
        times.append([1e6 * seconds / (N_STEPS * n_envs) for seconds in (replayed, collected)])
    bare, whole = zip(*times, strict=True)
    return list(bare), list(whole)


def main() -> None:
    print("| environments | n | env.step | collect adds, median of pairs | least - least |\n|---|---|---|---|---|")
    for env_id in ("CartPole-v1", "HalfCheetah-v5"):
        for n_envs in (1, 8):
            bare, whole = measure(env_id, n_envs)
            added = statistics.median(b - a for a, b in zip(bare, whole, strict=True))
            least = min(whole) - min(bare)
            print(
                f"| {env_id} | {n_envs} | {statistics.median(bare):.1f} µs | {added:.2f} µs | {least:.2f} µs |",
                flush=True,
            )


if __name__ == "__main__":
    main()
