"""Steps that the policy's outputs cannot resolve, steps out of all proportion, and data out of all proportion."""

import gymnasium as gym
import numpy as np
import pytest
from cases import make_case

from trpo_fast import TRPO, Batch, Policy, TRPOConfig, UpdateStatus, conjugate_gradient, trpo_update
from trpo_fast.policies.normalization import RunningMeanStd
from trpo_fast.update.curvature import make_preconditioner, metric_operator
from trpo_fast.update.step_check import ROWS
from trpo_fast.update.trust_regions import no_longer_than

OBSERVATIONS = gym.spaces.Box(-np.inf, np.inf, (3,))


def own_batch(policy, theta, rng, n=200, observations=None):
    observations = rng.normal(size=(n, 3)) if observations is None else observations
    encoded = np.empty((n, policy.codec.size), policy.dtype)
    policy.act(theta, observations, rng.standard_normal(encoded.shape).astype(policy.dtype), encoded)
    advantages = rng.normal(size=n)
    return Batch(observations, policy.codec.decode(encoded), advantages, advantages)


@pytest.mark.parametrize("trust_region", ["mean_kl", "max_kl"])
@pytest.mark.parametrize(("log_std", "resolution"), [(-0.5, "float32"), (-9.0, "float32"), (-15.0, "float64")])
def test_a_standard_deviation_below_the_rounding_of_the_outputs_is_unresolved(log_std, resolution, trust_region):
    for dtype in ("float32", "float64"):
        policy = Policy(OBSERVATIONS, gym.spaces.Box(-1.0, 1.0, (2,)), dtype=dtype, log_std_init=log_std)
        theta, rng = policy.initial_parameters(1), np.random.default_rng(0)
        policy.unflatten(theta)["layers.2.bias"][:] = 0.7  # an output of magnitude 1 is rounded by 1e-7
        config = TRPOConfig(trust_region=trust_region, line_search_max_iter=25)
        theta_new, report = trpo_update(policy, theta, own_batch(policy, theta, rng), config)
        if dtype >= resolution:
            assert report.status is UpdateStatus.COMMITTED
        else:
            assert report.status is UpdateStatus.UNRESOLVED or trust_region == "max_kl"
            assert not report.committed
            assert theta_new.tobytes() == theta.tobytes()
            assert (report.mean_kl, report.max_kl) == (0.0, 0.0)


def test_huge_weights_that_cancel_each_other_are_not_moved():
    policy = Policy(OBSERVATIONS, gym.spaces.Discrete(3), net_arch=(8,))
    theta, rng = policy.initial_parameters(1), np.random.default_rng(0)
    batch = own_batch(policy, theta, rng)
    assert trpo_update(policy, theta, batch, TRPOConfig())[1].committed
    named = policy.unflatten(theta)
    named["layers.0.weight"][1] = named["layers.0.weight"][0] * np.float32(1.0 + 3e-7)
    huge = np.array([3e6, -2e6, 1e6])
    named["layers.1.weight"][:, 0], named["layers.1.weight"][:, 1] = huge, -huge  # cancel each other, not in float32
    assert not trpo_update(policy, theta, batch, TRPOConfig())[1].committed


@pytest.mark.parametrize(
    ("size", "size_of_others", "status"), [(5e4, 1.0, UpdateStatus.COMMITTED), (5e3, 5e4, UpdateStatus.UNRESOLVED)]
)
def test_rounding_errors_count_on_all_observations(size, size_of_others, status):
    """Every tenth observation is examined first; these alone would give the other status."""
    policy = Policy(
        OBSERVATIONS, gym.spaces.Box(-1.0, 1.0, (2,)), net_arch=(), normalize_observations=False, log_std_init=-8.0
    )
    theta, rng = policy.initial_parameters(1), np.random.default_rng(0)
    observations = size_of_others * rng.normal(size=(10 * ROWS, 3))
    observations[::10] *= size / size_of_others
    batch = own_batch(policy, theta, rng, len(observations), observations)
    assert trpo_update(policy, theta, batch, TRPOConfig())[1].status is status


@pytest.mark.parametrize("trust_region", ["mean_kl", "max_kl"])
@pytest.mark.parametrize("rows", [slice(None), slice(7, 8)])
@pytest.mark.parametrize("kl", [0.009, 0.011, np.inf, np.nan])
def test_a_next_policy_outside_the_trust_region_fails_the_line_search(kl, rows, trust_region):
    """Each step is then too long, not unresolved."""
    case = make_case("Gaussian")
    divergences = np.zeros(len(case.observations))
    divergences[rows] = kl
    reduced = divergences.mean() if trust_region == "mean_kl" else divergences.max()
    config = TRPOConfig(target_kl=0.01, trust_region=trust_region)
    batch = Batch(*case[2:5], case.advantages)
    theta, report = trpo_update(case.policy, case.theta, batch, config, lambda theta: divergences)
    is_inside = bool(reduced <= 0.01)
    assert report.status is (UpdateStatus.COMMITTED if is_inside else UpdateStatus.LINE_SEARCH_FAILED)
    assert (theta is case.theta) != is_inside


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_kfac_without_damping_makes_no_huge_steps(activation):
    policy = Policy(OBSERVATIONS, gym.spaces.Box(-1.0, 1.0, (2,)), net_arch=(16, 16), activation_fn=activation)
    rng, config = np.random.default_rng(3), TRPOConfig(cg_damping=0.0, cg_preconditioner="kfac")
    observations = rng.normal(size=(200, 3))
    observations[:, 1], observations[:, 2] = observations[:, 0], 1.0  # directions that change no output
    for seed in range(5):
        theta = policy.initial_parameters(seed)
        batch = own_batch(policy, theta, rng, observations=observations)
        theta_new, report = trpo_update(policy, theta, batch, config)
        assert report.committed
        assert np.abs(theta_new).max() < 3.0 * np.abs(theta).max()
        objective = batch.objective(policy, theta, config)
        F, g = metric_operator(objective, 0.0, config), objective.gradient()
        gains = []
        for preconditioner in (None, make_preconditioner(objective, F, g, 0.0, config)):
            x = conjugate_gradient(F, g, max_iter=10, preconditioner=preconditioner).x
            gains.append(g @ x - x @ (F @ x) / 2)
        assert gains[1] > 0.9 * gains[0]


