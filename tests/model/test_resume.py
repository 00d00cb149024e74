"""A resumed run is bit-identical to an uninterrupted run."""

import csv
import errno
import os
import signal
import subprocess
import sys
import threading
import time
import warnings

import gymnasium as gym
import numpy as np
import pytest
from envs import TAXI, CountingEnv, counting_factories

from trpo_fast import TRPO, Checkpoints, PolicyFileError, ResumeWarning
from trpo_fast.cli import main
from trpo_fast.storage.checkpoints import NAME, PREVIOUS, latest_checkpoint
from trpo_fast.storage.policy_file import load_policy_file

FAST = {"n_steps": 50, "n_critic_updates": 2, "batch_size": 32, "policy_kwargs": {"net_arch": (8,)}, "seed": 3}


def everything(model):
    return [
        *(getattr(model, name).tobytes() for name in ("theta", "value_theta")),
        model.policy.normalizer.statistics.mean.tobytes(),
        model.return_statistics.var.tobytes(),
        model.num_timesteps,
        repr({name: value for name, value in model.metrics.items() if not name.startswith("time/")}),
        model.metrics["time/iterations"],
    ]


def assert_resumes(env, tmp_path, iterations=(3, 4), **arguments):
    """learn(a), save, load into new environments, learn(b): the same as learn(a + b)."""
    settings = {**FAST, **arguments}
    transitions = settings["n_steps"] * settings.get("n_envs", 1)
    before, after = (n * transitions for n in iterations)
    whole = TRPO("MlpPolicy", env(), **settings).learn(before + after)
    TRPO("MlpPolicy", env(), **settings).learn(before).save(tmp_path / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resumed = TRPO.load(tmp_path / "model", env()).learn(after, reset_num_timesteps=False)
    assert everything(resumed) == everything(whole)


@pytest.mark.parametrize("n_envs", [1, 3])
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1", "Acrobot-v1"])
def test_classic_control(env_id, n_envs, tmp_path):
    assert_resumes(lambda: env_id, tmp_path, n_envs=n_envs)


@pytest.mark.parametrize("env_id", ["Hopper-v5", "Ant-v5", "Humanoid-v5"])
def test_mujoco(env_id, tmp_path):
    pytest.importorskip("mujoco")
    assert_resumes(lambda: env_id, tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "float64"},
        {"normalize_returns": False},
        {"normalize_observations": False},
        {"normalize_reward": True, "ent_coef": 0.01},
    ],
)
def test_every_normaliser_and_dtype(options, tmp_path):
    assert_resumes(lambda: "CartPole-v1", tmp_path, **options)


def test_factories_and_wrappers(tmp_path):
    def make():
        return gym.wrappers.ClipAction(gym.make("Pendulum-v1", max_episode_steps=33))

    assert_resumes(lambda: [make, make], tmp_path)


def test_predict_goes_on_in_its_stream(tmp_path):
    model = TRPO("MlpPolicy", "CartPole-v1", **FAST).learn(100)
    model.predict(np.zeros(4))
    model.save(tmp_path / "model")
    loaded = TRPO.load(tmp_path / "model")
    observations = np.zeros((64, 4))
    np.testing.assert_array_equal(loaded.predict(observations)[0], model.predict(observations)[0])


def test_a_file_loaded_without_environments_keeps_their_state(tmp_path):
    TRPO("MlpPolicy", "CartPole-v1", n_envs=2, **FAST).learn(100).save(tmp_path / "a")
    TRPO.load(tmp_path / "a").save(tmp_path / "b")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_checkpoints_change_nothing(tmp_path):
    plain = TRPO("MlpPolicy", "CartPole-v1", **FAST).learn(300)
    model = TRPO("MlpPolicy", "CartPole-v1", **FAST)
    model.sinks.append(Checkpoints(model, tmp_path, every=50))
    model.learn(300)
    assert everything(model) == everything(plain)
    assert TRPO.load(tmp_path / NAME).num_timesteps == 300
    assert TRPO.load(tmp_path / PREVIOUS).num_timesteps == 250


