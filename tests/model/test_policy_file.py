"""The policy file: saved models load, and everything else is rejected."""

import hashlib
import json
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import safetensors.numpy
from conftest import ROOT
from envs import CountingEnv

from trpo_fast import TRPO, InvalidArgumentError, Policy, PolicyFileError, nets, save_policy
from trpo_fast.spaces.as_json import space_from_json, space_to_json
from trpo_fast.storage.policy_file import load_policy_file, save_policy_file

VECTOR = gym.spaces.Box(-np.inf, np.inf, (3,), np.float32)
ACTION_SPACES = {
    "Box": gym.spaces.Box(np.float32([[-0.1, -np.inf]]), np.float32([[0.3, 0.1]])),
    "Box float64": gym.spaces.Box(-0.1, 0.3, (2,), np.float64),
    "Discrete": gym.spaces.Discrete(3, start=-2),
    "Discrete int32": gym.spaces.Discrete(3, dtype=np.int32),
    "MultiDiscrete": gym.spaces.MultiDiscrete([2, 3], start=[0, -1]),
    "MultiDiscrete int32": gym.spaces.MultiDiscrete([2, 3], dtype=np.int32),
    "MultiBinary": gym.spaces.MultiBinary(4),
    "MultiBinary shape": gym.spaces.MultiBinary([4]),
}
OBSERVATION_SPACES = {
    "inf": VECTOR,
    "2-d": gym.spaces.Box(np.float32([[0.1, -1e-30]]), np.float32([[1 / 3, np.inf]])),
    "float16": gym.spaces.Box(-0.1, 0.1, (2,), np.float16),
    "uint8": gym.spaces.Box(0, 255, (2, 3), np.uint8),
    "int64": gym.spaces.Box(np.iinfo(np.int64).min, np.iinfo(np.int64).max, (2,), np.int64),
    "uint64": gym.spaces.Box(0, np.iinfo(np.uint64).max, (2,), np.uint64),
    "bool": gym.spaces.Box(0, 1, (2,), np.bool_),
}


def trained(env=None, **arguments):
    fast = dict(n_steps=16, n_critic_updates=1, policy_kwargs={"net_arch": (5, 4), "activation_fn": "silu"}, seed=3)
    return TRPO("MlpPolicy", env or CountingEnv(), **{**fast, **arguments}).learn(32)


@pytest.fixture(scope="module")
def model():
    return trained()


@pytest.fixture
def path(model, tmp_path):
    model.save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


