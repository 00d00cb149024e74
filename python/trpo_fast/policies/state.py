"""ModelState: what an update replaces, all of it in one assignment."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.policies.policy import Actor, Policy
from trpo_fast.policies.reward_normalization import RewardNormalizer
from trpo_fast.policies.value_function import CriticState, ValueFunction
from trpo_fast.validation import describe, float_array


@dataclass(frozen=True)
class ModelState:
    """Learned state. Immutable, and replaced as a whole, so that its parts always fit each other.

    Parameters
    ----------
    actor : Actor
        The policy with its observation statistics, at its parameters theta.
    critic : CriticState
        Parameters of the critic, Adam's moments and the statistics of its targets.
    reward_normalizer : RewardNormalizer
        Statistics of the rewards, and the running return of each open episode.
    radius : float or None
        The ``target_kl`` that an ``AdaptiveRadius`` chose; None without one, or before the first update.
    n_updates : int
        Updates so far, whether or not they moved the policy.
    """

    actor: Actor
    critic: CriticState
    reward_normalizer: RewardNormalizer
    radius: float | None = None
    n_updates: int = 0

    @property
    def policy(self) -> Policy:
        """The policy, with its present normaliser."""
        return self.actor.policy

    @property
    def theta(self) -> npt.NDArray[Any]:
        """Parameters of the policy, (P,), read-only."""
        return self.actor.theta

    def with_policy(self, policy: Policy, theta: npt.NDArray[Any]) -> "ModelState":
        """Copy of the state with another policy (another normaliser) and other parameters theta."""
        return replace(self, actor=policy.actor(theta))

    def parameters(self, value_function: ValueFunction) -> dict[str, dict[str, npt.NDArray[Any]]]:
        """Copies of the parameters by name: {"policy": {...}, "value_function": {...}}."""
        return {
            "policy": self.policy.unflatten(self.theta.copy()),
            "value_function": value_function.unflatten(self.critic.theta.copy()),
        }

    def with_parameters(
        self, value_function: ValueFunction, parameters: dict[str, dict[str, npt.NDArray[Any]]]
    ) -> "ModelState":
        """Copy of the state with other parameters, as the method ``parameters`` returns them; statistics stay.

        Raises
        ------
        InvalidArgumentError
            If names or shapes differ, or a value is not finite.
        """
        new = self.parameters(value_function)
        if not isinstance(parameters, dict) or parameters.keys() != new.keys():
            raise InvalidArgumentError("parameters", f"a dict of {list(new)}", describe(parameters))
        for part, views in new.items():
            if parameters[part].keys() != views.keys():
                raise InvalidArgumentError("parameters", f"{part} with {list(views)}", list(parameters[part]))
            for name, view in views.items():
                view[...] = float_array(f"{part}.{name}", parameters[part][name], view.shape, view.dtype)
                if not np.isfinite(view).all():
                    raise InvalidArgumentError(f"{part}.{name}", "finite values", "NaN or Inf")
        theta, value_theta = (np.concatenate([v.ravel() for v in views.values()]) for views in new.values())
        return replace(self.with_policy(self.policy, theta), critic=replace(self.critic, theta=value_theta))
