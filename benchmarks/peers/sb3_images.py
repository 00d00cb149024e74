"""sb3-contrib's TRPO on images: CnnPolicy with a features extractor for the policy and another for the critic."""

import torch
from sb3_contrib import TRPO
from stable_baselines3.common.logger import Logger

from benchmarks.harness.image_problems import ImageCriticProblem, ImageProblem
from benchmarks.harness.measuring import Contender
from benchmarks.harness.problems import Spaces
from benchmarks.peers.sb3_peer import assign, fill, settings_of, train_contenders
from trpo_fast import TRPOConfig


def image_update(p: ImageProblem, c: ImageCriticProblem, config: TRPOConfig) -> list[Contender]:
    """Its train(); the network is NatureCNN."""
    n = len(p.pixels)
    spaces = Spaces(p.policy.observation_space, p.policy.action_space)
    kwargs = {"share_features_extractor": False}
    options = {**settings_of(config), "n_steps": n, "policy_kwargs": kwargs, "device": "cpu"}
    model = TRPO("CnnPolicy", spaces, **options)
    model.set_logger(Logger(None, []))
    policy = model.policy
    actor: list[torch.nn.Parameter] = [*policy.pi_features_extractor.parameters(), *policy.action_net.parameters()]
    critic = [*policy.vf_features_extractor.parameters(), *policy.value_net.parameters()]
    assign(actor, p.theta)
    fill(model, p.pixels, p.actions, p.advantages, c.targets)
    return train_contenders(model, actor, critic, p.theta, c.state.theta)
