"""Ctrl-C: long C++ calls stop soon, and what was committed stays."""

import signal
import threading
import time

import gymnasium as gym
import numpy as np
import pytest

from trpo_fast import (
    TRPO,
    FisherOperator,
    Policy,
    SurrogateObjective,
    ValueFunction,
    conjugate_gradient,
    get_num_threads,
)

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs POSIX signals"),
    pytest.mark.usefixtures("ctrl_c"),
]
OBS_DIM, N = 64, 60_000


def interrupted_after(delay, call):
    """Seconds from Ctrl-C to the KeyboardInterrupt that ``call`` ends with: of work, whatever else the machine does."""
    sent = []

    def send():
        sent.append(time.process_time())
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    timer = threading.Timer(delay, send)
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            call()
        return (time.process_time() - sent[0]) / get_num_threads()
    finally:
        timer.join()


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(0)
    policy = Policy(gym.spaces.Box(-1, 1, (OBS_DIM,)), gym.spaces.Box(-1, 1, (4,)), net_arch=(256, 256))
    return policy, policy.initial_parameters(0), rng.standard_normal((N, OBS_DIM)), rng


def test_conjugate_gradient_stops(problem):
    policy, theta, observations, rng = problem
    F = FisherOperator(policy, theta, observations, 0.1)
    b = rng.standard_normal(policy.num_params)
    assert interrupted_after(0.3, lambda: conjugate_gradient(F, b, max_iter=200, rtol=0.0)) < 1.0
    assert np.isfinite(F @ b).all()  # the operator is usable afterwards


def test_evaluation_stops(problem):
    policy, theta, observations, rng = problem
    actions = rng.standard_normal((N, 4)).astype(np.float32)
    objective = SurrogateObjective(policy, theta, observations, actions, rng.standard_normal(N))

    def evaluate_often():
        for _ in range(500):
            objective.evaluate(theta)

    assert interrupted_after(0.3, evaluate_often) < 1.0


def test_critic_fit_stops_and_leaves_its_state(problem):
    _, _, observations, rng = problem
    critic = ValueFunction(gym.spaces.Box(-1, 1, (OBS_DIM,)), net_arch=(256, 256))
    state = critic.initial_state(0)
    before = state.theta.copy()
    inputs, returns = observations[:2000].astype(np.float32), rng.standard_normal(2000)
    order = np.tile(np.arange(2000), (5000, 1))

    def fit():
        critic.fit(state, inputs, returns, order, batch_size=128, learning_rate=1e-3)

    assert interrupted_after(0.3, fit) < 1.0
    np.testing.assert_array_equal(state.theta, before)


def test_learn_keeps_the_last_committed_state():
    model = TRPO("MlpPolicy", "CartPole-v1", seed=0, n_steps=128, n_critic_updates=2, batch_size=4)
    model.learn(256)
    before = {k: {n: a.copy() for n, a in v.items()} for k, v in model.get_parameters().items()}
    statistics, updates = model.policy.normalizer.statistics, model.metrics["train/n_updates"]
    object.__setattr__(model.config, "n_critic_updates", 20_000)  # the next critic fit takes many seconds
    assert interrupted_after(1.0, lambda: model.learn(10_000, reset_num_timesteps=False)) < 1.0
    for part, named in model.get_parameters().items():
        for name, array in named.items():
            np.testing.assert_array_equal(array, before[part][name])
    assert model.policy.normalizer.statistics is statistics
    object.__setattr__(model.config, "n_critic_updates", 2)
    model.learn(128, reset_num_timesteps=False)
    assert model.metrics["train/n_updates"] == updates + 1
    model.predict(np.zeros(4, dtype=np.float32))
