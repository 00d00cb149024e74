"""StepCheck: the last checks of a step that the line search would accept."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.update.objectives import PolicyObjective, SurrogateValue

ROWS = 128  # observations on which rounding errors are estimated first
SMALL = 1e-2  # share of the trust region's root below which this estimate is enough

KLDivergences = Callable[[npt.NDArray[Any]], npt.NDArray[np.float64]]  # theta (P,) -> KL divergences (N,)


class StepCheck:
    """Whether a step stays in the trust region for certain. Dearer than an evaluation, so it is made once it matters.

    The KL divergence of an evaluation is that of the policies' rounded outputs. With huge weights or a tiny standard
    deviation, the rounding errors alone can be as large as the trust region, and different policies can have equal
    outputs. The step is then unresolved. The error of an output is its KL divergence from the output computed in
    float64, and KL divergences add like squares of distances.

    Parameters
    ----------
    objective : PolicyObjective
    bounded : {"mean_kl", "max_kl"}
        The KL divergence that is bounded.
    radius : float
        Its bound, in nats.
    next_kl : callable, optional
        theta -> KL divergences (N,) from the policy that acted to the one that would act with this theta, where its
        observation statistics change, too. They are bounded in the same way.

    Attributes
    ----------
    found_unresolved : bool
        Whether a step was rejected because rounding errors were too large.
    """

    def __init__(
        self, objective: PolicyObjective, bounded: str, radius: float, next_kl: KLDivergences | None = None
    ) -> None:
        self._objective = objective
        self._bounded = bounded
        self._radius = radius
        self._next_kl = next_kl
        self._errors_before: dict[int, float] = {}
        self.found_unresolved = False

    def __call__(self, theta: npt.NDArray[Any], value: SurrogateValue) -> bool:
        """Whether the step to ``theta``, whose evaluation is ``value``, is resolved and in the trust region."""
        kl = getattr(value, self._bounded)
        if self._next_kl is not None:
            kl = float(np.maximum(kl, self._reduce(self._next_kl(theta))))  # NaN if one of them is
        if not kl <= self._radius:
            return False
        root = np.sqrt(self._radius)
        error = self._output_errors(theta, every=-(-self._objective.num_rows // ROWS))
        if error > SMALL * root:
            error = self._output_errors(theta, every=1)
        is_resolved = bool(np.sqrt(max(kl, 0.0)) + error <= root)
        self.found_unresolved |= not is_resolved
        return is_resolved

    def _output_errors(self, theta: npt.NDArray[Any], every: int) -> float:
        """Errors of the outputs before and after the step together, on every k-th observation with k = ``every``."""
        if every not in self._errors_before:
            self._errors_before[every] = self._output_error(self._objective.theta, every)
        return self._errors_before[every] + self._output_error(theta, every)

    def _output_error(self, theta: npt.NDArray[Any], every: int) -> float:
        """Root of the KL divergence between the outputs at ``theta``, computed in float64 and in the policy's dtype."""
        policy = self._objective.policy
        exact = policy.in_float64()
        if exact is policy:
            return 0.0
        observations = self._objective.observations[::every]
        rounded = policy.dist_params(theta, observations).astype(np.float64)
        precise = exact.dist_params(theta.astype(np.float64), observations)
        return float(np.sqrt(np.maximum(self._reduce(exact.kl_divergence(precise, rounded)), 0.0)))

    def _reduce(self, kl: npt.NDArray[np.float64]) -> np.float64:
        reduced: np.float64 = kl.mean() if self._bounded == "mean_kl" else kl.max()
        return reduced
