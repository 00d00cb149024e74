"""Names, units and scale of a policy's numbers: where they come from, and that files, models and copies keep them."""

import copy
import pickle
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest
from envs import CountingEnv
from gymnasium.wrappers import ClipAction, RescaleAction

from trpo_fast import TRPO, Interface, InvalidArgumentError, Policy, load_policy, nets, save_policy
from trpo_fast.environments.facts import facts_of
from trpo_fast.storage.policy_file import load_policy_file, save_policy_file

S = gym.spaces
ONE, TWO = S.Box(-1.0, 1.0, (1,)), S.Box(-1.0, 1.0, (2,))
IMAGE = S.Box(0, 255, (8, 8, 3), np.uint8)
FAST = {"n_steps": 16, "n_critic_updates": 1, "policy_kwargs": {"net_arch": (4,)}, "seed": 0}


def policy_of(observations, actions=TWO, **options):
    return Policy(observations, actions, net_arch=[4], **options)


def written(policy, path):
    """The policy that a file gives back."""
    save_policy(path, policy, policy.initial_parameters(0))
    return load_policy(path).policy


def plain_env():
    return gym.make("Pendulum-v1")


def rescaled_env():
    return RescaleAction(gym.make("Pendulum-v1"), np.float32(-1.0), np.float32(1.0))


