"""The command line, as a person runs it."""

import csv
import json
import shlex
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

import trpo_fast
from trpo_fast import TRPO, AdaptiveRadius, LinearSchedule, TRPOConfig
from trpo_fast.cli import main
from trpo_fast.cli.numbers import parse_whole_number

TRAIN = ["train", "CartPole-v1", "-n", "600", "--n-steps", "200", "--n-critic-updates", "2", "--no-progress-bar"]


def test_train_leaves_policy_progress_and_settings(tmp_path):
    words = [*TRAIN, "--seed", "3", "--out", str(tmp_path)]
    main(words)
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["env_id"], config["seed"], config["config"]["n_steps"]) == ("CartPole-v1", 3, 200)
    assert config["command_line"] == shlex.join(["trpo-fast", *words])
    with (tmp_path / "progress.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["time/total_timesteps"]) for row in rows] == [200, 400, 600]
    assert {"rollout/ep_rew_mean", "rollout/ep_len_mean", "time/fps", "train/kl_divergence_loss"} <= rows[0].keys()
    model = TRPO.load(tmp_path / "policy", env="CartPole-v1")
    assert model.num_timesteps == 600
    assert model.config == TRPOConfig(n_steps=200, n_critic_updates=2)
    assert model.env.action_space.contains(model.predict(np.zeros(4, dtype=np.float32), deterministic=True)[0])


def test_a_vine_is_a_setting(tmp_path):
    vine = ["--method", "vine", "--vine-trunk-steps", "100", "--vine-states", "10", "--vine-horizon", "5"]
    main(["train", "CartPole-v1", "-n", "300", *vine, "--no-progress-bar", "--out", str(tmp_path)])
    model = TRPO.load(tmp_path / "policy")
    assert (model.config.method, model.config.vine_states) == ("vine", 10)
    assert model.num_timesteps > 300


def test_same_seed_same_policy_bit_for_bit(tmp_path):
    for name in ("a", "b"):
        main([*TRAIN, "--seed", "5", "--out", str(tmp_path / name)])
    assert (tmp_path / "a/policy.safetensors").read_bytes() == (tmp_path / "b/policy.safetensors").read_bytes()


def test_every_setting_is_an_option_with_its_help(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for name in (*TRPOConfig.__dataclass_fields__, "stats_window_size", "net_arch", "seed", "env_kwargs"):
        assert f"--{name.replace('_', '-')}" in text
    assert "Radius of the trust region" in text


def test_settings_and_env_kwargs_arrive(tmp_path):
    sizes = ["-n", "100", "--n-steps", "50", "--n-envs", "2", "--net-arch", "8"]
    options = ["--env-kwargs", "g:5.0", "--gamma", "0.9", "--no-normalize-observations", "--dtype", "float64"]
    main(["train", "Pendulum-v1", *sizes, *options, "--no-progress-bar", "--out", str(tmp_path)])
    model = TRPO.load(tmp_path / "policy.safetensors")
    assert model.config.gamma == 0.9
    assert model.policy.dtype == np.float64
    assert not model.policy.normalizer.enabled
    assert model.policy_kwargs["net_arch"] == [8]
    assert json.loads((tmp_path / "config.json").read_text())["env_kwargs"] == ["g:5.0"]


def test_default_output_folders_do_not_collide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        main([*TRAIN[:2], "-n", "50", "--n-steps", "50", "--no-progress-bar"])
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["CartPole-v1_1", "CartPole-v1_2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "NoSuchEnv-v0"], "NoSuchEnv"),
        (["train", "Pendlum-v1"], "did you mean Pendulum-v1?"),
        (["trian", "Pendulum-v1"], "did you mean train?"),
        (["train", "CartPole-v1", "--gamma", "2"], "gamma: expected a finite number >= 0 <= 1, got 2.0"),
        (["train", "CartPole-v1", "--gamma", "nan"], "gamma: expected a finite number"),
        (["train", "CartPole-v1", "--cg-max-steps", "0"], "cg_max_steps: expected an integer >= 1, got 0"),
        (["train", "CartPole-v1", "--n-steps", "1.5"], "expected a whole number, such as 1000000 or 1e6"),
        (["train", "CartPole-v1", "--n-envs", "0"], "n_envs"),
        (["train", "CartPole-v1", "--env-kwargs", "nonsense:1"], "nonsense"),
        (["train", "no_such_module:CartPole-v1"], "no_such_module"),
        (["train", "CartPole-v1", "--env-kwargs", "oops"], "env_kwargs: expected name:value"),
        (["train", "CarRacing-v3"], "env: expected"),
        (["train", "CartPole-v1", "--nonsense", "1"], "nonsense"),
        ([], "train"),
    ],
)
def test_misuse_exits_with_2_and_says_why(arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in "".join(capsys.readouterr())


def test_one_line_for_each_mistake(capsys):
    for words in (
        ["trian"],
        ["train", "CartPol-v1"],
        ["train", "CartPole-v1", "--target-kl", "-1"],
        ["info", "absent"],
    ):
        with pytest.raises(SystemExit):
            main(words)
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert error.startswith("trpo-fast: ")
        assert "Error(" not in error


def test_numbers_as_people_write_them(tmp_path):
    options = ["-n", "1e2", "--n-steps", "5e1", "--checkpoint-every", "1_000", "--n-critic-updates", "1"]
    main(["train", "CartPole-v1", *options, "--no-progress-bar", "--out", str(tmp_path)])
    settings = json.loads((tmp_path / "config.json").read_text())
    numbers = settings["total_timesteps"], settings["config"]["n_steps"], settings["checkpoint_every"]
    assert numbers == (100, 50, 1000)


@pytest.mark.parametrize("text", ["1.5", "1e400", "nan", "", "1,000", "0x10"])
def test_what_is_not_a_whole_number(text):
    with pytest.raises(ValueError, match="whole number"):
        parse_whole_number(text)


def test_a_number_replaces_the_schedule_of_a_file(tmp_path):
    (tmp_path / "zoo.yml").write_text("CartPole-v1: {learning_rate: lin_2e-3, target_kl: adaptive_0.02, n_steps: 200}")
    for name, words in (("a", ["--learning-rate", "1e-4"]), ("b", ["--target-kl", "lin_0.03"])):
        main([*TRAIN, "--conf", str(tmp_path / "zoo.yml"), *words, "--out", str(tmp_path / name)])
    a, b = (TRPO.load(tmp_path / name / "policy").config for name in "ab")
    assert (a.learning_rate, a.target_kl) == (1e-4, AdaptiveRadius(0.02))
    assert (b.learning_rate, b.target_kl) == (LinearSchedule(2e-3), LinearSchedule(0.03))


def test_schedules_on_the_command_line(tmp_path, capsys):
    options = ["--learning-rate", "lin_5e-4", "--target-kl", "adaptive_0.02", "--kl-penalty", "adaptive"]
    main([*TRAIN, *options, "--out", str(tmp_path / "a")])
    config = TRPO.load(tmp_path / "a" / "policy").config
    assert (config.learning_rate, config.target_kl) == (LinearSchedule(5e-4), AdaptiveRadius(0.02))
    for words in (["--gamma", "lin_0.9"], ["--learning-rate", "fast"], ["--learning-rate", "lin_fast"]):
        with pytest.raises(SystemExit) as stop:
            main([*TRAIN, *words, "--out", str(tmp_path / "b")])
        assert stop.value.code == 2
        assert "expected a" in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"trpo-fast {trpo_fast.__version__}\n"


def test_the_module_is_the_command():
    words = [sys.executable, "-m", "trpo_fast", "train", "CartPole-v1", "--gae-lambda", "7"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("trpo-fast: gae_lambda: expected")


def test_a_reader_that_leaves_is_no_error():
    code = "from trpo_fast.cli import main; main(['train', '--help'])"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_a_module_of_the_present_folder(tmp_path):
    entry = "entry_point='gymnasium.envs.classic_control:CartPoleEnv', max_episode_steps=30"
    (tmp_path / "my_env.py").write_text(f"import gymnasium\ngymnasium.register('Mine-v0', {entry})\n")
    short = ["-n", "64", "--n-steps", "64", "--no-progress-bar", "--out"]
    commands = [
        ["train", "my_env:Mine-v0", *short, "a"],
        ["train", "Mine-v0", "--env-package", "my_env", *short, "b"],
        ["evaluate", "b", "--episodes", "1"],
    ]
    code = f"import sys; sys.path.remove(''); from trpo_fast.cli import main; [main(words) for words in {commands}]"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "words",
    [["-n", "0"], ["--log-interval", "0"], ["--eval-freq", "-1"], ["--save-freq", "-1"], ["--eval-episodes", "0"]],
)
def test_a_refused_number_leaves_no_folder(tmp_path, words):
    with pytest.raises(SystemExit) as stop:
        main([*TRAIN, *words, "--out", str(tmp_path / "run")])
    assert stop.value.code == 2
    assert not (tmp_path / "run").exists()


def test_without_the_extra_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tyro", None)
    with pytest.raises(SystemExit) as stop:
        main(["train", "CartPole-v1"])
    assert stop.value.code == 2
    assert (
        capsys.readouterr().err == "trpo-fast: trpo-fast needs an optional dependency: pip install 'trpo-fast[cli]'\n"
    )


def test_the_last_line_says_how_it_ended_and_where_the_files_are(tmp_path, capsys):
    main([*TRAIN, "--seed", "1", "--out", str(tmp_path / "a")])
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first == f"CartPole-v1: seed 1, writing to {tmp_path / 'a'}"
    assert last.startswith("CartPole-v1: return ")
    assert "after 600 steps in " in last
    assert f"files in {tmp_path / 'a'};" in last


def test_settings_other_than_the_defaults_are_printed_once(tmp_path, capsys):
    (tmp_path / "zoo.yml").write_text("Pendulum-v1: {gae_lambda: 0.8}")
    short = ["-n", "64", "--n-steps", "64", "--n-critic-updates", "1", "--no-progress-bar", "--net-arch", "8"]
    lines = []
    for name, options in (("a", []), ("b", ["--no-tuned"]), ("c", ["--conf", str(tmp_path / "zoo.yml")])):
        main(["train", "Pendulum-v1", *short, *options, "--out", str(tmp_path / name)])
        (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("settings other than")]
        lines.append(line.removeprefix("settings other than the defaults "))
    given = "net_arch (8,), n_steps 64"
    assert lines[0] == f"(tuned; --no-tuned gives the defaults): {given}, gamma 0.9, n_critic_updates 1"
    assert lines[1] == f"(as given): {given}, n_critic_updates 1"
    assert lines[2].startswith(f"(from {tmp_path / 'zoo.yml'}): normalize_observations False, net_arch (8,), log_std")
    assert "gae_lambda 0.8, kl_reduction mean" in lines[2]


def test_v_reports_everything_and_nothing_that_is_nan(tmp_path, capsys):
    main([*TRAIN, "--log-interval", "1", "--out", str(tmp_path / "a"), "-v"])
    out = capsys.readouterr().out
    assert out.count("| train/") == 3
    assert "nan" not in out
    main(["resume", str(tmp_path / "a"), "-n", "1000", "--no-progress-bar", "-v"])  # log_interval is the run's
    assert capsys.readouterr().out.count("| train/") == 2


def test_ctrl_c_saves_and_exits_with_130(tmp_path, monkeypatch):
    def stop(self, metrics):
        raise KeyboardInterrupt

    monkeypatch.setattr("trpo_fast.cli.train.CSVFile.write", stop)
    with pytest.raises(SystemExit) as exit_:
        main([*TRAIN, "--out", str(tmp_path)])
    assert exit_.value.code == 130
    assert TRPO.load(tmp_path / "policy").num_timesteps == 200


def test_show_config_names_the_instruction_set(capsys):
    trpo_fast.show_config()
    assert trpo_fast.__version__ in capsys.readouterr().out
    assert gym.__version__
