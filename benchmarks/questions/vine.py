"""What does the vine buy? Noise of its gradient against the single path's, per environment step; and its branches.

Gradients are those of L at theta, of policies that were trained with the single path for a while; policy and critic
stay fixed while rollouts are repeated. Noise: the trace of the gradient's covariance times the steps that it cost, over
the squared length of its mean, which is the number of steps after which signal and noise are as long. Common random
numbers: the variance of the difference between two actions' Q over repetitions, without them over with them. Workers:
wall-clock of vine rollouts of four environments, in this process and by two workers, turn by turn.

    python -m benchmarks.questions.vine
"""

import time
from typing import Any

import numpy as np

from benchmarks.harness.problems import save
from trpo_fast import TRPO, SurrogateObjective, VineObjective
from trpo_fast.environments.interface import Trajectories
from trpo_fast.environments.make import make_environments
from trpo_fast.sampling.vine import rollout_branch
from trpo_fast.training.batching import to_batch

STAGES = {"CartPole-v1": (0, 20_000), "Hopper-v5": (0, 100_000)}
REPETITIONS = 60
VINES = ((4, 10), (4, 50), (8, 10))  # K (of CartPole's two actions both are tried), horizon
HORIZONS = (10, 50)
STATES, TRUNK = 64, 1024
SEED = 30
PAIRS, DRAWS = 40, 20
TURNS = 7


def trained(env_id: str, n_steps: int) -> TRPO:
    """A policy after ``n_steps`` of single-path training, with its critic."""
    model = TRPO("MlpPolicy", env_id, n_steps=TRUNK, seed=SEED)
    return model.learn(max(n_steps, TRUNK))


def with_vine(model: TRPO, env_id: str, **settings: Any) -> TRPO:
    """A model with the same policy and critic that samples a vine."""
    vine = TRPO("MlpPolicy", env_id, method="vine", seed=SEED, vine_trunk_steps=TRUNK, **settings)
    vine.set_parameters(model.get_parameters())
    vine.set_observation_statistics(model.policy.normalizer.statistics)
    return vine


def noise(gradients: list[np.ndarray], steps: list[int]) -> dict[str, float]:
    """Steps after which the gradient's mean is as long as its noise."""
    samples = np.array(gradients)
    mean = samples.mean(axis=0)
    variance = samples.var(axis=0, ddof=1).sum()
    signal = mean @ mean - variance / len(samples)  # the mean's own noise is no signal
    return {"steps": float(np.mean(steps)), "steps for signal = noise": float(np.mean(steps) * variance / signal)}


def single_path(model: TRPO) -> dict[str, float]:
    gradients, steps = [], []
    model._training.begin(anew=True)
    for _ in range(REPETITIONS):
        rollout = model._training.collector.collect(model.theta, TRUNK)
        batch, _ = to_batch(rollout, rollout.trajectories.rewards, model.policy, values_of(model), model.config)
        advantages = batch.advantages - batch.advantages.mean()
        objective = SurrogateObjective(model.policy, model.theta, batch.observations, batch.actions, advantages)
        gradients.append(objective.gradient())
        steps.append(rollout.num_transitions)
    return noise(gradients, steps)


def values_of(model: TRPO) -> Any:
    return lambda raw: model.value_function.predict(model._critic, model.policy.normalize(raw))


def vine(model: TRPO, critic_of: TRPO) -> dict[str, float]:
    gradients, steps = [], []
    model._training.begin(anew=True)
    for _ in range(REPETITIONS):
        rollout = model._training.collect(model.theta, model.policy, model.config, None)
        branches = rollout.branches
        values = values_of(critic_of)(branches.tails.reshape(branches.tail_discounts.size, -1))
        batch = branches.batch(model.policy, values, model.config)
        objective = VineObjective(model.policy, model.theta, *batch)
        gradients.append(objective.gradient())
        steps.append(rollout.num_transitions + branches.n_steps)
    return noise(gradients, steps)


