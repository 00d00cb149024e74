"""What TRPO maximises over the states of a batch, and the KL divergence that bounds it."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast._ext import core
from trpo_fast.policy import Policy


class SurrogateValue(NamedTuple):
    """The surrogate at theta_new, KL(old || new) over the batch, and the new policy's mean entropy, in nats."""

    surrogate: float
    mean_kl: float
    max_kl: float
    entropy: float


class PolicyObjective:
    """L(theta') at a policy's theta, whatever estimates the return.

    Attributes
    ----------
    policy : Policy
    theta : ndarray, shape (P,)
    observations : ndarray, shape (N, obs_dim), raw
    largest_advantage : float
        The largest magnitude of an advantage: epsilon of Schulman et al. 2015, Eq. 8.
    scale : float
        The mean magnitude of what L is a sum of, by which its rounding is judged.
    """

    def __init__(
        self,
        policy: Policy,
        theta: npt.NDArray[Any],
        observations: npt.NDArray[np.float64],
        advantages: npt.NDArray[np.float64],
        kernel: core.float32.PolicyObjective | core.float64.PolicyObjective,
    ) -> None:
        self.policy = policy
        self.theta = theta
        self.observations = observations
        magnitudes = np.abs(advantages)
        self.largest_advantage = float(magnitudes.max())
        self.scale = float(magnitudes.mean())
        self.kernel = kernel

    def gradient(self) -> npt.NDArray[np.float64]:
        """The gradient of L at theta' = theta, shape (P,)."""
        out = np.empty(self.policy.num_params)
        self.kernel.gradient(out)
        return out

    def evaluate(self, theta_new: npt.NDArray[Any]) -> SurrogateValue:
        """L, mean and largest KL(theta || theta_new), and entropy, in one pass; non-finite values are passed on."""
        return SurrogateValue(*self.kernel.evaluate(self.policy.check_theta(theta_new, "theta_new")))
