"""Policy and critic on one features extractor: networks, the joint step, the fit of the head, and training."""

import copy
import pickle
from contextlib import closing
from dataclasses import replace
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from cases import ACTION_SPACES, CAMERA, DTYPES, OPTIONS, random_masks, relative_error, tolerance
from envs import Catch

from trpo_fast import (
    TRPO,
    Batch,
    InvalidArgumentError,
    Policy,
    PolicyFileError,
    TRPOConfig,
    evaluate,
    load_policy,
    trpo_update,
)
from trpo_fast.nets import Conv2d, Dense, Flatten, Parallel, Sequential
from trpo_fast.policies.normalization import RunningMeanStd
from trpo_fast.policies.shared_value_function import SharedValueFunction
from trpo_fast.policies.value_function import ValueFitStatus
from trpo_fast.storage.policy_file import load_policy_file, save_policy_file
from trpo_fast.update.joint import joint_operator, value_gradient
from trpo_fast.update.objectives import SurrogateObjective

VECTOR = gym.spaces.Box(-np.inf, np.inf, (5,))
TRUNK = Sequential(Dense(7), Dense(6))
IMAGE_TRUNK = Parallel({"camera": Sequential(Conv2d(3, 3, 2, activation_fn="tanh"), Flatten(), Dense(4))})
NETWORKS = {"vector": (VECTOR, TRUNK), "image": (CAMERA, IMAGE_TRUNK)}


class Shared:
    """A policy and a critic on one trunk at random parameters, with a batch and targets."""

    def __init__(self, space="Categorical", network="vector", dtype="float64", net_arch=((), ()), n=200, **options):
        rng = self.rng = np.random.default_rng(3)
        observation_space, trunk = NETWORKS[network]
        action_space = ACTION_SPACES[space]
        arguments = {"features_extractor": trunk, "net_arch": net_arch[0], "dtype": dtype, **OPTIONS.get(space, {})}
        self.policy = policy = Policy(observation_space, action_space, **arguments)
        self.theta = (0.5 * rng.standard_normal(policy.num_params)).astype(dtype)
        self.critic = SharedValueFunction(policy, net_arch=net_arch[1], activation_fn="elu", **options)
        head = (0.5 * rng.standard_normal(self.critic.num_params)).astype(dtype)
        self.state = replace(self.critic.initial_state(None), theta=head)
        rows = rng.standard_normal((n, 5))
        if policy.action_masks is not None:
            rows = np.hstack([rows, random_masks(action_space, n, rng)])
        if network == "image":
            vectors, rows = rows, np.zeros(n, policy.observation_codec.dtype)
            rows["vector"], rows["camera"] = vectors, rng.integers(0, 256, (n, 3, 7, 9))
        self.observations = policy.check_observations(rows)
        noise = rng.standard_normal((n, policy.codec.size)).astype(dtype)
        encoded = np.empty_like(noise)
        policy.act(self.theta, rows, noise, encoded)
        self.advantages, self.returns = rng.standard_normal(n), 5.0 + 3.0 * rng.standard_normal(n)
        self.batch = Batch(self.observations, policy.codec.decode(encoded), self.advantages, self.returns)
        self.value_head = self.critic.value_head(self.state, self.returns)

    @property
    def objective(self):
        return SurrogateObjective(self.policy, self.theta, self.observations, self.batch.actions, self.advantages)

    def values(self, theta, head=None):
        state = self.state if head is None else replace(self.state, theta=head)
        return self.critic.predict(state, self.policy.critic_inputs(self.observations), theta)

    def outputs(self, joint):
        """[phi, v] of the joint network."""
        inputs = self.critic.joint_inputs(self.policy, self.observations)
        return self.critic.joint.forward(joint.astype(self.policy.dtype), inputs)

    def update(self, **settings):
        return trpo_update(self.policy, self.theta, self.batch, TRPOConfig(**settings), value_head=self.value_head)

    def refit(self, theta=None, **options):
        order = np.tile(np.arange(len(self.returns)), (20, 1))
        inputs = self.policy.critic_inputs(self.observations)
        return self.value_head.refit(self.theta if theta is None else theta, inputs, order, batch_size=50, **options)


