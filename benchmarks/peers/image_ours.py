"""trpo_fast on images as a contender, and the results that every contender must agree with."""

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.harness.image_problems import ImageCriticProblem, ImageProblem
from benchmarks.harness.measuring import Contender
from benchmarks.harness.rows import OURS
from benchmarks.peers import ours
from trpo_fast import SurrogateObjective, TRPOConfig

CHUNK = 64  # images of which the oracle makes patches at a time


def image_forward(p: ImageProblem) -> list[Contender]:
    return [Contender(OURS, "", lambda: p.policy.dist_params(p.theta, p.observations))]


def image_gradient(p: ImageProblem) -> list[Contender]:
    def call() -> np.ndarray:  # the objective's constructor makes the forward pass
        return SurrogateObjective(p.policy, p.theta, p.observations, p.actions, p.advantages).gradient()

    return [Contender(OURS, "", call)]


def image_product(p: ImageProblem, v: np.ndarray) -> list[Contender]:
    return ours.fisher_product(p, v)


def image_update(p: ImageProblem, c: ImageCriticProblem, config: TRPOConfig) -> list[Contender]:
    return ours.update(p, c, config)


def expected(what: str, p: ImageProblem, *arguments: np.ndarray) -> np.ndarray:
    """The oracle's result."""
    return {"forward": _forward, "gradient": _gradient, "product": _product}[what](p, *arguments)


def _chunks(p: ImageProblem) -> Iterator[tuple[slice, np.ndarray]]:
    """Rows, and their images as the oracle reads them."""
    for begin in range(0, len(p.pixels), CHUNK):
        rows = slice(begin, begin + CHUNK)
        images = p.pixels[rows].transpose(0, 2, 3, 1) / 255.0
        yield rows, images.reshape(len(images), -1)


def _sum(p: ImageProblem, term: Callable[[slice, np.ndarray], np.ndarray]) -> np.ndarray:
    """The mean over the images of what are means over a chunk."""
    return sum(term(rows, x) * len(x) for rows, x in _chunks(p)) / len(p.pixels)


def _forward(p: ImageProblem) -> np.ndarray:
    theta = p.theta.astype(np.float64)
    return np.concatenate([p.oracle.dist_params(theta, x) for _, x in _chunks(p)])


def _gradient(p: ImageProblem) -> np.ndarray:
    theta = p.theta.astype(np.float64)
    actions = p.actions[:, None]
    return _sum(p, lambda rows, x: p.oracle.surrogate_gradient(theta, x, actions[rows], p.advantages[rows]))


def _product(p: ImageProblem, v: np.ndarray) -> np.ndarray:
    theta = p.theta.astype(np.float64)
    return _sum(p, lambda _, x: p.oracle.fisher_vector_product(theta, x, v)) + p.damping * v
