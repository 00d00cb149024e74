"""An environment with action masks, in two worker processes."""

import gymnasium as gym
import numpy as np

from trpo_fast import TRPO, evaluate


class Corridor(gym.Env):
    """Walk right to the end of a corridor. Its left end blocks steps to the left; doors to the right open at random."""

    observation_space = gym.spaces.Box(0.0, 1.0, (2,), np.float32)
    action_space = gym.spaces.Discrete(3)  # left, wait, right

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = 0, 0
        self.door_is_open = False
        return self._observe(), {"action_mask": self._mask()}

    def step(self, action):
        self.place += int(action) - 1
        self.steps += 1
        self.door_is_open = self.np_random.random() < 0.7
        is_there = self.place == 5
        return self._observe(), -1.0 + 10.0 * is_there, is_there, self.steps == 50, {"action_mask": self._mask()}

    def _observe(self):
        return np.array([self.place / 5, self.door_is_open], np.float32)

    def _mask(self):
        return np.array([self.place > 0, True, self.door_is_open], np.int8)


model = TRPO("MlpPolicy", [Corridor] * 4, n_workers=2, use_masking=True, n_steps=256, seed=0)
model.learn(10_000)
model.env.close()
action, _ = model.predict([0.2, 0.0], deterministic=True, action_masks=[1, 1, 0])
print(f"action at a closed door: {action}; {evaluate(model, [Corridor], 20, seed=1)}")
