"""Observation spaces other than a Box: rows in gymnasium's order, in single and vector environments, and in files."""

import itertools
from copy import deepcopy

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import create_empty_array

from trpo_fast import (
    TRPO,
    EnvironmentFaultError,
    InvalidArgumentError,
    PolicyFileError,
    UnsupportedSpaceError,
    evaluate,
)
from trpo_fast.spaces.as_json import space_from_json, space_to_json
from trpo_fast.spaces.observation_codec import ObservationCodec

S = gym.spaces
BOX = S.Box(-1, 1, (2, 2), np.float32)
SPACES = {
    "Discrete": S.Discrete(4, start=-2),
    "MultiDiscrete": S.MultiDiscrete([3, 2], start=[0, 5]),
    "MultiBinary": S.MultiBinary(3),
    "Dict": S.Dict({"b": BOX, "a": S.Discrete(3)}),
    "Tuple": S.Tuple([S.MultiBinary([2, 2]), S.Box(0, 9, (), np.float32), S.MultiDiscrete([2, 2])]),
    "nested": S.Dict({"x": S.Tuple([S.Discrete(2), S.Dict({"y": BOX})]), "z": S.MultiBinary(1)}),
}
each_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
FAST = {"n_steps": 30, "n_critic_updates": 1, "policy_kwargs": {"net_arch": (8,)}, "seed": 0}


class Sampling(gym.Env):
    """Observes samples of a space; pays when the action is right for their first number."""

    action_space = S.Discrete(2)

    def __init__(self, space, spoil=None):
        self.observation_space, self.spoil, self.t = deepcopy(space), spoil, 0  # it has a random stream

    def observe(self):
        self.t += 1
        self.last = self.observation_space.sample()
        return self.last if self.spoil is None or self.t != 5 else self.spoil

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        return self.observe(), {}

    def step(self, action):
        right = S.utils.flatten(self.observation_space, self.last)[0] > 0
        observation = self.observe()
        return observation, float(action == right), False, self.t % 7 == 0, {}


@each_space
def test_rows_are_gymnasiums(space):
    codec = ObservationCodec(space)
    space.seed(3)
    samples = [space.sample() for _ in range(20)]
    expected = np.stack([S.utils.flatten(space, sample) for sample in samples])
    assert (codec.size, codec.shape) == (expected.shape[1], expected.shape[1:])
    out = np.empty(codec.shape)
    for sample, row in zip(samples, expected, strict=True):
        assert codec.take(sample, out)
        np.testing.assert_array_equal(out, row)
        rows, is_batch = codec.rows(sample)
        np.testing.assert_array_equal(rows, row[None])
        assert not is_batch
    batch = gym.vector.utils.concatenate(space, samples, gym.vector.utils.create_empty_array(space, len(samples)))
    rows, is_batch = codec.rows(batch)
    np.testing.assert_array_equal(rows, expected)
    assert is_batch


def test_choices_are_not_normalised():
    codec = ObservationCodec(SPACES["Dict"])
    assert codec.is_continuous.tolist() == [False] * 3 + [True] * 4  # gymnasium sorts the keys
    model = TRPO("MultiInputPolicy", Sampling(SPACES["Dict"]), **FAST).learn(60)
    statistics = model.policy.normalizer.statistics
    np.testing.assert_array_equal(statistics.mean[:3], 0.0)
    np.testing.assert_array_equal(statistics.var[:3], 1.0)
    assert (statistics.var[3:] < 0.9).all()


@each_space
def test_callbacks_see_observations_of_the_space(space):
    seen = []
    env = Sampling(space)
    model = TRPO("MlpPolicy", env, **FAST)
    names = "observations", "new_obs"
    model.learn(30, callback=lambda now, _: seen.append((*(now[name] for name in names), deepcopy(env.last))))
    items = model.policy.observation_codec.items
    for _, new_obs, last in seen:
        (item,) = items(new_obs, 1)
        assert S.utils.flatten(space, item).tolist() == S.utils.flatten(space, last).tolist()
        assert str(create_empty_array(space, 1)).count("[") == str(new_obs).count("[")
    for (_, new_obs, _), (acted_on, *_) in itertools.pairwise(seen):
        assert str(new_obs) == str(acted_on)


