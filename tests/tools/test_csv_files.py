"""The CSV files of a run: progress and episodes, and what a run that goes on makes of them."""

import csv
import errno
import json
import os
import subprocess
import sys
import warnings
from contextlib import closing, nullcontext
from pathlib import Path

import numpy as np
import pytest
from envs import counting_factories

from trpo_fast import TRPO, ResumeWarning
from trpo_fast.monitoring.csv_files import CSVFile, MonitorFile

FAST = {"n_steps": 40, "n_critic_updates": 1, "policy_kwargs": {"net_arch": (4,)}, "seed": 3}


def train(path, model, n):
    with closing(MonitorFile(model, path, "Counting")) as monitor:
        model.sinks.append(monitor)
        model.learn(n, reset_num_timesteps=False)
    model.sinks.clear()


def read(path):
    header, *rows = path.read_text().splitlines()
    return json.loads(header.removeprefix("#")), list(csv.DictReader(rows))


def test_monitor_has_every_episode_whatever_the_window(tmp_path):
    model = TRPO("MlpPolicy", counting_factories(2), stats_window_size=2, **FAST)
    train(tmp_path / "monitor.csv", model, 240)
    header, rows = read(tmp_path / "monitor.csv")
    assert header["env_id"] == "Counting"
    assert len(rows) == model.num_episodes > 10
    lengths = sum(int(row["l"]) for row in rows)
    assert 240 - 2 * 9 < lengths <= 240  # but for the two unfinished ones
    last = model.ep_info_buffer
    assert [(float(row["r"]), int(row["l"])) for row in rows[-2:]] == [(e["r"], e["l"]) for e in last]
    seconds = [float(row["t"]) for row in rows]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0.0


def test_monitor_of_a_run_that_goes_on_from_a_checkpoint_drops_what_came_after_it(tmp_path):
    path = tmp_path / "monitor.csv"
    whole = TRPO("MlpPolicy", "CartPole-v1", n_envs=2, **FAST)
    train(tmp_path / "whole.csv", whole, 480)
    model = TRPO("MlpPolicy", "CartPole-v1", n_envs=2, **FAST)
    train(path, model, 240)
    model.save(tmp_path / "model")
    train(path, model, 80)  # lost with its process
    with path.open("a") as file:
        file.write("12.0,3")  # a row that a kill cut short
    train(path, TRPO.load(tmp_path / "model", "CartPole-v1"), 240)
    (begun, rows), (_, expected) = read(path), read(tmp_path / "whole.csv")
    assert [(row["r"], row["l"]) for row in rows] == [(row["r"], row["l"]) for row in expected]
    assert begun["t_start"] < json.loads((tmp_path / "whole.csv").read_text().splitlines()[0][1:])["t_start"] + 60.0


def test_monitor_goes_on_where_the_environments_cannot(tmp_path):
    path = tmp_path / "monitor.csv"
    model = TRPO("MlpPolicy", counting_factories(2), **FAST)  # whose state cannot be read
    train(path, model, 240)
    model.save(tmp_path / "model")
    loaded = TRPO.load(tmp_path / "model", counting_factories(2))
    before = read(path)[1]
    assert loaded.num_episodes == len(before) > 0
    with pytest.warns(ResumeWarning):
        train(path, loaded, 240)
    after = read(path)[1]
    assert after[: len(before)] == before
    assert len(after) == loaded.num_episodes > len(before)


GARBAGE = [b"#{", b"r,l,t\n1,2,3\n", b"#[]\n", b"\xff\xfe\0\0", b'#{"t_start": 1.0}\nr,l\n1,2\n', b"#\n\0\n"]


@pytest.mark.parametrize("damage", [b"", *GARBAGE])
def test_monitor_of_a_resumed_run_sets_a_damaged_file_aside(damage, tmp_path):
    path = tmp_path / "monitor.csv"
    path.write_bytes(damage)
    model = TRPO("MlpPolicy", counting_factories(1), **FAST)
    train(path, model, 40)  # a new run replaces whatever is there
    path.write_bytes(damage)
    with pytest.warns(RuntimeWarning, match=r"monitor\.csv\.damaged") if damage else nullcontext():
        train(path, model, 40)
    header, rows = read(path)
    assert header["t_start"] > 0.0
    assert len(rows) == len(model.latest_episodes) > 0
    assert [p.read_bytes() for p in tmp_path.glob("*.damaged")] == ([damage] if damage else [])


def progress(path, after=0):
    return closing(CSVFile(path, after))


def write(path, *counts, after=0, **more):
    with progress(path, after) as file:
        for n in counts:
            file.write({"time/total_timesteps": n, **more})