CASES = [
    ("Categorical", "vector"),
    ("Gaussian", "image"),
    ("MultiDiscreteMasked", "vector"),
    ("CategoricalMasked", "image"),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("space", "network"), CASES)
def test_joint_outputs_are_those_of_the_policy_and_the_value_of_the_features(space, network, dtype):
    shared = Shared(space, network, dtype, ((3,), (4, 2)), normalize_returns=False)
    joint = shared.outputs(shared.critic.joint_theta(shared.state, shared.theta))
    np.testing.assert_array_equal(joint[:, :-1], shared.policy.dist_params(shared.theta, shared.observations))
    np.testing.assert_array_equal(joint[:, -1].astype(np.float64), shared.values(shared.theta))
    x = shared.critic.features(shared.theta, shared.policy.critic_inputs(shared.observations)).astype(np.float64)
    head = {name: p.astype(np.float64) for name, p in shared.critic.unflatten(shared.state.theta).items()}
    for i in range(3):
        x = x @ head[f"layers.{i}.weight"].T + head[f"layers.{i}.bias"]
        x = np.where(x > 0.0, x, np.expm1(x)) if i < 2 else x
    assert relative_error(joint[:, -1], x[:, 0]) < tolerance(dtype, 1e-13, 1e-5)


def jacobian(shared, joint, h=1e-6):
    """d [phi, v] / d theta by central differences, (N, K + 1, P + W)."""
    columns = []
    for e in h * np.eye(len(joint)):
        with np.errstate(invalid="ignore"):
            difference = shared.outputs(joint + e) - shared.outputs(joint - e)
        columns.append(np.where(np.isfinite(difference), difference, 0.0) / (2.0 * h))
    return np.stack(columns, axis=-1)


