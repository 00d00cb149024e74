"""A saved policy in a control loop with a fixed rate. It needs only the policy, your sensors and your motors."""

import time

import numpy as np

from trpo_fast import TRPO, load_policy

TRPO("MlpPolicy", "Pendulum-v1", gamma=0.9, n_steps=1024, seed=0).learn(20_480).save("pendulum")  # once, before

policy, theta = load_policy("pendulum")
actor = policy.actor(theta)
observation = np.zeros((1, 3))  # float64, from the sensors
row = np.zeros((1, 1), np.float32)  # the policy's output, before the bounds
command = policy.codec.empty_env_actions(1)  # the output within the bounds of the motors

PERIOD = 0.01
angle, speed = np.pi, 0.0  # this example's sensors and motor: a hanging pendulum
took = []
begin = time.perf_counter()
for tick in range(200):
    observation[0] = np.cos(angle), np.sin(angle), speed
    before = time.perf_counter()
    actor.act(observation, None, row, command.reshape(1, -1))
    took.append(time.perf_counter() - before)
    speed = np.clip(speed + (15.0 * np.sin(angle) + 3.0 * command[0, 0]) * PERIOD, -8.0, 8.0)
    angle += speed * PERIOD
    time.sleep(max(0.0, begin + (tick + 1) * PERIOD - time.perf_counter()))
print(f"a command took {1e6 * np.median(took):.1f} us, the slowest {1e6 * max(took):.0f} us; angle {angle:.2f}")