def header_of(content):
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def with_header(header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def signed(path, change_tensors=dict, change_metadata=dict):
    """Edit a file and recompute its checksum, as somebody who knows the format could."""
    tensors, metadata = load_policy_file(path)
    save_policy_file(path, change_tensors(tensors), change_metadata(metadata))


def assert_refused(path, content, message="expected"):
    path.write_bytes(content)
    with pytest.raises(PolicyFileError, match=message):
        TRPO.load(path)


def assert_same(loaded, model):
    for name in ("theta", "value_theta"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(model, name))
    for a, b in (
        (loaded.policy.normalizer.statistics, model.policy.normalizer.statistics),
        (loaded.return_statistics, model.return_statistics),
    ):
        np.testing.assert_array_equal(a.mean, b.mean)
        np.testing.assert_array_equal(a.var, b.var)
        assert a.count == b.count
    assert loaded.config == model.config
    assert (loaded.seed, loaded.num_timesteps, loaded.policy.dtype) == (
        model.seed,
        model.num_timesteps,
        model.policy.dtype,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("space", ACTION_SPACES.values(), ids=ACTION_SPACES)
def test_a_loaded_model_is_complete_and_acts_the_same(space, dtype, tmp_path):
    env = CountingEnv(action_space=space)
    model = trained(env, dtype=dtype, normalize_returns=True, gamma=np.float32(0.9), target_kl=0.02)
    model.save(tmp_path / "model")
    observations = np.random.default_rng(0).standard_normal((50, 3))
    expected, _ = model.predict(observations, deterministic=True)
    for loaded in (TRPO.load(tmp_path / "model"), TRPO.load(tmp_path / "model", env=env)):
        assert_same(loaded, model)
        np.testing.assert_array_equal(loaded.predict(observations, deterministic=True)[0], expected)
        assert loaded.predict(observations[0])[0] in space


def test_equal_models_are_equal_bytes(tmp_path):
    for name in ("a", "b"):
        trained().save(tmp_path / name)
    TRPO.load(tmp_path / "a").save(tmp_path / "c")
    content, *others = ((tmp_path / f"{name}.safetensors").read_bytes() for name in "abc")
    assert others == [content, content]
    text = header_of(content)[0]["__metadata__"]["trpo_fast"]
    assert text == json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize("space", [*OBSERVATION_SPACES.values(), *ACTION_SPACES.values()], ids=str)
def test_spaces_survive_json_exactly(space):
    text = json.dumps(space_to_json(space), allow_nan=False)
    assert space_from_json(json.loads(text)) == space


@pytest.mark.parametrize(
    "data",
    [
        {}, {"type": "Dict"}, {"type": "Box"}, {"type": "Discrete", "n": 0, "start": 0, "dtype": "int64"},
        {"type": "Discrete", "n": 2, "start": 0, "dtype": "object"}, {"type": "MultiBinary", "n": "x"},
        {"type": "Box", "dtype": "float32", "shape": [2], "low": ["0"], "high": ["1", "1"]},
        {"type": "Box", "dtype": "uint8", "shape": [1], "low": ["-1"], "high": ["1"]},
    ],
    ids=str,
)  # fmt: skip
def test_invalid_descriptions_of_spaces_are_rejected(data):
    with pytest.raises(PolicyFileError, match="space: expected"):
        space_from_json(data)


@pytest.mark.parametrize(
    ("saved_as", "written"),
    [("m", "m.safetensors"), ("m.safetensors", "m.safetensors"), ("m.v1", "m.v1"), ("m.d/m", None)],
)
def test_the_suffix_is_added_where_there_is_none(model, tmp_path, saved_as, written):
    (tmp_path / "m.d").mkdir()
    model.save(tmp_path / saved_as)
    assert (tmp_path / (written or "m.d/m.safetensors")).is_file()
    assert_same(TRPO.load(str(tmp_path / saved_as)), model)
    assert_same(TRPO.load(tmp_path / (written or "m.d/m.safetensors")), model)


def test_the_exact_name_is_tried_first(model, tmp_path):
    model.save(tmp_path / "m")
    (tmp_path / "m").write_bytes(b"something else")
    with pytest.raises(PolicyFileError):
        TRPO.load(tmp_path / "m")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        TRPO.load(tmp_path / "nothing")


def test_without_environment_a_model_predicts_and_says_what_learning_needs(path):
    loaded = TRPO.load(path)
    before = loaded.theta
    assert loaded.predict(np.zeros(3))[0] in loaded.policy.action_space
    with pytest.raises(InvalidArgumentError, match=r"env: expected an environment to learn in: load\(path, env=...\)"):
        loaded.learn(10)
    np.testing.assert_array_equal(loaded.theta, before)


@pytest.mark.filterwarnings("ignore:training continues with new episodes")
def test_a_loaded_model_learns_on(path):
    loaded = TRPO.load(path, env=CountingEnv(), target_kl=0.02)
    before = loaded.num_timesteps
    loaded.learn(16, reset_num_timesteps=False)
    assert loaded.num_timesteps == before + 16
    assert loaded.config.target_kl == 0.02


@pytest.mark.parametrize(
    "env", ["CartPole-v1", CountingEnv(action_space=gym.spaces.Discrete(4))], ids=["id", "actions"]
)
def test_an_environment_with_other_spaces_is_refused(path, env):
    with pytest.raises(PolicyFileError, match="^env: expected environments with spaces Box.* and Discrete.*, got Box"):
        TRPO.load(path, env=env)


def test_other_readers_of_safetensors_can_open_it(model, path):
    tensors = safetensors.numpy.load_file(path)
    named = model.get_parameters()["policy"]
    assert {name for name in tensors if name.startswith("policy.")} == {f"policy.{name}" for name in named}
    for name, value in named.items():
        np.testing.assert_array_equal(tensors[f"policy.{name}"], value)


def test_a_flipped_bit_anywhere_is_found(path):
    content = path.read_bytes()
    positions = {*range(24), *np.linspace(24, len(content) - 1, 300, dtype=int).tolist()}
    rng = np.random.default_rng(0)
    for position in positions:
        damaged = bytearray(content)
        damaged[position] ^= 1 << rng.integers(8)
        assert_refused(path, bytes(damaged))


def test_a_truncated_or_lengthened_file_is_refused(path):
    content = path.read_bytes()
    for size in {0, 1, 7, 8, 9, *np.linspace(10, len(content) - 1, 60, dtype=int).tolist()}:
        assert_refused(path, content[:size])
    assert_refused(path, content + b"\0")
    assert_refused(path, content + content)


def test_a_checksum_that_is_missing_or_edited_is_refused(path):
    header, data = header_of(path.read_bytes())
    metadata = json.loads(header["__metadata__"]["trpo_fast"])
    edits = [{k: v for k, v in metadata.items() if k != "sha256"}]
    edits += [
        {**metadata, "sha256": digest} for digest in ("0" * 64, metadata["sha256"][::-1], "", None, 1, ["0"] * 64)
    ]
    for edited in edits:
        header["__metadata__"]["trpo_fast"] = json.dumps(edited, separators=(",", ":"), sort_keys=True)
        assert_refused(path, with_header(header, data), "SHA-256")


def test_a_checksum_that_stands_twice_is_refused(path):
    """Which of the two a reader sets to zeros would be left to it."""
    header, data = header_of(path.read_bytes())
    metadata = json.loads(header["__metadata__"]["trpo_fast"])
    metadata["another"] = {"sha256": metadata["sha256"]}
    header["__metadata__"]["trpo_fast"] = json.dumps(metadata, separators=(",", ":"), sort_keys=True)
    assert_refused(path, with_header(header, data), "with a SHA-256, got one without")


def test_edited_metadata_and_edited_weights_are_refused(path):
    content = path.read_bytes()
    assert_refused(path, content.replace(b'\\"gamma\\":0.99', b'\\"gamma\\":0.98'), "SHA-256")
    assert_refused(path, content[:-4] + np.float32(0.5).tobytes(), "SHA-256")


@pytest.mark.parametrize("metadata", [None, [], "x", {}, {"trpo_fast": None}, {"trpo_fast": "[]"}, {"trpo_fast": "{"}])
def test_metadata_that_are_not_ours_are_refused(path, metadata):
    header, data = header_of(path.read_bytes())
    assert_refused(path, with_header({**header, "__metadata__": metadata}, data))


def test_a_plain_safetensors_file_is_refused(path):
    safetensors.numpy.save_file({"weight": np.zeros(3)}, path)
    assert_refused(path, path.read_bytes(), "metadata")


@pytest.mark.parametrize("inner", [False, True], ids=["header", "metadata"])
def test_duplicate_keys_are_refused_even_if_signed(path, inner):
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    text, data = content[8 : 8 + size], content[8 + size :]
    old, new = (
        (b'\\"num_timesteps\\":', b'\\"num_timesteps\\":9,\\"num_timesteps\\":') if inner
        else (b'"policy.layers.0.bias":', b'"policy.layers.0.bias":{},"policy.layers.0.bias":')
    )  # fmt: skip
    assert text.count(old) == 1
    digest = json.loads(json.loads(text)["__metadata__"]["trpo_fast"])["sha256"].encode()
    unsigned = with_header(text.replace(old, new).replace(digest, b"0" * 64), data)
    assert_refused(path, unsigned.replace(b"0" * 64, hashlib.sha256(unsigned).hexdigest().encode()))


@pytest.mark.parametrize("size", [2**20 + 1, 2**40, 2**63, 2**64 - 1])
def test_a_huge_header_is_refused_before_it_is_read(path, size):
    assert_refused(path, size.to_bytes(8, "little") + path.read_bytes()[8:], "without a readable header")


@pytest.mark.parametrize("text", [b"", b"null", b"[]", b"{", b"\xff", b'{"a":' * 100_000, b"[" * 100_000])
def test_a_header_that_is_no_json_object_is_refused(path, text):
    assert_refused(path, with_header(text, b""))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["policy.layers.1.weight", "value_function.layers.0.bias", "normalizer.mean"])
def test_weights_that_are_not_finite_are_refused_even_if_signed(path, name, bad):
    def poison(tensors):
        tensors[name].ravel()[-1] = bad
        return tensors

    signed(path, poison)
    with pytest.raises(PolicyFileError, match=f"expected finite values, got NaN or Inf in {name}"):
        TRPO.load(path)


TENSOR_EDITS = {
    "missing": lambda t: {k: v for k, v in t.items() if k != "policy.layers.0.bias"},
    "transposed": lambda t: {**t, "policy.layers.0.weight": t["policy.layers.0.weight"].T},
    "longer": lambda t: {**t, "policy.layers.0.bias": np.zeros(6, np.float32)},
    "another dtype": lambda t: {**t, "policy.layers.0.bias": t["policy.layers.0.bias"].astype(np.float64)},
    "another normalizer": lambda t: {**t, "normalizer.var": np.ones(4)},
}


@pytest.mark.parametrize("edit", TENSOR_EDITS.values(), ids=TENSOR_EDITS)
def test_tensors_that_do_not_fit_are_refused_even_if_signed(path, edit):
    signed(path, edit)
    with pytest.raises(
        PolicyFileError, match=r"policy file: expected (policy\.layers\.0\.|normalizer\.|\d+ features and layers of )"
    ):
        TRPO.load(path)


@pytest.mark.parametrize("edit", ["tensor", "metadata"])
def test_an_acting_form_that_contradicts_the_spaces_is_refused_even_if_signed(path, edit):
    """What the C++ runtime acts by, and what Python acts by, are one policy."""
    tensors, metadata = load_policy_file(path)
    if edit == "tensor":
        tensors["acting.start"] = tensors["acting.start"] + 1
    else:
        metadata["action_space"]["start"] += 1
    save_policy_file(path, tensors, metadata)
    with pytest.raises(PolicyFileError, match=r"expected the acting form of its policy, got another acting\.start"):
        TRPO.load(path)


def test_the_docs_list_the_tensors_of_the_acting_form(tmp_path):
    page = (ROOT / "docs" / "robotics.md").read_text()
    listed = set(re.findall(r"`(acting\.\w+)`", "".join(line for line in page.splitlines() if line.startswith("|"))))
    stored = set()
    image = gym.spaces.Box(0, 255, (1, 4, 4), np.uint8)
    policies = [
        *(Policy(VECTOR, ACTION_SPACES[name], net_arch=[2]) for name in ("Box", "Discrete", "MultiBinary")),
        Policy(image, ACTION_SPACES["Discrete"], net_arch=[2], features_extractor=nets.Conv2d(1, 2)),
    ]
    for policy in policies:
        save_policy(tmp_path / "policy", policy, policy.initial_parameters(0))
        stored |= {name for name in load_policy_file(tmp_path / "policy.safetensors")[0] if name.startswith("acting.")}
    assert listed == stored


@pytest.mark.parametrize("name", ["é".encode(), rb"\u0065", rb"\n", b"\x7f"], ids=repr)
def test_a_header_of_more_than_plain_text_is_refused_even_if_signed(path, name):
    header, data = header_of(path.read_bytes())
    digest = json.loads(header["__metadata__"]["trpo_fast"])["sha256"].encode()
    text = json.dumps(header).encode().replace(b'"returns.count"', b'"' + name + b'"').replace(digest, b"0" * 64)
    digest = hashlib.sha256(with_header(text, data)).hexdigest().encode()
    assert_refused(path, with_header(text.replace(b"0" * 64, digest), data), "expected a header of printable ASCII")


METADATA_EDITS = {
    "format": "something else",
    "version": 2,
    "arguments": None,
    "arguments of environments": {"n_envs": 10**6},
    "arguments unknown": {"sinks": []},
    "observation_space": {"type": "Dict"},
    "action_space": None,
    "num_timesteps": "many",
}


@pytest.mark.parametrize(("key", "value"), METADATA_EDITS.items(), ids=METADATA_EDITS)
def test_metadata_of_no_model_are_refused_even_if_signed(path, key, value):
    signed(path, change_metadata=lambda metadata: {**metadata, key.split()[0]: value})
    with pytest.raises(PolicyFileError, match="expected"):
        TRPO.load(path)


def test_a_pickle_is_refused_and_not_run(path, tmp_path):
    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "executed",)

    assert_refused(path, pickle.dumps(Evil()))
    assert not (tmp_path / "executed").exists()


