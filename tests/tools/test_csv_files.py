"""The CSV files of a run: progress and episodes, and what a run that goes on makes of them."""

import csv
import json
from contextlib import closing

import numpy as np
import pytest
from envs import counting_factories

from trpo_fast import TRPO, ResumeWarning
from trpo_fast.monitoring.csv_files import MonitorFile

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


@pytest.mark.parametrize("before", ["", "#{", "r,l,t\n1,2,3\n", "#[]\n"])
def test_monitor_begins_anew_over_what_is_no_monitor_file(before, tmp_path):
    path = tmp_path / "monitor.csv"
    path.write_text(before)
    model = TRPO("MlpPolicy", counting_factories(1), **FAST)
    train(path, model, 40)
    path.write_text(before)
    train(path, model, 40)
    header, rows = read(path)
    assert header.keys() == {"t_start", "env_id"}
    assert rows


@pytest.mark.parametrize("n_workers", [0, 2])
def test_the_shares_of_an_iteration_add_up_to_nearly_one(n_workers):
    model = TRPO("MlpPolicy", counting_factories(2), n_workers=n_workers, **{**FAST, "n_steps": 1000}).learn(4000)
    if n_workers:
        model.env.close()
    shares = {name: model.metrics[f"time/share_of_{name}"] for name in ("environments", "policy", "update", "critic")}
    assert all(0.0 < share < 1.0 for share in shares.values())
    assert 0.5 < np.sum(list(shares.values())) <= 1.0
