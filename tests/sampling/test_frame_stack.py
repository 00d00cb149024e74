"""frame_stack: observations of several frames, in training, evaluations, workers, snapshots and files."""

import itertools

import gymnasium as gym
import numpy as np
import pytest
from envs import CountingEnv
from gymnasium.wrappers import FrameStackObservation

from trpo_fast import TRPO, InvalidArgumentError, UnsupportedSpaceError, evaluate, load_policy, nets
from trpo_fast.environments import snapshots
from trpo_fast.environments.frame_stack import FrameStack, stacked_space
from trpo_fast.errors import EnvironmentFaultError, SnapshotError

S = gym.spaces
FAST = {"n_steps": 40, "n_critic_updates": 1, "policy_kwargs": {"net_arch": (8,)}, "seed": 0}


class Sampling(gym.Env):
    """Observes samples of a space; episodes of five steps."""

    action_space = S.Discrete(2)

    def __init__(self, space):
        self.observation_space, self.t = space, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        self.t += 1
        return self.observation_space.sample(), float(action), self.t % 5 == 0, False, {}


def episode(env, n=7):
    observations = [env.reset(seed=2)[0]]
    for i in range(n):
        observation, _, terminated, *_ = env.step(i % 2)
        observations.append(observation)
        if terminated:
            observations.append(env.reset()[0])
    return observations


@pytest.mark.parametrize(
    "space", [S.Box(-1, 1, (3,), np.float32), S.Box(0, 255, (5, 6), np.uint8), S.Box(2, 3, (), np.float64)], ids=str
)
def test_stacks_along_a_new_axis_are_gymnasiums(space):
    ours, theirs = FrameStack(Sampling(space), 3), FrameStackObservation(Sampling(space), 3, padding_type="zero")
    assert ours.observation_space.shape == theirs.observation_space.shape
    for observation, expected in zip(episode(ours), episode(theirs), strict=True):
        np.testing.assert_array_equal(observation, expected)
        assert observation.dtype == space.dtype
        assert ours.observation_space.contains(observation)


@pytest.mark.parametrize(("shape", "axis"), [((2, 9, 8), 0), ((9, 8, 2), 2)])
def test_images_are_joined_along_their_channels(shape, axis):
    space = S.Box(0, 255, shape, np.uint8)
    env = FrameStack(Sampling(space), 3)
    assert env.observation_space == S.Box(0, 255, (6, 9, 8) if axis == 0 else (9, 8, 6), np.uint8)
    theirs = episode(FrameStackObservation(Sampling(space), 3, padding_type="zero"))
    for observation, expected in zip(episode(env), theirs, strict=True):
        np.testing.assert_array_equal(observation, np.concatenate(list(expected), axis))


def test_parts_of_a_dict_are_stacked_one_by_one():
    space = S.Dict({"arm": S.Box(-1, 1, (2,)), "eyes": S.Tuple([S.Box(0, 255, (1, 8, 8), np.uint8)])})
    env = FrameStack(Sampling(space), 4)
    assert env.observation_space["arm"].shape == (4, 2)
    assert env.observation_space["eyes"][0].shape == (4, 8, 8)
    observation, _ = env.reset(seed=1)
    assert env.observation_space.contains(observation)
    assert not observation["arm"][:3].any()
    assert observation["arm"][3].any()
    assert observation["eyes"][0][3].any()


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (S.Discrete(3), "a Box, or a Dict or Tuple"),
        (S.Dict({"a": S.MultiBinary(2)}), "a Box, or a Dict or Tuple"),
        (S.Box(0, 255, (5, 7, 3), np.uint8), "more pixels to a side than channels in all frames"),
        (S.Box(0, 255, (9, 3), np.uint8), "more pixels to a side than channels in all frames"),
    ],
)
def test_what_cannot_be_stacked(space, message):
    with pytest.raises(UnsupportedSpaceError, match=f"frame_stack: .*{message}"):
        stacked_space(space, 4)


@pytest.mark.parametrize("wrap", [lambda env: FrameStack(env, 3), lambda env: FrameStackObservation(env, 3)])
def test_a_stack_is_captured_and_restored(wrap):
    runs = []
    env = wrap(gym.make("CartPole-v1"))
    env.reset(seed=0)
    env.step(1)
    state = snapshots.capture(env)
    for other in (env, wrap(gym.make("CartPole-v1"))):
        snapshots.restore(other, state)
        runs.append([other.step(action)[0] for action in (0, 1, 1, 0)] + [other.reset()[0]])
    np.testing.assert_array_equal(*runs)


