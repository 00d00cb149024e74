"""Distributions: against the oracle, against their own samples, and in the limits where naive formulas fail."""

import math
from fractions import Fraction

import numpy as np
import pytest
from cases import ACTION_SPACES, DTYPES, make_case, oracle_distribution, relative_error, tolerance

from trpo_fast._core.modules import kernels

SPACES = list(ACTION_SPACES)


def random_phi(case, n, scale=1.0):
    k = case.policy.distribution.num_dist_params
    return (scale * case.rng.standard_normal((n, k))).astype(case.policy.dtype)


def scalars(method, *arrays):
    out = np.empty(len(arrays[0]))
    method(*arrays, out)
    return out


def rows(method, *arrays):
    out = np.empty_like(arrays[0])
    method(*arrays, out)
    return out


def multiply_fisher(distribution, phi, dphi):
    return rows(distribution.multiply_fisher, rows(distribution.fisher_metric, phi), dphi)


def sample(distribution, phi, rng):
    noise = rng.standard_normal((len(phi), distribution.action_size)).astype(phi.dtype)
    actions = np.empty_like(noise)
    distribution.sample(phi, noise, actions)
    return actions


def for_oracle(case, actions):
    """Encoded actions as the oracle's actions, where choices are integers."""
    return actions.astype(np.float64 if case.policy.codec.has_log_std else np.int64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("space", SPACES)
def test_values_agree_with_the_oracle(space, dtype):
    case = make_case(space, dtype=dtype)
    d, reference = case.policy.distribution, oracle_distribution(ACTION_SPACES[space])
    p, q = random_phi(case, 300), random_phi(case, 300)
    actions = sample(d, p, case.rng)
    p64, q64 = p.astype(np.float64), q.astype(np.float64)
    # evaluated in double from the rounded phi: float32 policies lose nothing here
    assert relative_error(scalars(d.log_prob, p, actions), reference.log_prob(p64, for_oracle(case, actions))) < 1e-12
    assert relative_error(scalars(d.kl_divergence, p, q), reference.kl(p64, q64)) < 1e-12
    assert relative_error(scalars(d.entropy, p), reference.entropy(p64)) < 1e-12
    log_ratio = reference.log_prob(q64, for_oracle(case, actions)) - reference.log_prob(p64, for_oracle(case, actions))
    assert relative_error(scalars(d.log_ratio, p, q, actions), log_ratio) < 1e-12
    assert relative_error(multiply_fisher(d, p, q), reference.metric(p64, q64)) < tolerance(dtype, 1e-12, 1e-5)
    weight = np.ones(300)
    score = np.empty_like(p)
    d.log_prob_vjp(p, actions, weight, score)
    assert relative_error(score, reference.score(p64, for_oracle(case, actions))) < tolerance(dtype, 1e-12, 1e-5)


@pytest.mark.parametrize("space", SPACES)
def test_score_is_the_gradient_of_log_prob(space):
    case = make_case(space)
    d, h = case.policy.distribution, 1e-6
    phi = random_phi(case, 50)
    actions = sample(d, phi, case.rng)
    weight = case.rng.standard_normal(50)
    score = np.empty_like(phi)
    d.log_prob_vjp(phi, actions, weight, score)
    for k in range(phi.shape[1]):
        e = np.zeros_like(phi)
        e[:, k] = h
        slope = (scalars(d.log_prob, phi + e, actions) - scalars(d.log_prob, phi - e, actions)) / (2 * h)
        np.testing.assert_allclose(score[:, k], weight * slope, atol=1e-7)


@pytest.mark.parametrize("space", SPACES)
def test_metric_is_the_covariance_of_the_score(space):
    """M = E[score scoreᵀ] within 3 sigma of the Monte-Carlo mean, and within the bound for every entry."""
    case = make_case(space, seed=4)
    d, n = case.policy.distribution, 200_000
    phi = random_phi(case, 1)
    many = np.repeat(phi, n, axis=0)
    score = np.empty_like(many)
    d.log_prob_vjp(many, sample(d, many, case.rng), np.ones(n), score)
    products = np.einsum("ni,nj->nij", score, score)
    k = phi.shape[1]
    metric = multiply_fisher(d, np.repeat(phi, k, axis=0), np.eye(k))
    sigma = products.std(axis=0) / math.sqrt(n) + 1e-12
    z = (products.mean(axis=0) - metric) / sigma
    assert np.abs(z).max() < 4.5  # the largest of up to 100 normal variables
    assert np.sqrt((z**2).mean()) < 3.0


@pytest.mark.parametrize("space", SPACES)
def test_kl_and_entropy_are_the_expectations_they_claim(space):
    """-E[log p] = H(p) and E[log p - log q] = KL(p || q), within 3 sigma (joschu/modular_rl's validate_probtype)."""
    case = make_case(space, seed=11)
    d, n = case.policy.distribution, 200_000
    p, q = (np.repeat(random_phi(case, 1, 0.7), n, axis=0) for _ in range(2))
    actions = sample(d, p, case.rng)
    log_p, log_q = scalars(d.log_prob, p, actions), scalars(d.log_prob, q, actions)
    for values, expected in [(-log_p, scalars(d.entropy, p)[0]), (log_p - log_q, scalars(d.kl_divergence, p, q)[0])]:
        assert abs(values.mean() - expected) < 3 * values.std() / math.sqrt(n)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("space", SPACES)
def test_kl_is_zero_at_equality_and_never_negative(space, dtype):
    case = make_case(space, dtype=dtype)
    d = case.policy.distribution
    for scale in (1e-3, 1.0, 15.0):
        p = random_phi(case, 200, scale)
        assert not scalars(d.kl_divergence, p, p).any()
        assert not scalars(d.log_ratio, p, p, sample(d, p, case.rng)).any()
        for distance in (1e-7, 1e-3, 1.0):
            q = (p + distance * case.rng.standard_normal(p.shape)).astype(dtype)
            assert (scalars(d.kl_divergence, p, q) >= 0.0).all()


@pytest.mark.parametrize("distance", [1e-2, 1e-5, 1e-8, 1e-11])
def test_kl_keeps_its_digits_at_small_distances(distance):
    """Against the second-order expansion in exact rational arithmetic: naive formulas have no digit left here."""
    core = kernels("float64")
    phi = np.array([[0.3, -0.7, 0.2]])
    q = phi + distance * np.array([[1.0, -1.0, 0.5]])
    kl = scalars(core.Categorical(3).kl_divergence, phi, q)[0]
    weights = np.exp(phi[0] - phi[0].max())
    p = [Fraction(w) for w in weights / weights.sum()]
    e = [Fraction(b) - Fraction(a) for a, b in zip(phi[0], q[0], strict=True)]
    mean = sum(w * x for w, x in zip(p, e, strict=True)) / sum(p)
    second = sum(w * (x - mean) ** 2 for w, x in zip(p, e, strict=True)) / sum(p) / 2
    assert kl == pytest.approx(float(second), rel=max(distance, 1e-14) * 2)
    gaussian = scalars(core.DiagGaussian(1).kl_divergence, np.zeros((1, 2)), np.array([[0.0, distance]]))[0]
    assert gaussian == pytest.approx(distance**2, rel=2 * distance + 1e-14)


@pytest.mark.parametrize("space", SPACES)
def test_log_ratio_keeps_its_digits_at_small_distances(space):
    """Against the score: log q/p = score . distance + O(distance^2), also where log p itself is huge."""
    case = make_case(space)
    d, distance = case.policy.distribution, 1e-9
    p = random_phi(case, 100, 3.0)
    q = p + distance * case.rng.standard_normal(p.shape)
    actions = sample(d, p, case.rng) + (1e4 if case.policy.codec.has_log_std else 0)
    score = np.empty_like(p)
    d.log_prob_vjp(p, actions, np.ones(100), score)
    np.testing.assert_allclose(
        scalars(d.log_ratio, p, q, actions), (score * (q - p)).sum(axis=1), rtol=2e-4, atol=1e-17
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("space", SPACES)
def test_terms_compared_in_one_pass_are_those_of_the_functions(space, dtype):
    """Through the surrogate of one row, whose network is a bias: phi = theta."""
    case = make_case(space, dtype=dtype)
    d, k = case.policy.distribution, kernels(dtype)
    network = k.Network([k.Dense(1, d.num_dist_params, "identity")])
    p = random_phi(case, 1)
    actions = sample(d, p, case.rng)
    for q in (p, p + random_phi(case, 1, 0.1), random_phi(case, 1, 5.0)):
        theta_p, theta_q = (np.concatenate([np.zeros(phi.size, dtype), phi[0]]) for phi in (p, q))
        objective = k.SurrogateObjective(network, d, theta_p, np.zeros((1, 1), dtype), actions, np.ones(1), 0.0, 1)
        surrogate, mean_kl, max_kl, entropy = objective.evaluate(theta_q)
        assert mean_kl == max_kl == scalars(d.kl_divergence, p, q)[0]
        assert entropy == scalars(d.entropy, q)[0]
        log_ratio = scalars(d.log_ratio, p, q, actions)[0]
        assert surrogate == pytest.approx(math.exp(min(log_ratio, 20.0)), rel=1e-14)
        assert surrogate == 1.0 or q is not p


def every_row_function(d, p, q, noise, weight):
    """What each function says of each row, (N, columns)."""
    actions, most_probable, score = np.empty_like(noise), np.empty_like(noise), np.empty_like(p)
    d.sample(p, noise, actions)
    d.mode(p, most_probable)
    d.log_prob_vjp(p, actions, weight, score)
    values = [scalars(d.log_prob, p, actions), scalars(d.log_ratio, p, q, actions)]
    values += [scalars(d.kl_divergence, p, q), scalars(d.entropy, p)]
    metric = rows(d.fisher_metric, p)
    return np.column_stack([actions, most_probable, score, *values, metric, rows(d.multiply_fisher, metric, q)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("space", SPACES)
def test_a_row_does_not_depend_on_the_rows_around_it(space, dtype):
    """Rows that share some parameters with the row above, as they share a log_std, and rows that share none."""
    case = make_case(space, dtype=dtype)
    d, n = case.policy.distribution, 40
    p, q = random_phi(case, n), random_phi(case, n)
    for phi in (p, q):
        kept = case.rng.random(phi.shape) < 0.7
        for i in range(1, n):
            phi[i] = np.where(kept[i], phi[i - 1], phi[i])
    noise, weight = case.rng.standard_normal((n, d.action_size)).astype(dtype), case.rng.standard_normal(n)
    together = every_row_function(d, p, q, noise, weight)
    apart = [every_row_function(d, p[i : i + 1], q[i : i + 1], noise[i : i + 1], weight[i : i + 1]) for i in range(n)]
    np.testing.assert_array_equal(together, np.concatenate(apart))


@pytest.mark.parametrize("space", SPACES)
def test_a_nan_stays_in_its_row_and_is_not_lost_there(space):
    case = make_case(space)
    d = case.policy.distribution
    p = np.repeat(random_phi(case, 1), 3, axis=0)
    actions = sample(d, p, case.rng)
    for k in range(p.shape[1]):
        q = p.copy()
        q[1, k] = np.nan
        for values in (
            scalars(d.log_prob, q, actions),
            scalars(d.log_ratio, p, q, actions),
            scalars(d.log_ratio, q, p, actions),
            scalars(d.kl_divergence, p, q),
            scalars(d.kl_divergence, q, p),
        ):
            assert np.isnan(values).tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_common_shift_of_the_logits_has_no_curvature(dtype):
    case = make_case("Categorical", dtype=dtype)
    shift = np.full((300, 4), 1e3, dtype)
    assert np.abs(multiply_fisher(case.policy.distribution, random_phi(case, 300), shift)).max() < 1e-12


def test_extreme_logits_stay_finite():
    core = kernels("float64")
    far, near = np.array([[1e4, -1e4, 0.0]]), np.zeros((1, 3))
    for p, q in [(far, near), (near, far), (far, -far)]:
        assert np.isfinite(scalars(core.Categorical(3).kl_divergence, p, q)).all()
        assert np.isfinite(scalars(core.Bernoulli(3).kl_divergence, p, q)).all()
    assert scalars(core.Categorical(3).kl_divergence, far, near)[0] == pytest.approx(math.log(3))
    assert scalars(core.Bernoulli(1).kl_divergence, np.array([[0.0]]), np.array([[1e3]]))[0] == pytest.approx(
        500 - math.log(2)
    )
    assert np.isfinite(scalars(core.Categorical(3).entropy, far)).all()


def test_a_huge_common_shift_of_the_logits_changes_nothing():
    d = kernels("float64").Categorical(3)
    p, q = np.zeros((1, 3)), np.full((1, 3), -1.78e21)
    actions = np.array([[1.0]])
    assert scalars(d.kl_divergence, p, q)[0] == 0.0
    assert scalars(d.log_ratio, p, q, actions)[0] == 0.0
    assert scalars(d.log_prob, q, actions)[0] == pytest.approx(-math.log(3))
    assert scalars(d.entropy, q)[0] == pytest.approx(math.log(3))


def test_bernoulli_keeps_the_digits_of_its_tails():
    d = kernels("float64").Bernoulli(1)
    z = np.array([[-40.0], [40.0]])
    p = math.exp(-40.0)
    np.testing.assert_allclose(multiply_fisher(d, z, np.ones((2, 1))).ravel(), p, rtol=1e-12)
    score = np.empty((2, 1))
    d.log_prob_vjp(z, np.array([[0.0], [0.0]]), np.ones(2), score)
    np.testing.assert_allclose(score.ravel(), [-p, -1.0], rtol=1e-12)


def test_mode_is_the_most_probable_action():
    core = kernels("float64")
    phi = np.array([[0.1, 2.0, -1.0, 0.0]])
    for distribution, expected in [
        (core.DiagGaussian(2), [[0.1, 2.0]]),
        (core.Categorical(4), [[1]]),
        (core.Bernoulli(4), [[1, 1, 0, 0]]),
        (core.Product([core.Categorical(2), core.Categorical(2)]), [[1, 1]]),
    ]:
        out = np.empty((1, distribution.action_size))
        distribution.mode(phi, out)
        assert out.tolist() == expected


def test_sampling_is_a_function_of_the_noise_and_covers_every_choice():
    core = kernels("float32")
    d = core.Categorical(3)
    phi = np.zeros((3, 3), dtype=np.float32)
    out = np.empty((3, 1), dtype=np.float32)
    d.sample(phi, np.array([[-40.0], [0.0], [40.0]], dtype=np.float32), out)
    assert out.ravel().tolist() == [0, 1, 2]
    phi[:, 2] = -1e4  # impossible: not even the largest noise may choose it
    d.sample(phi, np.array([[-40.0], [0.1], [40.0]], dtype=np.float32), out)
    assert out.ravel().tolist() == [0, 1, 1]


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_unit_gaussian_is_a_gaussian_whose_variances_are_one(dtype):
    core, rng = kernels(dtype), np.random.default_rng(5)
    unit, gaussian = core.UnitGaussian(3), core.DiagGaussian(3)
    p, q, actions, dphi = (rng.standard_normal((50, 3)).astype(dtype) for _ in range(4))
    p_wide, q_wide, dphi_wide = (np.hstack([a, np.zeros_like(a)]) for a in (p, q, dphi))
    values = [(unit.log_prob, gaussian.log_prob, (p, actions), (p_wide, actions)),
              (unit.log_ratio, gaussian.log_ratio, (p, q, actions), (p_wide, q_wide, actions)),
              (unit.kl_divergence, gaussian.kl_divergence, (p, q), (p_wide, q_wide)),
              (unit.entropy, gaussian.entropy, (p,), (p_wide,))]  # fmt: skip
    for of_unit, of_gaussian, given, given_wide in values:
        np.testing.assert_allclose(scalars(of_unit, *given), scalars(of_gaussian, *given_wide), rtol=1e-13)
    score, score_wide = np.empty_like(p), np.empty_like(p_wide)
    weight = rng.standard_normal(50)
    unit.log_prob_vjp(p, actions, weight, score)
    gaussian.log_prob_vjp(p_wide, actions, weight, score_wide)
    np.testing.assert_array_equal(score, score_wide[:, :3])
    np.testing.assert_array_equal(multiply_fisher(unit, p, dphi), dphi)
    np.testing.assert_array_equal(multiply_fisher(gaussian, p_wide, dphi_wide)[:, :3], dphi)
    entropy_bar = np.ones_like(p)
    unit.entropy_vjp(p, 2.0, entropy_bar)
    assert not entropy_bar.any()  # the entropy is constant
    noise = rng.standard_normal((50, 3)).astype(dtype)
    sampled, most = np.empty_like(p), np.empty_like(p)
    unit.sample(p, noise, sampled)
    unit.mode(p, most)
    np.testing.assert_array_equal(sampled, p + noise)
    np.testing.assert_array_equal(most, p)
