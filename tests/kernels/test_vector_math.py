"""Dot products and norms of the core: an order of additions that no BLAS and no processor changes."""

import math

import numpy as np
import pytest

from trpo_fast._core.modules import core


def dot_in_order(x, y):
    """32 interleaved sums, added in pairs."""
    sums = [0.0] * 32
    for i, (a, b) in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
        sums[i % 32] += a * b
    while len(sums) > 1:
        half = len(sums) // 2
        sums = [sums[j] + sums[j + half] for j in range(half)]
    return sums[0]


@pytest.mark.parametrize("size", [1, 31, 32, 33, 1000, 12_345])
def test_dot_adds_in_the_documented_order(size):
    x, y = np.random.default_rng(size).standard_normal((2, size))
    assert core.dot(x, y) == dot_in_order(x, y)
    assert core.dot(x, y) == pytest.approx(math.fsum(x * y), abs=1e-12 * size)


def test_norm_neither_overflows_nor_underflows():
    x = np.random.default_rng(0).standard_normal(1000)
    for scale in (1e-300, 1.0, 1e300):
        assert core.norm(scale * x) == pytest.approx(scale * math.sqrt(math.fsum(x * x)), rel=1e-14)
    assert core.norm(np.zeros(5)) == 0.0


@pytest.mark.parametrize("position", range(40))
def test_a_nan_or_an_infinity_shows(position):
    x = np.zeros(40)
    x[position] = np.inf
    assert core.norm(x) == np.inf
    x[position] = np.nan
    assert math.isnan(core.norm(x))
    x[position - 1] = np.inf
    assert math.isnan(core.norm(x))
