"""Writes policy files of version 3, and what their policies do, beside this script.

The files were written on Linux x86-64 by the last commit that wrote version 3 (eacafa4), with this script:
``python make_version_3.py``. Later versions of trpo_fast write other files, so it cannot be run with them.
"""

from pathlib import Path

import gymnasium as gym
import numpy as np

from trpo_fast import TRPO, Policy, save_policy

FOLDER = Path(__file__).parent
VECTOR = gym.spaces.Box(-np.inf, np.inf, (3,), np.float32)
BOX = gym.spaces.Box(np.float32([-1.0, -0.1]), np.float32([1.0, np.inf]))
DICT = gym.spaces.Dict({"goal": gym.spaces.Discrete(3, start=1), "sensors": gym.spaces.Tuple([VECTOR, VECTOR])})
BOUNDED = gym.spaces.Box(-0.1, 0.3, (2,), np.float64)
CASES = {
    "box": (VECTOR, BOX, {}),
    "discrete": (VECTOR, gym.spaces.Discrete(4, start=-2), {"activation_fn": "relu"}),
    "masked": (VECTOR, gym.spaces.MultiDiscrete([2, 3], start=[5, 0]), {"use_masking": True, "activation_fn": "elu"}),
    "dict": (DICT, gym.spaces.MultiBinary(3), {"activation_fn": "silu"}),
    "squash": (VECTOR, BOUNDED, {"squash": True, "normalize_observations": False}),
    "std_output": (VECTOR, BOX, {"state_dependent_std": True}),
    "float64": (VECTOR, BOUNDED, {"dtype": "float64"}),
}


def main() -> None:
    expected = {}
    for seed, (name, (observation_space, action_space, options)) in enumerate(CASES.items()):
        policy = Policy(observation_space, action_space, net_arch=[4], **options)
        rng = np.random.default_rng(seed)
        theta = rng.standard_normal(policy.num_params).astype(policy.dtype)
        columns = policy.observation_codec.is_continuous
        mean = np.where(columns, 10.0 * rng.standard_normal(columns.size), 0.0)
        var = np.where(columns, rng.uniform(0.1, 9.0, columns.size), 1.0)
        if policy.normalizer.enabled:
            statistics = type(policy.normalizer.statistics)(mean, var, 50.0)
            policy.normalizer = type(policy.normalizer)(statistics, columns=columns)
        save_policy(FOLDER / f"{name}_v3", policy, theta)
        rows = mean + np.sqrt(var) * rng.standard_normal((8, columns.size))
        rows[:, ~columns] = 1.0  # all choices are possible; of a Discrete no observation, but a row of numbers
        rows = rows.astype(np.float32).astype(np.float64)
        kernel_rows = np.empty((8, policy.codec.size), policy.dtype)
        policy.act(theta, rows, None, kernel_rows)
        expected[f"{name}.theta"], expected[f"{name}.rows"] = theta, rows
        expected[f"{name}.actions"] = np.asarray(policy.codec.to_env(kernel_rows)).reshape(8, -1)
    model = TRPO("MlpPolicy", "CartPole-v1", n_steps=32, n_critic_updates=2, policy_kwargs={"net_arch": [4]}, seed=0)
    model.learn(64).save(FOLDER / "model_v3")
    model.learn(64, reset_num_timesteps=False)
    expected["model.theta"], expected["model.value_theta"] = model.theta, model.value_theta
    np.savez_compressed(FOLDER / "expected_v3.npz", **expected)


if __name__ == "__main__":
    main()
