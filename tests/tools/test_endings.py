"""Every way of ending ``trpo-fast train`` and ``resume``: what is saved, what is said, what a resumed run becomes."""

import csv
import errno
import os
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest

from trpo_fast import TRPO
from trpo_fast._core.files import locked
from trpo_fast.cli import main
from trpo_fast.cli.train import Train
from trpo_fast.sampling.workers import ParallelSampler
from trpo_fast.storage.checkpoints import NAME, PREVIOUS

TRAIN = ["train", "CartPole-v1", "-n", "600", "--n-steps", "100", "--seed", "3", "--n-critic-updates", "1"]
TRAIN += ["--no-progress-bar", "--net-arch", "8", "--log-interval", "1"]
OF_THE_PROCESS = ("time/", "rollout/worker_restarts")  # columns that depend on more than the settings
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def end(*words):
    """Run a command; returns its exit code."""
    try:
        main([*map(str, words), *(["--no-progress-bar"] if words[0] == "resume" else [])])
    except SystemExit as stop:
        return stop.code
    return 0


def rows(folder):
    with (folder / "progress.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    return [{name: value for name, value in row.items() if not name.startswith(OF_THE_PROCESS)} for row in read]


def episodes(folder):
    return [line.rpartition(",")[0] for line in (folder / "monitor.csv").read_text().splitlines()[1:]]


def assert_same_run(folder, whole):
    assert (folder / "policy.safetensors").read_bytes() == (whole / "policy.safetensors").read_bytes()
    assert rows(folder) == rows(whole)
    assert episodes(folder) == episodes(whole)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    main([*TRAIN, "--out", str(folder)])
    return folder


def in_iteration(number, monkeypatch, act):
    """Call ``act`` within an iteration, between rollout and update."""
    from trpo_fast.training import loop

    make, calls = loop.make_iteration_batch, []

    def patched(*arguments):
        calls.append(None)
        if len(calls) == number:
            act()
        return make(*arguments)

    monkeypatch.setattr(loop, "make_iteration_batch", patched)


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("iteration", [1, 4])
def test_a_signal_saves_the_last_whole_iteration(number, iteration, tmp_path, whole, monkeypatch, capsys):
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    monkeypatch.setattr(signal, "default_int_handler", signal.getsignal(signal.SIGINT))  # of pytest's runner
    with monkeypatch.context() as patch:
        in_iteration(iteration, patch, lambda: [signal.raise_signal(number) for _ in range(2)])  # as timeout does
        assert end(*TRAIN, "--out", tmp_path / "my run") == 128 + number
    n, folder = 100 * (iteration - 1), tmp_path / "my run"
    expected = f"trpo-fast: stopped after {n} steps; continue with: trpo-fast resume '{folder}'\n"
    assert capsys.readouterr().err == expected
    assert TRPO.load(folder / "policy").num_timesteps == n
    assert TRPO.load(folder / NAME).num_timesteps == n
    assert handlers == [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    assert end("resume", folder) == 0
    assert_same_run(folder, whole)


@POSIX
def test_a_resumed_run_can_be_interrupted_again_and_signals_while_saving_wait(tmp_path, whole, monkeypatch):
    save = TRPO.save

    def interrupted_save(self, *arguments, **options):
        signal.raise_signal(signal.SIGTERM)
        save(self, *arguments, **options)

    for words in ([*TRAIN, "--out", tmp_path], ["resume", tmp_path], ["resume", tmp_path]):
        with monkeypatch.context() as patch:
            in_iteration(2, patch, lambda: signal.raise_signal(signal.SIGTERM))
            patch.setattr(TRPO, "save", interrupted_save)
            assert end(*words, *(["--checkpoint-every", "0"] if words[0] == "train" else [])) == 143
    assert TRPO.load(tmp_path / "policy").num_timesteps == 300
    assert not (tmp_path / NAME).exists()
    assert end("resume", tmp_path) == 0
    assert_same_run(tmp_path, whole)


@POSIX
def test_a_signal_while_a_finished_run_is_saved_has_no_effect(tmp_path, whole, monkeypatch):
    save = TRPO.save
    monkeypatch.setattr(TRPO, "save", lambda *a, **k: (signal.raise_signal(signal.SIGTERM), save(*a, **k)))
    assert end(*TRAIN, "--out", tmp_path) == 0
    assert_same_run(tmp_path, whole)


@POSIX
def test_an_ignored_signal_stays_ignored(tmp_path, whole, monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    try:
        in_iteration(2, monkeypatch, lambda: signal.raise_signal(signal.SIGHUP))
        assert end(*TRAIN, "--out", tmp_path) == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert_same_run(tmp_path, whole)


def fail():
    raise ZeroDivisionError


def full():
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def gone():
    raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


@pytest.mark.parametrize(("act", "code"), [(fail, None), (full, 1), (gone, 141), (lambda: sys.exit(7), 7)])
def test_an_error_saves_the_last_whole_iteration(act, code, tmp_path, whole, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        in_iteration(3, patch, act)
        if code is None:
            with pytest.raises(ZeroDivisionError):
                end(*TRAIN, "--out", tmp_path)
        else:
            assert end(*TRAIN, "--out", tmp_path) == code
    assert "stopped after 200 steps; continue with: trpo-fast resume" in capsys.readouterr().err
    assert end("resume", tmp_path) == 0
    assert_same_run(tmp_path, whole)


@pytest.mark.slow
def test_the_death_of_a_worker_saves_the_last_whole_iteration(tmp_path, monkeypatch, capsys):
    words = [*TRAIN, "--n-envs", "2", "--n-workers", "2"]
    collect, calls = ParallelSampler.collect, []

    def dying(self, *arguments):
        calls.append(None)
        if len(calls) == 3:
            self._workers[1]._process.kill()
        return collect(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ParallelSampler, "collect", dying)
        assert end(*words, "--out", tmp_path / "a") == 1
    assert "stopped after 400 steps" in capsys.readouterr().err
    assert end("resume", tmp_path / "a") == 0
    assert end(*words[:-1], "0", "--out", tmp_path / "b") == 0
    a, b = (tmp_path / name / "policy.safetensors" for name in "ab")
    assert a.read_bytes() == b.read_bytes()


def test_a_run_whose_environments_cannot_be_saved_says_that_new_episodes_begin(tmp_path, monkeypatch, capsys):
    monkeypatch.delitem(sys.modules["trpo_fast.environments.snapshots.adapters"].ATTRIBUTES, CARTPOLE)
    in_iteration(3, monkeypatch, full)
    assert end(*TRAIN, "--out", tmp_path) == 1
    assert f"resume {tmp_path} (new episodes begin: {CARTPOLE}" in capsys.readouterr().err


CARTPOLE = "gymnasium.envs.classic_control.cartpole.CartPoleEnv"


@pytest.mark.parametrize("times", [1, 100])
def test_a_policy_that_the_disk_refuses_is_tried_again_and_said_loudly(times, tmp_path, monkeypatch, capsys):
    save, refused = TRPO.save, []

    def refusing(self, path, **options):
        if path.name == "policy.safetensors" and len(refused) < times:
            refused.append(path)
            full()
        save(self, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr("trpo_fast.cli.ending.WAITS", (0.0, 0.0))
        patch.setattr(TRPO, "save", refusing)
        code = end(*TRAIN[:3], "500", *TRAIN[4:], "--out", tmp_path, "--checkpoint-every", "200")
    error = capsys.readouterr().err
    if times == 1:
        assert (code, error) == (0, "")
        return
    assert code == 1
    assert "stopped after 500 steps, but policy.safetensors COULD NOT BE SAVED: [Errno 28] No space left" in error
    assert not (tmp_path / PREVIOUS).exists()  # to make room
    assert f"400 steps are saved; continue with: trpo-fast resume {tmp_path}" in error
    assert end("resume", tmp_path) == 0
    assert TRPO.load(tmp_path / "policy").num_timesteps == 500


def test_resume_takes_the_newest_file_and_never_replaces_it_by_an_older_one(tmp_path, whole, monkeypatch):
    assert end(*TRAIN[:3], "400", *TRAIN[4:], "--out", tmp_path, "--checkpoint-every", "300") == 0
    assert TRPO.load(tmp_path / NAME).num_timesteps == 300 < TRPO.load(tmp_path / "policy").num_timesteps
    in_iteration(1, monkeypatch, full)
    assert end("resume", tmp_path, "-n", "600") == 1
    assert TRPO.load(tmp_path / "policy").num_timesteps == 400
    monkeypatch.undo()
    assert end("resume", tmp_path, "-n", "600") == 0
    assert TRPO.load(tmp_path / "policy").theta.tobytes() == TRPO.load(whole / "policy").theta.tobytes()


DAMAGED = ("progress.csv", "monitor.csv", "evaluations.npz", "config.json", NAME, "policy.safetensors")


@pytest.mark.parametrize("damage", [b"\xff\0", b"PK\3\4" + bytes(60), b"[1, 2]\n"])
def test_resume_survives_damaged_files(damage, tmp_path, whole):
    """It goes on from the one file that is whole, and keeps the others under another name."""
    evaluate = ["--eval-freq", "150", "--eval-episodes", "1"]
    words = [*TRAIN[:3], "300", *TRAIN[4:], *evaluate, "--checkpoint-every", "100", "--out", tmp_path]
    assert end(*words) == 0
    for name in DAMAGED:
        (tmp_path / name).write_bytes(damage)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert end("resume", tmp_path, "-n", "600") == 0
    assert TRPO.load(tmp_path / "policy").theta.tobytes() == TRPO.load(whole / "policy").theta.tobytes()
    said = "\n".join(str(warning.message) for warning in caught)
    for name in DAMAGED:
        assert (tmp_path / f"{name}.damaged").read_bytes() == damage
        assert f"{name}.damaged" in said
    with np.load(tmp_path / "evaluations.npz") as arrays:
        assert arrays["timesteps"].tolist() == [300, 450, 600]  # the checkpoint has 200 steps


def test_resume_of_a_run_whose_every_file_is_damaged_overwrites_none(tmp_path, capsys):
    assert end(*TRAIN, "--out", tmp_path, "--checkpoint-every", "100") == 0
    for name in (NAME, PREVIOUS, "policy.safetensors"):
        (tmp_path / name).write_bytes(b"damaged")
    assert end("resume", tmp_path) == 2
    assert NAME in capsys.readouterr().err
    assert (tmp_path / "policy.safetensors").read_bytes() == b"damaged"


def test_one_training_at_a_time_in_a_folder(tmp_path, whole, capsys):
    folder = tmp_path / "run"
    with locked("out", folder):
        assert end(*TRAIN, "--out", folder) == 2
        assert f"out: expected a folder in which no other training runs, got {folder}" in capsys.readouterr().err
    assert not folder.exists()
    with locked("run_dir", whole):
        assert end("resume", whole) == 2
    assert f"in use by process {os.getpid()}" in capsys.readouterr().err


def test_two_runs_that_begin_in_one_folder_at_once(tmp_path, monkeypatch):
    """The other one has written its settings, and ended, while this one was making its model."""
    make = Train.make_model
    monkeypatch.setattr(Train, "make_model", lambda self: (tmp_path / "config.json").write_text("{}") and make(self))
    assert end(*TRAIN, "--out", tmp_path) == 2
    assert (tmp_path / "config.json").read_text() == "{}"


def test_a_run_that_cannot_begin_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("trpo_fast.cli.train.write_settings", lambda *_: full())
    assert end(*TRAIN, "--out", tmp_path / "a" / "run") == 1
    assert not (tmp_path / "a" / "run").exists()


COMMAND = [sys.executable, "-c", "from trpo_fast.cli import main; main()"]


@POSIX
@pytest.mark.slow
@pytest.mark.parametrize(("output", "code"), [("head", 141), ("/dev/full", 1), ("closed", 0)])
def test_output_that_nobody_takes(output, code, tmp_path):
    words = [*COMMAND, *TRAIN, "--out", str(tmp_path)]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    if output == "head":
        words[words.index("-n") + 1] = "100000000"
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=buffered)
        process.stdout.readline()
        process.stdout.close()
    elif output == "closed":
        words = ["sh", "-c", 'exec "$@" >&-', "sh", *words]
        process = subprocess.Popen(words, stderr=subprocess.PIPE, env=buffered)
    else:
        with open(output, "w") as file:
            process = subprocess.Popen(words, stdout=file, stderr=subprocess.PIPE, env=buffered)
    error = process.communicate()[1].decode()
    assert process.returncode == code
    n = TRPO.load(tmp_path / "policy").num_timesteps
    assert error.count("\n") == {"head": 1, "/dev/full": 2, "closed": 0}[output]
    assert "Traceback" not in error
    assert code == 0 or f"stopped after {n} steps; continue with: trpo-fast resume" in error


@POSIX
@pytest.mark.slow
@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("n_workers", [0, 2])
def test_a_run_that_is_terminated_time_and_again_equals_an_uninterrupted_one(n_workers, tmp_path):
    """As ``timeout -s TERM`` does, and a terminal's Ctrl-C: signals to the whole process group, workers included."""
    words = [*TRAIN[:2], "-n", "16000", *TRAIN[4:], "--n-envs", "2", "--checkpoint-every", "1000"]
    assert end(*words, "--out", tmp_path / "whole") == 0
    command = [*words, "--n-workers", str(n_workers), "--out", str(tmp_path / "cut")]
    unbuffered = {**os.environ, "PYTHONUNBUFFERED": "1"}
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        process = subprocess.Popen(
            [*COMMAND, *command],
            stdout=subprocess.PIPE,
            bufsize=0,
            pipesize=4096,
            env=unbuffered,
            start_new_session=True,
        )
        for _ in range(80):  # lines of eight iterations; when it is a dozen more ahead, its pipe is full, and it waits
            process.stdout.readline()
        for _ in range(2):
            os.killpg(process.pid, number)
        process.communicate()
        assert process.returncode == 128 + number
        command = ["resume", str(tmp_path / "cut")]
    assert end(*command) == 0
    assert_same_run(tmp_path / "cut", tmp_path / "whole")
