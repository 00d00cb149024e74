"""Paths that users give: kept whole, folders made, links followed, anything else refused before it costs a training."""

import io
from pathlib import Path

import pytest

from trpo_fast import TRPO, Checkpoints, InvalidArgumentError, export_policy, load_policy, save_policy
from trpo_fast.callbacks import CheckpointCallback, EvalCallback
from trpo_fast.monitoring.csv_files import CSVFile
from trpo_fast.monitoring.tensorboard import free_folder
from trpo_fast.storage.policy_file import existing_path, target_path

NAMES = ["seed_0.25", "v1.10", "net[8]", "ümlaut", "a.b.c-1.5", "what? *", "{x}", ".hidden"]


@pytest.fixture(scope="module")
def model():
    return TRPO("MlpPolicy", "CartPole-v1", n_steps=16, n_critic_updates=1, policy_kwargs={"net_arch": [4]}, seed=0)


class Place:
    """A path of another library."""

    def __init__(self, path):
        self._path = path

    def __fspath__(self):
        return str(self._path)


@pytest.mark.parametrize("name", NAMES)
def test_names_are_kept_whole(name, model, tmp_path):
    for folder in ("one", "two"):
        model.save(tmp_path / folder / name)
    assert [path.name for path in (tmp_path / "one").iterdir()] == [f"{name}.safetensors"]
    assert TRPO.load(tmp_path / "two" / name).num_timesteps == 0
    assert export_policy(tmp_path / "one" / name, format="json")[0].name == f"{name}.json"


def test_a_name_has_the_suffix_that_the_user_gave_it():
    for name in ("model.safetensors", "model.zip", "best.policy", "m.v1"):
        assert target_path(name).name == name
    for name in ("model.1", "model.2_best", "model.", "1.2.3"):
        assert target_path(name).name == f"{name}.safetensors"


def test_an_export_is_named_after_the_whole_name(model, tmp_path):
    for name in ("net.v1", "net.v2"):
        model.save(tmp_path / name)  # a suffix of the user's own
        assert export_policy(tmp_path / name, format="json")[0] == tmp_path / f"{name}.json"


def test_folders_are_made(model, tmp_path):
    model.save(tmp_path / "a" / "b" / "model")
    save_policy(tmp_path / "c" / "d" / "policy", model.policy, model.theta)
    written = export_policy(tmp_path / "a" / "b" / "model", tmp_path / "e" / "f" / "policy.json", format="json")
    Checkpoints(model, tmp_path / "g" / "h", 16)
    assert all(path.is_file() for path in [*written, tmp_path / "c" / "d" / "policy.safetensors"])
    assert (tmp_path / "g" / "h").is_dir()


def test_the_home_folder_and_paths_of_other_libraries(model, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    model.save("~/runs/model")
    CSVFile("~/logs/rows.csv").write({"time/total_timesteps": 1})
    assert (tmp_path / "logs" / "rows.csv").read_text(encoding="utf-8").split() == ["time/total_timesteps", "1"]
    save_policy(Place(tmp_path / "policy"), model.policy, model.theta)
    assert existing_path("~/runs/model") == tmp_path / "runs" / "model.safetensors"
    assert len(load_policy(Place(tmp_path / "policy"))[1]) == len(model.theta)
    assert CheckpointCallback(1, "~/policies").save_path == tmp_path / "policies"
    assert TRPO("MlpPolicy", "CartPole-v1", tensorboard_log="~/tb").tensorboard_log == tmp_path / "tb"


def test_a_symbolic_link_is_followed(model, tmp_path):
    (tmp_path / "disk").mkdir()
    link = tmp_path / "latest.safetensors"
    link.symlink_to(tmp_path / "disk" / "model.safetensors")
    for _ in range(2):
        model.save(link)
    assert link.is_symlink()
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["model.safetensors"]


@pytest.mark.parametrize("path", [io.BytesIO(), b"model", 3, None, "", "a\0b", "\ud800", ["model"], "~no such user/m"])
@pytest.mark.parametrize("take", ["save", "load", "export", "save_policy", "tensorboard_log", "evaluation", "rows"])
def test_anything_else_is_refused(take, path, model):
    take_path = {
        "save": lambda: model.save(path),
        "load": lambda: TRPO.load(path),
        "export": lambda: export_policy(path),
        "save_policy": lambda: save_policy(path, model.policy, model.theta),
        "tensorboard_log": lambda: TRPO("MlpPolicy", "CartPole-v1", tensorboard_log=path),
        "rows": lambda: CSVFile(path),
        "evaluation": lambda: EvalCallback("CartPole-v1", log_path=path),
    }[take]
    if path is None and take in ("tensorboard_log", "evaluation"):
        take_path()
        return
    with pytest.raises(InvalidArgumentError, match="expected a path"):
        take_path()


def test_a_folder_is_not_the_name_of_a_file(model, tmp_path):
    with pytest.raises(InvalidArgumentError, match="the name of a file"):
        model.save("/")
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(OSError, match="directory"):
        model.save(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_checkpoints_of_a_name_with_dots(model, tmp_path):
    callback = CheckpointCallback(8, tmp_path, name_prefix="walker.v1[a]")
    TRPO("MlpPolicy", "CartPole-v1", n_steps=16, n_critic_updates=1, seed=0).learn(16, callback=callback)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"walker.v1[a]_{n}_steps.safetensors" for n in (16, 8)]
    assert all(isinstance(TRPO.load(tmp_path / name), TRPO) for name in names)


@pytest.mark.parametrize("name", [*NAMES, "a/b", "1"])
def test_every_log_has_a_folder_of_its_own(name, tmp_path):
    for k in (1, 2, 3):
        folder = free_folder(tmp_path, name, go_on=False)
        assert folder == tmp_path / f"{name}_{k}"
        folder.mkdir(parents=True)
    for other in (f"{Path(name).name}_x_9", f"{Path(name).name}9"):
        (folder.parent / other).mkdir()
    (folder.parent / f"{Path(name).name}_²").mkdir()
    assert free_folder(tmp_path, name, go_on=True) == folder
