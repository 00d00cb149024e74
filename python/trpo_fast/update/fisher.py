"""Products with the Fisher information matrix of a policy, never the matrix."""

from typing import Any

import numpy.typing as npt

from trpo_fast._core.modules import kernels
from trpo_fast._core.threads import resolve_threads
from trpo_fast.policies.policy import Policy
from trpo_fast.spaces.rows import Observations
from trpo_fast.update.objectives import PolicyObjective
from trpo_fast.update.operators import KernelOperator
from trpo_fast.validation import check_integer, check_real


class FisherOperator(KernelOperator):
    """F v = mean_n J_n^T M(phi_n) J_n v + damping v: the Hessian of the mean KL divergence at theta.

    J is the network's Jacobian and M the Fisher matrix of the distribution in its own parameters, so F is symmetric
    and positive semi-definite by construction. ``F @ v`` costs two passes through the network. Works with
    ``scipy.sparse.linalg.aslinearoperator``.

    Parameters
    ----------
    policy : Policy
    theta : ndarray, shape (P,)
    observations : Observations, or ndarray of float32 or float64, shape (N, obs_dim), raw
    damping : float, >= 0
    rows : slice or index array, optional
        Which observations to use; all by default.
    n_threads : int, optional
        Threads of a product; ``get_num_threads()`` by default. The result does not depend on it.

    Raises
    ------
    InvalidArgumentError
    """

    def __init__(
        self,
        policy: Policy,
        theta: npt.NDArray[Any],
        observations: Observations | npt.NDArray[Any],
        damping: float = 0.0,
        rows: slice | npt.NDArray[Any] | None = None,
        n_threads: int | None = None,
    ) -> None:
        theta = policy.check_theta(theta)
        observations = policy.check_observations(observations)
        inputs = policy.normalize(observations if rows is None else observations[rows])
        damping = check_real("damping", damping, at_least=0.0)
        kernel = kernels(policy.dtype).FisherOperator(
            policy.network, policy.distribution, theta, inputs, damping, resolve_threads(n_threads)
        )
        super().__init__(kernel, policy.dtype, damping)


class EmpiricalFisherOperator(KernelOperator):
    """F v = mean_n s_n s_n^T v + damping v, with the scores s_n of actions that the policy theta took.

    The mean over actions of s s^T is the matrix of ``FisherOperator`` (Schulman et al. 2015, Appendix C.1, compares
    the two).

    Parameters
    ----------
    actions : ndarray
        As in a ``Batch``, one for each of the ``observations``.
    policy, theta, observations, damping, rows, n_threads
        As for ``FisherOperator``.

    Raises
    ------
    InvalidArgumentError
    """

    def __init__(
        self,
        policy: Policy,
        theta: npt.NDArray[Any],
        observations: Observations | npt.NDArray[Any],
        actions: npt.NDArray[Any],
        damping: float = 0.0,
        rows: slice | npt.NDArray[Any] | None = None,
        n_threads: int | None = None,
    ) -> None:
        theta = policy.check_theta(theta)
        observations, encoded = policy.check_transitions(observations, actions, rows)
        damping = check_real("damping", damping, at_least=0.0)
        inputs = policy.normalize(observations)
        kernel = kernels(policy.dtype).EmpiricalFisherOperator(
            policy.network, policy.distribution, theta, inputs, encoded, damping, resolve_threads(n_threads)
        )
        super().__init__(kernel, policy.dtype, damping)


def fisher_operator_at(
    objective: PolicyObjective, damping: float = 0.0, every: int = 1, n_threads: int | None = None
) -> KernelOperator:
    """The Fisher operator at an objective's theta, on its observations or ``every`` k-th of them.

    On all of them it shares the objective's forward pass.
    """
    policy = objective.policy
    if check_integer("every", every, at_least=1) > 1:
        thinned = slice(None, None, every)
        return FisherOperator(policy, objective.theta, objective.observations, damping, thinned, n_threads)
    damping = check_real("damping", damping, at_least=0.0)
    kernel = kernels(policy.dtype).FisherOperator(objective.kernel, damping, resolve_threads(n_threads))
    return KernelOperator(kernel, policy.dtype, damping)
