"""No file takes more than twice its size and 16 MB of memory, whatever it says; every refusal is typed."""

import itertools

import pytest
from hostile_memory import SLACK, peak_of, policy_files, sparse_files

from trpo_fast import TRPO, PolicyFileError, TRPOFastError, load_policy


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
    ("seed", "n", "stride"), [(0, 25_000, 13), pytest.param(1, 110_000, 1, marks=pytest.mark.slow)]
)
def test_policy_files(seed, n, stride, content, tmp_path):
    path = tmp_path / "model.safetensors"
    for kind, file in itertools.islice(policy_files(content, seed, n), 0, None, stride):
        path.write_bytes(file)
        assert_little_memory(kind, lambda: load_policy(path), len(file))
        assert_little_memory(kind, lambda: TRPO.load(path), len(file))


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