@each_space
def test_learns_saves_and_loads(space, tmp_path):
    model = TRPO("MlpPolicy", Sampling(space), **FAST).learn(60)
    model.save(tmp_path / "model")
    loaded = TRPO.load(tmp_path / "model", Sampling(space))
    np.testing.assert_array_equal(loaded.theta, model.theta)
    space.seed(0)
    sample = space.sample()
    assert loaded.predict(sample, deterministic=True)[0] == model.predict(sample, deterministic=True)[0]
    assert len(evaluate(loaded, Sampling(space), 2).episodes) == 2
    assert space_from_json(space_to_json(space)) == space


def test_learns_what_the_observation_says():
    model = TRPO("MlpPolicy", Sampling(S.Discrete(2)), n_steps=256, seed=1).learn(4000)
    assert [int(model.predict(o, deterministic=True)[0]) for o in (0, 1)] == [1, 0]  # one-hot: first is "0"


@each_space
@pytest.mark.parametrize("mode", AutoresetMode)
@pytest.mark.parametrize("make", [SyncVectorEnv, AsyncVectorEnv])
def test_vector_environments(space, mode, make):
    if make is AsyncVectorEnv and mode is AutoresetMode.DISABLED:
        pytest.skip("one of each is enough")
    model = TRPO("MlpPolicy", make([lambda: Sampling(space)] * 2, autoreset_mode=mode), **FAST).learn(60)
    assert model.num_timesteps >= 60
    model.env.close()


def test_workers():
    runs = []
    for n_workers in (0, 2):
        model = TRPO("MlpPolicy", [lambda: Sampling(SPACES["nested"])] * 2, n_workers=n_workers, **FAST)
        runs.append(model.learn(120).theta.tobytes())
        model.env.close()
    assert runs[0] == runs[1]


BAD = {
    "Discrete": (4, -3, 1.5, "a", np.array([0, 1, 2])),
    "MultiDiscrete": ([3, 5], [0, 4], np.array([0.0, 5.0]), 1),
    "MultiBinary": ([0, 1, 2], [0, 1], np.array([0.5, 0, 0])),
    "Dict": (
        {"a": 0}, 7, {"a": 3, "b": np.zeros((2, 2))}, {"a": 0, "b": np.full((2, 2), np.nan)},
        {"a": 0, "b": np.zeros(2)},
    ),
    "Tuple": ((np.zeros((2, 2), np.int8),), (np.zeros((2, 2), np.int8), np.float32(np.inf), np.array([0, 1]))),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in BAD.items() for value in values])
def test_values_outside_the_space_are_rejected(kind, value):
    space = SPACES[kind]
    with pytest.raises(EnvironmentFaultError, match=r"environment 0, step 4, observation: expected an observation of"):
        TRPO("MlpPolicy", Sampling(space, spoil=value), **FAST).learn(60)
    with pytest.raises(InvalidArgumentError, match="observation"):
        TRPO("MlpPolicy", Sampling(space), **FAST).predict(value)


def batch_of(space, n):
    space.seed(0)
    empty = gym.vector.utils.create_empty_array(space, n)
    return gym.vector.utils.concatenate(space, [space.sample() for _ in range(n)], empty)


ROWS_IN = r"rows in every part of a batch, got"
UNEQUAL = {
    "Dict, first": ("Dict", lambda b: {**b, "a": b["a"][:3]}, rf"3 {ROWS_IN} 4 rows in \['b'\]"),
    "Dict, last": ("Dict", lambda b: {**b, "b": b["b"][:3]}, rf"4 {ROWS_IN} 3 rows in \['b'\]"),
    "Tuple": ("Tuple", lambda b: (b[0], b[1], b[2][:1]), rf"4 {ROWS_IN} 1 rows in \[2\]"),
    "nested": ("nested", lambda b: {**b, "z": b["z"][:2]}, rf"4 {ROWS_IN} 2 rows in \['z'\]"),
    "no row": ("Dict", lambda b: {**b, "b": b["b"][:0]}, rf"4 {ROWS_IN} 0 rows in \['b'\]"),
}


