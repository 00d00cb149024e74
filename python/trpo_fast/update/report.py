"""How an update of the policy ended, with its evidence."""

from enum import Enum
from typing import NamedTuple

from trpo_fast.update.conjugate_gradient import CGResult

NO_VALUE = float("nan")


class UpdateStatus(Enum):
    """How an update ended. Only COMMITTED changes theta; every other status leaves it bit for bit as it was."""

    COMMITTED = "committed"
    NO_SIGNAL = "no_signal"  # the advantages are all equal (or there is one only)
    NON_FINITE_INPUT = "non_finite_input"  # NaN or Inf in theta, observations, actions or advantages
    NON_FINITE_GRADIENT = "non_finite_gradient"  # the gradient overflowed
    ZERO_GRADIENT = "zero_gradient"
    SOLVER_FAILED = "solver_failed"  # conjugate gradient gave no finite ascent direction; its status says why
    LINE_SEARCH_FAILED = "line_search_failed"  # no step length improved the surrogate within the trust region


class UpdateReport(NamedTuple):
    """The evidence of an update. What was not reached is NaN (``cg``: None); where theta stayed, its KL is 0.

    KL divergences are joint, summed over action dimensions, whatever ``kl_reduction`` says of ``target_kl``.
    ``step_norm`` is the length ||theta_new - theta|| of the full step before backtracking, ``expected_improvement``
    gᵀ(step), the first-order prediction for it. ``kl_penalty`` is the coefficient of a penalty, where there is one.
    ``largest_advantage`` is that of the largest magnitude.
    """

    status: UpdateStatus
    surrogate_before: float = NO_VALUE
    surrogate_after: float = NO_VALUE
    expected_improvement: float = NO_VALUE
    mean_kl: float = 0.0
    max_kl: float = 0.0
    entropy: float = NO_VALUE
    gradient_norm: float = NO_VALUE
    step_norm: float = NO_VALUE
    n_backtracks: int = 0
    cg: CGResult | None = None
    kl_penalty: float = NO_VALUE
    largest_advantage: float = NO_VALUE

    @property
    def committed(self) -> bool:
        """Whether theta moved."""
        return self.status is UpdateStatus.COMMITTED

    def quality(self, shrinking_factor: float) -> float:
        """Actual over predicted improvement, of the step as it was shortened; 0 where no length was any good.

        NaN where there was no step to judge.
        """
        if self.status is UpdateStatus.LINE_SEARCH_FAILED:
            return 0.0
        predicted = self.expected_improvement * shrinking_factor**self.n_backtracks
        return (self.surrogate_after - self.surrogate_before) / predicted if self.committed else NO_VALUE

    def lower_bound(self, gamma: float) -> float:
        """What the theory guarantees of the change of the return, from the states of the batch; negative as a rule.

        (L(theta') - L(theta)) / (1 - gamma) - 4 epsilon gamma / (1 - gamma)² max KL, with epsilon the largest
        magnitude of an advantage
        (Schulman et al. 2015, Eq. 8-9; L there is a sum over discounted visits, of which the surrogate is the mean).
        """
        if gamma == 1.0:
            return NO_VALUE
        penalty = 4.0 * self.largest_advantage * gamma / (1.0 - gamma) ** 2
        return (self.surrogate_after - self.surrogate_before) / (1.0 - gamma) - penalty * self.max_kl
