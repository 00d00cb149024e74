"""tianshou's own TRPO object: its products and its solver.

Its whole update cannot have our settings: ten solver steps and a critic on the full batch are written into it.
"""

from collections.abc import Callable

import numpy as np
import torch
from tianshou.algorithm import TRPO
from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.utils.net.common import Net
from tianshou.utils.net.continuous import ContinuousActorProbabilistic, ContinuousCritic

from benchmarks.harness.measuring import Contender
from benchmarks.harness.problems import PolicyProblem

Normal, Independent = torch.distributions.Normal, torch.distributions.Independent


def make_algorithm(p: PolicyProblem) -> TRPO:
    """tianshou's TRPO with the policy problem's network and parameters."""
    obs_dim, *widths, action_dim = p.sizes
    nets = [Net(state_shape=obs_dim, hidden_sizes=widths, activation=torch.nn.Tanh) for _ in range(2)]
    actor = ContinuousActorProbabilistic(preprocess_net=nets[0], action_shape=action_dim, unbounded=True)
    policy = ProbabilisticActorPolicy(
        actor=actor,
        dist_fn=lambda loc_scale: Independent(Normal(*loc_scale), 1),
        action_space=p.policy.action_space,
        action_scaling=False,
        action_bound_method=None,
    )
    algorithm = TRPO(
        policy=policy, critic=ContinuousCritic(preprocess_net=nets[1]), optim=AdamOptimizerFactory(lr=1e-3)
    )
    algorithm._damping = p.damping
    algorithm._set_from_flat_params(actor, to_tianshou(p, p.theta))
    return algorithm


def to_tianshou(p: PolicyProblem, v: np.ndarray) -> torch.Tensor:
    """Its order has the log standard deviations first."""
    return torch.from_numpy(np.roll(v, p.sizes[-1]).astype(np.float32))


def from_tianshou(p: PolicyProblem, v: torch.Tensor) -> np.ndarray:
    return np.roll(v.numpy(), -p.sizes[-1])


def kl_gradient(p: PolicyProblem, algorithm: TRPO) -> Callable[[], torch.Tensor]:
    """As _update_with_batch makes it, with its graph."""
    actor, inputs = algorithm.policy.actor, torch.from_numpy(p.inputs)
    dist_fn = algorithm.policy.dist_fn

    def call() -> torch.Tensor:
        new = dist_fn(actor(inputs)[0])
        with torch.no_grad():
            old = dist_fn(actor(inputs)[0])
        kl = torch.distributions.kl_divergence(old, new).mean()
        return algorithm._get_flat_grad(kl, actor, create_graph=True)

    return call


def fisher_product(p: PolicyProblem, v: np.ndarray) -> list[Contender]:
    if p.inputs.dtype != np.float32:  # its networks have no other
        return []
    algorithm, tensor = make_algorithm(p), to_tianshou(p, v)
    gradient = kl_gradient(p, algorithm)()
    return [Contender("tianshou", "its own", lambda: from_tianshou(p, algorithm._MVP(tensor, gradient)))]


def solve(p: PolicyProblem, b: np.ndarray, n_iterations: int) -> list[Contender]:
    algorithm, tensor = make_algorithm(p), to_tianshou(p, b)
    make_gradient = kl_gradient(p, algorithm)

    def call() -> np.ndarray:
        return from_tianshou(p, algorithm._conjugate_gradients(tensor, make_gradient(), nsteps=n_iterations))

    return [Contender("tianshou", "its own solver", call)]
