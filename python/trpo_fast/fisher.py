"""FisherOperator: products with the Fisher information matrix of a policy, never the matrix."""

from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast._ext import kernels
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policy import Policy
from trpo_fast.threads import resolve_threads
from trpo_fast.validation import check_real, describe, float_array


class FisherOperator:
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
        self.shape = (policy.num_params, policy.num_params)
        self.dtype = policy.dtype
        core = kernels(policy.dtype)
        self.kernel = core.FisherOperator(
            policy.network, policy.distribution, theta, inputs, self.damping, resolve_threads(n_threads)
        )

    def matvec(self, v: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """F v. ``v`` is (P,) or (P, 1), float32 or float64; the result has its shape and dtype."""
        size = self.shape[0]
        if isinstance(v, np.ndarray) and v.shape == (size, 1):
            return self.matvec(v[:, 0])[:, None]
        if not isinstance(v, np.ndarray) or v.shape != (size,):
            raise InvalidArgumentError("v", f"a float32 or float64 array of shape ({size},)", describe(v))
        out = np.empty(size)
        self.kernel.multiply(float_array("v", v, (size,), np.float64), out)
        return out.astype(v.dtype, copy=False)

    __matmul__ = matvec
    rmatvec = matvec  # F is symmetric
