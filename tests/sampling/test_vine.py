"""The vine: its estimators on an MDP that is known exactly, its branches, and what must hold of a training with it."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from cases import all_cases, make_case, relative_error, tolerance
from envs import CountingEnv, MaskedEnv, counting_factories

from trpo_fast import (
    TRPO,
    InvalidArgumentError,
    Policy,
    SnapshotError,
    SurrogateObjective,
    TRPOConfig,
    VineBatch,
    VineObjective,
    trpo_update,
)
from trpo_fast.environments.interface import Trajectories
from trpo_fast.environments.make import make_environments
from trpo_fast.sampling.sampler import SerialSampler
from trpo_fast.sampling.vine import VinePlan, proposal_of, sample_vine

FAST = {
    "vine_trunk_steps": 40, "vine_states": 6, "vine_actions": 3, "vine_horizon": 5, "n_critic_updates": 1,
    "policy_kwargs": {"net_arch": (8,)}, "seed": 3,
}  # fmt: skip
GAMMA = 0.9


class TabularMDP:
    """Four states, three actions; a softmax policy whose logits are a table, and Q^pi exactly."""

    S, A = 4, 3

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.P = rng.dirichlet(np.ones(self.S), size=(self.S, self.A))
        self.r = rng.standard_normal((self.S, self.A))
        self.weights = rng.dirichlet(np.ones(self.S))  # of the states in the rollout set
        self.policy = Policy(
            gym.spaces.Discrete(self.S), gym.spaces.Discrete(self.A), net_arch=(), dtype="float64",
            normalize_observations=False,
        )  # fmt: skip
        self.theta = 0.7 * rng.standard_normal(self.policy.num_params)
        self.pi = self.probabilities(self.theta)
        P_pi = np.einsum("sa,sat->st", self.pi, self.P)
        V = np.linalg.solve(np.eye(self.S) - GAMMA * P_pi, (self.pi * self.r).sum(axis=1))
        self.Q = self.r + GAMMA * self.P @ V

    def probabilities(self, theta):
        phi = self.policy.dist_params(theta, np.eye(self.S))
        p = np.exp(phi - phi.max(axis=1, keepdims=True))
        return p / p.sum(axis=1, keepdims=True)

    def exact_gradient(self):
        """Of sum_s weight(s) sum_a pi(a|s) Q(s, a), with Q fixed, by central differences."""

        def value(theta):
            return float(self.weights @ (self.probabilities(theta) * self.Q).sum(axis=1))

        h = 1e-6
        return np.array(
            [(value(self.theta + h * e) - value(self.theta - h * e)) / (2 * h) for e in np.eye(len(self.theta))]
        )

    def noisy_returns(self, states, actions, rng):
        """Discounted returns of 60 steps from (s, a) on, one episode each."""
        shape = states.shape
        s, a = states.ravel(), actions.ravel()
        total, discount = np.zeros(s.size), 1.0
        for _ in range(60):
            total += discount * self.r[s, a]
            discount *= GAMMA
            s = (self.P[s, a].cumsum(axis=1) > rng.random((s.size, 1))).argmax(axis=1)
            a = (self.pi[s].cumsum(axis=1) > rng.random((s.size, 1))).argmax(axis=1)
        return total.reshape(shape)

    def gradient(self, rng, n, n_actions, proposal, *, exact_returns=False):
        """The estimate from n states; ``n_actions`` 0 tries all actions."""
        states = rng.choice(self.S, size=n, p=self.weights)
        if n_actions == 0:
            actions = np.tile(np.arange(self.A), (n, 1))
        elif proposal == "policy":
            actions = (self.pi[states].cumsum(axis=1)[:, None] > rng.random((n, n_actions, 1))).argmax(axis=2)
        else:
            actions = rng.integers(self.A, size=(n, n_actions))
        tried = np.repeat(states[:, None], actions.shape[1], axis=1)
        returns = self.Q[tried, actions] if exact_returns else self.noisy_returns(tried, actions, rng)
        observations = np.eye(self.S)[states]
        return VineObjective(self.policy, self.theta, observations, actions, returns, proposal).gradient()


@pytest.fixture(scope="module")
def mdp():
    return TabularMDP()


def test_full_enumeration_converges_to_the_exact_gradient_as_one_over_root_n(mdp):
    rng, exact = np.random.default_rng(1), mdp.exact_gradient()
    sizes = np.array([100, 400, 1600, 6400])
    errors = [
        np.sqrt(np.mean([np.sum((mdp.gradient(rng, n, 0, "uniform") - exact) ** 2) for _ in range(30)])) for n in sizes
    ]
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.1)
    assert errors[-1] < 0.05 * np.linalg.norm(exact)


@pytest.mark.parametrize("n_actions", [2, 3, 5])
def test_self_normalised_with_the_policys_actions_converges_to_one_minus_one_over_k_of_the_gradient(mdp, n_actions):
    rng, exact = np.random.default_rng(2), mdp.exact_gradient()
    estimates = np.array([mdp.gradient(rng, 4000, n_actions, "policy") for _ in range(20)])
    expected = (1.0 - 1.0 / n_actions) * exact
    standard_error = estimates.std(axis=0) / np.sqrt(len(estimates))
    assert (np.abs(estimates.mean(axis=0) - expected) < 5.0 * standard_error + 1e-12).all()
    assert np.linalg.norm(standard_error) < 0.05 * np.linalg.norm(exact / n_actions)  # enough to tell it from exact


def test_self_normalised_with_uniform_actions_has_a_bias_that_falls_as_one_over_k(mdp):
    rng, exact = np.random.default_rng(3), mdp.exact_gradient()
    biases = []
    for n_actions in (4, 16, 64):
        estimates = [
            mdp.gradient(rng, 400_000 // n_actions, n_actions, "uniform", exact_returns=True) for _ in range(40)
        ]
        biases.append(np.linalg.norm(np.mean(estimates, axis=0) - exact))
    slope = np.polyfit(np.log([4, 16, 64]), np.log(biases), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.25)


def test_the_largest_advantage_is_the_mdps(mdp):
    """Of every action once it is max |Q - V|, whatever the policy thinks of them."""
    actions = np.tile(np.arange(mdp.A), (mdp.S, 1))
    objective = VineObjective(mdp.policy, mdp.theta, np.eye(mdp.S), actions, mdp.Q, "uniform")
    V = (mdp.pi * mdp.Q).sum(axis=1, keepdims=True)
    assert objective.largest_advantage == pytest.approx(np.abs(mdp.Q - V).max(), rel=1e-12)


@all_cases(dtype="float64")
def test_gradient_is_the_derivative(spec):
    case = make_case(**spec, n=40)
    objective = vine_of(case, "policy")
    v, h = case.vector(), 1e-6
    plus, minus = (objective.evaluate(case.theta + s * h * v).surrogate for s in (1, -1))
    g = objective.gradient()
    assert abs(g @ v - (plus - minus) / (2 * h)) < 1e-6 * np.linalg.norm(g) * np.linalg.norm(v) + 1e-10


@all_cases()
def test_a_constant_added_to_the_q_of_a_state_changes_no_gradient(spec):
    case = make_case(**spec, n=40)
    shift = 10.0 * case.rng.standard_normal((40, 1))
    g, shifted = vine_of(case, "policy").gradient(), vine_of(case, "policy", shift).gradient()
    assert relative_error(shifted, g) < tolerance(spec["dtype"], 1e-10, 1e-4)


def vine_of(case, proposal, shift=0.0):
    rng = np.random.default_rng(11)
    observations = np.repeat(case.observations, 3, axis=0)
    noise = rng.standard_normal((len(observations), case.policy.codec.size)).astype(case.policy.dtype)
    rows = np.empty_like(noise)
    case.policy.act(case.theta, observations, noise, rows)
    actions = case.policy.codec.decode(rows)
    actions = actions.reshape(len(case.observations), 3, *actions.shape[1:])
    q_values = rng.standard_normal((len(case.observations), 3)) + shift
    return VineObjective(case.policy, case.theta, case.observations, actions, q_values, proposal)


def test_two_branches_that_differ_in_one_action_push_as_single_path_advantages_do():
    """With q = pi and K = 2 the gradient at theta is that of advantages +-(Q_1 - Q_2)/4 of the two actions."""
    case = make_case("Gaussian", n=30)
    rng = np.random.default_rng(0)
    actions, q_values = rng.standard_normal((30, 2, 3)), rng.standard_normal((30, 2))
    vine = VineObjective(case.policy, case.theta, case.observations, actions, q_values)
    halves = (q_values - q_values.mean(axis=1, keepdims=True)) / 2
    observations = np.repeat(case.observations, 2, axis=0)
    path = SurrogateObjective(case.policy, case.theta, observations, actions.reshape(60, 3), 2.0 * halves.ravel())
    np.testing.assert_allclose(vine.gradient(), path.gradient(), rtol=1e-10, atol=1e-14)


def planned(environments, model, **changes):
    config = TRPOConfig(**{**{k: v for k, v in FAST.items() if k.startswith("vine")}, **changes})
    plan = VinePlan.draw(np.random.default_rng(5), model.policy, environments.num_envs, config)
    n, steps = environments.num_envs, config.vine_trunk_steps
    trajectories = Trajectories.of_steps(steps, n, model.policy.observation_codec)
    trajectories.observations[0] = environments.reset(7)
    noise = np.random.default_rng(6).standard_normal((steps, n, model.policy.codec.size), dtype=np.float32)
    actions = np.empty_like(noise)
    actor = model.policy.actor(model.theta)
    _, branches = sample_vine(environments, plan, actor, noise, trajectories, actions, None)
    return plan, trajectories, actions, branches


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1", "Hopper-v5"])
def test_a_trunk_is_the_rollout_that_there_would_have_been_without_branches(env_id):
    if env_id == "Hopper-v5":
        pytest.importorskip("mujoco")
    model = TRPO("MlpPolicy", env_id, **FAST)
    with_branches = planned(make_environments(env_id, 2), model)
    rollout = SerialSampler(make_environments(env_id, 2), model.policy)
    noise = np.random.default_rng(6).standard_normal((40, 2, model.policy.codec.size), dtype=np.float32)
    plain = rollout.collect(model.actor, noise, rollout.reset(7), None)
    for a, b in zip(with_branches[1][:4], plain.trajectories[:4], strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(with_branches[2], plain.actions)


def test_a_branch_with_the_trunks_action_and_noise_would_be_the_trunk():
    """A deterministic environment: Q of every branch is what stepping it again by hand gives."""
    model = TRPO("MlpPolicy", "CartPole-v1", **FAST)
    environments = make_environments("CartPole-v1", 1)
    plan, _, _, branches = planned(environments, model)
    assert plan.proposal == "all"
    env = gym.make("CartPole-v1").unwrapped
    actor, codec = model.policy.actor(model.theta), model.policy.codec
    for j in range(plan.steps.shape[1]):
        stream = np.random.default_rng([plan.seed, 0, j])
        noise = stream.standard_normal((plan.horizon, 1, 1), dtype=np.float32)
        for k in range(2):
            observation, _ = env.reset()
            env.state = branches.observations.rows[j].copy()
            total, discount, row = 0.0, 1.0, np.array([[k]], np.float32)
            for t in range(plan.horizon):
                if t > 0:
                    actor.act(observation[None].astype(np.float64), noise[t], row)
                observation, reward, terminated, _, _ = env.step(int(codec.to_env(row)[0]))
                total += discount * reward
                discount *= plan.gamma
                if terminated:
                    break
            q = branches.rewards[0, j, k] @ plan.gamma ** np.arange(plan.horizon)
            assert q == pytest.approx(total, rel=1e-12)
            assert branches.tail_discounts[0, j, k] == (0.0 if terminated else pytest.approx(discount))
            if not terminated:
                np.testing.assert_allclose(branches.tails.rows[2 * j + k], observation, atol=1e-5)


class Lottery(gym.Env):
    """Pays what its random stream says, whatever is done."""

    observation_space, action_space = gym.spaces.Box(-1.0, 1.0, (1,), np.float64), gym.spaces.Box(-1.0, 1.0, (1,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return np.zeros(1), {}

    def step(self, action):
        return np.zeros(1), float(self.np_random.standard_normal()), False, False, {}

    def get_state(self):
        return {}

    def set_state(self, state):
        pass


def test_branches_of_a_state_have_the_same_luck():
    model = TRPO("MlpPolicy", [Lottery], **FAST)
    branches = planned(make_environments([Lottery], 1), model)[-1]
    rewards = branches.rewards[0]  # (m, K, H)
    assert (rewards == rewards[:, :1]).all()
    assert len(np.unique(rewards[:, 0, 0])) == len(rewards)
    assert len(np.unique(branches.actions)) == branches.actions.size


def test_every_step_is_counted():
    class Counted(gym.Wrapper):
        n = 0

        def step(self, action):
            Counted.n += 1
            return self.env.step(action)

        def get_state(self):
            return {}

        def set_state(self, state):
            pass

    model = TRPO("MlpPolicy", [lambda: Counted(gym.make("CartPole-v1"))], method="vine", **FAST).learn(1000)
    assert model.num_timesteps == Counted.n
    assert model.num_timesteps > 1000


@pytest.mark.parametrize("n_workers", [1, 2])
def test_the_same_bits_in_workers(n_workers):
    def model(k):
        return TRPO("MlpPolicy", "Pendulum-v1", method="vine", n_envs=3, n_workers=k, **FAST).learn(2000)

    expected, got = model(0), model(n_workers)
    got.env.close()
    assert np.array_equal(got.theta, expected.theta)
    assert got.num_timesteps == expected.num_timesteps


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_resumes_bit_for_bit(env_id, tmp_path):
    settings = {**FAST, "method": "vine", "normalize_reward": True}
    half = TRPO("MlpPolicy", env_id, **settings).learn(600)
    half.save(tmp_path / "half")
    resumed = TRPO.load(tmp_path / "half", env_id).learn(600, reset_num_timesteps=False)
    whole = TRPO("MlpPolicy", env_id, **settings).learn(half.num_timesteps + 600)
    assert np.array_equal(resumed.theta, whole.theta)
    assert np.array_equal(resumed.value_theta, whole.value_theta)


SPACES = [
    (gym.spaces.Discrete(7), "uniform"),
    (gym.spaces.Discrete(3), "all"),
    (gym.spaces.MultiDiscrete([3, 4]), "policy"),
    (gym.spaces.Box(-1.0, 1.0, (2,)), "policy"),
]


class Restorable(CountingEnv):
    def get_state(self):
        return {"episode": self.episode, "t": self.t}

    def set_state(self, state):
        self.episode, self.t = state["episode"], state["t"]


@pytest.mark.parametrize(("space", "proposal"), SPACES)
@pytest.mark.parametrize("bootstrap", [True, False])
def test_every_action_space_and_proposal(space, proposal, bootstrap):
    envs = [partial(Restorable, i, action_space=space) for i in range(2)]
    model = TRPO("MlpPolicy", envs, method="vine", vine_bootstrap=bootstrap, **FAST)
    assert proposal_of(model.policy, model.config)[:2] == (3, proposal)
    assert model.learn(1000).report.committed


def test_masked_actions_come_from_the_policy():
    envs = [partial(MaskedEnv, i, action_space=gym.spaces.Discrete(4)) for i in range(2)]
    model = TRPO("MlpPolicy", envs, method="vine", use_masking=True, **FAST)
    assert proposal_of(model.policy, model.config)[:2] == (3, "policy")
    assert model.learn(500).report.committed  # the environment refuses what its mask forbids


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vine_horizon": 0}, "^vine_horizon: expected an integer >= 1"),
        ({"vine_actions": 0}, "^vine_actions: expected an integer >= 2"),
        ({"vine_actions": 1}, "^vine_actions: expected an integer >= 2"),
        ({"vine_states": 0}, "^vine_states: expected an integer >= 1"),
        ({"vine_states": 41}, "^vine_states: expected at most 40, the steps of all trunks"),
        ({"cg_preconditioner": "kfac"}, "^method: expected the metric fisher or identity and no preconditioner"),
        ({"metric": "empirical_fisher"}, "^method: expected the metric fisher or identity"),
    ],
)
def test_settings_that_make_no_vine_are_refused(settings, message):
    env = Restorable()
    with pytest.raises(InvalidArgumentError, match=message):
        TRPO("MlpPolicy", env, method="vine", **{**FAST, **settings})
    assert env.seeds == []


def test_a_space_of_a_single_action_is_refused():
    env = Restorable(action_space=gym.spaces.Discrete(1))
    with pytest.raises(InvalidArgumentError, match=r"^env: expected two actions or more, .*Discrete\(1\)"):
        TRPO("MlpPolicy", env, method="vine", **FAST)
    assert env.seeds == []


class Untouchable(CountingEnv):
    def reset(self, *, seed=None, options=None):
        raise RuntimeError("it was touched")

    step = reset


@pytest.mark.parametrize("n_workers", [0, 2])
def test_environments_that_cannot_be_restored_are_refused_before_a_step(n_workers):
    with pytest.raises(SnapshotError, match="Untouchable: expected an environment or wrapper whose state is known"):
        TRPO("MlpPolicy", [Untouchable, Untouchable], method="vine", n_workers=n_workers, **FAST)
    if not n_workers:
        envs = gym.vector.SyncVectorEnv(counting_factories(2))
        with pytest.raises(SnapshotError, match="SyncVectorEnv: expected environments from an id or factories"):
            TRPO("MlpPolicy", envs, method="vine", **FAST)
        assert all(env.seeds == [] for env in envs.envs)


def test_environments_that_cannot_be_restored_are_refused_by_set_env(tmp_path):
    TRPO("MlpPolicy", [Restorable], method="vine", **FAST).learn(100).save(tmp_path / "model")
    model = TRPO.load(tmp_path / "model")
    env = CountingEnv()
    with pytest.raises(SnapshotError, match="CountingEnv: expected an environment or wrapper whose state is known"):
        model.set_env([lambda: env])
    assert env.seeds == []


class Pull(gym.Env):
    """Moves where the action says, and pays for being near 0, in some currency."""

    observation_space, action_space = gym.spaces.Box(-9.0, 9.0, (1,), np.float64), gym.spaces.Box(-1.0, 1.0, (1,))

    def __init__(self, currency):
        self.currency = currency

    def reset(self, *, seed=None, options=None):
        self.x = np.ones(1)
        return self.x.copy(), {}

    def step(self, action):
        self.x = np.clip(self.x + 0.25 * action, -9.0, 9.0)
        return self.x.copy(), self.currency * float(-(self.x[0] ** 2)), False, False, {}

    def get_state(self):
        return {"x": self.x}

    def set_state(self, state):
        self.x = state["x"]


def test_rewards_of_branches_are_in_the_units_of_the_trunks():
    """Of what is behind a branch the critic speaks in those units: the sum is one of both."""
    dear, cheap = (
        TRPO("MlpPolicy", [partial(Pull, currency)], method="vine", normalize_reward=True, **FAST).learn(1)
        for currency in (1.0, 1024.0)
    )
    assert dear.report.committed
    np.testing.assert_allclose(cheap.theta, dear.theta, rtol=1e-4, atol=1e-6)


def test_branches_leave_no_trace_in_the_statistics_of_a_wrapper():
    env = gym.wrappers.RecordEpisodeStatistics(gym.make("CartPole-v1"))
    model = TRPO("MlpPolicy", [lambda: env], method="vine", **{**FAST, "vine_trunk_steps": 200, "vine_states": 50})
    model.learn(1)
    assert len(env.return_queue) == model.num_episodes


def test_a_batch_of_one_branch_of_other_shapes_or_of_nan_is_refused_or_a_status():
    case = make_case("Gaussian", n=10)
    actions, q_values = np.zeros((10, 3, 3)), np.zeros((10, 3))
    with pytest.raises(InvalidArgumentError, match="^q_values: expected two actions or more"):
        VineObjective(case.policy, case.theta, case.observations, actions[:, :1], q_values[:, :1])
    with pytest.raises(InvalidArgumentError, match=r"^actions: expected an array of shape \(10, 3, ...\)"):
        VineObjective(case.policy, case.theta, case.observations, actions[:, :2], q_values)
    with pytest.raises(InvalidArgumentError, match="^proposal: expected one of policy, uniform"):
        VineObjective(case.policy, case.theta, case.observations, actions, q_values, "pi")

    def status(q_values):
        batch = VineBatch(case.observations, actions, q_values)
        theta, report = trpo_update(case.policy, case.theta, batch, TRPOConfig())
        assert theta is case.theta
        return report.status.value

    assert status(q_values) == "no_signal"
    assert status(np.where(np.arange(30).reshape(10, 3) == 4, np.nan, 1.0)) == "non_finite_input"
