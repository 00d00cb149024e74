"""Streams: all random streams of a model, by name."""

from copy import deepcopy
from typing import Any

import numpy as np

from trpo_fast.policies.predictor import SharedStream


class Streams:
    """Random streams of a model, spawned once from its seed.

    Parameters
    ----------
    seed : int
    num_envs : int
        Number of environments, each of which gets a stream of action noise.

    Attributes
    ----------
    policy, critic : numpy.random.SeedSequence
        Seeds of the initial parameters.
    minibatch_order : numpy.random.Generator
        Order of the critic's minibatches.
    prediction : numpy.random.Generator
        Action noise of ``predict``.
    action_noise : list of numpy.random.Generator
        Action noise of rollouts, one stream for each environment.
    vine : numpy.random.Generator
        States and seeds of a vine's branches.
    environments : int
        Environment i is first reset with this seed + i.
    """

    def __init__(self, seed: int, num_envs: int) -> None:
        self.policy, self.critic, order, prediction, noise, vine = np.random.SeedSequence(seed).spawn(6)
        self.minibatch_order = np.random.default_rng(order)
        self._prediction = SharedStream(np.random.default_rng(prediction))
        self.action_noise = [np.random.default_rng(child) for child in noise.spawn(num_envs)]
        self.vine = np.random.default_rng(vine)
        self.environments = seed

    @property
    def prediction(self) -> np.random.Generator:
        return self._prediction.get()

    @prediction.setter
    def prediction(self, stream: np.random.Generator) -> None:
        self._prediction = SharedStream(stream)

    def get_state(self) -> dict[str, Any]:
        """Copies of the streams that are drawn from during training."""
        return {
            "order_stream": deepcopy(self.minibatch_order),
            "predict_stream": deepcopy(self.prediction),
            "vine_stream": deepcopy(self.vine),
            "noise_streams": deepcopy(self.action_noise),
        }


def fresh_seed() -> int:
    """A seed from the operating system."""
    return int(np.random.SeedSequence().generate_state(1)[0])
