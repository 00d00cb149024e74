"""What a model is made of can be stored, or is refused when the model is made; and nobody else can change it."""

import collections
import types
import warnings
from fractions import Fraction

import gymnasium as gym
import numpy as np
import pytest
from arrays import same

from trpo_fast import (
    TRPO,
    AdaptiveRadius,
    Checkpoints,
    InvalidArgumentError,
    LinearSchedule,
    Policy,
    ResumeWarning,
    UnsupportedSpaceError,
    load_policy,
    save_policy,
)
from trpo_fast.environments.make import factories_of
from trpo_fast.validation import MAX_SEED

S = gym.spaces
PLACE = S.Box(-1.0, 1.0, (2,), np.float32)
MOVE = S.Discrete(3)


def content(model, folder):
    model.save(folder / "content")
    return (folder / "content.safetensors").read_bytes()


@pytest.mark.parametrize(
    "arch",
    [
        collections.UserList([6, 5]), range(5, 7), collections.deque([7]), np.array([4, 3], np.int16), (), [],
        types.MappingProxyType({"pi": np.array([5]), "vf": range(6, 8)}), 
        collections.UserDict(pi=[], vf=(np.int64(9),)),
    ],
    ids=repr,
)  # fmt: skip
def test_layers_in_a_sequence_of_any_type_are_stored(arch, tmp_path):
    kwargs = types.MappingProxyType({"net_arch": arch, "ortho_init": np.bool_(False), "activation_fn": "elu"})
    model = TRPO("MlpPolicy", (PLACE, MOVE), policy_kwargs=kwargs, seed=0)
    model.save(tmp_path / "model")
    loaded = TRPO.load(tmp_path / "model")
    assert loaded.policy_kwargs == model.policy_kwargs
    np.testing.assert_array_equal(loaded.theta, model.theta)
    assert loaded.value_theta.size == model.value_theta.size


@pytest.mark.parametrize(
    "kwargs",
    [
        {"net_arch": "64"}, {"net_arch": {64}}, {"net_arch": iter([8])}, {"net_arch": [8.0]}, {"net_arch": [[8]]},
        {"net_arch": np.array([[8]])}, {"net_arch": {"pi": [8]}}, {"net_arch": {"pi": [8], "vf": None}},
        {"activation_fn": dict}, {"activation_fn": len}, {"log_std_init": "0"}, {"squash": 1}, {3: 4}, [("squash", 1)],
    ],
    ids=repr,
)  # fmt: skip
def test_other_policy_kwargs_are_refused_when_the_model_is_made(kwargs):
    with pytest.raises(InvalidArgumentError):
        TRPO("MlpPolicy", (PLACE, PLACE), policy_kwargs=kwargs)


class Half(S.Space):
    """A space of somebody else."""


def nested(levels):
    space = MOVE
    for _ in range(levels):
        space = S.Tuple([space])
    return space


@pytest.mark.parametrize(
    "space",
    [
        S.Dict({1: MOVE, 2: MOVE}), S.Tuple([S.Dict({(0, 1): PLACE})]), S.Text(4), S.Sequence(MOVE), Half(), None, 3,
        S.Discrete((1 << 20) + 1), S.Dict({"k" * 4_000_000: MOVE}), nested(80), S.Tuple([MOVE] * 9000),
        S.Box(0.0, 1.0, (600_000,), np.float32), S.OneOf([MOVE, PLACE]),
    ],
    ids=lambda space: str(space)[:30],
)  # fmt: skip
def test_a_space_that_no_file_holds_is_refused_when_the_model_is_made(space):
    for make in (lambda: TRPO("MlpPolicy", (space, MOVE)), lambda: Policy(space, MOVE, net_arch=[2])):
        with pytest.raises((UnsupportedSpaceError, InvalidArgumentError)):
            make()