def metrics_of(shared, phi):
    """M(phi) of every row as a dense matrix, (N, K, K), from its definition."""
    if isinstance(shared.policy.action_space, gym.spaces.Box):
        size = phi.shape[1] // 2
        return np.stack([np.diag(np.append(np.exp(-2.0 * row[size:]), np.full(size, 2.0))) for row in phi])
    sizes = np.atleast_1d(getattr(shared.policy.action_space, "nvec", getattr(shared.policy.action_space, "n", None)))
    out = np.zeros((len(phi), phi.shape[1], phi.shape[1]))
    for begin, size in zip(np.cumsum(sizes) - sizes, sizes, strict=True):
        part = slice(begin, begin + size)
        p = np.exp(phi[:, part] - phi[:, part].max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        out[:, part, part] = np.einsum("ni,ij->nij", p, np.eye(size)) - np.einsum("ni,nj->nij", p, p)
    return out


@pytest.mark.parametrize(("space", "network"), CASES)
def test_the_joint_operator_is_the_gauss_newton_matrix_of_outputs_and_value(space, network):
    shared = Shared(space, network, net_arch=((3,), (4,)), n=30)
    joint = shared.critic.joint_theta(shared.value_head.head, shared.theta)
    J, phi = jacobian(shared, joint), shared.policy.dist_params(shared.theta, shared.observations)
    M = np.zeros((30, J.shape[1], J.shape[1]))
    M[:, :-1, :-1], M[:, -1, -1] = metrics_of(shared, phi), 1.0
    v = shared.rng.standard_normal(len(joint))
    expected = np.einsum("nkp,nkl,nlq,q->p", J, M, J, v, optimize=True) / 30 + 0.3 * v
    assert relative_error(joint_operator(shared.objective, shared.value_head, 0.3) @ v, expected) < 1e-7
    thinned = np.einsum("nkp,nkl,nlq,q->p", J[::4], M[::4], J[::4], v, optimize=True) / 8
    assert relative_error(joint_operator(shared.objective, shared.value_head, every=4) @ v, thinned) < 1e-7


@pytest.mark.parametrize(("space", "network"), CASES)
def test_the_value_gradient_is_the_slope_of_half_the_squared_error(space, network):
    shared = Shared(space, network, net_arch=((), (4,)), n=30)
    joint = shared.critic.joint_theta(shared.value_head.head, shared.theta)
    y = (shared.returns - shared.returns.mean()) / np.sqrt(shared.returns.var() + 1e-8)
    loss = lambda at: -0.5 * np.mean((shared.outputs(at)[:, -1] - y) ** 2)  # noqa: E731
    slopes = [(loss(joint + e) - loss(joint - e)) / 2e-6 for e in 1e-6 * np.eye(len(joint))]
    gradient = value_gradient(shared.objective, shared.value_head)
    np.testing.assert_allclose(gradient, slopes, atol=1e-8)
    assert np.abs(gradient[: len(shared.theta)]).max() > 1e-3  # it reaches the trunk


def test_the_step_is_the_derivation():
    """x = (F + F_v + damping)^-1 (g + c g_v) by a dense solve, and a length by the policy's F alone."""
    shared, c = Shared(n=400), 0.7
    settings = {"target_kl": 1e-8, "cg_damping": 0.1, "cg_max_steps": 300, "normalize_advantage": False}
    theta, report = shared.update(vf_coef=c, **settings)
    P, W = len(shared.theta), shared.critic.num_params
    A = np.stack([joint_operator(shared.objective, shared.value_head, 0.1) @ e for e in np.eye(P + W)])
    F = np.stack([shared.objective.fisher_operator() @ e for e in np.eye(P)])
    g = shared.objective.gradient()
    x = np.linalg.solve(A, np.append(g, np.zeros(W)) + c * value_gradient(shared.objective, shared.value_head))[:P]
    step = np.sqrt(2e-8 / (x @ F @ x)) * x
    np.testing.assert_allclose(theta - shared.theta, 0.8**report.n_backtracks * step, rtol=1e-6, atol=1e-12)
    assert report.committed
    assert report.direction == "joint"
    assert report.expected_improvement == pytest.approx(g @ step, rel=1e-6)
    assert report.mean_kl <= 1e-8


def test_without_vf_coef_the_step_is_that_of_a_policy_without_a_value_head():
    for space, network in CASES:
        shared = Shared(space, network, "float32")
        plain, plain_report = trpo_update(shared.policy, shared.theta, shared.batch, TRPOConfig())
        theta, report = shared.update(vf_coef=0.0)
        np.testing.assert_array_equal(theta, plain)
        assert repr(report) == repr(plain_report)
        assert report.direction == "policy"
        assert not np.array_equal(shared.update()[0], plain)


@pytest.mark.parametrize("max_iter", [1, 10])
def test_where_no_joint_step_is_accepted_the_step_is_the_policys_own(max_iter):
    """Errors of one sign oppose g for one of two signs; with a single try many steps that ascend are rejected."""
    shared = Shared(n=400)
    errors = 1e3 * np.abs(shared.value_head.targets.values)
    config = TRPOConfig(line_search_max_iter=max_iter)
    plain, plain_report = trpo_update(shared.policy, shared.theta, shared.batch, config)
    directions = set()
    for c in np.geomspace(1e-5, 1e3, 9):
        for sign in (-1.0, 1.0):
            targets = shared.value_head.targets._replace(values=sign * errors)
            value_head = shared.value_head._replace(targets=targets)
            batch, settings = shared.batch, replace(config, vf_coef=c)
            theta, report = trpo_update(shared.policy, shared.theta, batch, settings, value_head=value_head)
            directions.add(report.direction)
            if report.direction == "policy":
                assert report.status is plain_report.status
                np.testing.assert_array_equal(theta, plain)
            else:
                assert report.committed
                assert report.surrogate_after > report.surrogate_before
                assert report.mean_kl <= 0.01
    assert directions == {"joint", "policy"}


def test_values_that_are_not_finite_leave_the_policys_own_step():
    shared = Shared(dtype="float32")
    plain, _ = trpo_update(shared.policy, shared.theta, shared.batch, TRPOConfig())
    huge = np.full(200, 1e38, np.float32)
    shared.value_head = shared.value_head._replace(targets=shared.value_head.targets._replace(values=huge))
    theta, report = shared.update(vf_coef=1e38)
    assert report.direction == "policy"
    np.testing.assert_array_equal(theta, plain)


def test_a_linear_head_is_fitted_by_ridge_regression_toward_itself():
    shared = Shared(dtype="float64")
    fit = shared.refit(learning_rate=1e-3)
    assert fit.status is ValueFitStatus.COMMITTED
    features = shared.critic.features(shared.theta, shared.policy.critic_inputs(shared.observations))
    X = np.hstack([features, np.ones((200, 1))])
    y, start = shared.value_head.targets.values, shared.value_head.head.theta
    r = np.square(X).sum() / 200**2
    change = np.linalg.solve(X.T @ X / 200 + r * np.eye(7), X.T @ (y - X @ start) / 200)
    np.testing.assert_allclose(fit.state.theta, start + change, atol=1e-5)
    residual = np.mean((X @ fit.state.theta - y) ** 2)
    assert fit.loss == pytest.approx(residual * shared.value_head.targets.scale**2)
    assert residual < np.mean((X @ start - y) ** 2)
    predicted = shared.critic.predict(fit.state, shared.policy.critic_inputs(shared.observations), shared.theta)
    assert np.mean((predicted - shared.returns) ** 2) == pytest.approx(fit.loss)


def test_a_head_with_hidden_layers_is_fitted_by_adam_on_features():
    shared = Shared(net_arch=((), (8,)), dtype="float32")
    fit = shared.refit(learning_rate=1e-2)
    assert fit.status is ValueFitStatus.COMMITTED
    assert fit.state.n_steps == 80
    before = shared.values(shared.theta)
    predicted = shared.critic.predict(fit.state, shared.policy.critic_inputs(shared.observations), shared.theta)
    assert np.mean((predicted - shared.returns) ** 2) < 0.9 * np.mean((before - shared.returns) ** 2)


@pytest.mark.parametrize("net_arch", [(), (8,)])
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e19])
def test_returns_that_are_not_finite_leave_the_head_as_it_was(bad, net_arch):
    shared = Shared(net_arch=((), net_arch))
    returns = shared.returns.copy()
    returns[5] = bad
    assert shared.critic.value_head(shared.state, returns) is None
    # features that overflow: the fit ends, and the head and its statistics stay
    huge = shared.theta.copy()
    huge[:] = 1e200
    with np.errstate(all="ignore"):
        shared.value_head = shared.value_head._replace(targets=shared.value_head.targets._replace(scale=np.inf))
        fit = shared.refit(learning_rate=1e300)
    assert fit.status is ValueFitStatus.NON_FINITE
    assert fit.state is shared.state


