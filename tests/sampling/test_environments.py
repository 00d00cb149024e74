"""Environments: the same transitions from single and vector environments in every autoreset mode."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from envs import CountingEnv, FakeALEVectorEnv, FakeEnvPool, FaultyVectorEnv, Transition, counting_factories
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import trpo_fast
from trpo_fast import InvalidArgumentError
from trpo_fast.environments.interface import Trajectories
from trpo_fast.environments.make import make_environments
from trpo_fast.environments.single import SingleEnvironments
from trpo_fast.environments.vector import VectorEnvironments, autoreset_mode
from trpo_fast.spaces.observation_codec import ObservationCodec

N_ENVS, N_STEPS = 3, 30
VECTOR_ENVS = {
    **{f"sync-{mode.name}": partial(SyncVectorEnv, autoreset_mode=mode) for mode in AutoresetMode},
    **{f"async-{mode.name}": partial(AsyncVectorEnv, autoreset_mode=mode) for mode in AutoresetMode},
    "envpool": FakeEnvPool,
    "ale": FakeALEVectorEnv,
}
every_vector_env = pytest.mark.parametrize("make", VECTOR_ENVS.values(), ids=VECTOR_ENVS)
may_fork = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def choose(observations):
    """Actions that depend on the observation alone, so that a reset step in between changes nothing."""
    return observations.sum(axis=1).astype(np.int64) % 3


def begin(environments, n_steps=N_STEPS):
    """Memory for ``n_steps`` steps, and a reset."""
    into = Trajectories.of_steps(n_steps, environments.num_envs, ObservationCodec(environments.observation_space))
    into.observations[0] = environments.reset(seed=7)
    return into


def play(environments, n_steps=N_STEPS):
    """The valid transitions of every environment."""
    into = begin(environments, n_steps)
    transitions = [[] for _ in range(environments.num_envs)]
    for t in range(n_steps):
        actions = choose(into.observations[t])
        environments.step(actions, t, into)
        truncated = {(t, i) for i in np.flatnonzero(into.truncated[t])}
        assert {key for key in into.final_observations if key[0] == t} == truncated
        for i in np.flatnonzero(into.valid[t]):
            flags = bool(into.terminated[t, i]), bool(into.truncated[t, i])
            following = into.final_observations[t, i] if flags[1] else into.observations[t + 1, i]
            before, after = (tuple(row.tolist()) for row in (into.observations[t, i], following))
            known = flags[1] or not flags[0]
            transition = Transition(before, (actions[i],), into.rewards[t, i], *flags, after if known else None)
            transitions[i].append(transition)
    environments.close()
    return transitions


def test_single_environments_return_what_happened():
    envs = [make() for make in counting_factories(N_ENVS)]
    assert play(SingleEnvironments(envs)) == [env.history for env in envs]


def test_single_environments_are_reset_at_once():
    environments = make_environments(counting_factories(N_ENVS), n_envs=1)
    into = begin(environments)
    np.testing.assert_array_equal(into.observations[0], [[i, 0, 0] for i in range(N_ENVS)])
    ends = np.zeros(N_ENVS, dtype=int)
    for t in range(N_STEPS):
        environments.step(np.zeros(N_ENVS, dtype=np.int64), t, into)
        done = into.terminated[t] | into.truncated[t]
        ends += done
        np.testing.assert_array_equal(into.observations[t + 1, :, 1], ends)
        np.testing.assert_array_equal(into.observations[t + 1, :, 2] == 0, done)
    assert into.valid.all()


@pytest.mark.parametrize("vector", [False, True])
def test_environment_i_is_seeded_with_seed_plus_i_and_only_once(vector):
    envs = [make() for make in counting_factories(N_ENVS)]
    factories = [lambda env=env: env for env in envs]
    play(VectorEnvironments(SyncVectorEnv(factories)) if vector else SingleEnvironments(envs))
    for i, env in enumerate(envs):
        assert env.seeds[0] == 7 + i
        assert not any(env.seeds[1:])


@may_fork
@every_vector_env
def test_vector_environments_give_the_transitions_of_single_ones(make):
    expected = play(make_environments(counting_factories(N_ENVS), n_envs=1))
    actual = play(make_environments(make(counting_factories(N_ENVS)), n_envs=1))
    for single, vector in zip(expected, actual, strict=True):
        assert len(vector) > N_STEPS / 2
        assert vector == single[: len(vector)]


@may_fork
@every_vector_env
def test_only_the_step_after_an_end_is_invalid_and_only_in_next_step_mode(make):
    env = make(counting_factories(N_ENVS))
    next_step = autoreset_mode(env) is AutoresetMode.NEXT_STEP
    environments = make_environments(env, n_envs=1)
    into = begin(environments)
    ended = np.zeros(N_ENVS, dtype=bool)
    for t in range(N_STEPS):
        environments.step(np.full(N_ENVS, 2), t, into)
        np.testing.assert_array_equal(into.valid[t], ~ended if next_step else np.ones(N_ENVS, dtype=bool))
        ended = into.terminated[t] | into.truncated[t]
        assert not ended[~into.valid[t]].any()
    environments.close()


@pytest.mark.parametrize(("part", "junk"), [(1, lambda r: r + 5.0), (2, np.logical_not), (3, np.logical_not)])
def test_what_a_reset_step_claims_is_ignored(part, junk):
    env = FaultyVectorEnv(SyncVectorEnv(counting_factories(2, lengths=(1,))), part, junk, at=2)
    environments = make_environments(env, n_envs=1)
    into = begin(environments)
    for t, valid in enumerate((True, False, True)):
        environments.step(np.zeros(2, dtype=np.int64), t, into)
        assert into.valid[t].sum() == (2 if valid else 0)
        assert into.valid[t].tolist() == [valid, valid]
        assert (into.terminated | into.truncated)[t].tolist() == [valid, valid]
        assert into.rewards[t].all() == valid


@pytest.mark.parametrize("make", [SyncVectorEnv, FakeEnvPool, FakeALEVectorEnv])
def test_a_second_reset_forgets_that_an_episode_ended(make):
    environments = make_environments(make(counting_factories(2, lengths=(1,))), n_envs=1)
    for _ in range(2):
        into = begin(environments)
        environments.step(np.zeros(2, dtype=np.int64), 0, into)
        assert into.valid[0].all()


def test_environments_made_from_an_id_are_single_ones():
    environments = make_environments("CartPole-v1", n_envs=2, env_kwargs={"sutton_barto_reward": True})
    assert isinstance(environments, SingleEnvironments)
    assert environments.num_envs == 2
    into = Trajectories.of_steps(1, 2, ObservationCodec(environments.observation_space))
    environments.reset(seed=0)
    environments.step(np.zeros(2, dtype=np.int64), 0, into)
    np.testing.assert_array_equal(into.rewards, 0.0)


def test_an_asynchronous_pool_is_refused():
    with pytest.raises(InvalidArgumentError, match=r"env: expected batch_size = num_envs = 3 .*, got batch_size = 2"):
        make_environments(FakeEnvPool(counting_factories(3), batch_size=2), n_envs=1)


@pytest.mark.parametrize("metadata", [{}, None, {"autoreset_mode": None}, {"autoreset_mode": "sometimes"}])
def test_an_unknown_autoreset_mode_is_refused(metadata):
    env = SyncVectorEnv(counting_factories(2))
    env.metadata = metadata
    with pytest.raises(InvalidArgumentError, match="env: expected metadata"):
        make_environments(env, n_envs=1)


SHARED = CountingEnv()
MISUSE = {
    "no env": (None, 1, None, "env"),
    "a class": (CountingEnv, 1, None, "env"),
    "unknown id": ("NoSuchEnv-v0", 1, None, "env"),
    "no factories": ([], 1, None, "env"),
    "environments, not factories": ([CountingEnv()], 1, None, "env"),
    "ids, not factories": (["CartPole-v1"], 1, None, "env"),
    "factories of no environment": ([dict], 1, None, "env"),
    "one environment twice": ([lambda: SHARED, lambda: SHARED], 1, None, "env"),
    "different observation spaces": ([CountingEnv, lambda: gym.make("CartPole-v1")], 1, None, "env"),
    "different action spaces": (
        [CountingEnv, partial(CountingEnv, action_space=gym.spaces.Discrete(2))],
        1,
        None,
        "env",
    ),
    "n_envs of one Env": (CountingEnv(), 2, None, "n_envs"),
    "n_envs of a VectorEnv": (SyncVectorEnv([CountingEnv, CountingEnv]), 2, None, "n_envs"),
    "n_envs of three factories": ([CountingEnv] * 3, 2, None, "n_envs"),
    **{f"n_envs {bad!r}": ("CartPole-v1", bad, None, "n_envs") for bad in (0, -1, 1.0, True, "2", None)},
    "env_kwargs of an Env": (CountingEnv(), 1, {"env_id": 1}, "env_kwargs"),
    "env_kwargs of factories": ([CountingEnv], 1, {"env_id": 1}, "env_kwargs"),
    "env_kwargs no dict": ("CartPole-v1", 1, ["render_mode"], "env_kwargs"),
}


@pytest.mark.parametrize(("env", "n_envs", "env_kwargs", "argument"), MISUSE.values(), ids=MISUSE)
def test_misuse_names_the_argument(env, n_envs, env_kwargs, argument):
    with pytest.raises(InvalidArgumentError, match=f"^{argument}: expected .+, got .+") as caught:
        make_environments(env, n_envs, env_kwargs)
    assert caught.value.argument == argument


@pytest.mark.filterwarnings("ignore:EnvPool seeds are fixed", "ignore:.*Box (low|high)'s precision")
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_learning_in_the_real_envpool(env_id):
    envpool = pytest.importorskip("envpool")
    with pytest.raises(InvalidArgumentError, match="batch_size"):
        trpo_fast.TRPO("MlpPolicy", envpool.make(env_id, env_type="gymnasium", num_envs=3, batch_size=2))
    env = envpool.make(env_id, env_type="gymnasium", num_envs=3, seed=0)
    model = trpo_fast.TRPO("MlpPolicy", env, n_steps=70, seed=0).learn(500)
    assert model.report.committed
    assert model.predict(np.zeros(env.single_observation_space.shape, dtype=np.float32))[0] in env.single_action_space
    if env_id == "CartPole-v1":  # every episode cost a reset step
        assert 500 <= model.num_timesteps < 3 * 70 * model.metrics["time/iterations"]
