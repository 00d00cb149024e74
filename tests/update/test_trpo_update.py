"""The policy transaction: a committed update is finite, improves and stays in the trust region; any other changes
nothing and says why. Judged by the oracle's formulas on the policy's own rounded outputs."""

from collections import Counter

import gymnasium as gym
import numpy as np
import pytest
from cases import ACTION_SPACES, DTYPES, make_case, oracle_distribution

from trpo_fast import (
    Batch,
    InvalidArgumentError,
    Policy,
    SurrogateObjective,
    TRPOConfig,
    UpdateStatus,
    ValueFunction,
    trpo_update,
)
from trpo_fast.environments.make import make_environments
from trpo_fast.sampling.collector import RolloutCollector
from trpo_fast.sampling.sampler import SerialSampler
from trpo_fast.training.batching import to_batch

slow = pytest.mark.slow
N_BATCHES = 3600
CONFIGS = [
    TRPOConfig(),
    TRPOConfig(normalize_advantage=False),
    TRPOConfig(target_kl=0.2, cg_damping=0.0),
    TRPOConfig(target_kl=1e-6, cg_max_steps=3, step_norm="damped"),
    TRPOConfig(sub_sampling_factor=4, cg_damping=1e-3),
    TRPOConfig(cg_preconditioner="kfac", cg_progress_rtol=0.01),
    TRPOConfig(target_kl=5.0, line_search_max_iter=2, line_search_shrinking_factor=0.1),
]


def poison(array, rng, value):
    array = np.array(array, dtype=np.float64 if array.dtype.kind == "f" else array.dtype)
    array.reshape(-1)[rng.integers(array.size)] = value
    return array


def adversarial(case, rng):
    """One defect of a batch; most batches get one or two."""
    batch = Batch(case.observations, case.actions, case.advantages, case.advantages)
    theta, box = case.theta.copy(), case.policy.codec.has_log_std
    n = len(case.advantages)

    def bad():
        return rng.choice([np.nan, np.inf, -np.inf, 1e38, -1e38, 1e300])

    kinds = {
        "ordinary": lambda b: b,
        "observation": lambda b: b._replace(observations=poison(b.observations, rng, bad())),
        "advantage": lambda b: b._replace(advantages=poison(b.advantages, rng, bad())),
        "action": lambda b: b._replace(actions=poison(b.actions, rng, bad())) if box else b,
        "all advantages huge": lambda b: b._replace(advantages=b.advantages * 10.0 ** rng.integers(30, 300)),
        "all advantages tiny": lambda b: b._replace(advantages=b.advantages * 10.0 ** -rng.integers(30, 300)),
        "equal advantages": lambda b: b._replace(advantages=np.full(n, 10.0 ** rng.integers(-9, 9))),
        "one outlier": lambda b: b._replace(advantages=poison(np.zeros(n), rng, 1e6)),
        "constant observations": lambda b: b._replace(observations=np.full_like(b.observations, rng.standard_normal())),
        "huge observations": lambda b: b._replace(observations=b.observations * 1e17),
        "one row": lambda b: Batch(*(a[:1] for a in b)),
        "few rows": lambda b: Batch(*(a[:3] for a in b)),
        "same action": lambda b: b._replace(actions=np.repeat(b.actions[:1], len(b.actions), axis=0)),
    }  # fmt: skip
    for kind in rng.choice(list(kinds), size=rng.integers(1, 3)):
        batch = kinds[kind](batch)
        n = len(batch.advantages)
    if case.policy.action_masks is not None:
        batch = batch._replace(observations=with_masks_that_leave(case, batch))
    named = case.policy.unflatten(theta)
    if "log_std" in named and rng.random() < 0.15:  # saturated and collapsed standard deviations
        named["log_std"][:] = rng.choice([-30.0, -20.0, -9.0, 1.99, 2.0, 5.0, 80.0])
    if rng.random() < 0.1:
        theta *= theta.dtype.type(rng.choice([0.0, 1e-6, 30.0, 1e4]))
    if rng.random() < 0.02:
        theta[rng.integers(len(theta))] = rng.choice([np.nan, np.inf])
    return theta, batch


def with_masks_that_leave(case, batch):
    """The observations of a hostile batch, with the case's masks and the batch's actions possible in them."""
    n, size = len(batch.actions), case.policy.action_masks.size
    masks = case.observations[:n, -size:].copy()
    chosen = case.oracle.distribution.columns(batch.actions)
    np.put_along_axis(masks, chosen, 1.0, axis=1)
    return np.hstack([batch.observations[:, :-size], masks])


def exact_log_ratio(policy, distribution, old, new, actions):
    """log pi_new(a) / pi_old(a), in extended precision and without cancellation: at a collapsed std z is 1e8."""
    if not policy.codec.has_log_std:
        return distribution.log_prob(new, actions) - distribution.log_prob(old, actions)
    old, new, actions = (a.astype(np.longdouble) for a in (old, new, actions))
    (m0, s0), (m1, s1) = (np.split(phi, 2, axis=1) for phi in (old, new))
    z0 = (actions - m0) * np.exp(-s0)
    difference = (m1 - m0) * np.exp(-s1) - z0 * np.expm1(s0 - s1)  # z0 - z1
    return (s0 - s1 + difference * z0 - difference**2 / 2).sum(axis=1)


