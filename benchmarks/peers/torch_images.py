"""A convolutional policy in PyTorch, on the CPU: every form that somebody may call its fastest.

Forms: contiguous images or channels_last; the whole batch at once or in chunks. Images are float32 already, and the
conversion from uint8, which is part of our time, is not part of theirs.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from benchmarks.harness.image_problems import ImageProblem
from benchmarks.harness.measuring import Contender
from trpo_fast import nets

CHUNKS = (64, 256, 1024)  # rows
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def network(p: ImageProblem, memory_format: torch.memory_format) -> torch.nn.Sequential:
    """The problem's network with its parameters."""
    modules: list[torch.nn.Module] = []
    for layer in p.layers:
        if isinstance(layer, nets.Flatten):
            modules.append(torch.nn.Flatten())
        elif isinstance(layer, nets.Conv2d):
            modules.append(torch.nn.LazyConv2d(layer.filters, layer.kernel_size, layer.stride, layer.padding))
        else:
            modules.append(torch.nn.LazyLinear(layer.width))
        if not isinstance(layer, nets.Flatten) and layer.activation_fn != "identity":
            modules.append({"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[layer.activation_fn]())
    net = torch.nn.Sequential(*modules)
    net(torch.from_numpy(p.floats()[:1]))
    torch.nn.utils.vector_to_parameters(torch.from_numpy(p.theta.copy()), net.parameters())
    return net.to(memory_format=memory_format)


class Form:
    """One way to hold the network and to cut the batch into chunks."""

    def __init__(self, p: ImageProblem, layout: str, rows: int) -> None:
        self.name = f"{layout}, {rows} rows"
        self.net = network(p, FORMATS[layout])
        self.parameters = list(self.net.parameters())
        images = torch.from_numpy(p.floats()).contiguous(memory_format=FORMATS[layout])
        arrays = images, torch.from_numpy(p.actions), torch.from_numpy(p.advantages.astype(np.float32))
        self.chunks = list(zip(*(a.split(rows) for a in arrays), strict=True))
        self.num_rows = len(p.actions)

    def flat_gradient(self, scalar: torch.Tensor, **options: bool) -> torch.Tensor:
        """(P,)."""
        gradients = torch.autograd.grad(scalar, self.parameters, **options)
        return torch.cat([g.reshape(-1) for g in gradients])  # the order of theta, whatever the layout


def forms(p: ImageProblem) -> Iterator[Form]:
    for layout in FORMATS:
        for rows in CHUNKS:
            yield Form(p, layout, rows)


def image_forward(p: ImageProblem) -> list[Contender]:
    def contender(form: Form) -> Contender:
        @torch.inference_mode()
        def call() -> torch.Tensor:
            return torch.cat([form.net(images) for images, _, _ in form.chunks])

        return Contender("torch", form.name, call)

    return [contender(form) for form in forms(p)]


def image_gradient(p: ImageProblem) -> list[Contender]:
    def contender(form: Form) -> Contender:
        def call() -> torch.Tensor:
            total = torch.zeros(len(p.theta))
            for images, actions, advantages in form.chunks:
                log_prob = torch.log_softmax(form.net(images), dim=1).gather(1, actions[:, None])[:, 0]
                ratio = torch.exp(log_prob - log_prob.detach())
                total += form.flat_gradient((ratio * advantages).sum() / form.num_rows)
            return total

        return Contender("torch", form.name, call)

    return [contender(form) for form in forms(p)]


def double_back_propagation(p: ImageProblem, form: Form) -> Callable[[torch.Tensor], torch.Tensor]:
    """v -> F v; the graphs of the KL gradients are kept."""
    kl_gradients = []
    for images, _, _ in form.chunks:
        log_probs = torch.log_softmax(form.net(images), dim=1)
        old = log_probs.detach()
        kl = (old.exp() * (old - log_probs)).sum() / form.num_rows
        kl_gradients.append(form.flat_gradient(kl, create_graph=True))

    def product(v: torch.Tensor) -> torch.Tensor:
        total = p.damping * v
        for gradient in kl_gradients:
            total += form.flat_gradient(gradient @ v, retain_graph=True)
        return total

    return product


def gauss_newton(p: ImageProblem, form: Form) -> Callable[[torch.Tensor], torch.Tensor]:
    """v -> J^T M J v + damping v by ``torch.func``; its vjp keeps the activations, its jvp has no such form."""
    names = [name for name, _ in form.net.named_parameters()]
    sizes, shapes = [q.numel() for q in form.parameters], [q.shape for q in form.parameters]

    def logits(images: torch.Tensor) -> Callable[..., torch.Tensor]:
        def f(*parameters: torch.Tensor) -> torch.Tensor:
            return torch.func.functional_call(form.net, dict(zip(names, parameters, strict=True)), (images,))

        return f

    functions = [logits(images) for images, _, _ in form.chunks]
    at = tuple(q.detach() for q in form.parameters)
    pulls = [torch.func.vjp(f, *at) for f in functions]

    def product(v: torch.Tensor) -> torch.Tensor:
        tangents = tuple(part.view(shape) for part, shape in zip(v.split(sizes), shapes, strict=True))
        total = p.damping * v
        for f, (phi, pull) in zip(functions, pulls, strict=True):
            phi_dot = torch.func.jvp(f, at, tangents)[1]
            probs = torch.softmax(phi, dim=1)
            metric = probs * (phi_dot - (probs * phi_dot).sum(dim=1, keepdim=True)) / form.num_rows
            total += torch.cat([g.reshape(-1) for g in pull(metric)])
        return total

    return product


def image_product(p: ImageProblem, v: np.ndarray) -> list[Contender]:
    tensor = torch.from_numpy(v.astype(np.float32))

    def contender(name: str, make: Callable[..., Callable[[torch.Tensor], torch.Tensor]], form: Form) -> Contender:
        product = make(p, form)
        return Contender(name, form.name, lambda: product(tensor).detach())

    makers = {"torch": double_back_propagation, "torch.func": gauss_newton}
    return [contender(name, make, form) for form in forms(p) for name, make in makers.items()]
