"""The opponents. Every module offers some of the same functions, each of which returns a list of ``Contender``.

fisher_product(p, v)          F v at (theta, X), what does not depend on v cached
solve(p, b, n_iterations)     conjugate gradients for F x = b, from theta and X
fit_critic(c)                 all minibatch Adam steps of a fit: the new parameters
update(p, c, config)          the policy's step and the critic's fit: (step, new parameters of the critic)
act(p)                        the most probable action at the first observation
image_forward(p), image_gradient(p), image_product(p, v), image_update(p, c, config)    for policies on images
gemm(dtype)                   a product of two square matrices
"""

from importlib import import_module, util

from benchmarks.harness.measuring import Contender

NEEDS = {
    "numpy_peer": (),
    "torch_peer": ("torch",),
    "torch_images": ("torch",),
    "sb3_peer": ("sb3_contrib",),
    "sb3_images": ("sb3_contrib",),
    "tianshou_peer": ("tianshou",),
    "jax_peer": ("jax",),
    "jax_images": ("jax",),
    "onnx_peer": ("onnx", "onnxruntime"),
}


def missing() -> list[str]:
    """Packages of opponents that are not installed."""
    needed = dict.fromkeys(package for packages in NEEDS.values() for package in packages)
    return [package for package in needed if util.find_spec(package) is None]


def contenders(function: str, *args: object, only: str = "") -> list[Contender]:
    """What ``function(*args)`` of every installed opponent offers; ``only`` those with that name."""
    absent = set(missing())
    modules = [import_module(f"benchmarks.peers.{m}") for m, packages in NEEDS.items() if not absent & set(packages)]
    found = [c for module in modules if hasattr(module, function) for c in getattr(module, function)(*args)]
    return [c for c in found if only in ("", c.name)]