def judge_committed(policy, distribution, theta, theta_new, batch, config, report):
    """Check the guarantees of an update, recomputed from the policy's outputs by the oracle's formulas."""
    phi = (policy.dist_params(t, batch.observations).astype(np.float64) for t in (theta, theta_new))
    old, new = (np.where(np.isneginf(p), -1e300, p) for p in phi)  # of impossible choices
    actions = policy.codec.encode(batch.actions).astype(np.float64 if policy.codec.has_log_std else np.int64)
    advantages = np.asarray(batch.advantages, dtype=np.float64)
    if config.normalize_advantage:
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    log_ratio = exact_log_ratio(policy, distribution, old, new, actions)
    # mean(ratio A) - mean(A) without their cancellation; a clamp at 20 that can only lower it
    log_ratio = np.where(advantages < 0.0, log_ratio, np.minimum(log_ratio, 20.0))
    improvement = float((np.expm1(log_ratio) * advantages).mean())
    kl = distribution.kl(old, new)
    assert np.isfinite(theta_new).all()
    assert theta_new.dtype == theta.dtype
    assert kl.mean() <= config.target_kl * (1 + 1e-9)
    assert improvement > 0.0
    assert report.mean_kl == pytest.approx(kl.mean(), rel=1e-6, abs=1e-15)
    assert report.surrogate_after - report.surrogate_before == pytest.approx(
        improvement, rel=1e-4, abs=1e-9 * np.abs(advantages).mean()
    )


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")  # the hostile batches' own arithmetic
@pytest.mark.parametrize("space", ACTION_SPACES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_update_is_a_transaction(space, dtype):
    rng = np.random.default_rng([7, len(space), len(dtype)])
    distribution = oracle_distribution(ACTION_SPACES[space])
    statuses = Counter()
    for i in range(N_BATCHES // (len(ACTION_SPACES) * len(DTYPES))):
        case = make_case(space, network=((5,), "tanh"), dtype=dtype, n=int(rng.integers(4, 80)), seed=i)
        config = CONFIGS[i % len(CONFIGS)]
        theta, batch = adversarial(case, rng)
        before, copies = theta.copy(), Batch(*(np.array(a) for a in batch))
        theta_new, report = trpo_update(case.policy, theta, batch, config)
        statuses[report.status] += 1
        assert theta.tobytes() == before.tobytes()
        assert all(a.tobytes() == b.tobytes() for a, b in zip(batch, copies, strict=True))
        if report.committed:
            judge_committed(case.policy, distribution, theta, theta_new, batch, config, report)
        else:
            assert theta_new.tobytes() == before.tobytes()
            assert (report.mean_kl, report.max_kl) == (0.0, 0.0)
        if not (np.asarray(batch.advantages) != batch.advantages[0]).any():
            assert not report.committed
    assert statuses[UpdateStatus.COMMITTED] > 0.2 * statuses.total()  # the judge had work
    assert {UpdateStatus.NON_FINITE_INPUT, UpdateStatus.NO_SIGNAL} <= statuses.keys()


def test_equal_advantages_leave_the_entropy_bonus_to_itself():
    case = make_case("Categorical", n=50)
    equal = np.full(50, 1e10)
    batch = Batch(case.observations, case.actions, equal, equal)
    theta, report = trpo_update(case.policy, case.theta, batch, TRPOConfig(ent_coef=0.1))
    assert report.committed
    before, after = (SurrogateObjective(case.policy, t, *batch[:3]).evaluate(t).entropy for t in (case.theta, theta))
    assert after > before


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_equal_advantages_never_move_the_policy(dtype, normalize):
    """1,000 constants that float32 rounding could mistake for a signal."""
    rng = np.random.default_rng(5)
    case = make_case("Gaussian", dtype=dtype, n=50)
    config = TRPOConfig(normalize_advantage=normalize)
    for _ in range(500):
        n = int(rng.integers(1, 51))
        constant = float(rng.standard_normal() * 10.0 ** rng.integers(-20, 20))
        equal = np.full(n, constant, dtype=rng.choice(["float32", "float64"]))
        batch = Batch(case.observations[:n], case.actions[:n], equal, equal)
        theta, report = trpo_update(case.policy, case.theta, batch, config)
        assert theta is case.theta or (theta == case.theta).all()
        assert report.status is UpdateStatus.NO_SIGNAL


@pytest.mark.parametrize(
    "env_id",
    ["CartPole-v1", "Pendulum-v1", *(pytest.param(i, marks=slow) for i in ("Acrobot-v1", "MountainCarContinuous-v0"))],
)
def test_ordinary_batches_commit_and_use_the_trust_region(env_id):
    """Updates do not stall: 100 rollouts of small random networks per task."""
    config, rng = TRPOConfig(n_steps=200), np.random.default_rng(1)
    environments = make_environments(env_id, 1)
    commits, kls = 0, []
    for i in range(100):
        arch = tuple(int(w) for w in rng.integers(4, 33, size=rng.integers(1, 3)))
        policy = Policy(environments.observation_space, environments.action_space, net_arch=arch)
        critic = ValueFunction(environments.observation_space, net_arch=arch)
        theta, state = policy.initial_parameters(i), critic.initial_state(i)
        collector = RolloutCollector(SerialSampler(environments, policy), policy.observation_codec, 100)
        collector.reset(i)
        streams = [np.random.default_rng(i)]
        rollout = collector.collect(policy.actor(theta), streams, config.n_steps, lambda *_: True)

        def values(observations, policy=policy, critic=critic, state=state):
            return critic.predict(state, policy.normalize(observations))

        batch, _ = to_batch(rollout, rollout.trajectories.rewards, policy, values, config)
        _, report = trpo_update(policy, theta, batch, config)
        commits += report.committed
        kls.append(report.mean_kl)
    environments.close()
    assert commits >= 95
    assert np.median(kls) >= 0.5 * config.target_kl


def test_step_is_the_derivation():
    """sqrt(2 delta / xᵀFx) x with x = F⁻¹ g, against a dense solve."""
    case = make_case("Categorical", network=((4,), "tanh"), n=500)
    batch = Batch(case.observations, case.actions, case.advantages, case.advantages)
    config = TRPOConfig(target_kl=1e-8, cg_damping=0.1, cg_max_steps=200)
    theta, report = trpo_update(case.policy, case.theta, batch, config)
    P = case.policy.num_params
    F = np.stack([case.oracle.fisher_vector_product(case.oracle_theta, case.inputs, e) for e in np.eye(P)])
    advantages = (case.advantages - case.advantages.mean()) / (case.advantages.std() + 1e-8)
    g = case.oracle.surrogate_gradient(case.oracle_theta, case.inputs, case.actions, advantages)
    x = np.linalg.solve(F + 0.1 * np.eye(P), g)
    step = np.sqrt(2e-8 / (x @ F @ x)) * x
    np.testing.assert_allclose(theta - case.theta, 0.8**report.n_backtracks * step, rtol=1e-6)
    assert report.expected_improvement == pytest.approx(g @ step, rel=1e-6)


def test_kl_reduction_mean_is_per_dimension_of_a_box_or_multibinary_action():
    for space, scale in {"Gaussian": 3, "Bernoulli": 4, "Categorical": 1, "MultiDiscrete": 1}.items():
        case = make_case(space, n=200)
        batch = Batch(case.observations, case.actions, case.advantages, case.advantages)
        per_dimension = TRPOConfig(kl_reduction="mean", target_kl=0.01, cg_damping=0.1)
        joint = TRPOConfig(target_kl=0.01 * scale, cg_damping=0.1 * scale)
        (a, _), (b, _) = (trpo_update(case.policy, case.theta, batch, c) for c in (per_dimension, joint))
        np.testing.assert_array_equal(a, b)


def test_subsampling_thins_the_fisher_matrix_and_not_the_gradient():
    case = make_case("Gaussian", n=400)
    batch = Batch(case.observations, case.actions, case.advantages, case.advantages)
    (_, full), (_, thin) = (
        trpo_update(case.policy, case.theta, batch, TRPOConfig(sub_sampling_factor=k)) for k in (1, 5)
    )
    assert full.gradient_norm == thin.gradient_norm
    assert full.cg.quadratic_form != thin.cg.quadratic_form


def test_misuse_is_an_error_and_not_a_status():
    case = make_case("Gaussian", n=20)
    batch = Batch(case.observations, case.actions, case.advantages, case.advantages)
    for bad, name in [
        (batch._replace(observations=case.observations[:, :2]), "observations"),
        (batch._replace(observations=case.observations.tolist()), "observations"),
        (batch._replace(advantages=case.advantages[:5]), "advantages"),
        (batch._replace(advantages=None), "advantages"),
        (batch._replace(actions=case.actions[:5]), "actions"),
        (batch._replace(actions=case.actions[:, :2]), "actions"),
        (batch._replace(actions=case.actions.astype(np.int64)), "actions"),
    ]:
        with pytest.raises(InvalidArgumentError, match=name):
            trpo_update(case.policy, case.theta, bad, TRPOConfig())
    with pytest.raises(InvalidArgumentError, match="theta"):
        trpo_update(case.policy, case.theta.astype(np.float32), batch, TRPOConfig())


def test_observation_space_shapes_are_flattened():
    policy = Policy(gym.spaces.Box(-1, 1, (2, 3)), gym.spaces.Discrete(2))
    assert policy.unflatten(policy.initial_parameters(0))["layers.0.weight"].shape == (64, 6)