@pytest.mark.parametrize(
    "space",
    [
        S.Box(np.linspace(-3.0, -1.0, 5000), np.linspace(0.0, 1e300, 5000), dtype=np.float64),
        S.Box(-np.inf, np.inf, (100, 30), np.float32),
        S.Box(0, 255, (1025,), np.uint8),
        S.Dict([("z", S.Tuple([MOVE, PLACE])), ("a", S.MultiDiscrete([2, 3], start=[5, -5])), ("ü\ud800\n", PLACE)]),
        nested(20),
    ],
    ids=lambda space: str(space)[:30],
)
def test_other_spaces_are_stored_exactly(space, tmp_path):
    policy = Policy(space, MOVE, net_arch=[2])
    save_policy(tmp_path / "policy", policy, policy.initial_parameters(0))
    loaded, _ = load_policy(tmp_path / "policy")
    assert loaded.observation_space == policy.observation_space == space
    if isinstance(space, S.Box):
        np.testing.assert_array_equal(loaded.observation_space.low, space.low)
        np.testing.assert_array_equal(loaded.observation_space.high, space.high)


def test_what_the_caller_changes_later_does_not_change_the_model(tmp_path):
    """The bytes of the file stay those of the moment at which the model was made."""
    place, move = S.Box(-1.0, 1.0, (2,), np.float32), S.Discrete(3)
    observation_space, arch = S.Dict({"place": place, "way": S.MultiDiscrete([2, 4])}), {"pi": [6], "vf": [5]}
    kwargs = {"net_arch": arch, "activation_fn": "relu"}
    model = TRPO("MlpPolicy", (observation_space, move), policy_kwargs=kwargs, seed=0)
    before = content(model, tmp_path)
    place.low[:] = -9.0
    observation_space["way"].nvec[:] = 7
    observation_space.spaces["more"] = place
    move.n = move.start = np.int64(5)
    arch["pi"].append(9)
    arch["vf"] = "x"
    kwargs["activation_fn"] = "tanh"
    assert content(model, tmp_path) == before
    assert TRPO.load(tmp_path / "content").observation_space["way"].nvec.tolist() == [2, 4]


class Stateful(gym.Env):
    """An environment with a state of any kind."""

    observation_space, action_space = PLACE, MOVE

    def __init__(self, state):
        self.state = state

    def reset(self, *, seed=None, options=None):
        return np.zeros(2, np.float32), {}

    def step(self, action):
        return np.zeros(2, np.float32), float(action), bool(action == 2), False, {}

    def get_state(self):
        return self.state() if callable(self.state) else self.state

    def set_state(self, state):
        self.state = state


def checkpointed(env, folder):
    """The warnings of a training with checkpoints, which ends in one."""
    model = TRPO("MlpPolicy", env, n_steps=8, n_critic_updates=1, policy_kwargs={"net_arch": [2]}, seed=0)
    model.sinks.append(Checkpoints(model, folder, 8))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.learn(8)
        model.save(folder / "model")
    for name in ("checkpoint", "model"):
        np.testing.assert_array_equal(TRPO.load(folder / name).theta, model.theta)
    return [warning for warning in caught if warning.category is ResumeWarning]


UNSTORABLE = {
    "numbers": lambda: {"map": [[0.5] * 600 for _ in range(500)]},
    "short lists": lambda: {"grid": [[[0]] * 4 for _ in range(15_000)]},
    "more short lists": lambda: [[0] * 7] * 200_000,
    "arrays": lambda: {f"{i}": np.zeros(2) for i in range(20_000)},
    "text": lambda: {"text": "ab" * 5_000_000},
    "digits": lambda: {"big": 10**5000},
    "keys": lambda: {"keys": {1: 2}},
    "long double": lambda: {"wide": np.zeros(3, np.longdouble)},
    "object": lambda: {"object": object()},
    "raises": lambda: {}["absent"],
    "raises StopIteration": lambda: next(iter(())),
}


@pytest.mark.parametrize("state", UNSTORABLE.values(), ids=UNSTORABLE)
def test_a_state_that_no_file_holds_costs_nothing_but_itself(state, tmp_path):
    (warning,) = checkpointed(Stateful(state), tmp_path)
    assert "will begin new episodes" in str(warning.message)
    resumed = TRPO.load(tmp_path / "checkpoint", env=Stateful({}))
    with pytest.warns(ResumeWarning, match="new episodes"):
        resumed.learn(8, reset_num_timesteps=False)


