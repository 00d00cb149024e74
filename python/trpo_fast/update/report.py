"""Report of a policy update: status and diagnostics."""

from enum import Enum
from typing import Literal, NamedTuple

from trpo_fast.update.conjugate_gradient import CGResult

NO_VALUE = float("nan")


class UpdateStatus(Enum):
    """How an update ended. Only COMMITTED changes theta; with every other status it stays bit-identical."""

    COMMITTED = "committed"
    NO_SIGNAL = "no_signal"  # the advantages are all equal, or there is only one
    NON_FINITE_INPUT = "non_finite_input"  # NaN or Inf in theta or the batch, or an observation of magnitude above 1e18
    NON_FINITE_GRADIENT = "non_finite_gradient"  # the gradient overflowed
    ZERO_GRADIENT = "zero_gradient"
    SOLVER_FAILED = "solver_failed"  # conjugate gradient returned no finite ascent direction; see its status
    UNRESOLVED = "unresolved"  # the rounding errors of the policy's outputs are as large as the trust region
    LINE_SEARCH_FAILED = "line_search_failed"  # no step length improved the surrogate within the trust region

    @property
    def advice(self) -> str:
        """What to look at when no update is committed."""
        return _ADVICE.get(self, "look at the report of the update")


_ADVICE = {
    UpdateStatus.NO_SIGNAL: "all advantages of a batch are equal; is n_steps too small, do rewards depend on actions?",
    UpdateStatus.ZERO_GRADIENT: "the policy has no choice that changes the surrogate; is there more than one action?",
    UpdateStatus.UNRESOLVED: 'is log_std_init or a parameter extreme? dtype="float64" may help',
    UpdateStatus.LINE_SEARCH_FAILED: "is target_kl too small, or log_std_init or kl_penalty extreme?",
}


class UpdateReport(NamedTuple):
    """Result of an update with diagnostics. Fields of stages that were not reached are NaN (``cg``: None).

    KL divergences are in nats and joint, summed over action dimensions, whatever ``kl_reduction`` says about
    ``target_kl``.

    Parameters
    ----------
    status : UpdateStatus
    surrogate_before, surrogate_after : float
        L at the old and at the new theta.
    expected_improvement : float
        gᵀ(step), the first-order prediction of the improvement of the full step.
    mean_kl, max_kl : float
        Mean and largest KL(old || new) over states; 0 if theta did not change.
    entropy : float
        Mean entropy of the new policy, in nats.
    gradient_norm : float
        ||g||.
    step_norm : float
        Length of the full step, before backtracking.
    n_backtracks : int
        Step lengths rejected by the line search.
    cg : CGResult or None
        Result of the solver.
    kl_penalty : float
        Coefficient of the penalty with ``trust_region="penalty"``, else NaN.
    largest_advantage : float
        Largest magnitude of an advantage.
    direction : {"policy", "joint"}
        What the step ascends: the surrogate, or with a shared features extractor also the fit of the values.
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
    direction: Literal["policy", "joint"] = "policy"

    @property
    def committed(self) -> bool:
        """Whether theta changed."""
        return self.status is UpdateStatus.COMMITTED

    def quality(self, shrinking_factor: float) -> float:
        """Actual divided by predicted improvement of the accepted step.

        0 if the line search rejected every step length, NaN if there was no step.
        """
        if self.status is UpdateStatus.LINE_SEARCH_FAILED:
            return 0.0
        predicted = self.expected_improvement * shrinking_factor**self.n_backtracks
        return (self.surrogate_after - self.surrogate_before) / predicted if self.committed else NO_VALUE

    def lower_bound(self, gamma: float) -> float:
        """The theory's lower bound of the change of the return, estimated from the batch; usually negative.

        (L(theta') - L(theta)) / (1 - gamma) - 4 epsilon gamma / (1 - gamma)² max KL, with epsilon the largest magnitude
        of an advantage (Schulman et al. 2015, Eq. 8-9; their L is a sum over discounted visits, ours the mean).
        NaN for gamma = 1.
        """
        if gamma == 1.0:
            return NO_VALUE
        penalty = 4.0 * self.largest_advantage * gamma / (1.0 - gamma) ** 2
        return (self.surrogate_after - self.surrogate_before) / (1.0 - gamma) - penalty * self.max_kl
