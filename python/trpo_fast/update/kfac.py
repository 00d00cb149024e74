"""KFACPreconditioner: reduces the number of products of conjugate gradient on the Fisher matrix."""

from typing import Any

import numpy.typing as npt

from trpo_fast._core.modules import kernels
from trpo_fast._core.threads import resolve_threads
from trpo_fast.policies.policy import Policy
from trpo_fast.spaces.observations import Observations
from trpo_fast.update.operators import KernelOperator
from trpo_fast.validation import check_real


class KFACPreconditioner(KernelOperator):
    """M^-1 v ≈ (F + damping)^-1 v, where each layer's block of F is approximated by a Kronecker product G (x) A.

    A is the second moment of the layer's inputs, G that of the scores' gradients at its outputs (Martens & Grosse 2015,
    arXiv:1503.05671). Both are damped as in their Section 6.3 and inverted. For a convolution, A is summed over the
    patches of an image, and G averaged (Grosse & Martens 2016, arXiv:1602.01407). Blocks between different layers are
    neglected. The preconditioner is symmetric, positive definite and fixed once built; ``M @ v`` is cheap. Passed to
    ``conjugate_gradient`` it leaves the solution unchanged and reduces the number of products.

    Parameters
    ----------
    policy : Policy
    theta : ndarray, shape (P,)
    observations : Observations, or ndarray of float32 or float64, shape (N, obs_dim)
        Raw observations.
    actions : ndarray
        N actions as in a ``Batch``, sampled by the policy ``theta``. They sample the distribution, so no random numbers
        are drawn.
    damping : float, >= 0
        Damping of the FisherOperator.
    rows : slice or index array, optional
        Transitions to use; all by default. A quarter of those of the FisherOperator is enough.
    n_threads : int, optional
        ``get_num_threads()`` by default. The result does not depend on it.

    Attributes
    ----------
    identity_layers : tuple of int
        Layers, counted from 0, whose block is the identity because their moments are not finite or not invertible.

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
        damping: float,
        rows: slice | npt.NDArray[Any] | None = None,
        n_threads: int | None = None,
    ) -> None:
        theta = policy.check_theta(theta)
        observations, encoded = policy.check_transitions(observations, actions, rows)
        damping = check_real("damping", damping, at_least=0.0)
        kernel = kernels(policy.dtype).KFACPreconditioner(
            policy.network,
            policy.distribution,
            theta,
            policy.normalize(observations),
            encoded,
            damping,
            resolve_threads(n_threads),
        )
        super().__init__(kernel, policy.dtype, damping)
        self.identity_layers: tuple[int, ...] = tuple(kernel.identity_layers)
