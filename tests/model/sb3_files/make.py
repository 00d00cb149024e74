"""Make the files in this folder with Stable-Baselines3, sb3-contrib and PyTorch: python make.py.

Made by versions 2.9.2, 2.9.2 and 2.13.0. answers.npz has what the models do with some observations.
"""

import json
import zipfile
from io import BytesIO
from pathlib import Path

import gymnasium as gym
import numpy as np
import sb3_contrib
import stable_baselines3 as sb3
import torch
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

FOLDER = Path(__file__).parent
SPACES = {
    "Discrete": gym.spaces.Discrete(2),
    "MultiDiscrete": gym.spaces.MultiDiscrete([3, 2]),
    "MultiBinary": gym.spaces.MultiBinary(3),
    "Box": gym.spaces.Box(-2.0, 2.0, (1,)),
}
MODELS = {
    "trpo_discrete": (sb3_contrib.TRPO, "Discrete"),
    "trpo_multidiscrete": (sb3_contrib.TRPO, "MultiDiscrete"),
    "trpo_multibinary": (sb3_contrib.TRPO, "MultiBinary"),
    "trpo_box": (sb3_contrib.TRPO, "Box"),
    "ppo_box": (sb3.PPO, "Box"),
    "a2c_discrete": (sb3.A2C, "Discrete"),
}


class Random(gym.Env):
    observation_space = gym.spaces.Box(-1.0, 1.0, (3,), np.float32)

    def __init__(self, space):
        self.action_space = SPACES[space]

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.uniform(-1, 1, 3).astype(np.float32), {}

    def step(self, action):
        observation = self.np_random.uniform(-1, 1, 3).astype(np.float32)
        return observation, float(np.sum(action) * observation[0]), False, bool(self.np_random.random() < 0.1), {}


def save(model, name):
    """Without the optimiser's state, and without the JSON's pickles, which hold paths of the machine."""
    with BytesIO() as whole:
        model.save(whole)
        with zipfile.ZipFile(whole) as archive:
            data = json.loads(archive.read("data"))
            weights = archive.read("policy.pth")
    for value in data.values():
        if isinstance(value, dict):
            value.pop(":serialized:", None)
    with zipfile.ZipFile(FOLDER / f"{name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data", json.dumps(data))
        archive.writestr("policy.pth", weights)


def main():
    settings = {"n_steps": 64, "seed": 1, "device": "cpu"}
    nets = {"net_arch": {"pi": [12, 8], "vf": [6]}, "activation_fn": torch.nn.ReLU}
    observations = np.random.default_rng(0).uniform(-1, 1, (50, 3)).astype(np.float32)
    answers = {"observations": observations}
    for name, (algorithm, space) in MODELS.items():
        model = algorithm("MlpPolicy", Random(space), policy_kwargs=nets, **settings).learn(64)
        with torch.no_grad():
            model.policy.action_net.weight *= 20.0  # for actions that differ from each other
        save(model, name)
        answers[f"{name} actions"] = model.predict(observations, deterministic=True)[0]
        values = model.policy.predict_values(torch.as_tensor(observations))
        answers[f"{name} values"] = values.detach().numpy()[:, 0]
    venv = VecNormalize(DummyVecEnv([lambda: Random("Box")]))
    model = sb3_contrib.TRPO("MlpPolicy", venv, policy_kwargs=nets, **settings).learn(64)
    save(model, "normalized")
    venv.save(str(FOLDER / "vec_normalize.pkl"))
    rms = venv.obs_rms
    np.savez(FOLDER / "vec_normalize.npz", mean=rms.mean, var=rms.var, count=rms.count)
    answers["normalized actions"] = model.predict(venv.normalize_obs(observations), deterministic=True)[0]
    save(sb3.PPO("MlpPolicy", Random("Box"), use_sde=True, policy_kwargs=nets, **settings), "sde")
    save(sb3.DQN("MlpPolicy", Random("Discrete"), policy_kwargs={"net_arch": [3]}, buffer_size=1, device="cpu"), "dqn")
    np.savez_compressed(FOLDER / "answers.npz", **answers)


if __name__ == "__main__":
    main()
