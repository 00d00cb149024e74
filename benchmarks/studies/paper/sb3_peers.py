"""PPO and A2C of Stable-Baselines3 with its defaults, as peers: pip install stable-baselines3, and torch for CPUs.

Networks are of the study's size; observations and rewards are normalised, as RL Baselines3 Zoo does for locomotion.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.studies.paper.derivative_free import Curve
from benchmarks.studies.paper.tasks import Task


def learn(algorithm: str, task: Task, seed: int, n_steps: int) -> tuple[Callable[[Any], Any], Curve, int]:
    """The last policy, deterministic; the curve, of the last 100 training episodes; the number of its parameters."""
    import stable_baselines3
    import torch
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.monitor import Monitor
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    points: Curve = []

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
    num_params = sum(p.numel() for p in (*parameters, *log_std))

    def act(observation: Any) -> Any:
        return model.predict(env.normalize_obs(observation), deterministic=True)[0]

    return act, points[:: max(1, len(points) // 250)], num_params
