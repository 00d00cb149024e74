"""What does the vine buy? Noise of its gradient and of the single path's, per environment step; and its branches.

Gradients are those of the objective at theta, for policies that the single path has trained for a while; policy and
critic stay fixed while rollouts are repeated. Noise: the trace of the gradient's covariance times the steps that it
cost, over the squared length of its mean, which is the number of steps after which signal and noise are equal. Common
random numbers: the variance of the difference between two actions' Q over repetitions, without them over with them.
Workers: wall-clock time of vine rollouts of four environments, in one process and by two workers, in turn.
"""

import argparse
import dataclasses
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.harness.machine import Others, Setting
from benchmarks.harness.options import Option, Options
from benchmarks.harness.report import number
from benchmarks.harness.rows import DisagreementError, Row
from trpo_fast import TRPO, SurrogateObjective, VineObjective
from trpo_fast.environments.interface import Trajectories
from trpo_fast.environments.make import make_environments
from trpo_fast.sampling.rollouts import Rollout
from trpo_fast.sampling.vine import rollout_branch

SETTINGS = (Setting(1), Setting(2))
OPTIONS: Options = {"repetitions": Option(60, "rollouts of each sampler whose gradients are compared")}
COLUMNS = ("task", "trained steps", "what", "figures")
STAGES = {"CartPole-v1": (0, 20_000), "Hopper-v5": (0, 100_000)}
VINES = ((4, 10), (4, 50), (8, 10))  # K (of CartPole's two actions both are tried), horizon
HORIZONS = (10, 50)
STATES, TRUNK = 64, 1024
SEED = 30
PAIRS, DRAWS = 40, 20
TURNS = 7
NOT_FIGURES = ("task", "trained", "sampler", "horizon", "threads", "avx2", "others", "judged")


def measure(setting: Setting, options: argparse.Namespace) -> Iterator[Row]:
    """Noise on one core, workers on two."""
    for env_id, stages in STAGES.items():
        if setting.threads == 1:
            for n_steps in stages:
                yield from noises(env_id, n_steps, options.repetitions)
        else:
            yield {"task": env_id, **workers(env_id)}


def cells(row: Row) -> Sequence[str]:
    what = row.get("sampler") or (f"branches of {row['horizon']} steps" if "horizon" in row else "workers")
    figures = (f"{name} {number(value)}" for name, value in row.items() if name not in NOT_FIGURES)
    return [row["task"], str(row.get("trained", "")), what, ", ".join(figures)]


def noises(env_id: str, n_steps: int, repetitions: int) -> Iterator[Row]:
    """Rows of one policy: noise of the single path and of vines, and what common random numbers save."""
    where = {"task": env_id, "trained": max(n_steps, TRUNK)}
    model = TRPO("MlpPolicy", env_id, n_steps=TRUNK, seed=SEED).learn(where["trained"])
    yield {**where, "sampler": "single path", **noise(model, repetitions)}
    for n_actions, horizon in VINES:
        vine = with_vine(model, env_id, vine_states=STATES, vine_actions=n_actions, vine_horizon=horizon)
        yield {**where, "sampler": f"vine, K={n_actions}, H={horizon}", **noise(vine, repetitions)}
    for horizon in HORIZONS:
        factor = common_random_numbers(model, env_id, horizon)
        yield {**where, "horizon": horizon, "variance saved by common random numbers": factor}


def with_vine(model: TRPO, env_id: str, **settings: Any) -> TRPO:
    """The same model, sampling a vine."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        model.save(path)
        return TRPO.load(path, env_id, seed=SEED, method="vine", vine_trunk_steps=TRUNK, **settings)


def noise(model: TRPO, repetitions: int) -> dict[str, float]:
    """The number of steps after which the gradient's mean is as long as its noise."""
    rollouts = (model.sample_rollout(reset=i == 0) for i in range(repetitions))
    gradients, steps = zip(*((gradient(model, rollout), steps_of(rollout)) for rollout in rollouts), strict=True)
    samples, cost = np.array(gradients), float(np.mean(steps))
    mean = samples.mean(axis=0)
    variance = samples.var(axis=0, ddof=1).sum()
    signal = mean @ mean - variance / len(samples)  # without the noise of the mean itself
    return {"steps": cost, "steps for signal = noise": float(cost * variance / signal)}


