"""What an update learns from: transitions of a single path, or branches of a vine."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast.policies.policy import Policy
from trpo_fast.update.objectives import PolicyObjective, SurrogateObjective, VineObjective, check_branches
from trpo_fast.validation import float_array


class Batch(NamedTuple):
    """N transitions: observations (N, obs_dim) raw, actions as sampled, advantages (N,), returns (N,)."""

    observations: npt.NDArray[Any]
    actions: npt.NDArray[Any]
    advantages: npt.NDArray[np.float64]
    returns: npt.NDArray[np.float64]

    def checked(self, policy: Policy) -> tuple[npt.NDArray[np.float64], npt.NDArray[Any], npt.NDArray[np.float64]]:
        """Observations (N, obs_dim), kernel rows (N, A) and advantages (N,), as an update reads them.

        InvalidArgumentError if an array is of another kind or shape.
        """
        observations = policy.check_observations(self.observations)
        rows = policy.codec.encode(self.actions, len(observations))
        return observations, rows, float_array("advantages", self.advantages, (len(observations),), np.float64)

    def is_finite(self, policy: Policy) -> bool:
        """Whether all that an update reads is finite; InvalidArgumentError if an array is of another kind or shape."""
        return all(bool(np.isfinite(a).all()) for a in self.checked(policy))

    def has_signal(self) -> bool:
        """Whether it says anything about the policy."""
        return has_signal(np.asarray(self.advantages, dtype=np.float64))

    def objective(
        self, policy: Policy, theta: npt.NDArray[Any], *, normalize: bool, ent_coef: float
    ) -> PolicyObjective:
        """The surrogate, of advantages with mean 0 and standard deviation 1 if they are to be normalised."""
        advantages = np.asarray(self.advantages, dtype=np.float64)
        if not self.has_signal():  # rounding must not become one
            advantages = np.zeros_like(advantages)
        elif normalize:
            advantages = normalize_advantages(advantages)
        return SurrogateObjective(policy, theta, self.observations, self.actions, advantages, ent_coef=ent_coef)


class VineBatch(NamedTuple):
    """N states with K branches each: observations (N, obs_dim) raw, actions (N, K, ...), q_values (N, K).

    ``proposal`` is what the actions were drawn from (``VineObjective``).
    """

    observations: npt.NDArray[Any]
    actions: npt.NDArray[Any]
    q_values: npt.NDArray[np.float64]
    proposal: str = "policy"

    def is_finite(self, policy: Policy) -> bool:
        """As of ``Batch``."""
        checked = check_branches(policy, self.observations, self.actions, self.q_values)
        return all(bool(np.isfinite(a).all()) for a in checked)

    def has_signal(self) -> bool:
        """Whether the branches of a state differ by more than rounding."""
        return has_signal(self._advantages(), self.q_values)

    def objective(
        self, policy: Policy, theta: npt.NDArray[Any], *, normalize: bool, ent_coef: float
    ) -> PolicyObjective:
        """The vine's, of Q less their mean in each state; over the standard deviation of that if normalised."""
        advantages = self._advantages()
        if not self.has_signal():
            advantages = np.zeros_like(advantages)
        elif normalize:
            advantages = advantages / (advantages.std() + 1e-8)
        parts = self.observations, self.actions, advantages, self.proposal
        return VineObjective(policy, theta, *parts, ent_coef=ent_coef)

    def _advantages(self) -> npt.NDArray[np.float64]:
        q_values = np.asarray(self.q_values, dtype=np.float64)
        centred: npt.NDArray[np.float64] = q_values - q_values.mean(axis=1, keepdims=True)
        return centred


def normalize_advantages(advantages: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(Â - mean) / (std + 1e-8) over a batch, shape (N,)."""
    normalized: npt.NDArray[np.float64] = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    return normalized


def has_signal(advantages: npt.NDArray[np.float64], values: npt.NDArray[np.float64] | None = None) -> bool:
    """Whether advantages differ by more than rounding: an all-equal batch says nothing about the policy.

    ``values`` are what the advantages are differences of, if they are such: rounding is that of their magnitude.
    """
    eps = float(np.finfo(np.float32).eps)
    largest = np.abs(advantages if values is None else values).max()
    return bool(advantages.std() > eps * np.sqrt(advantages.size) * largest)