def test_a_stack_with_a_frame_outside_its_space_is_restored():
    env = FrameStack(Sampling(S.Dict({"a": S.Box(0.0, 1.0, (2,))})), 2)
    env.set_state({"stack": {"a": np.float32([[0.5, 0.5], [1.5, -0.25]])}})
    assert env.get_state()["stack"]["a"][1, 0] == 1.5
    with pytest.raises(ValueError, match="expected an observation"):
        env.set_state({"stack": {"a": np.zeros((2, 2))}})


def test_a_state_of_another_stack_is_refused():
    small, large = (FrameStack(gym.make("CartPole-v1"), n) for n in (2, 3))
    large.reset(seed=0)
    with pytest.raises(SnapshotError, match="expected an observation of Box"):
        snapshots.restore(small, snapshots.capture(large))


def test_workers_resume_and_evaluation(tmp_path):
    make = {"n_envs": 2, "frame_stack": 3, **FAST}
    model = TRPO("MlpPolicy", "CartPole-v1", **make).learn(160)
    assert model.observation_space.shape == (3, 4)
    workers = TRPO("MlpPolicy", "CartPole-v1", n_workers=2, **make).learn(160)
    np.testing.assert_array_equal(model.theta, workers.theta)
    workers.env.close()
    half = TRPO("MlpPolicy", "CartPole-v1", **make).learn(80)
    half.save(tmp_path / "half")
    resumed = TRPO.load(tmp_path / "half", "CartPole-v1").learn(80, reset_num_timesteps=False)
    np.testing.assert_array_equal(model.theta, resumed.theta)
    returns = [
        evaluate(acting, env, 3, seed=1).returns.tolist()
        for acting in (half, load_policy(tmp_path / "half"))
        for env in ("CartPole-v1", FrameStack(gym.make("CartPole-v1"), 3))
    ]
    assert all(its == returns[0] for its in returns)
    assert resumed.predict(np.zeros((3, 4), np.float32))[0] in (0, 1)
    with pytest.raises(InvalidArgumentError, match="observation"):
        resumed.predict(np.zeros(4, np.float32))
    view = model.get_env()
    assert view.reset().shape == (2, 3, 4)
    assert TRPO("MlpPolicy", view, **{**make, "n_envs": 1}).observation_space.shape == (3, 4)


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.int8, np.bool_])
def test_frames_of_other_integers_are_those_of_uint8(dtype):
    env = FrameStack(Sampling(S.Box(0, 255, (1, 8, 9), np.uint8)), 2)
    frames = [np.full((1, 8, 9), k, dtype) for k in (1, 90)]
    env.env.observation_space.sample = lambda: frames[env.env.t % 2]
    expected = np.concatenate([np.uint8(frame) for frame in frames])
    env.reset()
    stack = env.step(0)[0]
    np.testing.assert_array_equal(stack, expected)
    assert stack.dtype == np.uint8


@pytest.mark.parametrize("frame", [np.uint16(256), np.int64(-1), np.float32(0.5), np.float64(3.0)])
def test_a_frame_of_no_image_is_refused_and_not_wrapped(frame):
    env = Sampling(S.Box(0, 255, (1, 8, 9), np.uint8))
    env.observation_space.sample = lambda: np.full((1, 8, 9), frame)
    model = TRPO("CnnPolicy", env, frame_stack=2, **{**FAST, "policy_kwargs": {"features_extractor": nets.Flatten()}})
    with pytest.raises(EnvironmentFaultError, match="observation"):
        model.learn(40)


def test_frames_of_the_latest_steps_come_last():
    seen = []
    model = TRPO("MlpPolicy", CountingEnv(), frame_stack=2, **FAST)
    model.learn(8, callback=lambda now, _: seen.append(now["new_obs"][0]))
    for (_, newest), (before, _) in itertools.pairwise(seen):
        assert (before == newest).all() or not before.any()


def test_vector_environments_stack_frames_themselves():
    env = gym.make_vec("CartPole-v1", 2)
    with pytest.raises(InvalidArgumentError, match="frame_stack: expected 1 with a vector environment"):
        TRPO("MlpPolicy", env, frame_stack=2)
    model = TRPO("MlpPolicy", "CartPole-v1", frame_stack=3, n_envs=2, **FAST)
    with pytest.raises(InvalidArgumentError, match="env: expected"):
        model.set_env(env)
    model.set_env(
        gym.make_vec("CartPole-v1", 2, vectorization_mode="sync", wrappers=[lambda each: FrameStack(each, 3)])
    )
    assert model.learn(80).num_timesteps >= 80
    for value in (0, 2.5, 2000):
        with pytest.raises(InvalidArgumentError, match="frame_stack"):
            TRPO("MlpPolicy", "CartPole-v1", frame_stack=value)
    env.close()
