"""NormalizerUpdate: new observation statistics as a part of the step, so that the trust region covers both."""

from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.policies.policy import Policy
from trpo_fast.spaces.observations import Observations

SHARE = 0.25  # share of the radius by which new statistics alone may move the policy


class NormalizerUpdate:
    """The policy under the statistics of the next iteration, which include ``observations``.

    New statistics change the policy that theta encodes. If they move it by a mean KL divergence above a quarter of
    ``radius`` on these observations, theta is renormalized: the policy stays the same, except for rounding and clipped
    inputs. The line search judges a step together with the new statistics (``kl_divergences``).

    The first statistics have no predecessor, and a column that was constant so far has no scale. If they move the
    policy by more than the quarter, this shift is not limited, and the step is judged relative to the policy after it.
    If the policy does not normalise, an observation is not finite or the statistics would overflow, nothing changes.
    Images have no statistics; without others, there is no KL divergence to be asked for.

    Parameters
    ----------
    policy : Policy
        The policy that acted, with its statistics.
    theta : ndarray, shape (P,)
        Its parameters.
    observations : Observations
    radius : float
        Radius of the trust region, in nats.

    Attributes
    ----------
    next_policy : Policy
        The policy with the new statistics.
    has_statistics : bool
        False if observations are images alone.
    shift : float
        Mean KL divergence in nats by which the new statistics alone move the policy.
    """

    def __init__(self, policy: Policy, theta: npt.NDArray[Any], observations: Observations, radius: float) -> None:
        self.next_policy = policy
        self.shift = 0.0
        self._policy = policy
        self._renormalizes = False
        self._observations = observations.uncached()
        self.has_statistics = policy.plan.num_features > 0
        if not self.has_statistics:
            return
        self._reference = self._acted = policy.dist_params(theta, observations)
        self._latest: tuple[npt.NDArray[Any], npt.NDArray[Any]] | None = None
        if not (policy.normalizer.enabled and observations.is_finite):
            return
        normalizer = policy.normalizer.updated(observations)
        if not normalizer.statistics.is_possible:
            return
        self.next_policy = policy.with_normalizer(normalizer)
        self.shift = self.acting_kl(theta)
        if self.shift > SHARE * radius:
            self._renormalizes, self._latest = True, None
            renormalized = self.acting_kl(theta)
            if renormalized < self.shift:
                self.shift = renormalized
            else:
                self._renormalizes, self._latest = False, None
        if self.shift > SHARE * radius:
            self._reference = self._outputs(theta)
        elif not np.isfinite(self.shift):
            self.next_policy, self.shift = policy, 0.0

    def next_theta(self, theta: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The parameters of ``next_policy`` for the present policy's ``theta``."""
        return self._policy.renormalized(theta, self.next_policy.normalizer) if self._renormalizes else theta

    def kl_divergences(self, theta: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """KL divergences (N,) in nats of a step to ``theta`` with the new statistics, for the trust region."""
        return self._policy.kl_divergence(self._reference, self._outputs(theta))

    def acting_kl(self, theta: npt.NDArray[Any]) -> float:
        """Mean KL divergence in nats from the policy that acted to the policy that acts next, at ``theta``."""
        return float(self._policy.kl_divergence(self._acted, self._outputs(theta)).mean())

    def _outputs(self, theta: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self._latest is None or self._latest[0] is not theta:
            self._latest = theta, self.next_policy.dist_params(self.next_theta(theta), self._observations)
        return self._latest[1]
