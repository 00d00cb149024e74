"""TRPO's pieces in PyTorch, on the CPU: double back-propagation as the PyTorch TRPOs do it, with the graph kept."""

from itertools import pairwise

import numpy as np
import torch

from benchmarks.harness.measuring import GEMM, GEMM_SIZE, Contender
from benchmarks.harness.problems import CriticProblem, PolicyProblem


def network(sizes: tuple[int, ...], theta: np.ndarray) -> torch.nn.Sequential:
    """A tanh network with the parameters ``theta`` (P,), the layers' weights and biases in flat order."""
    layers: list[torch.nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.Tanh()]
    net = torch.nn.Sequential(*layers[:-1]).to(torch.from_numpy(theta).dtype)
    torch.nn.utils.vector_to_parameters(torch.from_numpy(theta.copy()), net.parameters())
    return net


class FisherOperator:
    """v -> F v by the gradient of (KL gradient . v); the graph of the KL gradient is made here and kept."""

    def __init__(self, p: PolicyProblem) -> None:
        action_dim = p.sizes[-1]
        net = network(p.sizes, p.theta[:-action_dim])
        log_std = torch.nn.Parameter(torch.from_numpy(p.theta[-action_dim:].copy()))
        self.parameters, self.damping = [*net.parameters(), log_std], p.damping
        policy = torch.distributions.Normal(net(torch.from_numpy(p.inputs)), log_std.exp())
        old = torch.distributions.Normal(policy.loc.detach(), policy.scale.detach())
        kl = torch.distributions.kl_divergence(policy, old).sum(dim=1).mean()
        self.kl_gradient = self.flat_gradient(kl, create_graph=True)

    def flat_gradient(self, scalar: torch.Tensor, create_graph: bool = False) -> torch.Tensor:
        """(P,)."""
        gradients = torch.autograd.grad(scalar, self.parameters, create_graph=create_graph, retain_graph=True)
        return torch.cat([g.reshape(-1) for g in gradients])

    def __call__(self, v: torch.Tensor) -> torch.Tensor:
        return self.flat_gradient(self.kl_gradient @ v) + self.damping * v


def gemm(dtype: str) -> list[Contender]:
    a, b, out = torch.randn(3, GEMM_SIZE, GEMM_SIZE, dtype=getattr(torch, dtype))
    return [Contender(GEMM, "torch", lambda: torch.mm(a, b, out=out))]


def fisher_product(p: PolicyProblem, v: np.ndarray) -> list[Contender]:
    F, tensor = FisherOperator(p), torch.from_numpy(v.astype(p.theta.dtype))
    return [Contender("torch", "double back-propagation", lambda: F(tensor))]


def solve(p: PolicyProblem, b: np.ndarray, n_iterations: int) -> list[Contender]:
    tensor = torch.from_numpy(b.astype(p.theta.dtype))

    def call() -> torch.Tensor:
        F, x = FisherOperator(p), torch.zeros_like(tensor)
        r, direction, rr = tensor.clone(), tensor.clone(), tensor @ tensor
        for _ in range(n_iterations):
            product = F(direction)
            alpha = rr / (direction @ product)
            x += alpha * direction
            r -= alpha * product
            rr, rr_old = r @ r, rr
            direction = r + (rr / rr_old) * direction
        return x

    return [Contender("torch", "double back-propagation", call)]


def fit_critic(c: CriticProblem) -> list[Contender]:
    """As sb3-contrib's train() does it, with PyTorch's Adam as it comes, and with its fused one."""
    inputs, targets = (torch.from_numpy(a.astype(c.inputs.dtype)) for a in (c.inputs, c.targets))
    minibatches = [(inputs[rows], targets[rows]) for rows in torch.from_numpy(c.minibatches())]

    def fit(fused: bool) -> torch.Tensor:
        net = network(c.sizes, c.state.theta)
        adam = torch.optim.Adam(net.parameters(), lr=c.learning_rate, eps=1e-5, fused=fused)
        for x, y in minibatches:
            loss = torch.nn.functional.mse_loss(y, net(x).flatten())
            adam.zero_grad()
            loss.backward()
            adam.step()
        return torch.nn.utils.parameters_to_vector(net.parameters()).detach()

    return [
        Contender("torch", "Adam", lambda: fit(False), c.n_steps),
        Contender("torch, fused Adam", "", lambda: fit(True), c.n_steps),
    ]


def act(p: PolicyProblem) -> list[Contender]:
    net, x = network(p.sizes, p.theta[: -p.sizes[-1]]), torch.from_numpy(p.inputs[:1])

    @torch.inference_mode()
    def call() -> torch.Tensor:
        return net(x)

    return [Contender("torch", "module call", call)]
