"""Hyperparameter files as RL Baselines3 Zoo has them, and where settings come from."""

import json

import numpy as np
import pytest

from trpo_fast import TRPO, InvalidArgumentError, LinearSchedule
from trpo_fast.cli import main
from trpo_fast.cli.hyperparameters import ZOO_DEFAULTS, read_hyperparameters
from trpo_fast.storage.hyperparameters import tuned_hyperparameters
from trpo_fast.storage.literals import parse_value

ZOO = """
CartPole-v1:
  n_envs: 2
  n_timesteps: !!float 400
  policy: 'MlpPolicy'
  n_steps: 100
  batch_size: 50
  learning_rate: lin_2e-3
  sub_sampling_factor: 1
  n_critic_updates: 3
  normalize: "{'norm_obs': False, 'norm_reward': False}"
  policy_kwargs: "dict(log_std_init=-2, ortho_init=False, activation_fn=nn.ReLU, net_arch=dict(pi=[16, 8], vf=[4]))"
Pendulum-v1:
  gamma: 0.9
  gym_wrapper: anything
"""
QUIET = ["--no-progress-bar", "--checkpoint-every", "0"]


@pytest.fixture
def conf(tmp_path):
    path = tmp_path / "trpo.yml"
    path.write_text(ZOO)
    return path


def test_a_section_of_the_zoo(conf):
    assert read_hyperparameters(conf, "CartPole-v1") == {
        **ZOO_DEFAULTS,
        "policy": "MlpPolicy",
        "n_envs": 2,
        "total_timesteps": 400,
        "n_steps": 100,
        "batch_size": 50,
        "learning_rate": LinearSchedule(2e-3),
        "sub_sampling_factor": 1,
        "n_critic_updates": 3,
        "normalize_observations": False,
        "normalize_reward": False,
        "log_std_init": -2,
        "ortho_init": False,
        "activation_fn": "relu",
        "net_arch": (16, 8),
        "net_arch_vf": (4,),
    }


def section(tmp_path, text, env_id="Pendulum-v1"):
    """What a section sets besides the zoo's defaults."""
    path = tmp_path / "zoo.yml"
    path.write_text(text)
    settings = read_hyperparameters(path, env_id)
    return {name: value for name, value in settings.items() if ZOO_DEFAULTS.get(name) != value}


def test_what_a_section_does_not_name_is_as_in_sb3_contrib(tmp_path):
    (tmp_path / "zoo.yml").write_text("Pendulum-v1: {gamma: 0.9}")
    out = tmp_path / "run"
    short = ["-n", "64", "--n-steps", "64", "--n-critic-updates", "1"]
    main(["train", "Pendulum-v1", "--conf", str(tmp_path / "zoo.yml"), *short, "--out", str(out), *QUIET])
    model = TRPO.load(out / "policy")
    assert (model.config.kl_reduction, model.config.step_norm) == ("mean", "damped")
    assert (model.config.normalize_reward, model.config.normalize_returns) == (False, False)
    assert not model.policy.normalizer.enabled
    assert model.policy_kwargs["log_std_init"] == 0.0


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("Pendulum-v1: {normalize: true, gamma: 0.9}",
         {"normalize_observations": True, "normalize_reward": True, "gamma": 0.9}),
        ("Pendulum-v1: {normalize: 'dict(norm_obs=False)'}", {"normalize_reward": True}),
        ("Pendulum-v1: {normalize: {norm_obs: True, norm_reward: False}}", {"normalize_observations": True}),
        ("Pendulum-v1: {learning_rate: lin_7.5e-4}", {"learning_rate": LinearSchedule(7.5e-4)}),
        ("Pendulum-v1: {env_kwargs: {g: 9.0, render_mode: none}}", {"env_kwargs": ("g:9.0", "render_mode:'none'")}),
        ("Pendulum-v1: {policy_kwargs: 'dict(net_arch=[dict(pi=[8], vf=[4])], activation_fn=th.nn.ELU)'}",
         {"net_arch": (8,), "net_arch_vf": (4,), "activation_fn": "elu"}),
        ("a: &a {gamma: 0.8}\nPendulum-v1: {<<: *a, n_steps: 7, use_sde: false, policy: MultiInputPolicy}",
         {"gamma": 0.8, "n_steps": 7, "policy": "MultiInputPolicy"}),
        ("Pendulum-v1: {policy: CnnPolicy, policy_kwargs: 'dict(features_extractor_class=NatureCNN, "
         "features_extractor_kwargs=dict(features_dim=64), normalize_images=False)'}",
         {"policy": "CnnPolicy", "features_extractor_class": "NatureCNN",
          "features_extractor_kwargs": {"features_dim": 64}, "normalize_images": False}),
        ("Pendulum-v1: {policy_kwargs: {share_features_extractor: True}}", {"share_features_extractor": True}),
        ("Pendulum-v1:\ndefault: {gamma: 0.8}", {}),
    ],
)  # fmt: skip
def test_entries_of_a_section(text, settings, tmp_path):
    assert section(tmp_path, text) == settings


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Pendulum-v1: {use_sde: True, sde_sample_freq: 4}", "use_sde.*no state-dependent exploration"),
        ("Pendulum-v1: {env_wrapper: [a.B, {c.D: {e: 1}}]}", "env_wrapper.*not applied"),
        ("Pendulum-v1: {vec_env_wrapper: a.B}", "vec_env_wrapper.*not applied"),
        ("Pendulum-v1: {policy: my.module.Policy}", "my.module.Policy.*MlpPolicy, CnnPolicy, MultiInputPolicy"),
        ("Pendulum-v1: {callback: [a.B]}", "callback.*in a script"),
        ("Pendulum-v1: {normalize: {clip_obs: 5.0}}", "normalize.clip_obs"),
        ("Pendulum-v1: {sub_sampling_factor: 4}", "the gradient too"),
        ("", "is empty"), ("# only a comment", "is empty"),
        ("default: {}", "its section default is used"), ("{Pendulum-v0: {}, default: {}}", "did you mean Pendulum-v0"),
    ],
)  # fmt: skip
def test_what_is_left_out_is_said(text, reason, tmp_path):
    with pytest.warns(UserWarning, match=reason):
        assert not section(tmp_path, text).keys() & {"use_sde", "env_wrapper", "policy", "callback"}


