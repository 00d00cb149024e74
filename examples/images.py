"""Learn from pixels, with a network of your own."""

import gymnasium as gym
import numpy as np

from trpo_fast import TRPO, evaluate
from trpo_fast.nets import Conv2d, Dense, Flatten, Sequential


class Catch(gym.Env):
    """A ball falls down a board of 6 x 6 cells. The paddle in the bottom row must be below it."""

    observation_space = gym.spaces.Box(0, 255, (1, 18, 18), np.uint8)
    action_space = gym.spaces.Discrete(3)  # left, stay, right

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.row, self.column, self.paddle = 0, self.np_random.integers(6), 3
        return self._draw(), {}

    def step(self, action):
        self.row += 1
        self.paddle = min(max(self.paddle + int(action) - 1, 0), 5)
        is_over = self.row == 5
        reward = is_over * (1.0 if self.paddle == self.column else -1.0)
        return self._draw(), reward, is_over, False, {}

    def _draw(self):
        board = np.zeros((6, 6), np.uint8)
        board[self.row, self.column] = board[5, self.paddle] = 255
        return board.repeat(3, axis=0).repeat(3, axis=1)[None]


net = Sequential(Conv2d(8, 3, stride=3), Flatten(), Dense(32))
model = TRPO("CnnPolicy", [Catch] * 8, policy_kwargs={"features_extractor": net}, n_steps=128, seed=0)
model.learn(20_000)
print(f"{model.policy}: {evaluate(model, [Catch], 50, seed=1)}")
