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
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
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


class RandomImages(gym.Env):
    """Observations of blocks of few shades, which compress well."""

    def __init__(self, observation_space, action_space):
        self.observation_space, self.action_space = observation_space, SPACES[action_space]

    def observation(self, rng):
        space = self.observation_space
        if isinstance(space, gym.spaces.Dict):
            return {key: self.part(part, rng) for key, part in space.items()}
        return self.part(space, rng)

    def part(self, space, rng):
        if isinstance(space, gym.spaces.MultiBinary):
            return rng.integers(2, size=space.shape, dtype=np.int8)
        if space.dtype != np.uint8:
            return rng.uniform(-1, 1, space.shape).astype(np.float32)
        image = rng.integers(8, size=[-(-side // 6) for side in space.shape], dtype=np.uint8) * 36
        for axis, side in enumerate(space.shape):
            image = image.repeat(6, axis).take(np.arange(side), axis)
        return image

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.observation(self.np_random), {}

    def step(self, action):
        observation = self.observation(self.np_random)
        return observation, float(np.sum(action)), False, bool(self.np_random.random() < 0.1), {}


IMAGES = {
    "one": gym.spaces.Box(0, 255, (36, 37, 1), np.uint8),
    "parts": gym.spaces.Dict(
        state=gym.spaces.Box(-1.0, 1.0, (3,), np.float32),
        camera=gym.spaces.Box(0, 255, (2, 36, 36), np.uint8),
        bits=gym.spaces.MultiBinary(2),
    ),
}
CNNS = {  # algorithm, policy, observation and action space, policy_kwargs
    "ppo_cnn": (sb3.PPO, "CnnPolicy", "one", "Discrete", {"features_extractor_kwargs": {"features_dim": 6}}),
    "a2c_cnn": (
        sb3.A2C, "CnnPolicy", "one", "Box",
        {"features_extractor_kwargs": {"features_dim": 6}, "share_features_extractor": False,
         "net_arch": {"pi": [5], "vf": [4]}},
    ),
    "trpo_multi": (
        sb3_contrib.TRPO, "MultiInputPolicy", "parts", "MultiDiscrete",
        {"features_extractor_kwargs": {"cnn_output_dim": 6}, "net_arch": [7], "normalize_images": False},
    ),
}  # fmt: skip


class Mean(BaseFeaturesExtractor):
    """A features extractor that trpo_fast does not know."""

    def __init__(self, space):
        super().__init__(space, 1)
        self.scale = torch.nn.Linear(1, 1)

    def forward(self, observations):
        return self.scale(observations.mean(dim=(1, 2, 3))[:, None])


def make_ternary(policy):
    """Weights of three values, and biases of few, which compress well."""
    with torch.no_grad():
        for parameter in policy.parameters():
            size = parameter.std() if parameter.ndim > 1 else torch.tensor(0.1)
            noise = torch.randn(parameter.shape)
            parameter.copy_(size * torch.sign(noise) * (noise.abs() > 0.5))
        policy.action_net.weight *= 20.0


def logits(policy, observations):
    """What the policy puts out for a batch of observations, before its distribution, and the critic's values."""
    tensors, _ = policy.obs_to_tensor(observations)
    features = policy.extract_features(tensors)
    features = features[0] if isinstance(features, tuple) else features
    latent = policy.mlp_extractor.forward_actor(features)
    return policy.action_net(latent).detach().numpy(), policy.predict_values(tensors).detach().numpy()[:, 0]


def save_images(answers):
    torch.manual_seed(0)
    settings = {"n_steps": 8, "seed": 1, "device": "cpu"}
    for name, (algorithm, policy, observed, acted, kwargs) in CNNS.items():
        env = RandomImages(IMAGES[observed], acted)
        model = algorithm(policy, env, policy_kwargs=kwargs, **settings)
        make_ternary(model.policy)
        save(model, name)
        rng = np.random.default_rng(0)
        observations = [env.observation(rng) for _ in range(32)]
        parts = {"": observations}
        if observed == "parts":
            parts = {key: [observation[key] for observation in observations] for key in env.observation_space}
        answers |= {f"{observed} {key}".strip(): np.stack(values) for key, values in parts.items()}
        batch = {key: np.stack(values) for key, values in parts.items()} if observed == "parts" else np.stack(parts[""])
        answers[f"{name} logits"], answers[f"{name} values"] = logits(model.policy, batch)
    env = RandomImages(IMAGES["one"], "Discrete")
    save(
        sb3.PPO("CnnPolicy", env, policy_kwargs={"features_extractor_class": Mean, "net_arch": []}, **settings),
        "mean_cnn",
    )


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
    save_images(answers)
    np.savez_compressed(FOLDER / "answers.npz", **answers)


if __name__ == "__main__":
    main()
