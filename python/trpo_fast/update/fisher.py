"""Products with the Fisher information matrix of a policy; the matrix itself is never formed."""

from typing import Any

import numpy.typing as npt

from trpo_fast._core.modules import kernels
from trpo_fast._core.threads import resolve_threads
from trpo_fast.policies.policy import Policy
from trpo_fast.spaces.observations import Observations
from trpo_fast.update.operators import KernelOperator
from trpo_fast.validation import check_real


class FisherOperator(KernelOperator):
    """F v = mean_n J_n^T M(phi_n) J_n v + damping v: the Hessian of the mean KL divergence at theta.

    J is the network's Jacobian and M the Fisher matrix of the distribution with respect to its own parameters phi, so F
    is symmetric and positive semi-definite by construction. ``F @ v`` costs two passes through the network. Works with
    ``scipy.sparse.linalg.aslinearoperator``.

    Parameters
    ----------
    policy : Policy
    theta : ndarray, shape (P,)
    observations : Observations, or ndarray of float32 or float64, shape (N, obs_dim)
        Raw observations.
    damping : float, >= 0
        Added to the diagonal.
    rows : slice or index array, optional
        Observations to use; all by default.
    n_threads : int, optional
        Threads of a product; ``get_num_threads()`` by default. The result does not depend on it.

    Raises
    ------
    InvalidArgumentError
        If an array has the wrong kind or shape, or a number is out of its range.
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
    """F v = mean_n s_n s_n^T v + damping v, with the scores s_n = grad log pi(a_n|s_n; theta) of sampled actions.

    The expectation of s s^T over actions is the matrix of ``FisherOperator``; Schulman et al. 2015, Appendix C.1,
    compare the two.

    Parameters
    ----------
    actions : ndarray
        N actions as in a ``Batch``.
    policy, theta, observations, damping, rows, n_threads
        As for ``FisherOperator``.

    Raises
    ------
    InvalidArgumentError
        If an array has the wrong kind or shape, or a number is out of its range.
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
