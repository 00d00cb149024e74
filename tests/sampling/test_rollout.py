"""Rollouts: batches hold the true transitions, with advantages and returns by definition."""

from functools import partial
from itertools import pairwise

import gymnasium as gym
import numpy as np
import pytest
from envs import ENDS, LENGTHS, CountingEnv, FakeALEVectorEnv, FakeEnvPool, counting_factories
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from trpo_fast import TRPO, Policy, TRPOConfig
from trpo_fast.environments.make import make_environments
from trpo_fast.sampling.collector import RolloutCollector
from trpo_fast.sampling.sampler import SerialSampler
from trpo_fast.spaces.actions import ActionCodec
from trpo_fast.training.advantages import gae, rewards_to_go
from trpo_fast.training.batching import to_batch

GAMMA, LAMBDA = 0.9, 0.8
FACTORIES = {
    "single": lambda envs: envs,
    **{mode.name: partial(SyncVectorEnv, autoreset_mode=mode) for mode in AutoresetMode},
    "envpool": FakeEnvPool,
    "ale": FakeALEVectorEnv,
}
ACTION_SPACES = {
    "Box": gym.spaces.Box(np.float32([[-0.1, -0.2]]), np.float32([[0.3, 0.1]])),
    "Box64": gym.spaces.Box(-0.1, 0.3, (2,), np.float64),
    "Box unbounded": gym.spaces.Box(-np.inf, np.inf, (2,), np.float32),
    "Discrete": gym.spaces.Discrete(3),
    "Discrete from 5": gym.spaces.Discrete(3, start=5),
    "Discrete from -2": gym.spaces.Discrete(3, start=-2, dtype=np.int32),
    "MultiDiscrete": gym.spaces.MultiDiscrete([2, 3, 1], start=[0, -1, 4]),
    "MultiBinary": gym.spaces.MultiBinary(4),
}


def value_of(observations):
    """Tells apart the last observation of an episode and the first of the next: (id, e, T) and (id, e + 1, 0)."""
    return np.asarray(observations, dtype=np.float64) @ [0.3, -1.7, 5.0] + 1.0


def collect(envs, wrap=FACTORIES["single"], *, n_steps, advantage="gae", rollouts=1):
    """The batches that ``rollouts`` rollouts of ``n_steps`` give, and the codec of their actions."""
    factories = [lambda env=env: env for env in envs]
    environments = make_environments(wrap(factories), n_envs=1)
    policy = Policy(environments.observation_space, environments.action_space, net_arch=(4,))
    collector = RolloutCollector(SerialSampler(environments, policy), policy.observation_codec, 100)
    collector.reset(seed=0)
    actor = policy.actor(policy.initial_parameters(0))
    streams = [np.random.default_rng([3, i]) for i in range(environments.num_envs)]
    config = TRPOConfig(gamma=GAMMA, gae_lambda=LAMBDA, advantage=advantage)
    batches = []
    for _ in range(rollouts):
        rollout = collector.collect(actor, streams, n_steps, lambda *_: True)
        batch, values = to_batch(rollout, rollout.trajectories.rewards, policy, value_of, config)
        np.testing.assert_array_equal(values, value_of(batch.observations))
        assert rollout.num_transitions == len(batch.observations)
        batches.append(batch)
    return batches, policy.codec


def by_definition(history, advantage):
    """A_t and its target for one environment's transitions, each summed from scratch.

    GAE: sum_l (gamma lambda)^l delta_{t+l}. Rewards-to-go: sum_l gamma^l r_{t+l} + gamma^{L+1} V(where it was cut).
    """
    values = [value_of(t.observation) for t in history]
    next_values = [0.0 if t.terminated else value_of(t.next_observation) for t in history]
    targets = []
    for t in range(len(history)):
        end = next(
            (k for k in range(t, len(history)) if history[k].terminated or history[k].truncated), len(history) - 1
        )
        steps = range(t, end + 1)
        if advantage == "gae":
            deltas = [history[k].reward + GAMMA * next_values[k] - values[k] for k in steps]
            targets.append(values[t] + sum((GAMMA * LAMBDA) ** (k - t) * deltas[k - t] for k in steps))
        else:
            rest = GAMMA ** (end + 1 - t) * next_values[end]
            targets.append(sum(GAMMA ** (k - t) * history[k].reward for k in steps) + rest)
    return np.array(targets) - values, np.array(targets)


