"""The commands that look at what training left: evaluate, info, plot."""

import json
import os

import numpy as np
import pytest

from trpo_fast import TRPO, evaluate_policy
from trpo_fast.cli import main
from trpo_fast.monitoring.plots import confidence_band, read_run

TRAIN = ["train", "CartPole-v1", "-n", "600", "--n-steps", "200", "--n-critic-updates", "1", "--no-progress-bar"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    main([*TRAIN, "--seed", "1", "--out", str(folder)])
    return folder


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    return stop.value.code, capsys.readouterr().err


def test_evaluate_prints_the_episodes(run, capsys):
    main(["evaluate", str(run), "CartPole-v1", "--episodes", "3", "--seed", "5"])
    lines = capsys.readouterr().out.splitlines()
    expected = evaluate_policy(TRPO.load(run / "policy"), "CartPole-v1", 3, seed=5)
    for i, episode in enumerate(expected):
        assert lines[i] == f"episode {i}: return {episode.episode_return:.2f}, {episode.length} steps"
    assert lines[3].startswith(f"return {np.mean([e.episode_return for e in expected]):.2f} +/- ")


def test_evaluate_takes_a_file_and_env_kwargs(run, capsys):
    main(
        [
            "evaluate",
            str(run / "policy.safetensors"),
            "CartPole-v1",
            "--episodes",
            "1",
            "--env-kwargs",
            "max_episode_steps:4",
        ]
    )
    assert "4 steps" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # imageio leaves pipes open
def test_evaluate_writes_a_video(run, tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    pytest.importorskip("pygame")
    iio = pytest.importorskip("imageio.v3")
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    out = tmp_path / "out.mp4"
    main(
        [
            "evaluate",
            str(run),
            "CartPole-v1",
            "--episodes",
            "1",
            "--video",
            str(out),
            "--env-kwargs",
            "max_episode_steps:10",
        ]
    )
    frames = iio.imread(out)
    assert 2 <= len(frames) <= 11
    assert frames.std() > 0


def test_evaluate_of_nothing(tmp_path, capsys):
    code, error = refused(capsys, "evaluate", str(tmp_path / "absent"), "CartPole-v1")
    assert code == 1
    assert "absent" in error


def test_info(run, capsys):
    main(["info", str(run / "checkpoint")]) if (run / "checkpoint.safetensors").exists() else None
    main(["info", str(run / "policy")])
    text = capsys.readouterr().out
    assert "SHA-256 verified" in text
    assert "600 steps, 3 updates; resumes: bit-identically" in text
    assert "policy.layers.0.weight" in text
    assert "target_kl" in text


def test_info_of_a_damaged_file(run, tmp_path, capsys):
    content = bytearray((run / "policy.safetensors").read_bytes())
    content[-3] ^= 4
    (tmp_path / "x.safetensors").write_bytes(content)
    code, error = refused(capsys, "info", str(tmp_path / "x.safetensors"))
    assert code == 2
    assert "SHA-256" in error


class TestPlot:
    @pytest.mark.parametrize("suffix", ["png", "svg"])
    def test_curves(self, run, tmp_path, suffix):
        out = tmp_path / f"curves.{suffix}"
        main(["plot", str(run), str(run), "--out", str(out)])
        assert out.stat().st_size > 5000

    def test_diagnostics(self, run, tmp_path):
        main(["plot", str(run), str(run), "--out", str(tmp_path / "page.png"), "--diagnostics"])
        assert (tmp_path / f"page-{run.name}.png").stat().st_size > 20_000

    def test_other_metric_and_misuse(self, run, tmp_path, capsys):
        main(["plot", str(run), "--metric", "train/entropy", "--out", str(tmp_path / "a.png")])
        code, error = refused(capsys, "plot", str(run), "--metric", "train/nonsense", "--out", str(tmp_path / "b.png"))
        assert code == 2
        assert "train/entropy" in error

    @pytest.mark.parametrize("progress", [None, "", "time/total_timesteps\n"])
    def test_no_run(self, tmp_path, capsys, progress):
        if progress is not None:
            (tmp_path / "config.json").write_text(json.dumps({"env_id": "CartPole-v1"}))
            (tmp_path / "progress.csv").write_text(progress)
        code, error = refused(capsys, "plot", str(tmp_path))
        assert code == 2
        assert str(tmp_path) in error

    def test_a_run_is_read_as_it_was_written(self, run):
        columns = read_run(run).columns
        assert columns["time/total_timesteps"].tolist() == [200, 400, 600]
        assert np.isnan(columns["train/update_status"]).all()

    def test_confidence_band(self):
        """Of the mean of n normal values: about 1.96 sigma / sqrt(n) either side."""
        values = np.random.default_rng(0).normal(3.0, 2.0, size=(400, 50))
        low, high = confidence_band(values)
        np.testing.assert_allclose((high - low) / 2, 1.96 * 2.0 / 20.0, rtol=0.25)
        assert ((low < values.mean(axis=0)) & (values.mean(axis=0) < high)).all()
