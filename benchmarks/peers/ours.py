"""trpo_fast as a contender: the functions of ``benchmarks.peers``, through its public names."""

import time

import gymnasium as gym
import numpy as np

from benchmarks.harness.measuring import Contender
from benchmarks.harness.problems import CriticProblem, PolicyProblem, Spaces
from benchmarks.harness.rows import OURS
from trpo_fast import TRPO, Batch, FisherOperator, TRPOConfig, conjugate_gradient, trpo_update


def fisher_product(p: PolicyProblem, v: np.ndarray) -> list[Contender]:
    F = FisherOperator(p.policy, p.theta, p.observations, p.damping)
    return [Contender(OURS, "", lambda: F @ v)]


def solve(p: PolicyProblem, b: np.ndarray, n_iterations: int) -> list[Contender]:
    def call() -> np.ndarray:
        F = FisherOperator(p.policy, p.theta, p.observations, p.damping)
        return conjugate_gradient(F, b, max_iter=n_iterations).x

    return [Contender(OURS, "", call)]


def fit_critic(c: CriticProblem) -> list[Contender]:
    options = {"batch_size": c.batch_size, "learning_rate": c.learning_rate}

    def call() -> np.ndarray:
        return c.value_function.fit(c.state, c.inputs, c.targets, c.order, **options).state.theta

    return [Contender(OURS, "", call, c.n_steps)]


def update(p: PolicyProblem, c: CriticProblem, config: TRPOConfig) -> list[Contender]:
    batch = Batch(p.observations, p.actions, p.advantages, c.targets)
    options = {"batch_size": c.batch_size, "learning_rate": c.learning_rate}

    def call() -> tuple[np.ndarray, np.ndarray]:
        fitting = c.value_function.begin_fit(c.state, c.inputs, c.targets, c.order, **options)
        theta, _ = trpo_update(p.policy, p.theta, batch, config)
        return theta - p.theta, fitting.result().state.theta

    return [Contender(OURS, "", call)]


def fresh_model(p: PolicyProblem) -> TRPO:
    """The problem's network in a model with its own, always the same parameters."""
    spaces = Spaces(p.policy.observation_space, p.policy.action_space)
    return TRPO("MlpPolicy", spaces, policy_kwargs={"net_arch": p.sizes[1:-1]}, seed=0)


def act(p: PolicyProblem) -> list[Contender]:
    """``predict``, and the call with a preallocated output; theta must be ``fresh_model``'s."""
    model, actor, row = fresh_model(p), p.policy.actor(p.theta), p.observations[:1]
    out = np.empty((1, p.sizes[-1]), p.theta.dtype)

    def call() -> np.ndarray:
        actor.act(row, None, out)
        return out

    return [
        Contender(OURS, "predict", lambda: model.predict(row, deterministic=True)[0]),
        Contender(f"{OURS}, out=", "Actor.act", call),
    ]


def collect(task: str, n_envs: int, n_steps: int, seed: int) -> list[Contender]:
    """Rollouts from ``seed``: the actions as the environments got them, and the rewards, (n_steps, n_envs, ...)."""
    model = TRPO("MlpPolicy", task, n_envs=n_envs, n_steps=n_steps, seed=seed)

    def call() -> tuple[np.ndarray, np.ndarray]:
        model.set_random_seed(seed)
        rollout = model.sample_rollout(reset=True)
        actions = model.policy.codec.to_env(rollout.actions.reshape(n_steps * n_envs, -1))
        return actions.reshape(n_steps, n_envs, *actions.shape[1:]), rollout.trajectories.rewards

    return [Contender(OURS, "", call)]


def train(env: gym.Env, seed: int, n_steps: int) -> dict[str, float]:
    """Seconds of ``learn`` and the mean return at its end, with sb3-contrib's defaults."""
    model = TRPO(
        "MlpPolicy",
        env,
        seed=seed,
        policy_kwargs={"log_std_init": 0.0},
        normalize_observations=False,
        normalize_returns=False,
        kl_reduction="mean",
        step_norm="damped",
    )
    start = time.perf_counter()
    model.learn(n_steps)
    return {"seconds": time.perf_counter() - start, "ep_rew_mean": model.metrics["rollout/ep_rew_mean"]}
