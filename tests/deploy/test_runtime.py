"""The C++ runtime: it does what Python does, acts by every file that Python exports, and refuses what cannot act."""

import gymnasium as gym
import numpy as np
import pytest
from deployed import CASES, INF, N, assert_agrees, assert_sampled, made, observed
from forged_files import forged_forms, forged_headers, forged_interfaces, forged_metadata
from hostile_files import broken_files, hostile_files, unread_edits
from runtime import (
    BAD_MASK,
    BAD_OBSERVATION,
    LOAD_STATUS,
    NON_FINITE_OUTPUT,
    OK,
    VERSION_3,
    act,
    building,
    load,
    python_verdict,
    run,
    verdicts,
)

from trpo_fast import TRPO, InvalidArgumentError, Policy, load_policy, save_policy
from trpo_fast.export.deployment import Deployment
from trpo_fast.storage.policy_file import load_policy_file, save_policy_file

pytestmark = pytest.mark.compiler
slow = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def compilers(request):
    """Start them before their programs are needed, in the order of the tests; for a few tests, when they are needed."""
    for build in ("fast", "careful", "counter") if request.session.testscollected > 100 else ():
        building(build)


@pytest.fixture
def careful_probe():
    return building("careful").result()


@pytest.fixture
def counter():
    return building("counter").result()


@pytest.mark.parametrize(
    ("build", "dtype"),
    [
        ("fast", "float32"),
        ("fast", "float64"),
        pytest.param("plain", "float32", marks=slow),
        pytest.param("scalar", "float32", marks=slow),
    ],
)
@pytest.mark.parametrize("name", CASES)
def test_acts_as_python_does(name, build, dtype, tmp_path):
    policy, theta = made(name, dtype, tmp_path / "policy.safetensors")
    rng = np.random.default_rng(1)
    observations = observed(policy, N, rng)
    noise = rng.standard_normal((N, policy.codec.size)).astype(np.float32)
    acted, sampled = act(building(build).result(), (tmp_path / "policy.safetensors").read_bytes(), observations, noise)
    assert (acted.status == OK).all()
    assert (sampled.status == OK).all()
    assert_agrees(policy, theta, observations, acted.actions)
    assert_sampled(policy, theta, observations, noise, sampled.actions)


@pytest.mark.parametrize("bad", [np.nan, INF, -INF, 2e18, -2e18])
@pytest.mark.parametrize("name", ["Box bounded", "Discrete", "MultiDiscrete masked", "MultiBinary"])
def test_what_must_not_be_acted_on_is_a_status_and_holds_the_last_action(name, bad, careful_probe, tmp_path):
    policy, _ = made(name, "float32", tmp_path / "policy.safetensors")
    rng = np.random.default_rng(2)
    observations = np.repeat(observed(policy, 20, rng), 2, axis=0)
    rows, columns = np.arange(1, 40, 2), rng.integers(17, size=20)
    observations[rows, columns] = bad
    noise = np.zeros((40, policy.codec.size))
    acted, sampled = act(careful_probe, (tmp_path / "policy.safetensors").read_bytes(), observations, noise)
    for got in (acted, sampled):
        assert got.status.tolist() == [OK, BAD_OBSERVATION] * 20
    np.testing.assert_array_equal(acted.actions[1::2], sampled.actions[::2])  # that of the call before
    np.testing.assert_array_equal(sampled.actions[1::2], acted.actions[1::2])
    assert all(action_of(policy, row) in policy.action_space for row in acted.actions)


def action_of(policy, row):
    """A row of the runtime as an action of the space."""
    space = policy.action_space
    if isinstance(space, gym.spaces.Discrete):
        return np.int64(row[0])
    return row.reshape(space.shape).astype(space.dtype)


def test_before_there_is_a_last_action_it_is_zero_within_the_bounds(careful_probe, tmp_path):
    made("Box bounded", "float32", tmp_path / "policy.safetensors")
    observations = np.full((1, 17), np.nan, np.float32)
    acted, _ = act(careful_probe, (tmp_path / "policy.safetensors").read_bytes(), observations, np.zeros((1, 3)))
    assert acted.status == [BAD_OBSERVATION]
    np.testing.assert_array_equal(acted.actions[0], np.float32([0.0, 0.0, 0.2]))