KEYS = [
    (S.Dict(b=ONE, a=TWO), {}, ["b", "a[0]", "a[1]"]),  # in the order of the space, as the network reads them
    (S.Dict(x=S.Box(-1.0, 1.0, (2, 2)), y=S.Box(-1.0, 1.0, ())), {}, ["x[0]", "x[1]", "x[2]", "x[3]", "y"]),
    (S.Dict(gear=S.Discrete(2), on=S.MultiBinary(1)), {}, ["gear[0]", "gear[1]", "on"]),
    (S.Dict(arm=S.Dict(left=ONE, right=TWO)), {}, ["arm.left", "arm.right[0]", "arm.right[1]"]),
    (S.Dict(pair=S.Tuple((ONE, TWO))), {}, ["pair.0", "pair.1[0]", "pair.1[1]"]),
    (S.Dict(a=ONE, camera=IMAGE, z=ONE), {"features_extractor": nets.Flatten()}, ["a", "z"]),
    (
        S.Dict(a=TWO, b=S.Box(-1, 1, (2, 2))), {"frame_stack": 2},
        ["a[t-1]", "a[t]", "b[0][t-1]", "b[1][t-1]", "b[0][t]", "b[1][t]"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("space", "options", "names"), KEYS, ids=[str(i) for i in range(len(KEYS))])
def test_keys_of_a_dict_are_names(space, options, names, tmp_path):
    policy = policy_of(space, **options)
    assert list(policy.interface.observation_names) == names
    assert written(policy, tmp_path / "p").interface == policy.interface


def test_names_stand_where_the_network_reads_the_numbers():
    space = S.Dict(b=ONE, inner=S.Dict(c=S.Box(-9.0, 9.0, (3,)), a=ONE))
    policy = policy_of(space)
    rows, _ = policy.rows({"b": np.float32([1.0]), "inner": {"c": np.float32([2.0, 3.0, 4.0]), "a": np.float32([5.0])}})
    read = dict(zip(policy.interface.observation_names, rows[0].tolist(), strict=True))
    assert read == {"b": 1.0, "inner.c[0]": 2.0, "inner.c[1]": 3.0, "inner.c[2]": 4.0, "inner.a": 5.0}


def test_a_mask_has_names_too():
    policy = policy_of(S.Dict(a=ONE), S.MultiDiscrete([2, 1]), use_masking=True)
    assert policy.interface.observation_names == ("a", "mask[0]", "mask[1]", "mask[2]")
    policy = policy_of(ONE, S.Discrete(2), use_masking=True).named({"x": "m"}, ["go"])
    assert policy.interface.observation_names == ("x", "mask[0]", "mask[1]")
    assert policy.interface.observation_units == ("m", "", "")


@pytest.mark.parametrize(
    "space",
    [
        TWO, S.Discrete(3), S.Tuple((ONE, TWO)), S.Dict({"a": TWO, "a[0]": ONE}), S.Dict({"a\n": ONE}),
        S.Dict({"a,b": ONE}), S.Dict({"\u202e": ONE}), S.Dict({"": ONE}), S.Dict({"a.b": ONE, "a": S.Dict(b=ONE)}),
        S.Dict(a=S.Box(-1.0, 1.0, (40_000,))), S.Dict({"n" * 65_537: ONE}),
    ],
    ids=lambda space: str(space)[:30],
)  # fmt: skip
def test_policies_without_names_have_the_file_that_they_had(space, tmp_path):
    policy = policy_of(space)
    assert policy.interface is None
    assert written(policy, tmp_path / "p").interface is None
    tensors, _ = load_policy_file(tmp_path / "p.safetensors")
    assert not [name for name in tensors if name.startswith("interface")]


def test_an_image_alone_has_no_numbers_to_name(tmp_path):
    policy = policy_of(IMAGE, features_extractor=nets.Flatten())
    with pytest.raises(InvalidArgumentError, match="observation_names: expected 0 names"):
        policy.named(["pixels"])
    assert written(policy.named(action_names=["l", "r"]), tmp_path / "p").interface.action_names == ("l", "r")


def test_names_of_one_frame_are_enough(tmp_path):
    model = TRPO(
        "MlpPolicy", "CartPole-v1", frame_stack=2, observation_names={"x": "m", "v": "m/s", "a": "rad", "w": "rad/s"},
        action_names=["push"], **FAST,
    )  # fmt: skip
    interface = model.policy.interface
    assert interface.observation_names == ("x[t-1]", "v[t-1]", "a[t-1]", "w[t-1]", "x[t]", "v[t]", "a[t]", "w[t]")
    assert interface.observation_units == ("m", "m/s", "rad", "rad/s") * 2
    assert (interface.frame_stack, interface.environment) == (2, "CartPole-v1")
    model.learn(32)
    model.save(tmp_path / "model")
    assert load_policy(tmp_path / "model").policy.interface == interface == model.policy.interface


def test_what_is_given_replaces_the_keys(tmp_path):
    policy = policy_of(S.Dict(a=TWO))
    save_policy(tmp_path / "p", policy, policy.initial_parameters(0), observation_names=["x", "y"])
    interface = load_policy(tmp_path / "p").policy.interface
    assert interface == Interface(observation_names=("x", "y"))
    full = replace(
        interface, action_names=("l", "r"), action_units=("N", ""), action_scale=(2, 0.5), action_offset=(0, 1)
    )
    full = replace(full, control_period=0.02, environment="é", observation_units=("", "m"))
    assert written(policy.with_interface(full), tmp_path / "p").interface == full


def test_models_copies_and_loads_keep_names(tmp_path):
    space = S.Dict(a=ONE)
    model = TRPO("auto", (space, ONE), action_names={"u": "Nm"}, **FAST)
    model.save(tmp_path / "model")
    interface = model.policy.interface
    assert interface == Interface(("a",), (), ("u",), ("Nm",))
    loaded = TRPO.load(tmp_path / "model")
    for other in (loaded, copy.deepcopy(model), pickle.loads(pickle.dumps(loaded)), load_policy(tmp_path / "model")):
        assert other.policy.interface == interface
    assert pickle.loads(pickle.dumps(loaded.policy)).interface == interface
    other = TRPO.load(tmp_path / "model", observation_names=["b"])
    assert other.policy.interface == replace(interface, observation_names=("b",))
    other.save(tmp_path / "other")
    assert load_policy(tmp_path / "other").policy.interface == other.policy.interface


def test_the_environment_says_how_its_actions_are_scaled(tmp_path):
    names = {"action_names": ["torque"], **FAST}
    model = TRPO("MlpPolicy", [rescaled_env] * 2, **names)
    interface = model.policy.interface
    assert (interface.environment, interface.control_period) == ("Pendulum-v1", 0.05)
    assert (interface.action_scale, interface.action_offset) == ((2.0,), (0.0,))
    plain = TRPO("MlpPolicy", [plain_env], **names).policy.interface
    assert (plain.environment, plain.action_scale) == ("Pendulum-v1", ())
    assert TRPO("MlpPolicy", [rescaled_env], **FAST).policy.interface is None  # without names
    assert TRPO("MlpPolicy", gym.make_vec("Pendulum-v1"), **names).policy.interface == Interface(
        action_names=("torque",)
    )


def test_workers_write_the_same_file(tmp_path):
    for n in (0, 1):
        model = TRPO("MlpPolicy", [rescaled_env], n_workers=n, action_names=["torque"], **FAST)
        model.save(tmp_path / f"{n}")
        model.env.close()
    assert (tmp_path / "0.safetensors").read_bytes() == (tmp_path / "1.safetensors").read_bytes()


class Halved(gym.ActionWrapper):
    def action(self, action):
        return action / 2


class Wider(gym.Wrapper):
    action_space = S.Box(-1.0, 1.0, (3,))


class Faulty(CountingEnv):
    @property
    def dt(self):
        raise RuntimeError("no clock")


@pytest.mark.filterwarnings("ignore:.*precision lowered")
def test_scales_of_several_wrappers_are_multiplied():
    base = S.Box(np.float32([-1.0, 2.0]), np.float32([3.0, 10.0]))
    env = RescaleAction(RescaleAction(CountingEnv(action_space=base), -1.0, 3.0), np.float32([0.0, -2.0]), 2.0)
    facts = facts_of(env)
    action = np.float32([0.3, -0.7])
    given = env.env.action(env.action(action))
    np.testing.assert_allclose(
        np.add(facts["action_offset"], np.multiply(facts["action_scale"], action)), given, rtol=1e-6
    )
    assert facts_of(ClipAction(RescaleAction(CountingEnv(action_space=base), -1.0, 1.0)))["action_scale"] == (2.0, 4.0)
    assert "action_scale" not in facts_of(Halved(RescaleAction(CountingEnv(action_space=base), -1.0, 1.0)))
    assert "action_scale" not in facts_of(Wider(RescaleAction(CountingEnv(action_space=base), -1.0, 1.0)))
    assert "action_scale" not in facts_of(ClipAction(CountingEnv(action_space=base)))


def test_an_environment_that_says_nothing_or_raises_stops_nobody():
    assert facts_of(CountingEnv()) == {}
    assert facts_of(Faulty()) == {}
    env = CountingEnv()
    for dt in (0.0, -1.0, float("nan"), "fast", None):
        env.dt = dt
        assert facts_of(env) == {}
    env.dt = np.float64(0.01)
    assert facts_of(env) == {"control_period": 0.01}


BAD = [
    ({"observation_names": ["a"]}, "observation_names: expected 2 names"),
    ({"observation_names": ["a", "b", "c"]}, "observation_names: expected 2 names"),
    ({"observation_names": "ab"}, "observation_names: expected 2 names"),
    ({"observation_names": ["a", 1]}, "observation_names: expected 2 names"),
    ({"observation_names": ["a", "a"]}, "observation_names: expected unique names"),
    ({"observation_names": ["a", ""]}, "observation_names: expected unique names"),
    ({"observation_names": ["a", "b\n"]}, "observation_names: expected unique names"),
    ({"observation_names": ["a", "b\ud800"]}, "observation_names: expected unique names"),
    ({"observation_names": ["a", "n" * 65_536]}, "observation_names: expected unique names"),
    ({"observation_names": {"a": "m", "b": 1}}, "observation_units: expected units"),
    ({"observation_names": {"a": "m", "b": "\x1b[0m"}}, "observation_units: expected units"),
    ({"action_names": ["a,b"]}, "action_names: expected unique names without commas"),
    ({"action_names": []}, "action_names: expected 1 names"),
    ({"action_names": 3}, "action_names: expected 1 names"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=lambda value: ascii(value)[:40])
def test_misuse_is_named(arguments, message, tmp_path):
    policy = policy_of(TWO, ONE)
    with pytest.raises(InvalidArgumentError, match=message):
        save_policy(tmp_path / "p", policy, policy.initial_parameters(0), **arguments)
    with pytest.raises(InvalidArgumentError, match=message):
        TRPO("MlpPolicy", (TWO, ONE), **arguments, **FAST)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"control_period": 0.0}, {"control_period": "fast"}, {"environment": 3}, {"environment": "a\nb"},
        {"frame_stack": 2}, {"frame_stack": 0}, {"action_scale": (1.0,)}, {"action_scale": 1.0, "action_offset": 0.0},
        {"action_scale": (1.0, 2.0), "action_offset": (0.0, 0.0)}, {"action_scale": (1e39,), "action_offset": (0.0,)},
        {"action_names": ("a", "b")}, {"observation_units": ("m",)}, {"action_names": "a"}, {"action_units": (None,)},
    ],
    ids=str,
)  # fmt: skip
def test_an_interface_that_cannot_be_is_refused(fields):
    with pytest.raises(InvalidArgumentError, match=next(iter(fields))):
        policy_of(TWO, ONE).with_interface(Interface(**fields))


def test_a_file_of_other_frames_than_its_policy_is_refused(tmp_path):
    policy = policy_of(S.Dict(a=TWO), frame_stack=2)
    save_policy(tmp_path / "p", policy, policy.initial_parameters(0))
    tensors, metadata = load_policy_file(tmp_path / "p.safetensors")
    save_policy_file(tmp_path / "q.safetensors", {**tensors, "interface.frame_stack": np.array(3)}, metadata)
    with pytest.raises(InvalidArgumentError, match="frame_stack: expected that of the policy, 2"):
        load_policy(tmp_path / "q")