def failing(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (Path, "replace"), (Path, "open")])
def test_an_old_file_survives_a_failing_write(path, monkeypatch, owner, name):
    before = path.read_bytes()
    other = trained(seed=4)
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing)
        with pytest.raises(OSError, match="No space left"):
            other.save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]  # and no temporary file is left
    other.save(path)
    assert_same(TRPO.load(path), other)


def test_a_failing_write_of_a_new_file_leaves_nothing(model, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="No space left"):
        model.save(tmp_path / "new")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("env_id", "stride"),
    [("Pendulum-v1", 5), pytest.param("CartPole-v1", 1, marks=pytest.mark.slow)],
)
def test_hostile_metadata_that_are_signed_are_typed_errors_in_little_memory(env_id, stride, tmp_path):
    """Thousands of values where others belong: a typed error, or a model; never more than 2 x file + 16 MB."""
    path = tmp_path / "model.safetensors"
    TRPO("MlpPolicy", env_id, n_steps=32, n_critic_updates=1, policy_kwargs={"net_arch": [8]}, seed=0).learn(64).save(
        path
    )
    program = [sys.executable, str(ROOT / "tests" / "hostile_files.py"), str(path), env_id, str(stride)]
    result = json.loads(subprocess.run(program, check=True, capture_output=True, text=True, timeout=300).stdout)
    assert result["untyped"] == []
    assert result["trials"] > 1000 / stride
    assert result["grew"] <= 2 * result["largest"] + (16 << 20)


@pytest.mark.parametrize("offsets", [None, [0, 2**42], [2**42, 2**43], [-4, 0], [8, 0]], ids=str)
@pytest.mark.parametrize("shape", [[2**40], [2**62, 4], [2**63], [-1], [], [0], "x"], ids=str)
def test_shapes_and_offsets_that_the_data_do_not_have_are_refused_even_if_signed(path, shape, offsets):
    content = path.read_bytes()
    header, data = header_of(content)
    digest = json.loads(header["__metadata__"]["trpo_fast"])["sha256"].encode()
    tensor = header["policy.layers.0.bias"]
    header["policy.layers.0.bias"] = {**tensor, "shape": shape, "data_offsets": offsets or tensor["data_offsets"]}
    unsigned = with_header(header, data).replace(digest, b"0" * 64)
    assert_refused(path, unsigned.replace(b"0" * 64, hashlib.sha256(unsigned).hexdigest().encode()))