@pytest.mark.parametrize(
    ("name", "zero"), [("Box bounded", [0.0, 0.0, 0.2]), ("Discrete", [-2.0]), ("MultiBinary", 9 * [0.0])]
)
def test_the_fallback_may_be_zero(name, zero, careful_probe, tmp_path):
    policy, _ = made(name, "float32", tmp_path / "policy.safetensors")
    observations = observed(policy, 40, np.random.default_rng(2))
    observations[1::2, 3] = np.nan
    content, noise = (tmp_path / "policy.safetensors").read_bytes(), np.zeros((40, len(zero)))
    acted, _ = act(careful_probe, content, observations, noise, "zero")
    assert acted.status.tolist() == [OK, BAD_OBSERVATION] * 20
    assert (acted.actions[1::2] == np.float32(zero)).all()
    assert (acted.actions[::2] != np.float32(zero)).any()


@pytest.mark.parametrize("bad", [0.5, 2.0, -1.0, np.nan, "nothing"])
def test_a_mask_that_is_none_is_a_status(bad, careful_probe, tmp_path):
    policy, _ = made("MultiDiscrete masked", "float32", tmp_path / "policy.safetensors")
    observations = observed(policy, 2, np.random.default_rng(3))
    observations[1, 17:] = (
        np.float32([1, 0, 0, 0, 0, 0, 0]) if bad == "nothing" else np.float32([1, bad, 0, 1, 0, 0, 0])
    )
    acted, _ = act(careful_probe, (tmp_path / "policy.safetensors").read_bytes(), observations, np.zeros((2, 2)))
    assert acted.status.tolist() == [OK, BAD_MASK]
    np.testing.assert_array_equal(acted.actions[1], acted.actions[0])  # a mask that is none replaces no choice


def test_a_held_choice_that_the_mask_forbids_is_replaced(careful_probe, tmp_path):
    made("Discrete masked", "float32", tmp_path / "policy.safetensors")
    observations = np.zeros((2, 23), np.float32)
    observations[0, 17 + 4], observations[1, 17 + 2 :] = 1.0, np.float32([1, 1, 0, 1])
    observations[1, 0] = np.nan
    acted, _ = act(careful_probe, (tmp_path / "policy.safetensors").read_bytes(), observations, np.zeros((2, 1)))
    assert acted.status.tolist() == [OK, BAD_OBSERVATION]
    assert acted.actions.ravel().tolist() == [4.0, 2.0]


@pytest.mark.parametrize("name", ["linear", "Discrete", "MultiBinary"])
def test_weights_that_overflow_are_a_status(name, careful_probe, tmp_path):
    policy, theta = made(name, "float32", tmp_path / "policy.safetensors")
    policy.unflatten(theta)["layers.0.weight"][:] = 3e38
    policy.unflatten(theta)[f"layers.{len(policy.policy_kwargs['net_arch'])}.weight"][:] = 3e38
    save_policy(tmp_path / "policy.safetensors", policy, theta)
    observations = policy.normalizer.statistics.mean[None] + 5.0 * np.sqrt(policy.normalizer.statistics.var)
    noise = np.zeros((1, policy.codec.size))
    acted, sampled = act(careful_probe, (tmp_path / "policy.safetensors").read_bytes(), observations, noise)
    assert (acted.status, sampled.status) == ([NON_FINITE_OUTPUT], [NON_FINITE_OUTPUT])
    assert np.isfinite(acted.actions).all()


@pytest.mark.parametrize("name", ["Box bounded", "std output"])
@pytest.mark.parametrize("bad", [np.nan, -INF, 3e38])
def test_noise_that_overflows_holds_the_whole_of_the_last_action(name, bad, careful_probe, tmp_path):
    policy, theta = made(name, "float32", tmp_path / "policy.safetensors")
    views = policy.unflatten(theta)
    (views["log_std"] if "log_std" in views else views["layers.2.bias"][3:])[:] = 2.0
    save_policy(tmp_path / "policy", policy, theta)
    observations = observed(policy, 2, np.random.default_rng(4))
    noise = np.float32([[0.1, 0.1, 0.1], [-0.3, bad, 0.2]])
    acted, sampled = act(careful_probe, (tmp_path / "policy.safetensors").read_bytes(), observations, noise)
    assert (acted.status.tolist(), sampled.status.tolist()) == ([OK, OK], [OK, NON_FINITE_OUTPUT])
    np.testing.assert_array_equal(sampled.actions[1], acted.actions[1])


@pytest.mark.parametrize("name", ["Discrete", "MultiBinary"])
@pytest.mark.parametrize("bad", [np.nan, INF, -INF])
def test_noise_that_is_not_finite_chooses_nothing(name, bad, careful_probe, tmp_path):
    policy, _ = made(name, "float32", tmp_path / "policy.safetensors")
    observations = observed(policy, 2, np.random.default_rng(4))
    noise = np.zeros((2, policy.codec.size), np.float32)
    noise[1, -1] = bad
    acted, sampled = act(careful_probe, (tmp_path / "policy.safetensors").read_bytes(), observations, noise)
    assert (acted.status.tolist(), sampled.status.tolist()) == ([OK, OK], [OK, NON_FINITE_OUTPUT])
    np.testing.assert_array_equal(sampled.actions[1], acted.actions[1])


