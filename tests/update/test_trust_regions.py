"""Alternative forms of the trust region: the guarantees of each, and their common limits."""

import numpy as np
import pytest
from cases import all_cases, make_case, relative_error, tolerance

from trpo_fast import (
    TRPO,
    Batch,
    EmpiricalFisherOperator,
    FisherOperator,
    InvalidArgumentError,
    SurrogateObjective,
    TRPOConfig,
    UpdateReport,
    UpdateStatus,
    conjugate_gradient,
    trpo_update,
)


def update(case, **settings):
    batch = Batch(case.observations, case.actions, case.advantages, case.advantages)
    config = TRPOConfig(**{"normalize_advantage": False, "cg_max_steps": 200, "line_search_max_iter": 60, **settings})
    return trpo_update(case.policy, case.theta, batch, config)


def gradient(case):
    return SurrogateObjective(case.policy, case.theta, case.observations, case.actions, case.advantages).gradient()


def test_no_update_exceeds_the_largest_kl():
    committed = 0
    for i in range(1000):
        space = ("Gaussian", "Categorical", "MultiDiscrete", "Bernoulli")[i % 4]
        case = make_case(space, dtype=("float32", "float64")[i // 4 % 2], n=40, seed=i)
        theta, report = update(case, trust_region="max_kl", target_kl=0.02)
        committed += report.committed
        old, new = (case.policy.dist_params(t, case.observations) for t in (case.theta, theta))
        assert case.policy.kl_divergence(old, new).max() <= 0.02
        assert report.max_kl <= 0.02
    assert committed > 950


def test_the_largest_kl_comes_near_its_bound():
    ratios = [update(make_case("Gaussian", n=60, seed=i), trust_region="max_kl")[1].max_kl / 0.01 for i in range(50)]
    assert np.median(ratios) > 0.5


def test_a_fixed_penalty_improves_the_penalised_objective_and_grows_tighter():
    case = make_case("Gaussian", n=200)
    kls = []
    for C in (1.0, 10.0, 100.0):
        _, report = update(case, trust_region="penalty", kl_penalty=C)
        assert report.committed
        assert report.kl_penalty == C
        assert report.surrogate_after - report.surrogate_before > C * report.mean_kl
        kls.append(report.mean_kl)
    assert kls[0] > 10 * kls[1] > 100 * kls[2]


def test_an_adaptive_penalty_is_the_multiplier_of_the_bound():
    """Where the KL is quadratic the two forms are the same step."""
    case = make_case("Gaussian", n=200)
    settings = {"target_kl": 1e-6, "cg_damping": 0.0, "cg_max_steps": 400}
    bounded, penalised = (update(case, trust_region=kind, **settings) for kind in ("mean_kl", "penalty"))
    assert penalised[1].step_norm == pytest.approx(bounded[1].step_norm, rel=1e-6)


@pytest.mark.parametrize("env_id", ["CartPole-v1", pytest.param("Pendulum-v1", marks=pytest.mark.slow)])
def test_an_adaptive_penalty_keeps_the_kl_near_its_goal(env_id):
    model = TRPO("MlpPolicy", env_id, trust_region="penalty", n_steps=500, seed=0)
    kls = []

    class Record:
        def write(self, metrics):
            kls.append(metrics["train/kl_divergence_loss"])

    model.sinks.append(Record())
    model.learn(60_000)
    ratios = np.array(kls[20:120]) / 0.01
    assert np.mean((ratios > 0.5) & (ratios < 2.0)) >= 0.9


@pytest.mark.parametrize("space", ["Gaussian", "Categorical"])
def test_the_natural_gradient_is_a_fixed_multiple_of_trpos_direction(space):
    case = make_case(space, n=100)
    theta, report = update(case, trust_region="none", step_size=0.01, cg_damping=0.1)
    assert report.committed
    F = FisherOperator(case.policy, case.theta, case.observations, 0.1)
    x = conjugate_gradient(F, gradient(case), max_iter=200).x
    np.testing.assert_allclose(theta - case.theta, 0.01 * x, rtol=1e-6, atol=1e-12)
    trpo, _ = update(case, cg_damping=0.1)
    direction = (trpo - case.theta) / np.linalg.norm(trpo - case.theta)
    np.testing.assert_allclose(direction, x / np.linalg.norm(x), rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("space", ["Gaussian", "Categorical"])
def test_the_plain_gradient_is_the_same_code_with_the_identity(space):
    case = make_case(space, n=100)
    theta, report = update(case, trust_region="none", metric="identity", step_size=0.01)
    g = gradient(case)
    assert report.cg.n_iter == 1
    np.testing.assert_allclose(theta - case.theta, 0.01 * g, rtol=1e-9, atol=1e-13)
    bounded, report = update(case, metric="identity")
    direction = (bounded - case.theta) / np.linalg.norm(bounded - case.theta)
    np.testing.assert_allclose(direction, g / np.linalg.norm(g), rtol=1e-6, atol=1e-10)
    assert report.mean_kl <= 0.01


def test_a_preconditioner_is_rejected_with_the_identity():
    with pytest.raises(InvalidArgumentError, match="^cg_preconditioner: expected none with the metric identity"):
        TRPOConfig(metric="identity", cg_preconditioner="kfac")


def test_a_fixed_step_to_nowhere_leaves_theta():
    case = make_case("Gaussian", dtype="float32", n=50)
    theta, report = update(case, trust_region="none", step_size=1e60)
    assert theta is case.theta
    assert report.status is UpdateStatus.LINE_SEARCH_FAILED


@all_cases()
def test_the_empirical_fisher_matrix_is_the_mean_outer_product_of_scores(spec):
    case = make_case(**spec, n=60)
    phi, _, vjp = case.oracle.linearize(case.oracle_theta, case.inputs)
    score = case.oracle.distribution.score(phi, case.actions)
    rows = np.stack([vjp(score * (np.arange(60) == n)[:, None]) for n in range(60)])
    v = case.vector()
    expected = rows.T @ (rows @ v) / 60 + 0.1 * v
    F = EmpiricalFisherOperator(case.policy, case.theta, case.observations, case.actions, 0.1)
    assert relative_error(F @ v, expected) < tolerance(spec["dtype"], 1e-11, 2e-4)


def test_the_empirical_fisher_matrix_comes_near_the_other_with_many_actions():
    case = make_case("Categorical", n=2)
    observations = np.tile(case.observations, (100_000, 1))
    noise = case.rng.standard_normal((len(observations), 1))
    rows = np.empty_like(noise)
    case.policy.act(case.theta, observations, noise, rows)
    actions = case.policy.codec.decode(rows)
    empirical = EmpiricalFisherOperator(case.policy, case.theta, observations, actions)
    v = case.vector()
    assert relative_error(empirical @ v, FisherOperator(case.policy, case.theta, observations) @ v) < 0.02
    thinned = EmpiricalFisherOperator(case.policy, case.theta, observations, actions, rows=slice(None, None, 4))
    alone = EmpiricalFisherOperator(case.policy, case.theta, observations[::4], actions[::4])
    np.testing.assert_array_equal(thinned @ v, alone @ v)


@pytest.mark.slow
def test_training_with_the_empirical_fisher_matrix_learns():
    model = TRPO("MlpPolicy", "CartPole-v1", metric="empirical_fisher", n_steps=1024, seed=0).learn(50_000)
    assert model.metrics["rollout/ep_rew_mean"] > 150.0


def test_the_lower_bound_is_the_theorys():
    report = UpdateReport(
        UpdateStatus.COMMITTED, surrogate_before=0.5, surrogate_after=0.75, max_kl=0.01, largest_advantage=2.0
    )
    assert report.lower_bound(0.9) == pytest.approx(0.25 / 0.1 - 4 * 2.0 * 0.9 / 0.01 * 0.01)
    assert np.isnan(report.lower_bound(1.0))
