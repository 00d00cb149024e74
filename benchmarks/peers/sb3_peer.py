"""sb3-contrib's own TRPO object, its rollout buffer filled with a problem's batch."""

import copy
import time
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from sb3_contrib import TRPO
from sb3_contrib.common.utils import conjugate_gradient_solver
from stable_baselines3.common.distributions import kl_divergence
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.utils import safe_mean

from benchmarks.harness.measuring import Contender
from benchmarks.harness.problems import CriticProblem, PolicyProblem, Spaces
from trpo_fast import TRPOConfig

ORDER_SEED = 7  # critic_problem's order


def make_model(p: PolicyProblem, **settings: object) -> TRPO:
    """sb3-contrib's TRPO with the policy problem's network and parameters."""
    widths = list(p.sizes[1:-1])
    n = max(2, len(p.inputs))  # the least it takes
    model = TRPO(
        "MlpPolicy",
        Spaces(p.policy.observation_space, p.policy.action_space),
        n_steps=n,
        policy_kwargs={"net_arch": {"pi": widths, "vf": [64, 64]}},
        device="cpu",
        **{"batch_size": n, **settings},
    )
    model.set_logger(Logger(None, []))
    assign(actor_parameters(model), p.theta)
    return model


def actor_parameters(model: TRPO) -> list[torch.nn.Parameter]:
    """In the order of our theta."""
    policy = model.policy
    return [*policy.mlp_extractor.policy_net.parameters(), *policy.action_net.parameters(), policy.log_std]


def critic_parameters(model: TRPO) -> list[torch.nn.Parameter]:
    """In the order of our theta."""
    return [*model.policy.mlp_extractor.value_net.parameters(), *model.policy.value_net.parameters()]


def assign(parameters: list[torch.nn.Parameter], theta: np.ndarray) -> None:
    with torch.no_grad():
        for parameter, flat in zip(parameters, _split(parameters, torch.from_numpy(theta)), strict=True):
            parameter.copy_(flat.view(parameter.shape))


def flat(parameters: list[torch.nn.Parameter]) -> np.ndarray:
    return torch.cat([parameter.detach().reshape(-1) for parameter in parameters]).numpy()


