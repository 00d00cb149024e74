"""The tasks, as close to the paper's as MuJoCo's v5 environments allow; and how an episode is played."""

from collections.abc import Callable
from typing import Any, NamedTuple

import gymnasium as gym


class Task(NamedTuple):
    """An environment, the policy's hidden units, the steps of a vine's branch in the paper, and REINFORCE's step."""

    env_id: str
    env_kwargs: dict[str, Any]
    hidden: int
    paper_horizon: int
    gradient_step: float
    note: str

    def make(self) -> gym.Env[Any, Any]:
        return gym.make(self.env_id, **self.env_kwargs)


_POSITIONS = {"exclude_current_positions_from_observation": False}

TASKS = {
    "cart-pole": Task("CartPole-v1", {}, 20, 50, 1.0, "not the paper's cart-pole: two actions, 500 steps"),
    "swimmer": Task(
        "Swimmer-v5", {**_POSITIONS, "ctrl_cost_weight": 1e-5}, 30, 50, 0.1,
        "10 observations and v_x - 1e-5 |u|^2, as in the paper",
    ),
    "hopper": Task(
        "Hopper-v5", {**_POSITIONS, "ctrl_cost_weight": 5e-3}, 50, 100, 0.1,
        "12 observations and v_x - 0.005 |u|^2 + 1, as in the paper; it ends where v5 says",
    ),
    "walker": Task(
        "Walker2d-v5", {**_POSITIONS, "ctrl_cost_weight": 5e-3}, 50, 100, 0.1,
        "18 observations of the paper's 20, and no cost of strong impacts of the feet, which v5 does not have",
    ),
}  # fmt: skip


def play(env: gym.Env[Any, Any], act: Callable[[Any], Any]) -> tuple[float, int]:
    """The return and the length of one episode of ``act``, from observations to actions."""
    observation, _ = env.reset()
    total, length, done = 0.0, 0, False
    while not done:
        observation, reward, terminated, truncated, _ = env.step(act(observation))
        total += float(reward)
        length += 1
        done = terminated or truncated
    return total, length
