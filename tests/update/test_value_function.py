"""The critic: a background fit equals a foreground fit, and its state is committed completely or not at all."""

import gymnasium as gym
import numpy as np
import pytest
from cases import DTYPES

import trpo_fast
from trpo_fast import ValueFitStatus, ValueFunction

N = 300


def problem(dtype, **kwargs):
    rng = np.random.default_rng(0)
    critic = ValueFunction(gym.spaces.Box(-1, 1, (5,)), net_arch=(33, 16), dtype=dtype, **kwargs)
    order = np.stack([rng.permutation(N) for _ in range(3)])
    inputs, returns = rng.standard_normal((N, 5)).astype(dtype), rng.standard_normal(N)
    return critic, critic.initial_state(0), (inputs, returns, order), {"batch_size": 70, "learning_rate": 1e-2}


@pytest.fixture
def threads():
    before = trpo_fast.get_num_threads()
    yield trpo_fast.set_num_threads
    trpo_fast.set_num_threads(before)


@pytest.mark.parametrize("n_threads", [1, 2, 4])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_background_fit_equals_a_foreground_fit(dtype, n_threads, threads):
    critic, state, data, options = problem(dtype)
    threads(1)
    expected = critic.fit(state, *data, **options)
    before = state.theta.copy()
    threads(n_threads)
    pending = critic.begin_fit(state, *data, **options)
    got = pending.result()
    for name in ("theta", "first_moment", "second_moment"):
        np.testing.assert_array_equal(getattr(got.state, name), getattr(expected.state, name))
        assert (getattr(got.state, name) != getattr(state, name)).any()
    assert (got.status, got.loss, got.state.n_steps) == (ValueFitStatus.COMMITTED, expected.loss, 15)
    np.testing.assert_array_equal(pending.result().state.theta, expected.state.theta)
    np.testing.assert_array_equal(state.theta, before)


def test_concurrent_and_dropped_fits_end(threads):
    critic, state, data, options = problem("float32")
    threads(4)
    expected = critic.fit(state, *data, **options).state.theta
    for _ in range(20):
        critic.begin_fit(state, *data, **options)  # dropped
    for pending in [critic.begin_fit(state, *data, **options) for _ in range(10)]:
        np.testing.assert_array_equal(pending.result().state.theta, expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_fit_that_is_not_finite_leaves_the_state(bad):
    critic, state, (inputs, returns, order), options = problem("float32", normalize_returns=False)
    for broken in (
        (inputs, np.where(np.arange(N) == 7, bad, returns), order),
        (np.full_like(inputs, bad), returns, order),
    ):
        fit = critic.begin_fit(state, *broken, **options).result()
        assert fit.status is ValueFitStatus.NON_FINITE
        assert fit.state is state