def gradient(model: TRPO, rollout: Rollout) -> np.ndarray:
    """The gradient of the objective at the model's theta."""
    batch = model.make_batch(rollout).policy_batch
    if rollout.branches is not None:
        return VineObjective(model.policy, model.theta, *batch).gradient()
    advantages = batch.advantages - batch.advantages.mean()
    return SurrogateObjective(model.policy, model.theta, batch.observations, batch.actions, advantages).gradient()


def steps_of(rollout: Rollout) -> int:
    """Environment steps, those of branches included."""
    return rollout.num_transitions + (rollout.branches.n_steps if rollout.branches else 0)


def predict_values(model: TRPO, observations: np.ndarray) -> np.ndarray:
    """The critic's values of raw observations."""
    state = dataclasses.replace(
        model.value_function.initial_state(0), theta=model.value_theta, target_statistics=model.return_statistics
    )
    return model.value_function.predict(state, model.policy.critic_inputs(observations))


def common_random_numbers(model: TRPO, env_id: str, horizon: int) -> float:
    """Variance of the difference between two actions' Q with independent noise, over that with common noise."""
    environments = make_environments(env_id, 1)
    observations = environments.reset(SEED)
    stream = np.random.default_rng(SEED)
    actor, codec, size = model.actor, model.policy.codec, model.policy.codec.size
    single = environments.single(0, ago=0)
    own, common = 0.0, 0.0
    for _ in range(PAIRS):
        for _ in range(20):  # to another state
            row, taken = np.empty((1, size), np.float32), codec.empty_env_actions(1)
            actor.act(observations, stream.standard_normal((1, size), np.float32), row, taken.reshape(1, -1))
            into = Trajectories.of_steps(1, 1, model.policy.observation_codec)
            environments.step(codec.in_space(taken), 0, into)
            observations = into.observations[1]
        snapshot = environments.capture(0)
        firsts = np.empty((2, size), np.float32)
        actor.act(np.tile(observations, (2, 1)), stream.standard_normal((2, size), np.float32), firsts)
        if isinstance(model.action_space, gym.spaces.Discrete):  # CartPole's two
            firsts[:, 0] = 0.0, 1.0
        q = np.empty((2, DRAWS))
        for draw in range(DRAWS):
            noise_of_branch = stream.standard_normal((horizon, 1, size), np.float32)
            for k in range(2):
                environments.restore(0, snapshot)
                branch = rollout_branch(single, actor, firsts[k], noise_of_branch, model.config.gamma)
                q[k, draw] = branch.rewards @ model.config.gamma ** np.arange(branch.n_steps)
                q[k, draw] += branch.discount * float(predict_values(model, branch.tail[None])[0])
        environments.restore(0, snapshot)
        common += np.var(q[0] - q[1], ddof=1)
        own += np.var(q[0], ddof=1) + np.var(q[1], ddof=1)
    return float(own / common)


def workers(env_id: str) -> Row:
    """Seconds of a vine rollout, and how many times as fast two workers are."""
    models = [
        TRPO(
            "MlpPolicy", env_id, method="vine", n_envs=4, n_workers=k, vine_states=100, vine_trunk_steps=512, seed=SEED
        )
        for k in (0, 2)
    ]
    for model in models:
        model.sample_rollout()
    others = Others()
    times: list[list[float]] = [[], []]
    for _ in range(TURNS):
        rewards = []
        for model, own in zip(models, times, strict=True):
            begin = time.perf_counter()
            rollout = model.sample_rollout()
            own.append(time.perf_counter() - begin)
            rewards.append(rollout.branches.rewards)
        if not np.array_equal(*rewards):
            raise DisagreementError("2 workers: expected the rewards of one process")
    models[1].env.close()
    ratios = np.divide(*times)
    return {
        "seconds": float(np.median(times[0])),
        "seconds by 2 workers": float(np.median(times[1])),
        "ratio": float(np.median(ratios)),
        "smallest ratio": float(ratios.min()),
        "largest ratio": float(ratios.max()),
        **others.row(),
    }
