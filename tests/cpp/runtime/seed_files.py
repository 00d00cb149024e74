"""Small policy files of every kind, for a fuzzer to begin with: ``python seed_files.py FOLDER``."""

import sys
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np

from trpo_fast import Policy, save_policy
from trpo_fast.nets import Conv2d, Dense, Parallel

BOX = gym.spaces.Box(-1.0, 1.0, (1,), np.float32)
IMAGE = gym.spaces.Box(0, 255, (1, 2, 3), np.uint8)
KINDS = [
    (BOX, BOX, {}),
    (gym.spaces.Discrete(2), gym.spaces.Discrete(2), {"use_masking": True}),
    (gym.spaces.Dict(a=BOX, b=gym.spaces.MultiBinary(2)), gym.spaces.MultiDiscrete([2, 2]), {"dtype": "float64"}),
    (gym.spaces.Tuple((gym.spaces.MultiDiscrete([2, 2]),)), gym.spaces.MultiBinary(2), {}),
    (BOX, gym.spaces.Box(-1.0, 1.0, (1,), np.float64), {"squash": True, "state_dependent_std": True}),
    (IMAGE, BOX, {"features_extractor": Conv2d(1, 2, padding=1)}),
    (gym.spaces.Dict(a=BOX, b=IMAGE, c=BOX), gym.spaces.Discrete(2), {"features_extractor": Parallel({"a": Dense(1)})}),
]

folder = Path(sys.argv[1])
folder.mkdir(exist_ok=True)
for i, (observation_space, action_space, options) in enumerate(KINDS):
    policy = Policy(observation_space, action_space, net_arch=[1], **options)
    save_policy(folder / f"{i}", policy, policy.initial_parameters(0))
policy = Policy(gym.spaces.Dict(a=BOX, b=BOX), BOX, net_arch=[1], frame_stack=2)
facts = {"action_units": ["Nm"], "action_scale": [2.0], "action_offset": [0.5], "control_period": 0.01}
policy = policy.named({"é": "m", "b": ""}, ["u"])
policy = policy.with_interface(replace(policy.interface, environment="E-v0", **facts))
save_policy(folder / "named", policy, policy.initial_parameters(0))