def test_checkpoints_come_every_so_many_transitions(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(TRPO, "save", lambda model, path, previous: saved.append(model.num_timesteps))
    model = TRPO("MlpPolicy", "CartPole-v1", **FAST)
    model.sinks.append(Checkpoints(model, tmp_path, every=120))
    model.learn(500)
    assert saved == [150, 300, 450]
    model.learn(100)
    assert saved[3:] == [50]


def test_checkpoints_of_an_interrupted_learn_hold_the_last_whole_iteration(tmp_path, monkeypatch):
    whole = TRPO("MlpPolicy", "CartPole-v1", **FAST).learn(400)
    model = TRPO("MlpPolicy", "CartPole-v1", **FAST)
    model.sinks.append(Checkpoints(model, tmp_path, every=150))
    callback = interrupt_at("a step", model, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        model.learn(400, callback)
    assert TRPO.load(tmp_path / PREVIOUS).num_timesteps == 150
    resumed = TRPO.load(latest_checkpoint(tmp_path), "CartPole-v1")
    assert resumed.num_timesteps == 200 == model.num_saved_timesteps
    assert everything(resumed.learn(200, reset_num_timesteps=False)) == everything(whole)


def test_a_second_ctrl_c_waits_for_the_checkpoint(tmp_path, monkeypatch):
    """Also one that arrives while an iteration is committed: the sinks get every iteration that is."""
    rows = []

    class Sink:
        def write(self, metrics):
            signal.raise_signal(signal.SIGINT)
            rows.append(metrics["time/total_timesteps"])

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        model = TRPO("MlpPolicy", "CartPole-v1", **FAST)
        model.sinks += [Sink(), Checkpoints(model, tmp_path, every=10**6)]
        save = model.save
        monkeypatch.setattr(model, "save", lambda *a, **k: (signal.raise_signal(signal.SIGINT), save(*a, **k)))
        with pytest.raises(KeyboardInterrupt):
            model.learn(400)
    finally:
        signal.signal(signal.SIGINT, before)
    assert rows == [50]
    assert TRPO.load(tmp_path / NAME).num_timesteps == 50


def test_a_sink_that_fails_at_the_end_does_not_hide_why_training_ended(tmp_path):
    class Failing:
        def write(self, metrics):
            raise ZeroDivisionError

        def interrupted(self):
            raise TypeError("late")

    model = TRPO("MlpPolicy", "CartPole-v1", **FAST)
    model.sinks += [Failing(), Checkpoints(model, tmp_path, every=10**6)]
    with pytest.raises(ZeroDivisionError), pytest.warns(RuntimeWarning, match="late"):
        model.learn(100)
    assert TRPO.load(tmp_path / NAME).num_timesteps == 50


@pytest.mark.parametrize(
    ("env", "reason"),
    [
        (lambda: CountingEnv(), "CountingEnv"),
        (lambda: gym.make_vec("CartPole-v1", 2, vectorization_mode="sync"), "SyncVectorEnv"),
    ],
    ids=["unknown environment", "VectorEnv"],
)
def test_a_warning_says_why_episodes_cannot_continue(env, reason, tmp_path):
    TRPO("MlpPolicy", env(), **FAST).learn(100).save(tmp_path / "model")
    loaded = TRPO.load(tmp_path / "model", env())
    with pytest.warns(ResumeWarning, match=rf"new episodes.*{reason}"):
        loaded.learn(100, reset_num_timesteps=False)
    assert loaded.num_timesteps >= 200


def test_other_environments_than_the_files(tmp_path):
    TRPO("MlpPolicy", "CartPole-v1", **FAST).learn(100).save(tmp_path / "model")
    for env in (gym.wrappers.RecordEpisodeStatistics(gym.make("CartPole-v1")), [lambda: gym.make("CartPole-v1")] * 2):
        with pytest.warns(ResumeWarning, match="new episodes"):
            TRPO.load(tmp_path / "model", env).learn(100, reset_num_timesteps=False)


def interrupt_at(place, model, monkeypatch):
    """Let the third iteration of ``model`` end in KeyboardInterrupt; returns the callback for ``learn``."""

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.undo()
    if place == "a step":
        return lambda *_: interrupted() if model.num_timesteps >= 250 else None
    monkeypatch.setattr(f"trpo_fast.training.{place}", interrupted)
    return None


@pytest.mark.parametrize(
    ("place", "n_workers"),
    [("a step", 0), ("a step", 2), ("loop.make_iteration_batch", 0), ("iteration.trpo_update", 0), ("loop.commit", 0)],
)
def test_a_file_saved_during_an_iteration_holds_the_last_whole_one(place, n_workers, tmp_path, monkeypatch):
    settings = {**FAST, "n_envs": 2}
    whole = TRPO("MlpPolicy", "CartPole-v1", **settings).learn(500)
    model = TRPO("MlpPolicy", "CartPole-v1", n_workers=n_workers, **settings).learn(200)
    callback = interrupt_at(place, model, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        model.learn(300, callback, reset_num_timesteps=False)
    monkeypatch.undo()
    model.save(tmp_path / "model")
    assert model.num_saved_timesteps == 200
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resumed = TRPO.load(tmp_path / "model", "CartPole-v1").learn(300, reset_num_timesteps=False)
    assert everything(resumed) == everything(whole)
    if n_workers:
        model.env.close()


def test_a_file_saved_in_the_first_rollout_holds_its_beginning(tmp_path):
    whole = TRPO("MlpPolicy", "Pendulum-v1", **FAST).learn(100)
    model = TRPO("MlpPolicy", "Pendulum-v1", **FAST)
    model.learn(100, callback=lambda *_: model.num_timesteps < 30)
    model.save(tmp_path / "model")
    resumed = TRPO.load(tmp_path / "model", "Pendulum-v1")
    assert resumed.num_timesteps == 0
    assert everything(resumed.learn(100, reset_num_timesteps=False)) == everything(whole)


def test_a_file_saved_before_training_begins_as_a_new_model(tmp_path):
    whole = TRPO("MlpPolicy", "Pendulum-v1", **FAST)
    whole.save(tmp_path / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = TRPO.load(tmp_path / "model", "Pendulum-v1").learn(100, reset_num_timesteps=False)
    assert everything(loaded) == everything(whole.learn(100))


def test_files_saved_by_another_thread_are_of_whole_iterations(tmp_path, monkeypatch):
    """Files written while training goes on, and slowly; each resumes bit-identically."""
    settings = {**FAST, "n_steps": 20}
    whole = TRPO("MlpPolicy", "CartPole-v1", **settings).learn(240)
    model = TRPO("MlpPolicy", "CartPole-v1", **settings)
    stop, paths = threading.Event(), []

    def slow(function):
        def call():
            result = function()
            if threading.current_thread() is saver:
                time.sleep(0.01)
            return result

        return call

    def save():
        while not stop.is_set():
            paths.append(tmp_path / f"{len(paths)}.safetensors")
            model.save(paths[-1])

    saver = threading.Thread(target=save)
    for owner, name in ((model, "get_training_state"), (model.env, "get_state")):
        monkeypatch.setattr(owner, name, slow(getattr(owner, name)))
    model.sinks.append(type("Sink", (), {"write": lambda *_: time.sleep(0.002)})())  # between two rollouts
    saver.start()
    model.learn(240)
    stop.set()
    saver.join()
    assert everything(model) == everything(whole)
    counts = set()
    for path in paths[:: max(1, len(paths) // 12)]:
        resumed = TRPO.load(path, "CartPole-v1")
        counts.add(resumed.num_timesteps)
        if (missing := 240 - resumed.num_timesteps) > 0:
            assert everything(resumed.learn(missing, reset_num_timesteps=False)) == everything(whole)
    assert len(counts) > 1  # of several iterations


def test_a_new_training_of_a_loaded_model_is_silent(tmp_path):
    TRPO("MlpPolicy", CountingEnv(), **FAST).learn(100).save(tmp_path / "model")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TRPO.load(tmp_path / "model", CountingEnv()).learn(50)


def test_n_envs_of_the_file(tmp_path):
    TRPO("MlpPolicy", "CartPole-v1", n_envs=3, **FAST).save(tmp_path / "model")
    assert TRPO.load(tmp_path / "model", "CartPole-v1").n_envs == 3
    assert TRPO.load(tmp_path / "model").n_envs == 3
    assert TRPO.load(tmp_path / "model", "CartPole-v1", n_envs=2).n_envs == 2
    TRPO("MlpPolicy", counting_factories(2), **FAST).save(tmp_path / "model")
    assert TRPO.load(tmp_path / "model", counting_factories(1)).n_envs == 1


@pytest.mark.parametrize(
    "env_id", ["MountainCar-v0", "MountainCarContinuous-v0", "CliffWalking-v1", TAXI, "Blackjack-v1"]
)
def test_states_of_numpy_scalars_and_lists(env_id, tmp_path):
    assert_resumes(lambda: env_id, tmp_path)


def test_set_env_after_load_goes_on_bit_for_bit(tmp_path):
    whole = TRPO("MlpPolicy", "CartPole-v1", **FAST).learn(350)
    TRPO("MlpPolicy", "CartPole-v1", **FAST).learn(150).save(tmp_path / "model")
    resumed = TRPO.load(tmp_path / "model")
    resumed.set_env("CartPole-v1")
    resumed.learn(200, reset_num_timesteps=False)
    assert everything(resumed) == everything(whole)


def test_a_seed_given_to_load_counts(tmp_path):
    TRPO("MlpPolicy", "CartPole-v1", **FAST).learn(100).save(tmp_path / "model")
    thetas = [TRPO.load(tmp_path / "model", "CartPole-v1", seed=seed).learn(50).theta for seed in (1, 2, 1)]
    assert thetas[0].tobytes() == thetas[2].tobytes() != thetas[1].tobytes()


@pytest.mark.filterwarnings("ignore:training continues")
def test_new_episodes_have_new_starts_and_new_noise(tmp_path):
    env = CountingEnv()
    model = TRPO("MlpPolicy", env, **FAST).learn(100)
    noise = [stream.bit_generator.state for stream in model._training.streams.action_noise]
    model.save(tmp_path / "model")
    other = CountingEnv()
    loaded = TRPO.load(tmp_path / "model", other)
    assert [stream.bit_generator.state for stream in loaded._training.streams.action_noise] == noise
    loaded.learn(50, reset_num_timesteps=False)
    assert env.seeds[0] == model.seed != other.seeds[0]


class Stubborn(CountingEnv):
    def get_state(self):
        return {"not plain": object()}

    def set_state(self, state):
        raise NotImplementedError


def test_a_failing_get_state_does_not_prevent_saving(tmp_path):
    model = TRPO("MlpPolicy", Stubborn(), **FAST).learn(100)
    with pytest.warns(ResumeWarning, match="plain values"):
        model.save(tmp_path / "model")
    assert TRPO.load(tmp_path / "model").theta.tobytes() == model.theta.tobytes()


def test_many_episodes_fit_into_a_file(tmp_path):
    model = TRPO("MlpPolicy", CountingEnv(lengths=(1,)), stats_window_size=50_000, **{**FAST, "n_steps": 50_000})
    model.learn(50_000).save(tmp_path / "model")
    assert TRPO.load(tmp_path / "model").num_timesteps == 50_000


TRAIN = ["train", "CartPole-v1", "-n", "2000", "--n-steps", "100", "--seed", "3", "--n-critic-updates", "2"]
TRAIN += ["--no-progress-bar", "--checkpoint-every", "200"]


TIMES = ("time/fps", "time/time_elapsed", "time/share")


def metrics_of(folder):
    with (folder / "progress.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if not k.startswith(TIMES)} for row in rows]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    main([*TRAIN, "--out", str(folder)])
    return folder


@pytest.mark.skipif(sys.platform == "win32", reason="kills with SIGKILL")
@pytest.mark.parametrize("rows", [1, 7, 13])
def test_resume_after_a_kill(rows, uninterrupted, tmp_path):
    command = [sys.executable, "-c", "from trpo_fast.cli import main; main()", *TRAIN, "--out", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    progress = tmp_path / "progress.csv"
    while process.poll() is None and not (progress.exists() and progress.read_text().count("\n") > rows):
        time.sleep(0.002)
    process.kill()
    process.wait()
    main(["resume", str(tmp_path), "--no-progress-bar"])
    assert (tmp_path / "policy.safetensors").read_bytes() == (uninterrupted / "policy.safetensors").read_bytes()
    assert metrics_of(tmp_path) == metrics_of(uninterrupted)


def test_resume_for_longer(tmp_path, uninterrupted):
    main([*TRAIN[:3], "1000", *TRAIN[4:], "--out", str(tmp_path)])
    main(["resume", str(tmp_path), "-n", "2000", "--no-progress-bar"])
    assert TRPO.load(tmp_path / "policy").theta.tobytes() == TRPO.load(uninterrupted / "policy").theta.tobytes()


def test_resume_of_a_finished_run_trains_no_more(uninterrupted, capsys):
    before = TRPO.load(uninterrupted / "policy").theta.tobytes()
    main(["resume", str(uninterrupted), "--no-progress-bar"])
    assert TRPO.load(uninterrupted / "policy").theta.tobytes() == before


def test_train_does_not_overwrite_a_run(uninterrupted, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*TRAIN, "--out", str(uninterrupted)])
    assert stop.value.code == 2
    assert "trpo-fast resume" in capsys.readouterr().err


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", '{"config": {"gamma": "x"}}'])
def test_resume_without_a_run(text, tmp_path, capsys):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(SystemExit) as stop:
        main(["resume", str(tmp_path)])
    assert stop.value.code == 2
    assert "trpo-fast: " in capsys.readouterr().err


class TestLatestCheckpoint:
    @pytest.fixture
    def folder(self, tmp_path):
        model = TRPO("MlpPolicy", "CartPole-v1", **FAST)
        model.sinks.append(Checkpoints(model, tmp_path, every=50))
        model.learn(100)
        return tmp_path

    def test_is_the_newer(self, folder):
        assert latest_checkpoint(folder) == folder / NAME

    @pytest.mark.parametrize(
        "damage", [lambda p: p.unlink(), lambda p: os.truncate(p, 2000)], ids=["gone", "truncated"]
    )
    @pytest.mark.filterwarnings("ignore:.*trying the previous checkpoint")
    def test_is_the_one_before_if_that_is_damaged(self, folder, damage):
        damage(folder / NAME)
        assert latest_checkpoint(folder) == folder / PREVIOUS

    @pytest.mark.filterwarnings("ignore:.*trying the previous checkpoint")
    def test_is_an_error_if_both_are(self, folder):
        for name in (NAME, PREVIOUS):
            os.truncate(folder / name, 100)
        with pytest.raises(PolicyFileError):
            latest_checkpoint(folder)

    def test_is_none_before_the_first(self, tmp_path):
        assert latest_checkpoint(tmp_path) is None


@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
def test_a_full_disk_neither_stops_training_nor_loses_a_checkpoint(call, tmp_path, monkeypatch):
    model = TRPO("MlpPolicy", "CartPole-v1", **FAST)
    model.sinks.append(Checkpoints(model, tmp_path, every=50))
    model.learn(100)
    files = {name: (tmp_path / name).read_bytes() for name in (NAME, PREVIOUS)}

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        owner, name = {
            "fsync": (os, "fsync"),
            "replace": (type(tmp_path), "replace"),
            "open": (type(tmp_path), "open"),
        }[call]
        patch.setattr(owner, name, full)
        with pytest.warns(RuntimeWarning, match="no checkpoint at 150 transitions.*No space left") as warned:
            model.learn(100, reset_num_timesteps=False)
        assert len(warned) == 1  # though every iteration tries
    assert {name: (tmp_path / name).read_bytes() for name in files} == files
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(files)
    model.learn(50, reset_num_timesteps=False)
    assert TRPO.load(tmp_path / NAME).num_timesteps == 250


def test_the_file_holds_plain_safetensors(tmp_path):
    TRPO("MlpPolicy", "CartPole-v1", **FAST).learn(100).save(tmp_path / "model")
    tensors, metadata = load_policy_file(tmp_path / "model.safetensors")
    (stream,) = (tensor for name, tensor in tensors.items() if name.startswith("training.order_stream"))
    assert stream.dtype == np.uint64
    assert metadata["training"]["dict"]["not_resumable"] == ""