@pytest.mark.parametrize("case", UNEQUAL)
def test_parts_of_a_batch_have_equal_numbers_of_rows(case):
    kind, shorten, message = UNEQUAL[case]
    space = deepcopy(SPACES[kind])
    batch = shorten(batch_of(space, 4))
    with pytest.raises(InvalidArgumentError, match=f"observation: expected {message}"):
        TRPO("MlpPolicy", (space, S.Discrete(2))).predict(batch)


class LongPart(gym.vector.VectorWrapper):
    """One part of every observation has a row too many."""

    def reset(self, **arguments):
        observations, infos = self.env.reset(**arguments)
        return {**observations, "a": np.append(observations["a"], 0)}, infos


def test_parts_of_a_vector_environments_batch_have_its_number_of_rows():
    env = LongPart(SyncVectorEnv([lambda: Sampling(SPACES["Dict"])] * 2))
    with pytest.raises(EnvironmentFaultError, match=rf"2 {ROWS_IN} 3 rows in \['a'\]"):
        TRPO("MlpPolicy", env, **FAST).learn(60)


GRID = S.Box(-np.inf, np.inf, (2, 3), np.float64)


@pytest.mark.parametrize(
    ("space", "change", "message"),
    [
        (GRID, lambda o: o[1].__setitem__(2, -np.inf), r"got -inf at index \(1, 2\)"),
        (GRID, lambda o: o[0].__setitem__(1, 3e20), r"got 3e\+20 at index \(0, 1\)"),
        (SPACES["Dict"], lambda o: o["b"][1].__setitem__(0, np.nan), r"got nan at index \(1, 0\) in \['b'\]"),
        (SPACES["nested"], lambda o: o["x"][1]["y"].__setitem__((0, 1), np.inf), r"got inf .* in \['x'\]\[1\]\['y'\]"),
        (SPACES["Dict"], lambda o: o.update(a=5), r"got 5 \(int\) in \['a'\]"),
        (SPACES["Tuple"], None, r"got nan in \[1\]"),
    ],
)
def test_the_value_that_is_wrong_is_named_with_its_place(space, change, message):
    space = deepcopy(space)
    model, observation = TRPO("MlpPolicy", (space, S.Discrete(2))), space.sample()
    if change is None:
        observation = observation[0], np.float32(np.nan), observation[2]
    else:
        change(observation)
    with pytest.raises(InvalidArgumentError, match=message):
        model.predict(observation)
    with pytest.raises(EnvironmentFaultError, match=message):
        TRPO("MlpPolicy", Sampling(space, spoil=observation), **FAST).learn(60)


@pytest.mark.parametrize("kind", ["Dict", "Box"])
def test_the_row_of_a_batch_that_is_wrong_is_named(kind):
    space = S.Box(-9, 9, (2,)) if kind == "Box" else deepcopy(SPACES["Dict"])
    batch = batch_of(space, 4)
    (batch if kind == "Box" else batch["b"][:, 1])[2, 1] = np.nan
    place = r"index \(2, 1\)$" if kind == "Box" else r"index \(1, 1\) in \['b'\] in row 2$"
    with pytest.raises(InvalidArgumentError, match=f"got nan at {place}"):
        TRPO("MlpPolicy", (space, S.Discrete(2))).predict(batch)


@pytest.mark.parametrize(
    "space",
    [
        S.Text(3), S.Dict({"a": S.Text(3)}), S.Sequence(S.Discrete(2)), S.Graph(BOX, None), S.Dict({}),
        S.Box(0, 1, ()),
    ],
    ids=str,
)  # fmt: skip
def test_spaces_that_are_not_supported(space):
    with pytest.raises(UnsupportedSpaceError, match="observation space"):
        TRPO("MlpPolicy", Sampling(space), **FAST)


def test_another_order_of_keys_is_refused(tmp_path):
    one, other = (S.Dict([(key, S.Discrete(2)) for key in keys]) for keys in ("xy", "yx"))
    TRPO("MlpPolicy", Sampling(one), **FAST).save(tmp_path / "model")
    if list(one.spaces) != list(other.spaces):
        with pytest.raises(PolicyFileError, match="env"):
            TRPO.load(tmp_path / "model", Sampling(other))