def _split(parameters: list[torch.nn.Parameter], vector: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return vector.split([parameter.numel() for parameter in parameters])


class FisherOperator:
    """sb3-contrib's hessian_vector_product on its kept graph; its KL averages over the d dimensions, so d times that.

    Vectors are in sb3's order, log_std first; ``to_sb3`` and ``from_sb3`` reorder.
    """

    def __init__(self, p: PolicyProblem, model: TRPO) -> None:
        self.dimensions = p.sizes[-1]
        model.cg_damping = p.damping / self.dimensions
        with torch.no_grad():
            old = copy.copy(model.policy.get_distribution(torch.from_numpy(p.inputs)))
        new = model.policy.get_distribution(torch.from_numpy(p.inputs))
        objective = new.log_prob(torch.from_numpy(p.actions)).mean()
        parameters, _, kl_gradient, _ = model._compute_actor_grad(kl_divergence(new, old).mean(), objective)
        self.product = lambda v: model.hessian_vector_product(parameters, kl_gradient, v)

    def to_sb3(self, v: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.roll(v, self.dimensions).astype(np.float32))

    def from_sb3(self, v: torch.Tensor) -> np.ndarray:
        return np.roll(v.numpy(), -self.dimensions)


def fisher_product(p: PolicyProblem, v: np.ndarray) -> list[Contender]:
    if p.inputs.dtype != np.float32:  # its policies have no other
        return []
    F = FisherOperator(p, make_model(p))
    tensor = F.to_sb3(v)
    return [Contender("sb3-contrib", "its own", lambda: F.from_sb3(F.dimensions * F.product(tensor)))]


def solve(p: PolicyProblem, b: np.ndarray, n_iterations: int) -> list[Contender]:
    model = make_model(p)

    def call() -> np.ndarray:
        F = FisherOperator(p, model)
        x = conjugate_gradient_solver(F.product, F.to_sb3(b), max_iter=n_iterations)
        return F.from_sb3(x) / F.dimensions

    return [Contender("sb3-contrib", "its own solver", call)]


def update(p: PolicyProblem, c: CriticProblem, config: TRPOConfig) -> list[Contender]:
    """Its train()."""
    model = make_model(p, **settings_of(config))
    fill(model, p.inputs, p.actions, p.advantages, c.targets)
    return train_contenders(model, actor_parameters(model), critic_parameters(model), p.theta, c.state.theta)


def settings_of(config: TRPOConfig) -> dict[str, Any]:
    """The settings of its update."""
    names = (
        "learning_rate", "batch_size", "n_critic_updates", "target_kl", "cg_max_steps", "cg_damping",
        "line_search_max_iter", "line_search_shrinking_factor",
    )  # fmt: skip
    return {name: getattr(config, name) for name in names}


def train_contenders(
    model: TRPO,
    actor: list[torch.nn.Parameter],
    critic: list[torch.nn.Parameter],
    theta: np.ndarray,
    critic_theta: np.ndarray,
) -> list[Contender]:
    """``model.train()``; parameters and Adam are put back before every call, well within the thousandth part of it."""

    def call(threads: int) -> tuple[np.ndarray, np.ndarray]:
        torch.set_num_threads(threads)
        assign(actor, theta)
        assign(critic, critic_theta)
        model.policy.optimizer.state.clear()
        np.random.seed(ORDER_SEED)
        model.train()
        return flat(actor) - theta, flat(critic)

    counts = sorted({1, torch.get_num_threads()})
    return [Contender("sb3-contrib", f"train(), torch threads: {n}", lambda n=n: call(n)) for n in counts]


def fill(
    model: TRPO, observations: np.ndarray, actions: np.ndarray, advantages: np.ndarray, returns: np.ndarray
) -> None:
    """Put a batch into the model's rollout buffer, as its collect_rollouts would have left it."""
    buffer = model.rollout_buffer
    buffer.observations[:, 0], buffer.actions[:, 0] = observations, actions.reshape(len(actions), -1)
    buffer.advantages[:, 0], buffer.returns[:, 0] = advantages, returns
    with torch.no_grad():
        distribution = model.policy.get_distribution(torch.from_numpy(observations))
        buffer.log_probs[:, 0] = distribution.log_prob(torch.from_numpy(actions)).numpy()
    buffer.pos, buffer.full = buffer.buffer_size, True


def act(p: PolicyProblem) -> list[Contender]:
    model, x = make_model(p), p.inputs[0]
    return [Contender("sb3-contrib", "predict", lambda: model.predict(x, deterministic=True)[0][None])]


def collect(task: str, n_envs: int, n_steps: int, seed: int) -> list[Contender]:
    """Its collect_rollouts from ``seed``; the result is the actions as the environments got them, and the rewards."""
    torch.set_num_threads(1)
    model = TRPO("MlpPolicy", make_vec_env(task, n_envs), n_steps=n_steps, device="cpu")
    _, callback = model._setup_learn(n_steps)
    space = model.action_space

    def call() -> tuple[np.ndarray, np.ndarray]:
        model.env.seed(seed)
        model._last_obs = model.env.reset()
        model._last_episode_starts = np.ones(n_envs, dtype=bool)
        model.collect_rollouts(model.env, callback, model.rollout_buffer, n_steps)
        actions, rewards = model.rollout_buffer.actions, model.rollout_buffer.rewards.copy()
        if isinstance(space, gym.spaces.Box):
            return np.clip(actions, space.low, space.high), rewards
        return actions[..., 0].astype(np.int64), rewards

    return [Contender("sb3-contrib", "collect_rollouts", call)]


def train(task: str, seed: int, n_steps: int, threads: int) -> dict[str, float]:
    """Seconds of ``learn`` and the mean return at its end, with its defaults."""
    torch.set_num_threads(threads)
    model = TRPO("MlpPolicy", task, seed=seed, device="cpu")
    start = time.perf_counter()
    model.learn(n_steps)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "ep_rew_mean": safe_mean([episode["r"] for episode in model.ep_info_buffer])}