@pytest.mark.parametrize("advantage", ["gae", "rewards_to_go"])
@pytest.mark.parametrize("wrap", FACTORIES.values(), ids=FACTORIES)
def test_advantages_are_those_of_the_definition_on_what_happened(wrap, advantage):
    envs = [make() for make in counting_factories(3)]
    batches, _ = collect(envs, wrap, n_steps=23, advantage=advantage, rollouts=3)
    begins = [0, 0, 0]
    for batch in batches:
        for i, env in enumerate(envs):
            own = batch.observations.rows[:, 0] == i
            history = env.history[begins[i] : begins[i] + own.sum()]
            begins[i] += own.sum()
            advantages, returns = by_definition(history, advantage)
            np.testing.assert_array_equal(batch.observations[own], [t.observation for t in history])
            np.testing.assert_array_equal(batch.actions[own], [t.action[0] for t in history])
            np.testing.assert_allclose(batch.advantages[own], advantages, rtol=1e-12)
            np.testing.assert_allclose(batch.returns[own], returns, rtol=1e-12)
    assert begins == [len(env.history) for env in envs]  # every transition, once; nothing else


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("n_steps", [1, 2, 4, 5])
def test_an_episode_that_ends_with_the_batch(end, n_steps):
    envs = [CountingEnv(lengths=(2,), ends=(end,))]
    (batch,), _ = collect(envs, n_steps=n_steps)
    np.testing.assert_allclose(batch.advantages, by_definition(envs[0].history, "gae")[0], rtol=1e-12)


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("gamma", [0.0, 0.7, 1.0])
def test_gae_spans_from_the_td_error_to_the_monte_carlo_return(gamma, lam):
    rng = np.random.default_rng(0)
    rewards, values, next_values = rng.standard_normal((3, 50, 2))
    done = rng.random((50, 2)) < 0.1
    next_values[:-1][~done[:-1]] = values[1:][~done[:-1]]
    advantages, returns = gae(rewards, values, next_values, done, gamma, lam)
    np.testing.assert_allclose(returns, advantages + values)
    if lam == 0.0:
        np.testing.assert_allclose(advantages, rewards + gamma * next_values - values)
    if lam == 1.0:
        expected = rewards_to_go(rewards, values, next_values, done, gamma)
        np.testing.assert_allclose((advantages, returns), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("space", ACTION_SPACES.values(), ids=ACTION_SPACES)
@pytest.mark.parametrize("wrap", [FACTORIES["single"], FACTORIES["NEXT_STEP"]], ids=["single", "vector"])
def test_actions_are_clipped_into_the_space_on_their_way_to_the_environment_only(space, wrap):
    envs = [make() for make in counting_factories(2, action_space=space)]
    (batch,), _ = collect(envs, wrap, n_steps=40)
    is_box = isinstance(space, gym.spaces.Box)
    for i, env in enumerate(envs):  # which itself refuses what is not in its space
        taken = np.array([t.action for t in env.history])
        sampled = batch.actions[batch.observations.rows[:, 0] == i].reshape(taken.shape)
        if is_box:
            np.testing.assert_array_equal(taken, np.clip(sampled, space.low.ravel(), space.high.ravel()))
            assert (np.abs(sampled) > 0.4).any()
        else:
            np.testing.assert_array_equal(taken, sampled)
            assert len(np.unique(taken)) > 1
    expected = (
        np.float32
        if isinstance(space, gym.spaces.Box)
        else np.int8
        if space == ACTION_SPACES["MultiBinary"]
        else np.int64
    )
    assert batch.actions.dtype == expected


@pytest.mark.parametrize("space", ACTION_SPACES.values(), ids=ACTION_SPACES)
@pytest.mark.parametrize("wrap", [FACTORIES["single"], FACTORIES["NEXT_STEP"]], ids=["single", "vector"])
def test_an_environment_may_keep_the_actions_it_is_given_and_change_them(space, wrap):
    class Keeping(CountingEnv):
        def step(self, action):
            result = super().step(action)
            kept.append((np.copy(action), action))
            return result

    class Changing(CountingEnv):
        def step(self, action):
            result = super().step(action)
            if isinstance(action, np.ndarray):
                action[...] = 0
            return result

    kept, plain, changing = [], CountingEnv(action_space=space), Changing(action_space=space)
    (expected,), _ = collect([plain], wrap, n_steps=30)
    collect([Keeping(action_space=space)], wrap, n_steps=30, rollouts=2)
    for then, now in kept:
        np.testing.assert_array_equal(then, now)
    (batch,), _ = collect([changing], wrap, n_steps=30)
    np.testing.assert_array_equal(batch.actions, expected.actions)


class Observing(gym.ObservationWrapper):
    """The same observations in another dtype and shape."""

    def __init__(self, env, dtype, shape, layout=np.copy):
        super().__init__(env)
        self.observation_space = gym.spaces.Box(-100, 100, shape, dtype)
        self.dtype, self.shape, self.layout = dtype, shape, layout

    def observation(self, observation):
        return self.layout(observation.astype(self.dtype).reshape(self.shape))


@pytest.mark.parametrize(
    ("dtype", "shape", "layout"),
    [
        (np.float64, (3,), np.copy),
        (np.int16, (3,), np.copy),
        (np.float32, (3, 1), np.copy),
        (np.float16, (1, 3, 1), np.copy),
        (np.float64, (3,), lambda a: np.repeat(a, 2)[::2]),
    ],
)
@pytest.mark.parametrize("wrap", FACTORIES.values(), ids=FACTORIES)
def test_observations_of_any_real_dtype_shape_and_layout_are_the_same(wrap, dtype, shape, layout):
    (expected,), _ = collect([make() for make in counting_factories(3)], wrap, n_steps=20)
    envs = [Observing(make(), dtype, shape, layout) for make in counting_factories(3)]
    (batch,), _ = collect(envs, wrap, n_steps=20)
    for name in ("observations", "advantages", "returns"):
        np.testing.assert_array_equal(getattr(batch, name), getattr(expected, name))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("space", ACTION_SPACES.values(), ids=ACTION_SPACES)
def test_decode_inverts_encode(space, dtype):
    codec = ActionCodec(space, dtype)
    space.seed(0)
    samples = np.array([space.sample() for _ in range(50)])
    actions = samples.reshape(50, -1).astype(dtype) if codec.has_log_std else samples
    rows = codec.encode(actions)
    assert rows.shape == (50, codec.size)
    assert rows.dtype == dtype
    assert codec.has_log_std or rows.min() == 0
    np.testing.assert_array_equal(codec.decode(rows), actions)
    for action, sample in zip(codec.to_env(rows), samples, strict=True):
        assert action in space
        np.testing.assert_allclose(action, sample, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8, np.uint64])
