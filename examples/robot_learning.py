"""A robot that learns while it moves: its own loop instead of an environment, and control continues during updates."""

import time
from concurrent.futures import Future, ThreadPoolExecutor

import gymnasium as gym
import numpy as np

from trpo_fast import TRPO, UpdateReport

PERIOD = 0.05  # seconds
SPEED = 1000  # times that of a robot
SENSORS = gym.spaces.Box(-np.inf, np.inf, (2,))  # distance from the goal, speed
MOTOR = gym.spaces.Box(-1.0, 1.0, (1,))


def move(state: np.ndarray, force: float) -> np.ndarray:
    """Simulates the robot: a cart with friction on a rail of 4 m, which stops at the ends."""
    position, speed = state
    speed += (3.0 * force - 0.5 * speed) * PERIOD
    position += speed * PERIOD
    return np.array([position, speed] if abs(position) < 2.0 else [np.sign(position) * 2.0, 0.0])


model = TRPO("MlpPolicy", (SENSORS, MOTOR), gamma=0.95, policy_kwargs={"net_arch": (32,)}, seed=0)
transitions = model.transitions()
rng = np.random.default_rng(0)
state, ticks = rng.uniform(-1.0, 1.0, 2), 0
update: Future[UpdateReport] | None = None
costs: list[float] = []

with ThreadPoolExecutor(max_workers=1) as learner:
    while model.num_timesteps < 40_000:
        force = transitions.act(state)  # from the latest committed policy, also during an update
        state, ticks = move(state, float(force[0])), ticks + 1
        reward = -float(state[0] ** 2 + 0.01 * force[0] ** 2)
        is_over = ticks % 100 == 0
        transitions.add(reward, state, truncated=is_over)  # truncated, not terminated: the critic predicts the rest
        costs.append(-reward)
        time.sleep(PERIOD / SPEED)  # a loop that never waits leaves the update no time
        if is_over:
            state = rng.uniform(-1.0, 1.0, 2)
        if (update is None or update.done()) and len(transitions) >= 2000:  # in this order: an update drops some
            if update is not None:
                update.result()  # raises an error of the other thread here
            update = learner.submit(model.update, model.collect(transitions))
    if update is not None:
        update.result()

print(f"cost per tick: {np.mean(costs[:2000]):.3f} at first, {np.mean(costs[-2000:]):.3f} at last")
print(f"{model.metrics['train/n_updates']} updates; {transitions.n_dropped} ticks with a replaced policy were dropped")
