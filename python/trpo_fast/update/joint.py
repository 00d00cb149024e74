"""The direction of a features extractor that policy and critic share, and the step along it.

With the value v(s; theta, w) as one more output of the network, beside the policy's outputs phi, and the normalised
returns y, the direction x solves

    (F + F_v + damping) x = g + vf_coef · g_v,    g_v = -∇ mean (v - y)² / 2,    F_v = mean ∇v ∇vᵀ

in (theta, w): a Gaussian of variance 1 around v has the Fisher matrix F_v, as in ACKTR (Wu et al. 2017). Unlike there,
the policy's F alone sets the length of the step, and its KL divergence and surrogate alone decide whether it is taken.
The part of x that belongs to w is not used: the head is fitted afterwards.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast._core.modules import core, kernels
from trpo_fast._core.threads import resolve_threads
from trpo_fast.config import TRPOConfig
from trpo_fast.policies.shared_value_function import ValueHead
from trpo_fast.update.conjugate_gradient import CGResult, conjugate_gradient
from trpo_fast.update.line_search import LineSearchResult
from trpo_fast.update.objectives import PolicyObjective
from trpo_fast.update.operators import Identity, KernelOperator
from trpo_fast.update.trust_regions import Step, no_longer_than


class JointStep(NamedTuple):
    """A step along the joint direction that was accepted, and the solver's result for theta and w."""

    step: Step
    cg: CGResult


def joint_step(
    objective: PolicyObjective,
    value_head: ValueHead,
    F: KernelOperator | Identity,
    g: npt.NDArray[np.float64],
    radius: float,
    backtrack: Callable[..., LineSearchResult],
    config: TRPOConfig,
) -> JointStep | None:
    """The step along the joint direction, or None if it does not ascend the surrogate or is not accepted.

    Parameters
    ----------
    objective : PolicyObjective
    value_head : ValueHead
        The head and its targets, one for each observation of the objective.
    F : KernelOperator
        The policy's own Fisher matrix, with damping.
    g : ndarray, shape (P,)
        Gradient of the surrogate.
    radius : float
        Bound of the KL divergence, in nats.
    backtrack : callable
        Line search from theta along a full step.
    config : TRPOConfig
    """
    size = len(g)
    b = config.vf_coef * value_gradient(objective, value_head)
    b[:size] += g
    if not np.isfinite(b).all():
        return None
    cg = conjugate_gradient(
        joint_operator(objective, value_head, F.damping, config.sub_sampling_factor),
        b,
        max_iter=config.cg_max_steps,
        progress_rtol=config.cg_progress_rtol,
    )
    x = np.ascontiguousarray(cg.x[:size])
    xFx = core.dot(x, F @ x)
    if config.step_norm == "undamped":
        xFx -= F.damping * core.dot(x, x)
    if not (xFx > 0.0 and np.isfinite(xFx) and core.dot(g, x) > 0.0):
        return None
    full_step = no_longer_than(objective.theta, np.sqrt(2.0 * radius / xFx) * x)
    step = Step(full_step, backtrack(full_step, radius=radius))
    return JointStep(step, cg) if step.search.accepted else None


def value_gradient(objective: PolicyObjective, value_head: ValueHead) -> npt.NDArray[np.float64]:
    """g_v, the gradient of -mean (v - y)^2 / 2 with respect to theta and w, shape (P + W,)."""
    policy, critic = objective.policy, value_head.value_function
    theta = critic.joint_theta(value_head.head, objective.theta)
    inputs, targets = policy.critic_inputs(objective.observations), value_head.targets.values[:, None]
    kernel = kernels(policy.dtype).SurrogateObjective(
        critic.value.network, critic.value_distribution, theta, inputs, targets, np.ones(len(targets)), 0.0,
        resolve_threads(None),
    )  # fmt: skip
    out = np.empty(len(theta))
    kernel.gradient(out)
    return out


def joint_operator(
    objective: PolicyObjective, value_head: ValueHead, damping: float = 0.0, every: int = 1
) -> KernelOperator:
    """F + F_v + damping for theta and w, on every k-th of the observations with k = ``every``."""
    policy, critic = objective.policy, value_head.value_function
    theta = critic.joint_theta(value_head.head, objective.theta)
    observations = objective.observations if every == 1 else objective.observations[::every]
    inputs = critic.joint_inputs(policy, observations)
    kernel = kernels(policy.dtype).FisherOperator(
        critic.joint.network, critic.distribution, theta, inputs, damping, resolve_threads(None)
    )
    return KernelOperator(kernel, policy.dtype, damping)