def test_discrete_actions_of_any_integer_type_are_taken(dtype):
    codec = ActionCodec(gym.spaces.Discrete(3, start=-1), "float32")
    np.testing.assert_array_equal(codec.encode(np.array([0, 1], dtype=dtype)), [[1], [2]])


@pytest.mark.parametrize("space", [gym.spaces.Discrete(3), gym.spaces.Box(-0.1, 0.1, (2,))], ids=["Discrete", "Box"])
def test_each_environment_has_its_own_noise(space):
    def histories(n):
        envs = [CountingEnv(lengths=LENGTHS, action_space=space) for _ in range(n)]
        collect(envs, n_steps=50)
        return [env.history for env in envs]

    alone, together = histories(1), histories(3)
    assert together[0] == alone[0]
    assert all(a != b for a, b in pairwise(together))


def trained(seed, **arguments):
    fast = dict(n_steps=40, n_critic_updates=2, batch_size=32, policy_kwargs={"net_arch": (8,)})
    return TRPO("MlpPolicy", arguments.pop("env", "Pendulum-v1"), seed=seed, **fast, **arguments).learn(240)


@pytest.mark.parametrize("arguments", [{}, {"n_envs": 3}, {"env": "CartPole-v1", "dtype": "float64", "n_envs": 2}])
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(arguments):
    first, second, other = (trained(seed, **arguments) for seed in (1, 1, 2))
    assert first.report.committed
    for name in ("theta", "value_theta"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        assert (getattr(first, name) != getattr(other, name)).any()
    assert first.metrics["rollout/episodes"] == second.metrics["rollout/episodes"]


def test_two_calls_of_learn_are_one_long_one():
    fast = dict(n_steps=40, n_critic_updates=2, policy_kwargs={"net_arch": (8,)}, seed=0)
    whole = TRPO("MlpPolicy", "CartPole-v1", **fast).learn(160)
    halves = TRPO("MlpPolicy", "CartPole-v1", **fast)
    for _ in range(2):
        halves.learn(80, reset_num_timesteps=False)
    np.testing.assert_array_equal(whole.theta, halves.theta)
    assert whole.num_timesteps == halves.num_timesteps == 160


@pytest.mark.parametrize("wrap", FACTORIES.values(), ids=FACTORIES)
def test_steps_and_episodes_are_counted_as_by_hand(wrap):
    envs = [make() for make in counting_factories(3)]
    factories = [lambda env=env: env for env in envs]
    model = TRPO("MlpPolicy", wrap(factories), n_steps=29, n_critic_updates=1, policy_kwargs={"net_arch": ()})
    seen = []
    model.learn(150, callback=lambda variables, _: seen.append(variables["self"].num_timesteps))
    transitions = [t for env in envs for t in env.history]
    assert model.num_timesteps == seen[-1] == len(transitions) >= 150
    assert model.num_timesteps - 150 < 3 * 29
    episodes = []
    for env in envs:
        begin = 0
        for k, t in enumerate(env.history, start=1):
            if t.terminated or t.truncated:
                episodes.append((sum(x.reward for x in env.history[begin:k]), k - begin))
                begin = k
    assert model.metrics["rollout/episodes"] == len(episodes)
    means = [model.metrics[f"rollout/{name}"] for name in ("ep_rew_mean", "ep_len_mean")]
    np.testing.assert_allclose(means, np.mean(episodes, axis=0))


def test_a_rollout_of_autoreset_steps_only_is_skipped():
    env = SyncVectorEnv([partial(CountingEnv, lengths=(1,))] * 2)
    model = TRPO("MlpPolicy", env, n_steps=1, n_critic_updates=1, policy_kwargs={"net_arch": ()}).learn(6)
    assert (model.num_timesteps, model.metrics["train/n_updates"]) == (6, 3)


def test_the_window_of_episode_statistics_is_the_last_episodes():
    env = CountingEnv(lengths=(1, 2, 3), ends=("terminated",))
    model = TRPO("MlpPolicy", env, n_steps=18, n_critic_updates=1, stats_window_size=2).learn(18)
    assert (model.metrics["rollout/episodes"], model.metrics["rollout/ep_len_mean"]) == (9, 2.5)


def test_a_callback_that_returns_false_stops_and_leaves_the_policy():
    model = TRPO("MlpPolicy", CountingEnv(), n_steps=10)
    before = model.theta
    model.learn(100, callback=lambda *_: model.num_timesteps < 7)
    assert model.num_timesteps == 7
    np.testing.assert_array_equal(model.theta, before)