def test_an_atari_game_has_the_section_of_all_atari_games(tmp_path):
    pytest.importorskip("ale_py")
    with pytest.warns(UserWarning, match="its section atari is used"):
        assert section(tmp_path, "{atari: {gamma: 0.8}, default: {gamma: 0.7}}", "ALE/Pong-v5") == {"gamma": 0.8}


def test_wrapper_and_stack_of_the_zoos_atari_games_are_those_of_ours(tmp_path):
    text = "atari: {env_wrapper: [stable_baselines3.common.atari_wrappers.AtariWrapper], frame_stack: 4, gamma: 0.8}"
    with pytest.warns(UserWarning, match="its section atari is used") as caught:
        assert section(tmp_path, text, "trpo_fast/Pong-v0") == {"gamma": 0.8}
    assert len(caught) == 1


def test_aliases_that_multiply_are_refused(tmp_path):
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    for text in ("\n".join([*lines, "Pendulum-v1: {net_arch: *a11}"]), "Pendulum-v1: &a [*a]"):
        with pytest.raises(InvalidArgumentError, match="conf.*expand"):
            section(tmp_path, text)


def test_tuned_is_the_command_lines_model_in_a_script():
    model = TRPO.tuned("Pendulum-v1", seed=1, n_steps=64)
    assert (model.config.gamma, model.config.n_steps, model.seed) == (0.9, 64, 1)
    assert TRPO.tuned("Pendulum-v1", gamma=0.5).config.gamma == 0.5
    with pytest.raises(InvalidArgumentError, match="Swimmer-v5.*CartPole-v1"):
        TRPO.tuned("CartPole-v1")


def test_train_with_a_file(conf, tmp_path):
    out = tmp_path / "run"
    main(["train", "CartPole-v1", "--conf", str(conf), "--seed", "1", "--out", str(out), *QUIET])
    model = TRPO.load(out / "policy")
    assert (model.num_timesteps, model.n_envs, model.config.batch_size) == (400, 2, 50)
    assert model.config.learning_rate == LinearSchedule(2e-3)
    assert model.policy_kwargs["net_arch"] == {"pi": [16, 8], "vf": [4]}
    assert not model.policy.normalizer.enabled


def test_options_come_before_the_file_and_params_before_everything(conf, tmp_path):
    out = tmp_path / "run"
    options = ["--conf", str(conf), "--batch-size", "25", "--gamma", "0.7", "-P", "gamma:0.8", "n_timesteps:200"]
    main(["train", "CartPole-v1", *options, "--out", str(out), *QUIET])
    model = TRPO.load(out / "policy")
    assert (model.config.batch_size, model.config.gamma, model.num_timesteps) == (25, 0.8, 200)
    assert json.loads((out / "config.json").read_text())["config"]["gamma"] == 0.8


def test_the_shipped_settings_are_where_a_training_begins(tmp_path):
    assert tuned_hyperparameters("Swimmer-v5") == {
        "total_timesteps": 1_000_000, "gamma": 0.9999, "kl_reduction": "mean",
    }  # fmt: skip
    assert tuned_hyperparameters("CartPole-v1") == {}
    gammas = []
    for name, options in (("a", []), ("b", ["--no-tuned"]), ("c", ["--gamma", "0.5"])):
        out = tmp_path / name
        main(["train", "Pendulum-v1", "-n", "200", "--n-steps", "200", *options, "--out", str(out), *QUIET])
        gammas.append(TRPO.load(out / "policy").config.gamma)
    assert gammas == [0.9, 0.99, 0.5]