def counts(path):
    with path.open(newline="") as file:
        return [int(row["time/total_timesteps"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace(b"20,x", b"2\xff\0,x"),
        lambda text: text.replace(b"20,x\n", b"20\n"),
        lambda text: text.replace(b"20,x\n", b"-,x\n"),
        lambda text: text.replace(b"20,x\n", b'20,"' + bytes(200_000) + b'"\n'),
    ],
    ids=["bytes", "columns", "count", "long"],
)
def test_progress_of_a_resumed_run_keeps_the_whole_rows_of_a_damaged_file(damage, tmp_path):
    path = tmp_path / "progress.csv"
    write(path, 10, 20, 30, 40, note="x")
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    with pytest.warns(RuntimeWarning, match=r"progress\.csv\.damaged"):
        write(path, 40, after=30)
    assert counts(path)[0] == 10
    assert 40 in counts(path)
    assert (tmp_path / "progress.csv.damaged").read_bytes() == damaged


@pytest.mark.parametrize("garbage", GARBAGE)
def test_progress_of_a_resumed_run_sets_garbage_aside(garbage, tmp_path):
    path = tmp_path / "progress.csv"
    path.write_bytes(garbage)
    with pytest.warns(RuntimeWarning, match=r"progress\.csv\.damaged"):
        write(path, 40, after=30)
    assert counts(path) == [40]


def test_a_last_row_that_a_kill_cut_short_is_no_damage(tmp_path):
    path = tmp_path / "progress.csv"
    write(path, 10, 20)
    with path.open("ab") as file:
        file.write(b"30")  # of 300
    write(path, 30, after=40)
    assert counts(path) == [10, 20, 30]
    assert len(list(tmp_path.iterdir())) == 1


REFUSALS = [errno.ENOSPC, errno.EIO, errno.EACCES]


@pytest.mark.parametrize("number", REFUSALS)
@pytest.mark.parametrize("new_column", [False, True])
def test_rows_that_the_disk_refuses_are_caught_up(new_column, number, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    path = tmp_path / "progress.csv"
    with progress(path) as file:
        file.write({"time/total_timesteps": 1})
        with monkeypatch.context() as patch:
            patch.setattr(Path, "open", refuse)
            with pytest.warns(RuntimeWarning, match=os.strerror(number)):
                file.write({"time/total_timesteps": 2})
            file.write({"time/total_timesteps": 3, **({"other": 1.5} if new_column else {})})  # silently
        assert counts(path) == [1]
        file.write({"time/total_timesteps": 4})
        assert counts(path) == [1, 2, 3, 4]
    if new_column:
        assert path.read_text().splitlines() == ["time/total_timesteps,other", "1,", "2,", "3,1.5", "4,"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_half_a_row_that_a_full_disk_leaves_is_removed(tmp_path):
    """In a process of its own, whose files may have 100 bytes: the write ends in the middle of a row."""
    code = """if True:
        import resource, signal, sys, warnings
        from pathlib import Path
        from trpo_fast.monitoring.csv_files import CSVFile
        warnings.simplefilter("ignore")
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        file = CSVFile(Path(sys.argv[1]))
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
        for n in range(9):
            file.write({"time/total_timesteps": n, "text": 20 * "x"})
        assert Path(sys.argv[1]).stat().st_size == 100
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        file.write({"time/total_timesteps": 9, "text": ""})
        file.close()
    """
    subprocess.run([sys.executable, "-c", code, tmp_path / "progress.csv"], check=True)
    expected = ["time/total_timesteps,text", *(f"{n},{20 * 'x'}" for n in range(9)), "9,"]
    assert (tmp_path / "progress.csv").read_text().splitlines() == expected


def test_files_that_never_take_a_row_do_not_end_training(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("trpo_fast.monitoring.csv_files.replace_file", refuse)
    model = TRPO("MlpPolicy", counting_factories(1), **FAST)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(tmp_path / "monitor.csv", model, 120)
    assert model.num_timesteps == 120
    assert ["No space left" in str(w.message) for w in caught] == [True, False]  # the second says what is missing


def test_a_file_that_somebody_removed_begins_again(tmp_path):
    path = tmp_path / "progress.csv"
    with progress(path) as file:
        file.write({"time/total_timesteps": 1})
        path.unlink()
        file.write({"time/total_timesteps": 2})
    assert counts(path) == [2]


@pytest.mark.parametrize("n_workers", [0, 2])
def test_the_shares_of_an_iteration_add_up_to_nearly_one(n_workers):
    model = TRPO("MlpPolicy", counting_factories(2), n_workers=n_workers, **{**FAST, "n_steps": 1000}).learn(4000)
    if n_workers:
        model.env.close()
    shares = {name: model.metrics[f"time/share_of_{name}"] for name in ("environments", "policy", "update", "critic")}
    assert all(0.0 < share < 1.0 for share in shares.values())
    assert 0.5 < np.sum(list(shares.values())) <= 1.0
