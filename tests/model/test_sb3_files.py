"""Models and statistics that Stable-Baselines3 saved (sb3_files/make.py), read without it and without PyTorch."""

import io
import pickle
import zipfile
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

from trpo_fast import PolicyFileError
from trpo_fast._core import archives
from trpo_fast.integrations import sb3

FILES = Path(__file__).parent / "sb3_files"
OBSERVATION_SPACE = gym.spaces.Box(-1.0, 1.0, (3,), np.float32)
ACTION_SPACES = {
    "box": gym.spaces.Box(-2.0, 2.0, (1,)),
    "discrete": gym.spaces.Discrete(2),
    "multidiscrete": gym.spaces.MultiDiscrete([3, 2]),
    "multibinary": gym.spaces.MultiBinary(3),
}
IMAGE = gym.spaces.Box(0, 255, (36, 37, 1), np.uint8)
PARTS = gym.spaces.Dict(
    state=OBSERVATION_SPACE, camera=gym.spaces.Box(0, 255, (2, 36, 36), np.uint8), bits=gym.spaces.MultiBinary(2)
)


@pytest.fixture(scope="module")
def answers():
    with np.load(FILES / "answers.npz") as arrays:
        return dict(arrays)


def load(path, space="box", **kwargs):
    return sb3.load_model(path, (OBSERVATION_SPACE, ACTION_SPACES[space]), **kwargs)


def assert_close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("algorithm", ["trpo", "ppo", "a2c"])
@pytest.mark.parametrize("space", ACTION_SPACES)
def test_a_model_of_theirs_acts_the_same(algorithm, space, answers):
    name = f"{algorithm}_{space}"
    if f"{name} actions" not in answers:
        pytest.skip("one of each is enough")
    ours, observations = load(FILES / f"{name}.zip", space), answers["observations"]
    actions, _ = ours.predict(observations, deterministic=True)
    assert_close(actions, answers[f"{name} actions"])
    assert (actions != actions[0]).any()
    inputs = ours.policy.normalize(observations.astype(np.float64))
    assert_close(ours.value_function.predict(ours._training.model.critic, inputs), answers[f"{name} values"])


@pytest.mark.parametrize(
    ("name", "observation_space", "space"),
    [("ppo_cnn", IMAGE, "discrete"), ("a2c_cnn", IMAGE, "box"), ("trpo_multi", PARTS, "multidiscrete")],
    ids=["shared", "not shared", "several inputs"],
)
def test_a_network_of_theirs_for_images_has_the_same_outputs(name, observation_space, space, answers):
    ours = sb3.load_model(FILES / f"{name}.zip", (observation_space, ACTION_SPACES[space]))
    observations = answers["one"]
    if observation_space is PARTS:
        observations = {key: answers[f"parts {key}"] for key in PARTS}
    encoded, _ = ours.policy.rows(observations)
    phi = ours.policy.dist_params(ours.theta, encoded)
    theirs = answers[f"{name} logits"]
    assert_close(phi[:, : theirs.shape[1]], theirs)
    assert np.ptp(theirs, axis=0).min() > 0.01
    critic, inputs = ours._training.model.critic, ours.policy.critic_inputs(encoded)
    assert_close(ours.value_function.predict(critic, inputs, ours.theta), answers[f"{name} values"])
    assert ours.policy_kwargs["share_features_extractor"] == (name != "a2c_cnn")
    assert any(key.startswith("features") for key in ours.get_parameters()["value_function"]) == (name == "a2c_cnn")


def test_what_is_no_features_extractor_of_theirs_is_refused_by_name():
    with pytest.raises(PolicyFileError, match=r"NatureCNN or CombinedExtractor, got 'pi_features_extractor\.scale"):
        sb3.load_model(FILES / "mean_cnn.zip", (IMAGE, ACTION_SPACES["discrete"]))
    with pytest.raises(PolicyFileError, match="fit the environment"):
        sb3.load_model(FILES / "ppo_cnn.zip", (OBSERVATION_SPACE, ACTION_SPACES["discrete"]))
    with pytest.raises(PolicyFileError, match="fit the environment"):
        sb3.load_model(FILES / "trpo_multi.zip", (IMAGE, ACTION_SPACES["multidiscrete"]))


def test_a_model_of_theirs_learns_on():
    class Still(gym.Env):
        observation_space, action_space = OBSERVATION_SPACE, ACTION_SPACES["box"]

        def reset(self, *, seed=None, options=None):
            super().reset(seed=seed)
            return np.zeros(3, np.float32), {}

        def step(self, action):
            return np.zeros(3, np.float32), float(action[0]), False, False, {}

    model = sb3.load_model(FILES / "trpo_box.zip", gym.wrappers.TimeLimit(Still(), 20), n_steps=64)
    before = model.theta.copy()
    assert model.learn(64).report.committed
    assert (model.theta != before).any()


@pytest.mark.parametrize("name", ["vec_normalize.pkl", "vec_normalize.npz"])
def test_vec_normalize(name, answers):
    ours = load(FILES / "normalized.zip", vec_normalize=FILES / name)
    assert_close(ours.predict(answers["observations"], deterministic=True)[0], answers["normalized actions"])
    plain = load(FILES / "normalized.zip").predict(answers["observations"], deterministic=True)[0]
    assert np.abs(plain - answers["normalized actions"]).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "space", "message"),
    [
        ("trpo_discrete", "multidiscrete", "fit the environment"),
        ("sde", "box", "use_sde"),
        ("dqn", "discrete", "MlpPolicy"),
    ],
)
def test_what_does_not_fit_is_refused(name, space, message):
    with pytest.raises(PolicyFileError, match=message):
        load(FILES / f"{name}.zip", space)


