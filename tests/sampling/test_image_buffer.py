"""Buffers of images: whoever stacks the frames, every observation comes back, and each frame is stored once."""

import copy
import itertools
import pickle
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest
from conftest import script_environment
from envs import Catch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import FrameStackObservation, TimeLimit

from trpo_fast._core.modules import core
from trpo_fast.environments.frame_stack import FrameStack
from trpo_fast.environments.interface import Trajectories
from trpo_fast.environments.make import make_environments
from trpo_fast.environments.single import SingleEnvironments
from trpo_fast.spaces.observation_codec import ObservationCodec
from trpo_fast.spaces.observations import Observations, by_environment, concatenate, stack

T = 40


def one_frame():
    env = Catch(size=6, cell=2, frames=1)
    return gym.wrappers.ReshapeObservation(env, env.observation_space.shape[1:])


STACKS = {
    "gymnasium, zeros": lambda: FrameStackObservation(one_frame(), 4, padding_type="zero"),
    "gymnasium, repeated": lambda: FrameStackObservation(one_frame(), 4, padding_type="reset"),
    "channels last": lambda: Catch(size=6, cell=2, frames=4, channels_last=True),
    "ours": lambda: FrameStack(one_frame(), 4),
    "ours, channels last": lambda: FrameStack(Catch(size=6, cell=2, frames=1, channels_last=True), 4),
}
each_stack = pytest.mark.parametrize("make", STACKS.values(), ids=STACKS)


class Recording(gym.Wrapper):
    """Keeps what it observed, and what it observed last before a reset."""

    def __init__(self, env):
        super().__init__(env)
        self.seen, self.finals = [], []

    def reset(self, **arguments):
        observation, info = self.env.reset(**arguments)
        self.seen.append(copy.deepcopy(observation))
        return observation, info

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        (self.finals if terminated or truncated else self.seen).append(copy.deepcopy(observation))
        return observation, reward, terminated, truncated, info


def played(environments, n_steps=T):
    """Trajectories of random actions."""
    codec = ObservationCodec(environments.observation_space)
    into = Trajectories.of_steps(n_steps, environments.num_envs, codec)
    into.observations[0] = environments.reset(3)
    rng = np.random.default_rng(0)
    for t in range(n_steps):
        environments.step(rng.integers(environments.action_space.n, size=environments.num_envs), t, into)
    return codec, into


def count_new_planes(observations):
    """Planes that are not zero and not in the former observation."""
    sets = [set()] + [{plane.tobytes() for plane in observation if plane.any()} for observation in observations]
    return sum(len(new - former) for former, new in itertools.pairwise(sets))


@each_stack
@pytest.mark.parametrize("n", [1, 2])
def test_what_was_observed_comes_back_and_frames_are_stored_once(make, n):
    envs = [Recording(TimeLimit(make(), 4 + i)) for i in range(n)]
    codec, into = played(SingleEnvironments(envs))
    buffer = into.observations
    for t in range(T + 1):
        observations = codec.decode(buffer[t])
        for i, env in enumerate(envs):
            np.testing.assert_array_equal(observations[i], env.seen[t])
    assert buffer.num_planes == sum(count_new_planes([buffer[t]["image"][i] for t in range(T + 1)]) for i in range(n))
    assert 0.8 * n * T < buffer.num_planes <= n * (T + 1)
    assert len(into.final_observations) == sum(len(env.finals) for env in envs) > 0
    finals = {i: iter(env.finals) for i, env in enumerate(envs)}
    for (_, i), record in into.final_observations.items():
        np.testing.assert_array_equal(codec.decode(record[None] if record.ndim == 0 else record)[0], next(finals[i]))


@each_stack
def test_transitions_last_observations_and_states_of_a_plan(make):
    codec, into = played(SingleEnvironments([make(), make()]))
    buffer = into.observations
    dense = np.stack([buffer[t] for t in range(T + 1)])
    valid = np.random.default_rng(1).random((T, 2)) < 0.7
    steps = np.array([[0, 7, 9], [2, 3, T]])
    for observations, expected in [
        (buffer.transitions(valid), by_environment(dense[:-1], valid)),
        (buffer.last(), dense[-1]),
        (buffer.at(steps), dense[steps.ravel(), [0, 0, 0, 1, 1, 1]]),
    ]:
        assert_same(observations, expected)
        assert observations.dtype == codec.dtype
        for index in (slice(1, 3), slice(None, None, 2), np.array([1, 0, 1])):
            assert_same(observations[index], expected[index])
    rows, images = buffer.acted_on(5, np.array([1, 1]))
    assert rows.shape == (2, 0)
    np.testing.assert_array_equal(pixels_of(images), np.stack([dense[5, 1]["image"]] * 2))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_holds_the_planes_that_it_uses(copied):
    _, into = played(SingleEnvironments([Catch(frames=4)]))
    part = into.observations.last()
    assert len(part.images[0].planes) > 30
    same = copied(part)
    assert len(same.images[0].planes) == 4
    assert_same(same, np.asarray(part))


