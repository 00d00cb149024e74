"""Action masks: impossible actions have probability 0; KL, score and Fisher matrix are those of the possible ones."""

import gymnasium as gym
import numpy as np
import pytest
from cases import OBS_DIM, make_case

from trpo_fast import Batch, InvalidArgumentError, Policy, SurrogateObjective, TRPOConfig, trpo_update

N = 200_000


def all_actions(case):
    """Every action of a masked case's space as a batch."""
    space = case.policy.action_space
    if isinstance(space, gym.spaces.Discrete):
        return np.arange(space.n)
    return np.stack(np.meshgrid(*(np.arange(n) for n in space.nvec), indexing="ij"), axis=-1).reshape(
        -1, len(space.nvec)
    )


@pytest.fixture(params=["CategoricalMasked", "MultiDiscreteMasked"])
def one_state(request):
    """(case, theta', a row of observation and mask N times, N sampled actions)."""
    case = make_case(request.param, n=6)
    observations = np.tile(case.observations[2], (N, 1))
    noise = case.rng.standard_normal((N, case.policy.codec.size))
    rows = np.empty_like(noise)
    case.policy.act(case.theta, observations, noise, rows)
    theta_new = case.theta + 0.3 * case.vector()
    return case, theta_new, observations, case.policy.codec.decode(rows)


def test_sampled_frequencies_are_the_probabilities(one_state):
    case, _, observations, sampled = one_state
    actions = all_actions(case)
    p = np.exp(case.policy.log_prob(case.theta, observations[: len(actions)], actions))
    frequency = np.array([(a == np.atleast_2d(sampled.T).T).all(axis=1).mean() for a in np.atleast_2d(actions.T).T])
    mask = observations[0, OBS_DIM:].astype(bool)
    begins = case.policy.action_masks._begins
    possible = mask[begins + np.atleast_2d(actions.T).T].all(axis=1)
    assert not possible.all(), "the case has impossible actions"
    assert (p[~possible] == 0.0).all()
    assert (frequency[~possible] == 0.0).all()
    assert (p[possible] > 0.0).all()
    assert p.sum() == pytest.approx(1.0, abs=1e-12)
    assert (np.abs(frequency - p) < 5.0 * np.sqrt(p * (1.0 - p) / N) + 1e-9).all()


def test_kl_is_the_mean_log_ratio_of_samples(one_state):
    case, theta_new, observations, sampled = one_state
    log_ratio = case.policy.log_prob(case.theta, observations, sampled) - case.policy.log_prob(
        theta_new, observations, sampled
    )
    p, q = (case.policy.dist_params(theta, observations[:1]) for theta in (case.theta, theta_new))
    kl = case.policy.kl_divergence(p, q)[0]
    assert kl > 0.001
    assert abs(log_ratio.mean() - kl) < 5.0 * log_ratio.std() / np.sqrt(N)


def test_fisher_metric_is_the_second_moment_of_the_score(one_state):
    case, _, observations, sampled = one_state
    distribution = case.policy.distribution
    phi = case.policy.dist_params(case.theta, observations[:1])
    K = phi.shape[1]
    metric = np.empty_like(phi)
    distribution.fisher_metric(phi, metric)
    M = np.empty((K, K))
    distribution.multiply_fisher(np.tile(metric, (K, 1)), np.eye(K), M)
    score = np.empty((N, K))
    rows = case.policy.codec.encode(sampled)
    distribution.log_prob_vjp(np.tile(phi, (N, 1)), rows, np.ones(N), score)
    products = score[:, :, None] * score[:, None, :]
    assert (np.abs(products.mean(axis=0) - M) < 5.0 * products.std(axis=0) / np.sqrt(N) + 1e-12).all()
    impossible = observations[0, OBS_DIM:] == 0.0
    assert (M[impossible] == 0.0).all()
    assert (score[:, impossible] == 0.0).all()


def test_a_masked_distribution_equals_a_smaller_one():
    wide = Policy(
        gym.spaces.Box(-1.0, 1.0, (2,)), gym.spaces.Discrete(5), net_arch=(), dtype="float64", use_masking=True
    )
    narrow = Policy(gym.spaces.Box(-1.0, 1.0, (2,)), gym.spaces.Discrete(2), net_arch=(), dtype="float64")
    rng = np.random.default_rng(0)
    kept = [1, 3]
    theta, theta_new = rng.standard_normal((2, wide.num_params))
    few, few_new = (
        np.concatenate([wide.unflatten(t)[name][kept].ravel() for name in ("layers.0.weight", "layers.0.bias")])
        for t in (theta, theta_new)
    )
    observations, actions, advantages = rng.standard_normal((9, 2)), rng.integers(2, size=9), rng.standard_normal(9)
    masked = np.hstack([observations, np.tile(np.isin(np.arange(5), kept), (9, 1))])
    of_wide = SurrogateObjective(wide, theta, masked, np.array(kept)[actions], advantages, ent_coef=0.1)
    of_narrow = SurrogateObjective(narrow, few, observations, actions, advantages, ent_coef=0.1)
    np.testing.assert_allclose(
        of_wide.evaluate(theta_new), of_narrow.evaluate(few_new), rtol=1e-6
    )  # 1 + 1e-8 of inputs
    gradient = wide.unflatten(of_wide.gradient())
    expected = narrow.unflatten(of_narrow.gradient())
    for name, values in gradient.items():
        np.testing.assert_allclose(values[kept], expected[name], rtol=1e-6, atol=1e-9)
        assert not np.delete(values, kept, axis=0).any()


def test_impossible_actions_and_bad_masks_are_refused():
    case = make_case("CategoricalMasked", n=20)
    batch = Batch(case.observations, case.actions, case.advantages, case.advantages)
    impossible = case.actions.copy()
    impossible[7] = np.argmin(case.observations[7, OBS_DIM:])
    case.observations[7, OBS_DIM + impossible[7]] = 0.0
    with pytest.raises(InvalidArgumentError, match=r"^actions: .* in row 7"):
        trpo_update(case.policy, case.theta, batch._replace(actions=impossible), TRPOConfig())
    for bad in (np.zeros(5), np.full(5, 0.5), np.full(5, np.nan)):
        case.observations[3, OBS_DIM:] = bad
        with pytest.raises(InvalidArgumentError, match=r"^observations: .* in row 3"):
            trpo_update(case.policy, case.theta, batch, TRPOConfig())