def test_what_is_not_a_zip_file_is_refused(tmp_path):
    (tmp_path / "x.zip").write_bytes(b"nothing")
    with pytest.raises(PolicyFileError):
        load(tmp_path / "x.zip")


class Evil:
    def __reduce__(self):
        return print, ("executed",)


class ForgedArray:
    """An array of objects whose pointers are the file's."""

    def __reduce__(self):
        return np.ndarray, ((1,), "O", b"A" * 8)


class ForgedStatistics:
    def __init__(self):
        self.mean, self.var, self.count = ForgedArray(), ForgedArray(), 1.0


class ForgedNormalize:
    def __init__(self):
        self.obs_rms, self.clip_obs, self.epsilon = ForgedStatistics(), 10.0, 1e-8


@pytest.mark.parametrize("content", [Evil(), ForgedNormalize(), {"obs_rms": 1}, None], ids=lambda c: type(c).__name__)
def test_no_pickle_of_statistics_is_executed(content, tmp_path, capsys):
    (tmp_path / "forged.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(PolicyFileError):
        sb3.read_vec_normalize(tmp_path / "forged.pkl")
    assert "executed" not in capsys.readouterr().out


def with_member(path, name, content, to):
    """A copy of a zip file in which one member is another; None leaves it out."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(to, "w") as copy:
        for member in archive.namelist():
            new = archive.read(member) if member != name else content
            if new is not None:
                copy.writestr(member, new)


def forged_weights(tmp_path, content, member="data.pkl"):
    """A zip of SB3 with another ``member`` of the file of weights; its pickle is data.pkl."""
    with zipfile.ZipFile(FILES / "trpo_box.zip") as archive:
        weights = io.BytesIO(archive.read("policy.pth"))
    with zipfile.ZipFile(weights) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(f"/{member}"))
    with_member(weights, name, content, tmp_path / "policy.pth")
    with_member(FILES / "trpo_box.zip", "policy.pth", (tmp_path / "policy.pth").read_bytes(), tmp_path / "forged.zip")
    return tmp_path / "forged.zip"


def tensor(shape, strides, offset=0, dtype="FloatStorage", key="0"):
    """The pickle of {"log_std": a tensor}, in the opcodes of torch.save."""
    numbers = "".join(f"I{n}\n" for n in shape), "".join(f"I{n}\n" for n in strides)
    text = (
        f"(dS'log_std'\nctorch._utils\n_rebuild_tensor_v2\n((S'storage'\nctorch\n{dtype}\nS'{key}'\nS'cpu'\nI1\ntQ"
        f"I{offset}\n({numbers[0]}t({numbers[1]}tI00\nccollections\nOrderedDict\n(tRtRs."
    )
    return text.encode()


def weights_with(name):
    """The pickle of the weights, with the log standard deviation under another name."""
    with zipfile.ZipFile(FILES / "trpo_box.zip") as archive:
        weights = io.BytesIO(archive.read("policy.pth"))
    with zipfile.ZipFile(weights) as archive:
        (member,) = (member for member in archive.namelist() if member.endswith("/data.pkl"))
        pickled = archive.read(member)
    assert pickled.count(b"X\x07\x00\x00\x00log_std") == 1
    return pickled.replace(b"X\x07\x00\x00\x00log_std", b"X" + len(name).to_bytes(4, "little") + name.encode())


def test_forged_weights_are_refused(tmp_path, capsys):
    for pickled in (
        pickle.dumps(Evil()),
        pickle.dumps({"log_std": Evil()}),
        pickle.dumps({"log_std": 1.0}),
        pickle.dumps({1: np.zeros(1)}),
        pickle.dumps([]),
        b"",
        None,
        tensor([2**40], [1]),
        tensor([-1], [1]),
        tensor([1], [1, 1]),
        tensor([1], [0]),
        tensor([2, 1], [1, 2]),
        tensor([1], [1], offset=10**9),
        tensor([1], [1], dtype="QInt8Storage"),
        tensor([1], [1], dtype="load"),
        tensor([1], [1], key="../data.pkl"),
    ):
        with pytest.raises(PolicyFileError, match="expected a model of Stable-Baselines3"):
            load(forged_weights(tmp_path, pickled))
    assert "executed" not in capsys.readouterr().out
    with pytest.raises(PolicyFileError, match="expected the weights of an MlpPolicy"):
        load(forged_weights(tmp_path, tensor([1], [1])))  # in order, but not all of them
    with pytest.raises(PolicyFileError, match="of an MLP or of a CNN, got 'mlp_extractor.shared_net.0.bias'"):
        load(forged_weights(tmp_path, weights_with("mlp_extractor.shared_net.0.bias")))
    with pytest.raises(PolicyFileError, match="not little-endian"):
        load(forged_weights(tmp_path, b"big", member="byteorder"))


def test_members_that_are_missing_broken_or_too_large_are_refused(tmp_path, monkeypatch):
    for name, content in (("data", None), ("policy.pth", None), ("data", b"{"), ("policy.pth", b"x")):
        with_member(FILES / "trpo_box.zip", name, content, tmp_path / "x.zip")
        with pytest.raises(PolicyFileError, match="expected a model of Stable-Baselines3"):
            load(tmp_path / "x.zip")
    monkeypatch.setattr(archives, "MAX_GROWTH", -(1 << 20))
    with pytest.raises(PolicyFileError, match="too small for them"):
        load(FILES / "trpo_box.zip")
