"""Convolutional policies on uint8 images: forward pass, gradient and Fisher-vector product, N=1024; an update, N=512.

The network of the paper on 4x52x40 images, and NatureCNN on 4x84x84. Our time includes the conversion from uint8; the
opponents get float32 images in the layout that suits them best. The update, of NatureCNN, has sb3-contrib's settings,
and is checked against sb3-contrib's.
"""

import argparse
from collections.abc import Iterator

import numpy as np

from benchmarks.harness.image_problems import NATURE, PAPER, ImageProblem, image_critic_problem, image_problem
from benchmarks.harness.machine import Setting
from benchmarks.harness.measuring import Contender, compare
from benchmarks.harness.options import SECONDS
from benchmarks.harness.rows import OURS, Row
from benchmarks.peers import contenders, image_ours
from trpo_fast import TRPOConfig, set_num_threads

SETTINGS = (Setting(1), Setting(2))
OPTIONS = SECONDS
ROWS, UPDATE_ROWS = 1024, 512
TOLERANCE = 1e-4  # float32, relative
UPDATE_TOLERANCE = 1e-3  # sb3-contrib starts its solver from a random vector of 1e-4
CONFIG = TRPOConfig(kl_reduction="mean", step_norm="damped", normalize_returns=False)


def measure(setting: Setting, options: argparse.Namespace) -> Iterator[Row]:
    for case in (PAPER, NATURE):
        p = image_problem(case, ROWS)
        v = np.random.default_rng(0).standard_normal(len(p.theta))
        for what, arguments in (("forward", ()), ("gradient", ()), ("product", (v,))):
            yield from compared(p, what, arguments, setting, options)
    if setting == Setting(1):
        yield from update(options)


def update(options: argparse.Namespace) -> Iterator[Row]:
    """A whole update; without sb3-contrib there is nothing to compare with."""
    p = image_problem(NATURE, UPDATE_ROWS)
    c = image_critic_problem(p, CONFIG)
    peers = contenders("image_update", p, c, CONFIG)
    if peers:
        both = [*image_ours.image_update(p, c, CONFIG), *peers]
        yield from compare(f"{p.name} update", both, peers[0].call(), UPDATE_TOLERANCE, options.seconds)


def compared(
    p: ImageProblem, what: str, arguments: tuple[np.ndarray, ...], setting: Setting, options: argparse.Namespace
) -> Iterator[Row]:
    ours = getattr(image_ours, f"image_{what}")
    all_contenders = [*ours(p, *arguments), *contenders(f"image_{what}", p, *arguments)]
    if setting.threads > 1:
        all_contenders.append(on_one_thread(ours(p, *arguments)[0], setting.threads))
    yield from compare(
        f"{p.name} {what}", all_contenders, image_ours.expected(what, p, *arguments), TOLERANCE, options.seconds,
        flops=p.flops[what], gemms=contenders("gemm", "float32"),
    )  # fmt: skip


def on_one_thread(contender: Contender, n_threads: int) -> Contender:
    """Our call on one thread, to compare with ``n_threads``."""

    def call() -> np.ndarray:
        set_num_threads(1)
        try:
            return contender.call()
        finally:
            set_num_threads(n_threads)

    return contender._replace(name=f"{OURS}, 1 thread", call=call)
