"""The vine: trunks, branches, and training with them."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from envs import CountingEnv, MaskedEnv, counting_factories

from trpo_fast import TRPO, InvalidArgumentError, SnapshotError, TRPOConfig
from trpo_fast.environments.interface import Trajectories
from trpo_fast.environments.make import make_environments
from trpo_fast.sampling.sampler import SerialSampler
from trpo_fast.sampling.vine import VinePlan, proposal_of, sample_vine

FAST = {
    "vine_trunk_steps": 40, "vine_states": 6, "vine_actions": 3, "vine_horizon": 5, "n_critic_updates": 1,
    "policy_kwargs": {"net_arch": (8,)}, "seed": 3,
}  # fmt: skip


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
def test_branches_do_not_change_the_trunk(env_id):
    """Nor the next trunk, which continues where this one ended."""
    if env_id == "Hopper-v5":
        pytest.importorskip("mujoco")
    model = TRPO("MlpPolicy", env_id, **FAST)
    environments = make_environments(env_id, 2)
    _, trunk, actions, _ = planned(environments, model)
    rollout = SerialSampler(make_environments(env_id, 2), model.policy)
    noise = np.random.default_rng(6).standard_normal((40, 2, model.policy.codec.size), dtype=np.float32)
    plain = rollout.collect(model.actor, noise, rollout.reset(7), None)
    next_trunk = SerialSampler(environments, model.policy).collect(model.actor, noise, trunk.observations[-1], None)
    next_plain = rollout.collect(model.actor, noise, plain.trajectories.observations[-1], None)
    for one, other in [(trunk, plain.trajectories), (next_trunk.trajectories, next_plain.trajectories)]:
        for a, b in zip(one[:4], other[:4], strict=True):
            np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(actions, plain.actions)


def test_branches_match_stepping_by_hand():
    """In a deterministic environment, Q of every branch equals the return of stepping by hand."""
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
    """The reward is a random number, independent of the action."""

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


def test_branches_of_a_state_share_random_numbers():
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


def test_the_same_bits_in_workers():
    def model(k):
        return TRPO("MlpPolicy", "Pendulum-v1", method="vine", n_envs=3, n_workers=k, **FAST).learn(2000)

    expected, got = model(0), model(2)
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
def test_settings_without_a_valid_vine_are_rejected(settings, message):
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
    """The action is the velocity; the reward is larger near 0, in a given unit."""

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
    """The critic's values at the tails are in these units, so rewards and values can be added."""
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