def test_a_forbidden_choice_is_never_sampled(careful_probe, tmp_path):
    """Nor by noise so far out that rounding leaves nothing of the last probabilities."""
    made("Discrete masked", "float32", tmp_path / "policy.safetensors")
    observations = np.zeros((3, 23), np.float32)
    observations[:, 17 + 1 : 17 + 4] = 1.0
    noise = np.float32([[40.0], [-40.0], [9.0]])
    _, sampled = act(careful_probe, (tmp_path / "policy.safetensors").read_bytes(), observations, noise)
    assert sampled.actions.ravel().tolist() == [3.0, 1.0, 3.0]


@pytest.mark.parametrize("name", ["wide", "squashed", "std output", "MultiDiscrete masked", "MultiBinary"])
def test_acting_allocates_nothing(name, counter, tmp_path):
    made(name, "float32", tmp_path / "policy.safetensors")
    assert run([counter, tmp_path / "policy.safetensors"]) == b"0 allocations, 99 of 100 ok\n"


def assert_same_verdicts(probe, path, labels, files):
    """Of C++ and of Python; (how many are policies, of how many)."""
    wanted = [python_verdict(path, content) for content in files]
    got = [verdict == "ok" for verdict in verdicts(probe, files)]
    different = [(label, w) for label, w, g in zip(labels, wanted, got, strict=True) if w != g]
    assert different == []
    return sum(wanted), len(wanted)


def assert_unread(probe, labels, files):
    """That C++ loads all of them: their damage is in what it does not read."""
    verdict = verdicts(probe, files)
    assert [(label, v) for label, v in zip(labels, verdict, strict=True) if v != "ok"] == []


@pytest.fixture
def model_path(request, tmp_path):
    fast = {"n_steps": 32, "n_critic_updates": 1, "policy_kwargs": {"net_arch": [8]}, "seed": 0}
    TRPO("MlpPolicy", request.param, **fast).learn(64).save(tmp_path / "model.safetensors")
    return tmp_path / "model.safetensors"


@pytest.mark.parametrize("model_path", ["CartPole-v1"], indirect=True)
def test_broken_files_get_the_verdicts_that_python_gives(model_path, careful_probe):
    labels, files = zip(*broken_files(model_path.read_bytes()), strict=True)
    n_good, n = assert_same_verdicts(careful_probe, model_path, labels, files)
    assert 2 <= n_good < n - 500


@pytest.mark.filterwarnings("ignore")
def test_forged_headers_get_the_verdicts_that_python_gives(tmp_path, careful_probe):
    labels, files = zip(*forged_headers(tmp_path), strict=True)
    n_good, n = assert_same_verdicts(careful_probe, tmp_path / "forged.safetensors", labels, files)
    assert 8 < n_good < n - 30


@pytest.mark.filterwarnings("ignore")
def test_forged_acting_forms_are_refused_by_python_and_unless_they_can_act_by_cpp(tmp_path, careful_probe):
    labels, files, are_possible = zip(*forged_forms(tmp_path), strict=True)
    assert [label for label, file in zip(labels, files, strict=True) if python_verdict(tmp_path / "f", file)] == []
    verdict = verdicts(careful_probe, files)
    expected = {True: ("ok",), False: ("unfit", "unsupported")}
    wrong = [
        (label, v)
        for label, v, is_possible in zip(labels, verdict, are_possible, strict=True)
        if v not in expected[is_possible]
    ]
    assert wrong == []
    assert sum(are_possible) > 30
    assert len(files) > 700


def test_names_and_scales_that_cannot_be_are_refused_by_all_readers(tmp_path, careful_probe):
    labels, files, are_possible = zip(*forged_interfaces(tmp_path), strict=True)
    n_good, n = assert_same_verdicts(careful_probe, tmp_path / "forged.safetensors", labels, files)
    verdict = [v == "ok" for v in verdicts(careful_probe, files)]
    assert [label for label, v, p in zip(labels, verdict, are_possible, strict=True) if v != p] == []
    assert n_good > 20
    assert n > n_good + 80


@pytest.mark.filterwarnings("ignore")
def test_forged_metadata_are_typed_errors_in_python_and_not_read_by_cpp(tmp_path, careful_probe):
    labels, files = zip(*forged_metadata(tmp_path), strict=True)
    assert 30 < sum(python_verdict(tmp_path / "f", file) for file in files) < len(files) - 100
    assert_unread(careful_probe, labels, files)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model_path", ["CartPole-v1", pytest.param("Pendulum-v1", marks=slow)], indirect=True)