@pytest.mark.parametrize("net_arch", [(), (8,)])
def test_rescaling_the_head_keeps_its_predictions(net_arch):
    shared = Shared(net_arch=((), net_arch), dtype="float32")
    statistics = RunningMeanStd(np.array([40.0]), np.array([9.0]), 100.0)
    state = replace(shared.state, target_statistics=statistics)
    inputs = shared.policy.critic_inputs(shared.observations)
    before = shared.critic.predict(state, inputs, shared.theta)
    value_head = shared.critic.value_head(state, shared.returns)
    assert value_head.targets.statistics.mean[0] < 30.0
    moved = replace(value_head.head, target_statistics=value_head.targets.statistics)
    np.testing.assert_allclose(shared.critic.predict(moved, inputs, shared.theta), before, rtol=1e-6)
    assert not np.array_equal(value_head.head.theta, state.theta)
    np.testing.assert_array_equal(shared.value_head.head.theta, shared.state.theta)  # there were no statistics before
    unscaled = Shared(normalize_returns=False)
    np.testing.assert_array_equal(unscaled.value_head.targets.values, unscaled.returns)


def options(net_arch=(), **more):
    kwargs = {"features_extractor": TRUNK, "net_arch": list(net_arch), "share_features_extractor": True}
    return {"policy_kwargs": kwargs, "n_steps": 64, "n_critic_updates": 2, "batch_size": 32, "seed": 1, **more}


def everything(model):
    parts = model.get_parameters()
    metrics = {name: value for name, value in model.metrics.items() if not name.startswith("time/")}
    arrays = [a.tobytes() for part in parts.values() for a in part.values()]
    return [*arrays, model.return_statistics.var.tobytes(), repr(metrics)]