def test_a_step_is_no_longer_than_the_parameters():
    theta, step = np.full(4, 2.0, np.float32), np.array([3.0, 0.0, 0.0, 0.0])
    assert no_longer_than(theta, step) is step
    np.testing.assert_allclose(no_longer_than(theta, 1e9 * step), [4.0, 0.0, 0.0, 0.0], rtol=1e-12)
    np.testing.assert_allclose(no_longer_than(0.01 * theta, step), [1.0, 0.0, 0.0, 0.0], rtol=1e-12)


@pytest.mark.parametrize("trust_region", ["mean_kl", "max_kl", "penalty"])
def test_parameters_without_influence_do_not_explode(trust_region):
    case = make_case("Gaussian", network=((7,), "tanh"))
    theta = case.theta.copy()
    case.policy.unflatten(theta)["layers.0.bias"][:] = 12.0  # saturates: gradient and curvature nearly vanish
    config = TRPOConfig(cg_damping=0.0, trust_region=trust_region)
    theta_new, _ = trpo_update(case.policy, theta, Batch(*case[2:5], case.advantages), config)
    assert np.linalg.norm(theta_new) < 2.001 * np.linalg.norm(theta)


@pytest.mark.parametrize("part", ["observations", "actions", "advantages"])
@pytest.mark.parametrize("value", [1e170, -3e300, np.inf, np.nan])
def test_a_batch_with_a_value_out_of_range_changes_nothing(part, value, tmp_path):
    if np.isfinite(value) and part == "advantages":
        pytest.skip("advantages may have any scale")
    spaces, rng = (OBSERVATIONS, gym.spaces.Box(-1.0, 1.0, (2,))), np.random.default_rng(0)
    model = TRPO("MlpPolicy", spaces, seed=0, policy_kwargs={"net_arch": (4,)})
    model.update(own_batch(model.policy, model.theta.copy(), rng))
    before = model._training.model
    batch = own_batch(model.policy, model.theta.copy(), rng)
    poisoned = np.array(getattr(batch, part), dtype=np.float64)
    poisoned.flat[5] = value
    report = model.update(batch._replace(**{part: poisoned}))
    after = model._training.model
    assert report.status is UpdateStatus.NON_FINITE_INPUT
    assert model.metrics["train/value_status"] == "non_finite"
    assert model.metrics["train/acting_kl"] == model.metrics["train/normalizer_kl"] == 0.0
    assert after.theta.tobytes() == before.theta.tobytes()
    assert after.policy.normalizer is before.policy.normalizer
    assert after.critic is before.critic
    model.save(tmp_path / "model")
    assert (TRPO.load(tmp_path / "model").theta == before.theta).all()


def test_observation_statistics_that_would_overflow_stay(tmp_path):
    """The variance is finite, its product with the number of samples is not."""
    model = TRPO("MlpPolicy", (OBSERVATIONS, gym.spaces.Discrete(2)), seed=0, policy_kwargs={"net_arch": (4,)})
    model.set_observation_statistics(RunningMeanStd(np.zeros(3), np.array([1.0, 1e306, 1.0]), 1000.0))
    normalizer = model.policy.normalizer
    assert model.update(own_batch(model.policy, model.theta.copy(), np.random.default_rng(0))).committed
    assert model.policy.normalizer is normalizer
    model.save(tmp_path / "model")
    assert (TRPO.load(tmp_path / "model").theta == model.theta).all()


@pytest.mark.parametrize("value", [1e120, 1e170, -1e300])
def test_returns_out_of_range_leave_the_critic_unchanged(value):
    spaces, rng = (OBSERVATIONS, gym.spaces.Discrete(2)), np.random.default_rng(0)
    model = TRPO("MlpPolicy", spaces, seed=0, policy_kwargs={"net_arch": (4,)})
    batch = own_batch(model.policy, model.theta.copy(), rng)
    returns = batch.returns.copy()
    returns[3] = value
    critic = model._training.model.critic
    model.update(batch._replace(returns=returns))
    assert model.metrics["train/value_status"] == "non_finite"
    assert model._training.model.critic is critic
