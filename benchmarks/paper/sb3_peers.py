"""PPO and A2C of Stable-Baselines3 with its defaults, as peers: pip install stable-baselines3, and torch for CPUs.

Networks are of the study's size; observations and rewards are normalised, as RL Baselines3 Zoo does for locomotion.
"""

from typing import Any

import numpy as np

from benchmarks.paper.tasks import Task

Points = list[tuple[int, float]]  # environment steps, mean return of the last 100 training episodes


def learn(algorithm: str, task: Task, seed: int, n_steps: int, n_episodes: int) -> tuple[list[float], Points, int]:
    """Returns of deterministic episodes of the last policy, the curve, and the number of the policy's parameters."""
    import stable_baselines3
    import torch
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    points: Points = []

    class Watch(BaseCallback):
        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            returns = [episode["r"] for episode in self.model.ep_info_buffer]
            if returns:
                points.append((self.num_timesteps, float(np.mean(returns))))

    torch.set_num_threads(1)
    env = VecNormalize(DummyVecEnv([lambda: Monitor(task.make())]))
    arguments: dict[str, Any] = {"policy_kwargs": {"net_arch": [task.hidden]}, "device": "cpu", "seed": seed}
    model = getattr(stable_baselines3, algorithm)("MlpPolicy", env, **arguments).learn(n_steps, Watch())
    policy = model.policy
    parameters = [*policy.mlp_extractor.policy_net.parameters(), *policy.action_net.parameters()]
    log_std = [policy.log_std] if hasattr(policy, "log_std") else []
    judge = task.make()
    judge.reset(seed=1_000_000 + seed)
    returns = []
    for _ in range(n_episodes):
        observation, _ = judge.reset()
        total, done = 0.0, False
        while not done:
            action, _ = model.predict(env.normalize_obs(observation), deterministic=True)
            observation, reward, terminated, truncated, _ = judge.step(action)
            total += float(reward)
            done = terminated or truncated
        returns.append(total)
    return returns, points[:: max(1, len(points) // 250)], sum(p.numel() for p in (*parameters, *log_std))
