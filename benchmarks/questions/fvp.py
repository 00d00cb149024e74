"""Fisher-vector products: F v at a theta, with everything cached that does not depend on v.

Networks of 64 and 256 units, float32 and float64; one and two threads; every contender held to AVX2; and the time per
row as N grows.
"""

import argparse
from collections.abc import Iterator

import numpy as np

from benchmarks.harness.machine import Others, Setting
from benchmarks.harness.measuring import Contender, compare, time_in_turns
from benchmarks.harness.options import SECONDS
from benchmarks.harness.problems import TOLERANCE, PolicyProblem, policy_problem
from benchmarks.harness.rows import OURS, Row, spread
from benchmarks.peers import contenders, ours
from benchmarks.peers.numpy_peer import bare_products
from trpo_fast import set_num_threads

SETTINGS = (Setting(1), Setting(2), Setting(1, avx2=True))
OPTIONS = SECONDS
SMALL, LARGE = (17, 64, 64, 6), (348, 256, 256, 17)
CASES = [(SMALL, 2048), (SMALL, 16384), (LARGE, 5000)]
GROWTH = [1024 * 4**k for k in range(5)]  # rows: 1k to 256k


def measure(setting: Setting, options: argparse.Namespace) -> Iterator[Row]:
    for sizes, n in CASES[:2] if setting.threads > 1 else CASES:
        for dtype in ("float32", "float64") if setting == Setting(1) else ("float32",):
            yield from products(policy_problem(sizes, n, dtype), setting, options)
    if setting == Setting(1):
        yield from growth(options)


def products(p: PolicyProblem, setting: Setting, options: argparse.Namespace) -> Iterator[Row]:
    v = np.random.default_rng(0).standard_normal(len(p.theta))
    oracle = p.oracle.fisher_operator(p.theta.astype(np.float64), p.inputs.astype(np.float64), p.damping)
    dtype = str(p.theta.dtype)
    all_contenders = [*ours.fisher_product(p, v), *contenders("fisher_product", p, v)]
    if setting.threads > 1:
        all_contenders.append(on_one_thread(p, v, setting.threads))
    gemms = contenders("gemm", dtype)
    yield from compare(
        p.name, all_contenders, oracle(v), TOLERANCE[dtype], options.seconds, flops=p.product_flops, gemms=gemms
    )
    if setting == Setting(1):
        yield numpy_control(p, v, options)


def on_one_thread(p: PolicyProblem, v: np.ndarray, n_threads: int) -> Contender:
    """Our product on one thread, to compare with ``n_threads``."""
    set_num_threads(1)
    (contender,) = ours.fisher_product(p, v)
    set_num_threads(n_threads)
    return contender._replace(name=f"{OURS}, 1 thread")


def numpy_control(p: PolicyProblem, v: np.ndarray, options: argparse.Namespace) -> Row:
    """The NumPy opponent's time over that of its bare matrix products and tanh slopes."""
    opponent, bare = *contenders("fisher_product", p, v, only="numpy"), *bare_products(p)
    bare.call()
    others = Others()
    times, bare_times = time_in_turns([opponent, bare], options.seconds / 2)
    overhead = spread("overhead", times / bare_times)
    return {"case": p.name, "contender": bare.name, **spread("seconds", bare_times), **overhead, **others.row()}


def growth(options: argparse.Namespace) -> Iterator[Row]:
    """Time per row for N = 1k to 256k rows: the greatest median over the least."""
    name, sizes = "17-64-64-6 growth float32", []
    for n in GROWTH:
        p = policy_problem(SMALL, n, "float32")
        (contender,) = ours.fisher_product(p, np.ones(len(p.theta)))
        sizes.append(Contender(f"{OURS} N={n}, a sample", "", contender.call, n))
    for contender in sizes:
        contender.call()
    others = Others()
    times = time_in_turns(sizes, options.seconds)
    quiet = others.row()
    for contender, t in zip(sizes, times, strict=True):
        yield {"case": name, "contender": contender.name, **spread("seconds", t), **quiet}
    medians = [float(np.median(t)) for t in times]
    yield {"case": name, "contender": OURS, "growth": max(medians) / min(medians), **quiet}