@pytest.mark.parametrize("net_arch", [(), (8,)])
def test_training_and_copies_resume_bit_identically(net_arch, tmp_path):
    model = TRPO("MlpPolicy", "CartPole-v1", n_envs=2, **options(net_arch)).learn(256)
    assert model.metrics["train/direction"] in ("joint", "policy")
    model.save(tmp_path / "model")
    resumed = TRPO.load(tmp_path / "model", "CartPole-v1")
    assert resumed.policy_kwargs == model.policy_kwargs
    np.testing.assert_array_equal(resumed.value_theta, model.value_theta)
    for twin in (copy.copy(model), pickle.loads(pickle.dumps(model))):
        assert twin.value_theta.tobytes() == model.value_theta.tobytes()
    np.testing.assert_array_equal(load_policy(tmp_path / "model").theta, model.theta)
    for other in (model, resumed):
        other.learn(128, reset_num_timesteps=False)
    assert everything(resumed) == everything(model)


def test_workers_change_no_bit():
    model = TRPO("MlpPolicy", "CartPole-v1", n_envs=2, **options()).learn(256)
    parallel = TRPO("MlpPolicy", "CartPole-v1", n_envs=2, n_workers=2, **options())
    with closing(parallel.env):
        parallel.learn(256)
    assert parallel.metrics.pop("rollout/worker_restarts") == 0
    assert everything(parallel) == everything(model)


def test_the_fit_of_the_head_does_not_move_the_policy(monkeypatch):
    model = TRPO("MlpPolicy", "CartPole-v1", **options())
    batch = model.make_batch(model.sample_rollout())
    without = copy.deepcopy(model)
    monkeypatch.setattr(
        "trpo_fast.policies.shared_value_function.ValueHead.refit",
        lambda head, *_, **__: head.value_function.fit_linear(head.head, np.zeros((64, 6), np.float32), head.targets),
    )
    without.update(batch)
    monkeypatch.undo()
    model.update(batch)
    assert model.report.committed
    np.testing.assert_array_equal(model.theta, without.theta)
    assert not np.array_equal(model.value_theta, without.value_theta)
    observations = np.random.default_rng(0).standard_normal((50, 4))
    phi = model.policy.dist_params(model.theta, observations)
    np.testing.assert_array_equal(without.policy.dist_params(without.theta, observations), phi)


def test_a_rejected_step_still_fits_the_head():
    model = TRPO("MlpPolicy", "CartPole-v1", **options(ent_coef=0.0))
    batch = model.make_batch(model.sample_rollout())
    flat = batch._replace(policy_batch=batch.policy_batch._replace(advantages=np.zeros(64)))
    before, head = model.theta.copy(), model.value_theta
    report = model.update(flat)
    assert report.status.value == "no_signal"
    assert not np.array_equal(model.value_theta, head)
    assert model.metrics["train/value_status"] == "committed"
    assert len(before) == len(model.theta)


def test_observations_that_are_not_finite_commit_neither():
    model = TRPO("MlpPolicy", "CartPole-v1", **options())
    batch = model.make_batch(model.sample_rollout()).batch
    rows = np.asarray(batch.observations).copy()
    rows[3, 1] = np.nan
    before = everything(model)[:-1]
    report = model.update(batch._replace(observations=rows))
    assert report.status.value == "non_finite_input"
    assert everything(model)[:-1] == before
    returns = batch.returns.copy()
    returns[0] = np.inf
    report = model.update(batch._replace(returns=returns))  # the policy's step does not need them
    assert report.committed
    assert report.direction == "policy"
    assert model.metrics["train/value_status"] == "non_finite"
    assert everything(model)[-2] == before[-1]


