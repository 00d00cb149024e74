"""Judge random policy updates in float64: they must stay in the trust region and keep the scale of parameters.

    python tools/random_updates.py --count 100000 --seed 0

Update i of a seed is a function of (seed, i): networks, distributions, scales of parameters, observations and standard
deviations, damping, preconditioner and radius are drawn far beyond ordinary training. Prints the violations and how the
updates ended; exits with 1 if there is a violation.
"""

import argparse
import sys
from collections import Counter
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from trpo_fast import Batch, Policy, TRPOConfig, UpdateReport, trpo_update
from trpo_fast.policies.normalization import RunningMeanStd

ACTION_SPACES: list[gym.Space[Any]] = [
    gym.spaces.Box(-1.0, 1.0, (3,)),
    gym.spaces.Box(-1.0, 1.0, (1,)),
    gym.spaces.Discrete(4),
    gym.spaces.MultiDiscrete([2, 5, 3]),
    gym.spaces.MultiBinary(4),
]
LOG_STDS = [-0.5, -0.5, -0.5, 0.0, 2.0, -3.0, -8.0, -12.0, -16.0, -20.0]
RADII = [0.01, 0.01, 1e-3, 1e-5, 0.1, 1.0]
DAMPINGS = [0.0, 0.0, 1e-4, 0.01, 0.1]


class Update(NamedTuple):
    """A random update before it is computed."""

    policy: Policy
    theta: np.ndarray[Any, Any]
    batch: Batch
    config: TRPOConfig


def random_update(seed: int, i: int) -> Update:
    """The i-th update of ``seed``."""
    rng = np.random.default_rng([seed, i])
    policy = random_policy(rng)
    theta = policy.initial_parameters(int(rng.integers(1 << 30)))
    for name, values in policy.unflatten(theta).items():
        if name != "log_std":
            values *= values.dtype.type(rng.choice([1, 1, 1, 0.1, 10, 100]))
        if name.endswith("bias"):
            values += (rng.choice([0, 0, 1, 30]) * rng.standard_normal(values.shape)).astype(values.dtype)
    n, size = int(rng.integers(2, 200)), policy.observation_codec.size
    observations = rng.standard_normal((n, size)) * 10.0 ** rng.choice([0, 0, 0, -3, 3, 8])
    if rng.random() < 0.3:
        observations[:, 0] = 1.0
    if rng.random() < 0.2:
        observations[:, -1] = observations[:, 0]
    if rng.random() < 0.1:
        observations[:] = observations[:1]
    noise = rng.standard_normal((n, policy.codec.size)).astype(policy.dtype)
    encoded = np.empty_like(noise)
    policy.act(theta, observations, noise, encoded)
    advantages = rng.standard_normal(n) * 10.0 ** rng.choice([0, 0, 0, -6, 6])
    if rng.random() < 0.1:
        advantages = np.abs(advantages) * (rng.random(n) < 0.1)
    config = TRPOConfig(
        target_kl=float(rng.choice(RADII)),
        cg_damping=float(rng.choice(DAMPINGS)),
        cg_preconditioner="kfac" if rng.random() < 0.5 else "none",
        cg_max_steps=int(rng.choice([3, 10, 15, 40])),
        normalize_advantage=bool(rng.random() < 0.8),
        ent_coef=float(rng.choice([0.0, 0.0, 0.01])),
        sub_sampling_factor=int(rng.choice([1, 1, 5])),
    )
    return Update(policy, theta, Batch(observations, policy.codec.decode(encoded), advantages, advantages), config)


def random_policy(rng: np.random.Generator) -> Policy:
    """A small policy in float32, often with statistics of other observations than it will see."""
    space = ACTION_SPACES[rng.integers(len(ACTION_SPACES))]
    size = int(rng.integers(1, 9))
    settings: dict[str, Any] = {
        "net_arch": [int(width) for width in rng.integers(1, 33, rng.integers(0, 3))],
        "activation_fn": str(rng.choice(["tanh", "relu", "elu", "silu", "identity"])),
    }
    if isinstance(space, gym.spaces.Box):
        settings["state_dependent_std"], settings["squash"] = (bool(rng.random() < 0.3) for _ in range(2))
        settings["log_std_init"] = float(rng.choice(LOG_STDS))
    policy = Policy(gym.spaces.Box(-np.inf, np.inf, (size,)), space, **settings)
    if rng.random() < 0.3:
        return policy
    others = rng.standard_normal((50, size)) * 10.0 ** rng.choice([0, 0, -3, 3])
    return policy.with_statistics(RunningMeanStd.initial(size).updated(others))


def violations(update: Update, theta: np.ndarray[Any, Any], report: UpdateReport) -> list[str]:
    """What is wrong with the result of an update, judged in float64."""
    if not report.committed:
        return [] if theta.tobytes() == update.theta.tobytes() else [f"changed theta with status {report.status.value}"]
    judge = update.policy.in_float64()
    before, after = (judge.dist_params(t.astype(np.float64), update.batch.observations) for t in (update.theta, theta))
    kl = float(judge.kl_divergence(before, after).mean())
    norms = [float(np.linalg.norm(t.astype(np.float64))) for t in (update.theta, theta)]
    found = []
    if not kl <= update.config.target_kl:
        found.append(f"KL {kl:g}, radius {update.config.target_kl:g}, reported {report.mean_kl:g}")
    if not norms[1] <= norms[0] + max(1.0, norms[0]) * (1 + 1e-6):
        found.append(f"parameters of norm {norms[0]:g} became {norms[1]:g}")
    return found


def main() -> int:
    """Judge as many updates as the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000, help="number of updates")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    statuses: Counter[str] = Counter()
    n_violations = 0
    for i in range(arguments.count):
        update = random_update(arguments.seed, i)
        theta, report = trpo_update(*update)
        statuses[report.status.value] += 1
        for violation in violations(update, theta, report):
            n_violations += 1
            print(f"update {i} of seed {arguments.seed}: {violation}")
    print(f"{n_violations} violations in {arguments.count} updates: {dict(statuses.most_common())}")
    return 1 if n_violations else 0


if __name__ == "__main__":
    sys.exit(main())
