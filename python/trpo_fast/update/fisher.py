"""FisherOperator: products with the Fisher information matrix of a policy, never the matrix."""

from typing import Any

import numpy.typing as npt

from trpo_fast._core.modules import kernels
from trpo_fast._core.threads import resolve_threads
from trpo_fast.policies.policy import Policy
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
    observations : ndarray, shape (N, obs_dim), raw
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
        observations: npt.NDArray[Any],
        damping: float = 0.0,
        rows: slice | npt.NDArray[Any] | None = None,
        n_threads: int | None = None,
    ) -> None:
        theta = policy.check_theta(theta)
        observations = policy.check_observations(observations)
        inputs = policy.normalize(observations if rows is None else observations[rows])
        self.damping = check_real("damping", damping, at_least=0.0)
        kernel = kernels(policy.dtype).FisherOperator(
            policy.network, policy.distribution, theta, inputs, self.damping, resolve_threads(n_threads)
        )
        super().__init__(kernel, policy.dtype)

    @classmethod
    def empirical(
        cls,
        policy: Policy,
        theta: npt.NDArray[Any],
        observations: npt.NDArray[Any],
        actions: npt.NDArray[Any],
        damping: float = 0.0,
        rows: slice | npt.NDArray[Any] | None = None,
        n_threads: int | None = None,
    ) -> "FisherOperator":
        """The empirical Fisher matrix: mean_n s_n s_nᵀ of the scores s_n of actions that the policy theta took.

        What the other one is the mean of, over actions (Schulman et al. 2015, Appendix C.1, compares them).
        ``actions`` are those of a batch, one for each of the ``observations``; the rest is as for the class.
        """
        theta = policy.check_theta(theta)
        observations, action_rows = policy.check_transitions(observations, actions, rows)
        operator = cls.__new__(cls)
        operator.damping = check_real("damping", damping, at_least=0.0)
        kernel = kernels(policy.dtype).FisherOperator(
            policy.network, policy.distribution, theta, policy.normalize(observations), action_rows,
            operator.damping, resolve_threads(n_threads),
        )  # fmt: skip
        KernelOperator.__init__(operator, kernel, policy.dtype)
        return operator

    @classmethod
    def at(
        cls, objective: PolicyObjective, damping: float = 0.0, every: int = 1, n_threads: int | None = None
    ) -> "FisherOperator":
        """The operator at an objective's theta, on its observations or ``every`` k-th of them.

        On all of them it shares the objective's forward pass.
        """
        policy, damping = objective.policy, check_real("damping", damping, at_least=0.0)
        if check_integer("every", every, at_least=1) > 1:
            observations = objective.observations
            return cls(policy, objective.theta, observations, damping, slice(None, None, every), n_threads)
        operator = cls.__new__(cls)
        operator.damping = damping
        kernel = kernels(policy.dtype).FisherOperator(objective.kernel, damping, resolve_threads(n_threads))
        KernelOperator.__init__(operator, kernel, policy.dtype)
        return operator
