"""No file takes more than twice its size and 16 MB of memory, whatever it says; every refusal is typed."""

import itertools
import zipfile
from pathlib import Path

import gymnasium as gym
import pytest
from hostile_memory import SETTINGS, SLACK, archives, npz_files, peak_of, pickles, policy_files, sparse_files

from trpo_fast import TRPO, InvalidArgumentError, PolicyFileError, TRPOFastError, load_policy
from trpo_fast.cli.hyperparameters import read_hyperparameters
from trpo_fast.integrations import sb3

KINDS = [3, pytest.param(None, marks=pytest.mark.slow)]  # the first three, and all of them
FILES = Path(__file__).parent / "sb3_files"


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    model = TRPO("MlpPolicy", "CartPole-v1", n_steps=16, n_critic_updates=1, policy_kwargs={"net_arch": [4]}, seed=0)
    model.learn(16).save(path)
    load_policy(path)
    return path.read_bytes()


def assert_little_memory(kind, load, size):
    peak, error = peak_of(load)
    assert peak <= 2 * size + SLACK, f"{kind}: {peak} bytes for a file of {size}"
    assert error is None or isinstance(error, TRPOFastError), f"{kind}: {error!r}"
    return error


@pytest.mark.parametrize(
    ("seed", "n", "most"), [(0, 25_000, 1), pytest.param(1, 110_000, None, marks=pytest.mark.slow)]
)
def test_policy_files(seed, n, most, content, tmp_path):
    path = tmp_path / "model.safetensors"
    files, loads = policy_files(content, seed, n), itertools.cycle([TRPO.load, load_policy])
    for (kind, file), load in itertools.islice(zip(files, loads, strict=False), most):
        path.write_bytes(file)
        assert_little_memory(kind, lambda load=load: load(path), len(file))


def test_a_file_of_a_large_model(tmp_path):
    model = TRPO("MlpPolicy", "CartPole-v1", policy_kwargs={"net_arch": [900, 900], "ortho_init": False}, seed=0)
    model.save(tmp_path / "model")
    size = (tmp_path / "model.safetensors").stat().st_size
    assert assert_little_memory("large", lambda: TRPO.load(tmp_path / "model"), size) is None


def test_sparse_files_are_refused_by_their_first_bytes(tmp_path):
    """What is in memory is at most the header, twice: the rest is not read."""
    path = tmp_path / "model.safetensors"
    for kind, head, length in sparse_files():
        with path.open("wb") as file:
            file.write(head)
            file.truncate(length)
        assert isinstance(assert_little_memory(kind, lambda: TRPO.load(path), 1 << 20), PolicyFileError)


@pytest.mark.parametrize("most", KINDS)
def test_pickles_of_vec_normalize(most, tmp_path):
    path = tmp_path / "vec_normalize.pkl"
    for kind, file in itertools.islice(pickles(), most):
        path.write_bytes(file)
        error = assert_little_memory(kind, lambda: sb3.read_vec_normalize(path), len(file))
        assert isinstance(error, PolicyFileError), kind


@pytest.mark.parametrize("most", KINDS)
def test_statistics_in_npz_files(most, tmp_path):
    path = tmp_path / "vec_normalize.npz"
    for kind, file in itertools.islice(npz_files(), most):
        path.write_bytes(file)
        error = assert_little_memory(kind, lambda: sb3.read_vec_normalize(path), len(file))
        assert isinstance(error, PolicyFileError), kind


@pytest.mark.parametrize("most", KINDS)
def test_zip_files_of_stable_baselines3(most, tmp_path):
    path, spaces = tmp_path / "model.zip", (gym.spaces.Box(-1.0, 1.0, (3,)), gym.spaces.Discrete(2))
    with zipfile.ZipFile(FILES / "trpo_box.zip") as archive:
        data, weights = archive.read("data"), archive.read("policy.pth")
    for kind, file in itertools.islice(archives(data, weights), most):
        path.write_bytes(file)
        error = assert_little_memory(kind, lambda: sb3.load_model(path, spaces), len(file))
        assert isinstance(error, PolicyFileError), kind


@pytest.mark.parametrize("kind", SETTINGS)
def test_files_of_settings(kind, tmp_path):
    path = tmp_path / "settings.yml"
    path.write_text(SETTINGS[kind], encoding="utf-8")
    with path.open("r+") as file:
        file.truncate(1 << 31 if kind == "sparse" else len(SETTINGS[kind]))
    error = assert_little_memory(kind, lambda: read_hyperparameters(path, "CartPole-v1"), len(SETTINGS[kind]))
    assert isinstance(error, InvalidArgumentError)