def test_parts_are_concatenated_and_records_stacked():
    codec, into = played(SingleEnvironments([Catch(frames=4), Catch(frames=4)]))
    buffer = into.observations
    records = [buffer[0][1], buffer[9][0], codec.empty()]
    records[2][...] = buffer[20][0]
    of_records = stack(records)
    whole = concatenate([buffer.last(), of_records, Observations.of(buffer[3]), buffer.last()[:1]])
    dense = np.concatenate([buffer[T], np.array(records, codec.dtype), buffer[3], buffer[T][:1]])
    assert_same(whole, dense)
    of_one = concatenate([buffer.last(), buffer.transitions(np.ones((T, 2), bool))])
    assert of_one.images[0].planes is buffer.last().images[0].planes


def test_network_inputs_are_rows_and_images():
    space = gym.spaces.Dict({"arm": gym.spaces.Box(-1, 1, (3,)), "eye": gym.spaces.Box(0, 255, (4, 5, 6), np.uint8)})
    codec = ObservationCodec(space, mask_size=2)
    records = codec.rows({"arm": np.full((3, 3), 0.5, np.float32), "eye": np.full((3, 4, 5, 6), 7, np.uint8)})[0]
    observations = Observations.of(records)
    normalizer = core.Normalizer(np.zeros(5), np.full(5, 2.0), 10.0)
    rows, images = observations.inputs(normalizer, np.float32)
    np.testing.assert_array_equal(rows, [[1, 1, 1, 2, 2]] * 3)
    np.testing.assert_array_equal(pixels_of(images), records["eye"])
    of_critic, images = observations.inputs(normalizer, np.float32, slice(3))
    np.testing.assert_array_equal(of_critic, rows[:, :3])
    np.testing.assert_array_equal(observations.masks(2), np.ones((3, 2)))


@pytest.mark.parametrize("mode", [AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
@pytest.mark.parametrize("is_dict", [False, True])
def test_a_vector_environment_gives_what_its_environments_give(mode, is_dict):
    def make():
        env = TimeLimit(Catch(frames=2, channels_last=True), 5)
        space = gym.spaces.Dict({"eye": env.observation_space})
        return gym.wrappers.TransformObservation(env, lambda o: {"eye": o}, space) if is_dict else env

    codec, expected = played(SingleEnvironments([make(), make()]))
    _, into = played(make_environments(SyncVectorEnv([make] * 2, autoreset_mode=mode), 1))
    (name,) = (image.name for image in codec.images)
    for t in range(T + 1):
        np.testing.assert_array_equal(into.observations[t][name], expected.observations[t][name])
    assert into.final_observations.keys() == expected.final_observations.keys() != set()
    for place, final in expected.final_observations.items():
        np.testing.assert_array_equal(into.final_observations[place][name], final[name])


def test_the_vector_environment_of_ale():
    vector_env = pytest.importorskip("ale_py.vector_env")
    env = vector_env.AtariVectorEnv("pong", 2, img_height=20, img_width=16, reward_clipping=False)
    seen = []
    step = env.step
    env.step = lambda actions: seen.append(step(actions)) or seen[-1]
    _, into = played(make_environments(env, 1), 60)
    for t in range(60):
        np.testing.assert_array_equal(into.observations[t + 1]["image"], seen[t][0])
    assert into.observations.num_planes <= 2 * 61
    env.close()


HUGE_ROLLOUT = """
import resource
import gymnasium as gym
import numpy as np
from trpo_fast.spaces.buffers import new_buffer
from trpo_fast.spaces.observation_codec import ObservationCodec

n_steps, n = 12_500, 8
codec = ObservationCodec(gym.spaces.Box(0, 255, (4, 84, 84), np.uint8))
buffer, stack = new_buffer(codec, n_steps, n), np.zeros((n, 4, 84, 84), np.uint8)
for t in range(n_steps + 1):
    stack[:, :-1] = stack[:, 1:]
    stack[:, -1] = 255
    stack[:, -1, 0, :4] = np.frombuffer(np.int32(t).tobytes(), np.uint8)  # no frame is like another
    buffer.begin(t)["image"] = stack
    buffer.end(t)
observations = buffer.transitions(np.ones((n_steps, n), np.bool_))
observations.images[0].kernel
assert buffer.num_planes == n * (n_steps + 1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs ru_maxrss in kilobytes")
def test_a_rollout_of_100_000_steps_takes_at_most_800_megabytes():
    command = [sys.executable, "-c", HUGE_ROLLOUT]
    result = subprocess.run(command, env=script_environment(), capture_output=True, text=True, check=True)
    assert 700_000 < int(result.stdout) < 800_000


def pixels_of(images):
    """Images of the core as an array (N, channels, height, width)."""
    return np.where((images.index >= 0)[..., None, None], images.planes[images.index], 0)


def assert_same(observations, records):
    encoded = np.asarray(observations)
    assert len(observations) == len(records)
    for name in records.dtype.names:
        np.testing.assert_array_equal(encoded[name], records[name])