STORABLE = {
    "numbers": {"map": [[0.1 * k for k in range(400)] for _ in range(500)]},
    "integers": [list(range(-9, 9))] * 1000,
    "NumPy's": {"queue": [np.float32(0.1)] * 100, "big endian": np.arange(3.0), "flags": [True] * 20},
    "mixed": {"short": [1, 2.0, 3], "wide": [2**70] * 9, "mixed": [1.0, 2] * 9, "tuple": (1e-300,) * 9, "none": []},
    "picture": {"picture": np.zeros((500, 500, 3), np.uint8)},
}


@pytest.mark.parametrize("state", STORABLE.values(), ids=STORABLE)
def test_other_states_are_stored_exactly(state, tmp_path):
    assert checkpointed(Stateful(state), tmp_path) == []
    env = Stateful({})
    resumed = TRPO.load(tmp_path / "checkpoint", env=env)
    assert same(env.state, state)
    resumed.learn(8, reset_num_timesteps=False)


def test_a_set_state_that_fails_costs_nothing_but_the_episodes(tmp_path):
    class Broken(Stateful):
        def set_state(self, state):
            raise IndexError("list index out of range")

    Broken.__module__, Broken.__qualname__ = Stateful.__module__, Stateful.__qualname__
    checkpointed(Stateful({"a": 1}), tmp_path)
    resumed = TRPO.load(tmp_path / "checkpoint", env=Broken({}))
    with pytest.warns(ResumeWarning, match="IndexError"):
        resumed.learn(8, reset_num_timesteps=False)


def test_the_file_is_written_where_warnings_are_errors(tmp_path):
    model = TRPO("MlpPolicy", Stateful({1}), n_steps=8, n_critic_updates=1, policy_kwargs={"net_arch": [2]}).learn(8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ResumeWarning):
            model.save(tmp_path / "model")
    np.testing.assert_array_equal(TRPO.load(tmp_path / "model").theta, model.theta)


class Steps(LinearSchedule):
    """A function that a file holds as a number only."""

    def __call__(self, progress_remaining):
        return 0.004 if progress_remaining > 0.5 else 0.002


def test_settings_of_any_type_of_number_are_stored(tmp_path):
    settings = {
        "gamma": Fraction(9, 10), "n_steps": np.uint16(8), "normalize_advantage": np.bool_(False), "cg_damping": 1,
        "learning_rate": LinearSchedule(Fraction(1, 100), np.float32(0.5)),
        "target_kl": AdaptiveRadius(Fraction(1, 64), np.float64(0.001), 1),
    }  # fmt: skip
    model = TRPO("MlpPolicy", (PLACE, MOVE), seed=MAX_SEED, **settings)
    model.save(tmp_path / "model")
    loaded = TRPO.load(tmp_path / "model")
    assert loaded.config == model.config
    assert (loaded.seed, loaded.config.gamma, loaded.config.target_kl.first) == (MAX_SEED, 0.9, 1 / 64)


def test_a_function_that_is_more_than_a_line_is_stored_as_its_present_value(tmp_path):
    model = TRPO("MlpPolicy", (PLACE, MOVE), learning_rate=Steps(1.0, 0.0))
    model.save(tmp_path / "model")
    assert TRPO.load(tmp_path / "model").config.learning_rate == 0.004


@pytest.mark.parametrize("setting", [{"seed": 10**5000}, {"n_steps": 1 << 63}, {"batch_size": 10**5000}], ids=list)
def test_integers_that_no_file_holds_are_refused_when_the_model_is_made(setting):
    with pytest.raises(InvalidArgumentError, match=next(iter(setting))):
        TRPO("MlpPolicy", (PLACE, MOVE), **setting)


def test_env_kwargs_are_those_of_the_moment_at_which_they_were_given():
    kwargs = {"desc": ["SF", "FG"], "is_slippery": False}
    (factory,) = factories_of("FrozenLake-v1", 1, kwargs)
    kwargs["desc"][0] = "SH"
    kwargs["is_slippery"] = True
    env = factory().unwrapped
    assert (env.desc.tolist()[0], len(env.P[0][0])) == ([b"S", b"F"], 1)