def test_hostile_metadata_are_not_read_but_for_format_and_version(model_path, careful_probe):
    content = model_path.read_bytes()
    places, values, files = zip(*hostile_files(content), strict=True)
    labels = [f"{place} = {str(value)[:60]}" for place, value in zip(places, values, strict=True)]
    is_stamp = [place[0] in ("format", "version") for place in places]
    stamped = [file for file, stamp in zip(files, is_stamp, strict=True) if stamp]
    assert len(files) > 1000
    assert set(verdicts(careful_probe, stamped)) == {"unsupported"}
    others = [(label, file) for label, file, stamp in zip(labels, files, is_stamp, strict=True) if not stamp]
    assert_unread(careful_probe, *zip(*others, strict=True))


@pytest.mark.parametrize("model_path", ["CartPole-v1"], indirect=True)
def test_what_only_python_reads_is_refused_by_python_alone(model_path, careful_probe):
    labels, files = zip(*unread_edits(model_path.read_bytes()), strict=True)
    loaded = [label for label, file in zip(labels, files, strict=True) if python_verdict(model_path, file)]
    assert loaded == [*labels[:2]]
    assert_unread(careful_probe, labels, files)


@pytest.mark.parametrize("model_path", ["Pendulum-v1"], indirect=True)
def test_acting_does_not_depend_on_what_is_not_read(model_path, careful_probe):
    content = model_path.read_bytes()
    _, edited = list(unread_edits(content))[-1]
    observations = np.random.default_rng(0).standard_normal((50, 3))
    acted, other = (act(careful_probe, file, observations, np.zeros((50, 1)))[0] for file in (content, edited))
    assert edited != content
    np.testing.assert_array_equal(acted.actions, other.actions)


NOT_IN_FLOAT32 = {
    "bounds above": gym.spaces.Box(1e300, 2e300, (2,), np.float64),
    "bounds below": gym.spaces.Box(-2e300, -1e300, (2,), np.float64),
    "bounds between two floats": gym.spaces.Box(1.00000001, 1.00000002, (2,), np.float64),
    "start": gym.spaces.Discrete(3, start=2**40),
    "negative start": gym.spaces.MultiDiscrete([2, 3], start=[0, -(2**62)]),
}


@pytest.mark.parametrize("space", NOT_IN_FLOAT32.values(), ids=NOT_IN_FLOAT32)
def test_what_float32_cannot_hold_is_for_python_alone(space, careful_probe, tmp_path):
    policy = Policy(gym.spaces.Box(-1.0, 1.0, (3,)), space)
    save_policy(tmp_path / "policy", policy, policy.initial_parameters(0))
    loaded, _ = load_policy(tmp_path / "policy")
    assert loaded.action_space == space
    path = tmp_path / "policy.safetensors"
    assert verdicts(careful_probe, [path.read_bytes()]) == ["unsupported"]
    with pytest.raises(InvalidArgumentError, match="model: expected .* that float32 can "):
        Deployment.load(path)


@pytest.mark.parametrize("status", LOAD_STATUS)
def test_a_load_says_what_is_wrong(status, careful_probe, tmp_path):
    path = tmp_path / "policy.safetensors"
    policy, theta = made("linear", "float64", path)
    content = path.read_bytes()
    if status == "unreadable":
        path.unlink()
        assert load(careful_probe, tmp_path).status == status  # a folder
    elif status == "malformed":
        path.write_bytes(content[:100])
    elif status == "damaged":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif status == "unsupported":
        policy.unflatten(theta)["layers.0.bias"][0] = 1e300
        save_policy(path, policy, theta)
    elif status == "unfit":
        tensors, metadata = load_policy_file(path)
        save_policy_file(path, {**tensors, "acting.clip": np.float32(-1.0)}, metadata)
    assert load(careful_probe, path).status == status


def test_version_3_is_unsupported(careful_probe, tmp_path):
    content = (VERSION_3 / "model_v3.safetensors").read_bytes()
    named = tmp_path / "named.safetensors"  # version 3 had tensors named by users
    named.write_bytes(content.replace(b'"value_function.', '"value_functié.'.encode()))
    assert named.stat().st_size == len(content)
    paths = [named, *VERSION_3.glob("*_v3.safetensors")]
    assert len(paths) == 9
    for path in paths:
        status, _, message = load(careful_probe, path)
        assert status == "unsupported"
        assert message.startswith('expected "trpo_fast.policy" version 4, got "trpo_fast.policy" version 3')