def test_resume_takes_the_settings_of_the_run(conf, tmp_path):
    arguments = ["train", "CartPole-v1", "--conf", str(conf), "--seed", "1", "--no-progress-bar"]
    main([*arguments, "--out", str(tmp_path / "whole"), "--checkpoint-every", "200"])
    main([*arguments, "--out", str(tmp_path / "cut"), "--checkpoint-every", "200"])
    for name in ("checkpoint.safetensors", "policy.safetensors"):
        (tmp_path / "cut" / name).unlink()
    (tmp_path / "cut" / "checkpoint.previous.safetensors").rename(tmp_path / "cut" / "checkpoint.safetensors")
    conf.unlink()
    main(["resume", str(tmp_path / "cut"), "--no-progress-bar"])
    contents = [(tmp_path / name / "policy.safetensors").read_bytes() for name in ("whole", "cut")]
    assert contents[0] == contents[1]


def test_evaluations_policies_and_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    options = [
        "--eval-freq",
        "100",
        "--eval-episodes",
        "2",
        "--save-freq",
        "150",
        "--tensorboard",
        str(tmp_path / "tb"),
    ]
    main(["train", "CartPole-v1", "-n", "300", "--n-steps", "100", *options, "--out", str(tmp_path / "run"), *QUIET])
    names = {str(p.relative_to(tmp_path / "run")) for p in (tmp_path / "run").rglob("*") if p.is_file()}
    assert {"evaluations.npz", "best_model.safetensors", "policies/policy_150_steps.safetensors"} <= names
    assert list((tmp_path / "tb").rglob("events*"))
    assert "eval/mean_reward" in (tmp_path / "run" / "progress.csv").read_text().splitlines()[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3), ("1e-3", 1e-3), ("-2", -2), ("[64, 64]", [64, 64]), ("True", True), ("None", None),
        ("lin_0.5", LinearSchedule(0.5)),
        ("dict(a=1, b=dict(c=[2]))", {"a": 1, "b": {"c": [2]}}), ("{'a': (1, 2)}", {"a": [1, 2]}), ("nn.Tanh", "Tanh"),
        ("mean", "mean"), ("rewards_to_go", "rewards_to_go"), ("'x'", "x"),
    ],
)  # fmt: skip
def test_values(text, value):
    assert parse_value("name", text) == value


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('echo executed')", "dict(a=print(1))", "os.path", "[].append(1)", "lambda: 1",
        "dict(**{})",
        "dict([1])",
        "nn.functional.relu", "1 if True else 2", "f'{1}'", "lin_x", "a b", "(" * 500 + ")" * 500, "x[0]", "open('f')",
    ],
)  # fmt: skip
def test_nothing_is_evaluated(text, capfd):
    with pytest.raises(InvalidArgumentError, match="name"):
        parse_value("name", text)
    assert "executed" not in capfd.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ZOO, "gym_wrapper"), ("[", "conf"), ("CartPole-v1: 3", "conf"), ("Pendulum-v1: [1]", "conf"),
        ("Other: {}", "conf"),
        ("Pendulum-v1: {net_arch: 3}", "net_arch"), ("Pendulum-v1: {gamma: 3}", "gamma"),
        ("!!python/object:os.system {}", "conf"),
        ("Pendulum-v1: {frame_stack: 0}", "frame_stack"), ("Pendulum-v1: {gama: 0.9}", "did you mean gamma?"),
        ("Pendulum-v1: {n_epochs: 10}", "n_epochs: expected a setting of trpo-fast train; TRPO has n_critic_updates"),
        ("Pendulum-v1: {env_kwargs: 3}", "env_kwargs"), ("Pendulum-v0: {}", "did you mean Pendulum-v0?"),
        ("Pendulum-v1: {activation_fn: nn.GELU}", "activation_fn"), ("3", "conf"),
        ("Pendulum-v1: {normalize: {nonsense: 1}}", "normalize.nonsense"),
    ],
)  # fmt: skip
def test_misuse_exits_with_2(content, message, tmp_path, capsys):
    path = tmp_path / "trpo.yml"
    path.write_text(content)
    with pytest.raises(SystemExit) as stop:
        main(["train", "Pendulum-v1", "--conf", str(path), "--out", str(tmp_path / "run")])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_evaluations_go_on_after_a_resume(tmp_path):
    arguments = ["train", "CartPole-v1", "--n-steps", "64", "--eval-freq", "100", "--seed", "1", "--no-progress-bar"]
    arguments += ["--checkpoint-every", "64", "--n-critic-updates", "1"]
    main([*arguments, "-n", "640", "--out", str(tmp_path / "whole")])
    main([*arguments, "-n", "320", "--out", str(tmp_path / "cut")])
    main(["resume", str(tmp_path / "cut"), "-n", "640", "--no-progress-bar"])
    evaluations = []
    for name in ("whole", "cut"):
        with np.load(tmp_path / name / "evaluations.npz") as arrays:
            evaluations.append({key: arrays[key].tolist() for key in arrays.files})
    assert evaluations[0] == evaluations[1]
    assert evaluations[0]["timesteps"] == [100, 200, 300, 400, 500, 600]
    assert [(tmp_path / name / "best_model.safetensors").exists() for name in ("whole", "cut")] == [True, True]
