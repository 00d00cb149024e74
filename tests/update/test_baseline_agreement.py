"""One full update and one critic fit from the same batch: the package against the NumPy baseline."""

import gymnasium as gym
import numpy as np
import numpy_trpo as oracle
import pytest
from cases import ACTION_SPACES, IMAGE_NETWORKS, make_case, relative_error

from trpo_fast import Batch, TRPOConfig, ValueFunction, trpo_update

SETTINGS = {
    "default": {},
    "damped": {"step_norm": "damped", "cg_damping": 0.3},
    "thinned": {"sub_sampling_factor": 5},
    "raw advantages": {"normalize_advantage": False},
    "backtracking": {"target_kl": 0.1, "line_search_shrinking_factor": 0.5},
}


MLP = (16, 8), "tanh"
WITH_IMAGES = [("Gaussian", IMAGE_NETWORKS[0], {}), ("CategoricalMasked", IMAGE_NETWORKS[1], SETTINGS["thinned"])]


def both_updates(space, dtype, settings, seed, network=MLP):
    case = make_case(space, network=network, dtype=dtype, n=700, seed=seed, scale=0.4)
    # advantages that the policy can follow: a linear function of observation and action, plus noise
    actions = case.actions.reshape(len(case.actions), -1).astype(np.float64)
    signal = actions @ case.rng.standard_normal(actions.shape[1]) * (1.0 + 0.5 * case.inputs[:, 0])
    advantages = signal + case.advantages
    config = TRPOConfig(cg_max_steps=10, **settings)
    batch = Batch(case.observations, case.actions, advantages, advantages)
    theta, report = trpo_update(case.policy, case.theta, batch, config)
    expected_theta, expected = oracle.trpo_update(
        case.oracle,
        case.oracle_theta,
        case.inputs,
        case.actions,
        advantages,
        target_kl=config.target_kl,
        cg_max_steps=config.cg_max_steps,
        cg_rtol=1e-10,
        cg_damping=config.cg_damping,
        line_search_shrinking_factor=config.line_search_shrinking_factor,
        line_search_max_iter=config.line_search_max_iter,
        sub_sampling_factor=config.sub_sampling_factor,
        normalize_advantage=config.normalize_advantage,
        step_norm=config.step_norm,
    )
    return case, (theta, report), (expected_theta, expected)


@pytest.mark.parametrize(
    ("space", "network", "settings"), [*((s, MLP, o) for s in ACTION_SPACES for o in SETTINGS.values()), *WITH_IMAGES]
)
def test_float64_update_agrees_throughout(space, network, settings):
    _, (theta, report), (expected_theta, expected) = both_updates(space, "float64", settings, 1, network)
    assert report.committed
    assert expected["status"] == "accepted"
    assert relative_error(report.cg.x, expected["cg"]["x"]) < 1e-9
    assert report.cg.n_iter == expected["cg"]["n_iter"]
    assert report.cg.quadratic_form == pytest.approx(expected["cg"]["quadratic_form"], rel=1e-9)
    assert report.gradient_norm == pytest.approx(np.linalg.norm(expected["gradient"]), rel=1e-9)
    assert report.step_norm == pytest.approx(np.linalg.norm(expected["step"]), rel=1e-9)
    assert report.n_backtracks == expected["n_backtracks"]
    assert (report.mean_kl, report.max_kl) == pytest.approx((expected["mean_kl"], expected["max_kl"]), rel=1e-9)
    assert report.surrogate_after == pytest.approx(expected["surrogate_after"], rel=1e-9)
    assert relative_error(theta, expected_theta) < 1e-9


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("space", ACTION_SPACES)
def test_float32_update_agrees_within_its_precision(space, seed):
    case, (theta, report), (expected_theta, expected) = both_updates(space, "float32", {}, seed)
    assert relative_error(report.cg.x, expected["cg"]["x"]) < 5e-3
    assert report.gradient_norm == pytest.approx(np.linalg.norm(expected["gradient"]), rel=1e-4)
    assert report.step_norm == pytest.approx(np.linalg.norm(expected["step"]), rel=5e-3)
    margins = [abs(kl - 0.01) for kl in (report.mean_kl, expected["mean_kl"])]
    if min(margins) > 2e-4 and report.n_backtracks == expected["n_backtracks"]:  # away from the threshold
        assert report.mean_kl == pytest.approx(expected["mean_kl"], rel=2e-2)
        assert relative_error(theta - case.theta, expected_theta - case.oracle_theta) < 5e-3


@pytest.mark.parametrize("batch_size", [32, 100, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_critic_fit_agrees(dtype, batch_size):
    rng = np.random.default_rng(0)
    n, n_epochs = 333, 3
    critic = ValueFunction(gym.spaces.Box(-1, 1, (4,)), net_arch=(16, 8), normalize_returns=False, dtype=dtype)
    state = critic.initial_state(1)
    inputs = rng.standard_normal((n, 4)).astype(dtype)
    returns = rng.standard_normal(n)
    order = np.stack([rng.permutation(n) for _ in range(n_epochs)])
    network = oracle.MLP([4, 16, 8, 1])
    theta, adam = state.theta.astype(np.float64), (0.0, 0.0, 0)
    for _ in range(2):  # the second fit goes on from the first one's moments
        fit = critic.fit(state, inputs, returns, order, batch_size=batch_size, learning_rate=1e-2)
        theta, adam, loss = oracle.fit_critic(
            network, theta, adam, inputs.astype(np.float64), returns, order, batch_size, 1e-2
        )
        state = fit.state
        tol = 1e-9 if dtype == "float64" else 2e-3
        assert relative_error(state.theta, theta) < tol
        assert fit.loss == pytest.approx(loss, rel=tol)
        assert state.n_steps == adam[2]


def test_normalised_returns_are_the_same_fit_in_other_units():
    rng = np.random.default_rng(3)
    inputs, returns = rng.standard_normal((200, 4)), 1000.0 + 50.0 * rng.standard_normal(200)
    order = np.stack([rng.permutation(200) for _ in range(5)])
    space = gym.spaces.Box(-1, 1, (4,))
    plain, scaled = (ValueFunction(space, normalize_returns=flag, dtype="float64") for flag in (False, True))
    standard = (returns - returns.mean()) / np.sqrt(returns.var() + 1e-8)
    a = plain.fit(plain.initial_state(0), inputs, standard, order, batch_size=50, learning_rate=1e-3)
    b = scaled.fit(scaled.initial_state(0), inputs, returns, order, batch_size=50, learning_rate=1e-3)
    np.testing.assert_allclose(
        scaled.predict(b.state, inputs), returns.mean() + returns.std() * plain.predict(a.state, inputs), rtol=1e-9
    )
    assert b.loss == pytest.approx(a.loss * returns.var(), rel=1e-6)
