"""The commands that look at what training left: evaluate, info, plot."""

import json
import os
import shutil

import numpy as np
import pytest
from gymnasium.envs.classic_control import CartPoleEnv

from trpo_fast import InvalidArgumentError, evaluate, load_policy, save_policy
from trpo_fast.cli import main
from trpo_fast.monitoring import plots
from trpo_fast.monitoring.plots import confidence_band, read_run
from trpo_fast.monitoring.video import make_recorder

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
    expected = evaluate(run / "policy", "CartPole-v1", 3, seed=5)
    for i, episode in enumerate(expected.episodes):
        assert lines[i] == f"episode {i}: return {episode.episode_return:.2f}, {episode.length} steps"
    assert lines[3].startswith(f"return {expected.mean:.2f} +/- ")


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


def test_a_run_a_file_and_a_name_are_the_same(run, tmp_path, capsys, monkeypatch):
    """The environment and its arguments are those of the run."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "short"
    main([*TRAIN, "--env-kwargs", "max_episode_steps:7", "--out", str(folder)])
    capsys.readouterr()
    words = [folder, folder / "policy.safetensors", "runs/short/policy", "runs/short", "short", "./runs/short/"]
    outputs = []
    for word in words:
        main(["evaluate", str(word), "--episodes", "1"])
        main(["evaluate", str(word), "--episodes", "1", "--env-kwargs", "max_episode_steps:5"])
        outputs.append(capsys.readouterr().out)
    assert set(outputs) == {outputs[0]}
    assert "length 7.0" in outputs[0]
    assert "length 5.0" in outputs[0]
    for word in words:
        main(["info", str(word)])
    main(["export", "short", "--format", "json"])
    main(["plot", "runs/short/policy", "--out", "a.svg"])
    assert (folder / "policy.json").exists()
    monkeypatch.chdir(folder)
    main(["info", "."])
    monkeypatch.chdir(tmp_path)
    (folder / "config.json").rename(tmp_path / "elsewhere.json")
    code, error = refused(capsys, "evaluate", str(folder))
    assert (code, error[:18]) == (2, "trpo-fast: env_id:")
    (folder / "policy.safetensors").unlink()
    assert refused(capsys, "info", "short") == (
        1,
        "trpo-fast: runs/short has no policy.safetensors and no checkpoint\n",
    )
    assert refused(capsys, "info", "shrt")[1].endswith("named shrt (did you mean short?)\n")


def test_info_of_a_policy_that_no_training_wrote(run, tmp_path, capsys):
    save_policy(tmp_path / "acts", *load_policy(run / "policy"))
    main(["info", str(tmp_path / "acts")])
    text = capsys.readouterr().out
    main(["evaluate", str(tmp_path / "acts"), "CartPole-v1", "--episodes", "1", "--env-kwargs", "max_episode_steps:3"])
    assert "length 3.0" in capsys.readouterr().out
    assert "the file holds what acting needs" in text
    assert "policy.layers.0.weight" in text


def test_a_video_is_refused_before_the_episodes(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("trpo_fast.monitoring.video._imageio", lambda: None)
    code, error = refused(capsys, "evaluate", str(run), "--video", str(tmp_path / "a.xyz"))
    assert code == 2
    assert ".mp4" in error
    monkeypatch.setattr(CartPoleEnv, "render", lambda self: 1 / 0)
    code, error = refused(capsys, "evaluate", str(run), "--video", str(tmp_path / "sub" / "a.mp4"))
    assert (code, error) == (
        2,
        "trpo-fast: video: expected an environment that draws frames here, got division by zero\n",
    )


def test_without_a_screen_mujoco_is_told_to_use_egl(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "MUJOCO_GL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    seen = []

    def draw(self):
        seen.append((os.environ.get("MUJOCO_GL"), os.environ["SDL_VIDEODRIVER"]))
        raise RuntimeError("no OpenGL")

    monkeypatch.setattr(CartPoleEnv, "render", draw)
    with pytest.raises(InvalidArgumentError, match="by MUJOCO_GL=egl or MUJOCO_GL=osmesa"):
        make_recorder(lambda: CartPoleEnv("rgb_array"))
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("MUJOCO_GL", "glfw")
    with pytest.raises(InvalidArgumentError):
        make_recorder(lambda: CartPoleEnv("rgb_array"))
    assert seen == [("egl", "x11"), ("glfw", "x11")]


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
        main(["plot", str(run), str(run), "--out", str(tmp_path / "page.svg"), "--diagnostics"])
        assert (tmp_path / f"page-{run.name}.svg").stat().st_size > 20_000
        assert (tmp_path / f"page-{run.name}-2.svg").exists()

    def test_settings_are_colours_with_a_legend(self, run, tmp_path, capsys, monkeypatch):
        """A label names a folder or the folders of a pattern; what is said depends on their number."""
        drawn, draw = [], plots._draw_curves
        monkeypatch.setattr(plots, "_draw_curves", lambda *args: [drawn.append(args[2:]), draw(*args)])
        for i in range(6):
            shutil.copytree(run, tmp_path / f"{'a' if i else 'b'}{i}")
        (tmp_path / "a_without_a_run").mkdir()
        out = tmp_path / "sub" / "c.png"
        main(["plot", f"many={tmp_path}/a*", f"one={tmp_path}/b0", f"two={tmp_path}/[ab][01]", "--out", str(out)])
        lines = capsys.readouterr().out.splitlines()
        assert [label for _, label in drawn] == ["many (5 runs)", "one (1 run)", "two (2 runs)"]
        assert len({color for color, _ in drawn}) == 3
        two = "CartPole-v1, two (2 runs): thin lines are single runs; a confidence band needs 5"
        assert lines == [two, f"wrote {out}"]
        assert out.exists()

    def test_a_band_needs_five_runs(self):
        """Fewer are drawn as thin lines; all have their mean as a thick one."""
        figure = pytest.importorskip("matplotlib.figure").Figure()
        for n, thin, bands in ((1, 0, 0), (2, 2, 0), (4, 4, 0), (5, 0, 1), (8, 0, 1)):
            ax = figure.add_subplot()
            curves = [(np.array([0.0, 10.0 + i]), np.array([float(i), 10.0])) for i in range(n)]
            plots._draw_curves(ax, curves, "red", "label")
            widths = [line.get_linewidth() for line in ax.lines]
            assert (sum(w < 1 for w in widths), sum(w == 2 for w in widths), len(ax.collections)) == (thin, 1, bands)
        plots._draw_curves(
            ax, [(np.array([0.0, 1.0]), np.zeros(2)), (np.array([5.0, 6.0]), np.zeros(2))], "red", "apart"
        )

    def test_axes_have_words_and_units(self, run):
        assert set(plots.WORDS) >= {"rollout/ep_rew_mean", "train/kl_divergence_loss"}
        columns = {name for panel in plots.DIAGNOSTICS for name in panel.columns}
        assert columns <= read_run(run).columns.keys()
        assert all(panel.unit and "/" not in panel.unit for panel in plots.DIAGNOSTICS)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ([], "runs: expected folders of trpo-fast train, got none"),
            (["RUN", "--out", "curve.xyz"], "out: expected a file that ends with"),
            (["RUN", "--out", "curve"], "out: expected a file that ends with"),
            (["none=/nowhere/no_*"], "runs: expected a pattern that runs match, got '/nowhere/no_*'"),
            (["/nowhere"], "there is no file, folder or run named /nowhere"),
            (["RUN", "--metric", "train/update_status"], "with numbers"),
        ],
        ids=str,
    )
    def test_misuse_is_one_line(self, run, words, message, capsys):
        code, error = refused(capsys, "plot", *[str(run) if word == "RUN" else word for word in words])
        assert code in (1, 2)
        assert message in error
        assert error.count("\n") == 1

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
