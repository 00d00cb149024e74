"""Search among policies by the returns of whole episodes: the cross-entropy method, and CMA-ES (package ``cma``)."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.studies.paper.tasks import Task, play
from trpo_fast import Policy

POPULATION = 25
ELITE = 5  # of CEM
EXTRA_NOISE = 0.02  # that CEM adds to its variance, less and less over the first half (Szita & Lorincz 2006)
DIAGONAL_ABOVE = 1000  # parameters from which on CMA-ES keeps a diagonal covariance

Curve = list[tuple[int, float]]  # environment steps, mean return of a generation


class Episodes:
    """Returns of the deterministic policy of given parameters, and the steps that they took."""

    def __init__(self, task: Task, seed: int) -> None:
        self._env: gym.Env[Any, Any] = task.make()
        self.policy = Policy(
            self._env.observation_space, self._env.action_space, net_arch=(task.hidden,), normalize_observations=False
        )
        self._env.reset(seed=seed)
        self.n_steps = 0

    def play(self, theta: np.ndarray) -> float:
        """The return of one episode."""
        actor = self.policy.actor(theta.astype(np.float32))
        row, taken = np.empty((1, self.policy.codec.size), np.float32), self.policy.codec.empty_env_actions(1)
        rows = taken.reshape(1, -1)

        def act(observation: Any) -> Any:
            actor.act(np.asarray(observation, np.float64)[None], None, row, rows)
            return self.policy.codec.in_space(taken[0].copy())

        total, length = play(self._env, act)
        self.n_steps += length
        return total


Search = Callable[[Task, int, int], tuple[np.ndarray, Curve]]


def cem(task: Task, seed: int, n_steps: int) -> tuple[np.ndarray, Curve]:
    """The cross-entropy method with a diagonal Gaussian."""
    rng, episodes = np.random.default_rng(seed), Episodes(task, seed)
    mean = episodes.policy.initial_parameters(seed).astype(np.float64)
    std, curve = np.full_like(mean, 0.5), []
    while episodes.n_steps < n_steps:
        population = mean + std * rng.standard_normal((POPULATION, mean.size))
        returns = np.array([episodes.play(theta) for theta in population])
        best = population[np.argsort(returns)[-ELITE:]]
        left = max(0.0, 1.0 - 2.0 * episodes.n_steps / n_steps)
        mean, std = best.mean(axis=0), np.sqrt(best.var(axis=0) + EXTRA_NOISE * left)
        curve.append((episodes.n_steps, float(returns.mean())))
    return mean, curve


def cma_es(task: Task, seed: int, n_steps: int) -> tuple[np.ndarray, Curve]:
    """CMA-ES (Hansen 2006), diagonal where there are many parameters."""
    import cma

    episodes = Episodes(task, seed)
    start = episodes.policy.initial_parameters(seed).astype(np.float64)
    options = {
        "seed": seed + 1, "popsize": POPULATION, "verbose": -9, "CMA_diagonal": start.size > DIAGONAL_ABOVE,
        "maxiter": np.inf, "tolfun": 0, "tolfunhist": 0, "tolx": 0, "tolstagnation": np.inf, "tolflatfitness": np.inf,
    }  # fmt: skip
    search, curve = cma.CMAEvolutionStrategy(start, 0.5, options), []
    while episodes.n_steps < n_steps:
        population = search.ask()
        returns = [episodes.play(theta) for theta in population]
        search.tell(population, [-value for value in returns])
        curve.append((episodes.n_steps, float(np.mean(returns))))
    return np.asarray(search.result.xfavorite), curve