@pytest.mark.parametrize(
    ("space", "policy_kwargs", "message"),
    [
        (VECTOR, {}, "share_features_extractor: expected a features_extractor with layers to share"),
        (VECTOR, {"net_arch": [64, 64]}, "hidden layers of net_arch are not shared"),
        (VECTOR, {"features_extractor": {"pi": TRUNK, "vf": TRUNK}}, "features_extractor: expected one network"),
        (VECTOR, {"share_features_extractor": 1}, "share_features_extractor: expected True or False"),
    ],
)
def test_nothing_to_share_is_an_error_that_says_what_to_do(space, policy_kwargs, message):
    with pytest.raises(InvalidArgumentError, match=message):
        TRPO("auto", (space, gym.spaces.Discrete(3)), policy_kwargs={"share_features_extractor": True, **policy_kwargs})


@pytest.mark.parametrize(
    ("name", "value"),
    [("method", "vine"), ("trust_region", "penalty"), ("metric", "identity"), ("cg_preconditioner", "kfac")],
)
def test_settings_that_are_not_for_a_shared_extractor_are_refused_by_name(name, value):
    with pytest.raises(InvalidArgumentError, match=f"{name}: expected .* with share_features_extractor"):
        TRPO("MlpPolicy", "CartPole-v1", **options(**{name: value}))
    model = TRPO("MlpPolicy", "CartPole-v1", **options())
    with pytest.raises(InvalidArgumentError, match=name):
        setattr(model, name, value)
    with pytest.raises(InvalidArgumentError, match="vf_coef: expected 1.0 without share_features_extractor"):
        TRPO("MlpPolicy", "CartPole-v1", vf_coef=0.5)


def test_images_and_dicts_share_with_the_defaults_of_stable_baselines3():
    image = gym.spaces.Box(0, 255, (1, 36, 36), np.uint8)
    both = gym.spaces.Dict(a=VECTOR, b=image)
    for policy, space, size in (("CnnPolicy", image, "features_dim"), ("MultiInputPolicy", both, "cnn_output_dim")):
        kwargs = {"share_features_extractor": True, "features_extractor_kwargs": {size: 8}}
        model = TRPO(policy, (space, gym.spaces.Discrete(3)), policy_kwargs=kwargs)
        hidden = 0 if policy == "CnnPolicy" else 2
        assert len(model.get_parameters()["value_function"]) == 2 * (hidden + 1)
        assert model.value_function.is_linear == (hidden == 0)


def test_catch_is_trained_on_images(tmp_path):
    net = Sequential(Conv2d(4, 3, stride=3), Flatten(), Dense(8))
    settings = options(n_steps=24) | {"policy_kwargs": {"features_extractor": net, "share_features_extractor": True}}
    model = TRPO("CnnPolicy", [partial(Catch, 4)] * 2, **settings).learn(96)
    assert 0.0 < model.metrics["train/kl_divergence_loss"] <= 0.01
    model.save(tmp_path / "model")
    resumed = TRPO.load(tmp_path / "model", env=[partial(Catch, 4)] * 2)
    for other in (model, resumed):
        other.learn(48, reset_num_timesteps=False)
    assert everything(resumed) == everything(model)


def test_a_file_whose_head_is_not_that_of_its_tensors_is_refused_even_if_signed(tmp_path):
    path = tmp_path / "model.safetensors"
    TRPO("MlpPolicy", (VECTOR, gym.spaces.Discrete(3)), **options()).save(path)
    tensors, metadata = load_policy_file(path)
    for name, value in (
        ("share_features_extractor", False),
        ("net_arch", {"pi": [], "vf": [8]}),
        ("net_arch", [1] * 99),
    ):
        kwargs = {**metadata["arguments"]["policy_kwargs"], name: value}
        forged = {**metadata, "arguments": {**metadata["arguments"], "policy_kwargs": kwargs}}
        save_policy_file(path, tensors, forged)
        with pytest.raises(PolicyFileError, match=r"expected value_function\.|expected 99 layers"):
            TRPO.load(path)


@pytest.mark.slow
def test_cartpole_is_learned_on_a_shared_trunk_as_with_two_networks():
    trunk = Sequential(Dense(64), Dense(64))
    kwargs = {"features_extractor": trunk, "net_arch": [], "share_features_extractor": True}
    model = TRPO("MlpPolicy", "CartPole-v1", policy_kwargs=kwargs, n_envs=4, n_steps=512, seed=0).learn(80_000)
    assert evaluate(model, "CartPole-v1", 40, seed=1).mean >= 480