def common_random_numbers(model: TRPO, env_id: str, horizon: int) -> float:
    """Variance of the difference of two actions' Q with noise of their own, over that with the same noise."""
    environments = make_environments(env_id, 1)
    observations = environments.reset(SEED)
    shape = observations.shape[1:]
    stream = np.random.default_rng(SEED)
    actor, codec, size = model.policy.actor(model.theta), model.policy.codec, model.policy.codec.size
    alone = environments.single(0, ago=0)
    own, common, value = 0.0, 0.0, values_of(model)
    for _ in range(PAIRS):
        for _ in range(20):  # to another state
            row, taken = np.empty((1, size), np.float32), codec.empty_env_actions(1)
            actor.act(observations, stream.standard_normal((1, size), np.float32), row, taken.reshape(1, -1))
            into = Trajectories.of_steps(1, 1, shape)
            environments.step(codec.in_space(taken), 0, into)
            observations = into.observations[1]
        snapshot = environments.capture(0)
        firsts = np.empty((2, size), np.float32)
        actor.act(np.tile(observations, (2, 1)), stream.standard_normal((2, size), np.float32), firsts)
        if not codec.is_box:  # the two that there are
            firsts[:, 0] = 0.0, 1.0
        q = np.empty((2, DRAWS))
        for draw in range(DRAWS):
            noise_of_branch = stream.standard_normal((horizon, 1, size), np.float32)
            for k in range(2):
                environments.restore(0, snapshot)
                branch = rollout_branch(alone, actor, codec, firsts[k], noise_of_branch, shape, model.config.gamma)
                q[k, draw] = branch.rewards @ model.config.gamma ** np.arange(branch.n_steps)
                q[k, draw] += branch.discount * float(value(branch.tail[None])[0])
        environments.restore(0, snapshot)
        common += np.var(q[0] - q[1], ddof=1)
        own += np.var(q[0], ddof=1) + np.var(q[1], ddof=1)
    return float(own / common)


def workers(env_id: str) -> dict[str, float]:
    """Seconds of a vine rollout, and how many times faster two workers are."""
    models = [
        TRPO(
            "MlpPolicy", env_id, method="vine", n_envs=4, n_workers=k, vine_states=100, vine_trunk_steps=512, seed=SEED
        )
        for k in (0, 2)
    ]
    for model in models:
        model._training.begin(anew=True)
    times: list[list[float]] = [[], []]
    for _ in range(TURNS):
        rewards = []
        for model, own in zip(models, times, strict=True):
            begin = time.perf_counter()
            rollout = model._training.collect(model.theta, model.policy, model.config, None)
            own.append(time.perf_counter() - begin)
            rewards.append(rollout.branches.rewards)
        if not np.array_equal(*rewards):
            raise RuntimeError("workers: expected the bits of this process")
    models[1].env.close()
    ratios = np.divide(*times)
    return {
        "seconds": float(np.median(times[0])),
        "seconds by 2 workers": float(np.median(times[1])),
        "ratio": float(np.median(ratios)),
        "smallest ratio": float(ratios.min()),
        "largest ratio": float(ratios.max()),
    }


def main() -> None:
    """Measure, print and save."""
    rows: list[dict[str, Any]] = []

    def add(**row: Any) -> None:
        rows.append(row)
        print(row, flush=True)

    for env_id, stages in STAGES.items():
        for n_steps in stages:
            where = {"task": env_id, "trained": max(n_steps, TRUNK)}
            model = trained(env_id, n_steps)
            add(**where, sampler="single path", **single_path(model))
            for n_actions, horizon in VINES:
                sampler = with_vine(model, env_id, vine_states=STATES, vine_actions=n_actions, vine_horizon=horizon)
                add(**where, sampler=f"vine, K={n_actions}, H={horizon}", **vine(sampler, model))
            for horizon in HORIZONS:
                factor = common_random_numbers(model, env_id, horizon)
                add(**where, horizon=horizon, **{"variance saved by common random numbers": factor})
    for env_id in STAGES:
        add(task=env_id, **workers(env_id))
    save("vine", rows)


if __name__ == "__main__":
    main()
