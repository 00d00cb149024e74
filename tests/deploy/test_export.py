"""Exports: C, C++, ONNX and JSON do what Python does, and their golden vectors tell where they do not."""

import csv
import json
import re
import subprocess
import sys

import gymnasium as gym
import numpy as np
import onnx
import onnxruntime
import pytest
from deployed import CASES, N, assert_agrees, assert_sampled, made, observed
from runtime import ROOT, acts, compile_program, run

from trpo_fast import TRPO, InvalidArgumentError, MissingExtraError, export_policy, load_policy, save_policy
from trpo_fast.cli import main

SOURCES = ROOT / "tests" / "cpp" / "runtime"
NO_HEAP = ["-fno-exceptions", "-fno-rtti"]


IN_FLOAT64 = ("Box float64", "std output", "Discrete")
QUICK = ("squashed", "std output", "MultiDiscrete masked", "MultiBinary")


def marks_of(name, dtype):
    return () if name in QUICK and dtype == "float32" else pytest.mark.slow


@pytest.fixture(
    params=[
        pytest.param((name, dtype), marks=marks_of(name, dtype), id=f"{name} {dtype}")
        for dtype, names in (("float32", CASES), ("float64", IN_FLOAT64))
        for name in names
    ]
)
def deployed(request, tmp_path):
    """(policy, theta, observations) of a case; its file is policy.safetensors in tmp_path."""
    policy, theta = made(*request.param, tmp_path / "policy.safetensors")
    return policy, theta, observed(policy, N, np.random.default_rng(1))


def asked(program, observations, size):
    """What a program that was compiled with an export to C does."""
    return acts(run(program, observations.tobytes()), len(observations), 1, size)[0]


def asked_cpp(program, observations, noise):
    """What one that was compiled with an export to C++ does, by act() and by sample()."""
    rows = np.hstack([observations, noise]).astype(np.float32)
    return acts(run(program, rows.tobytes()), len(rows), 2, noise.shape[1])


def compiled(tmp_path, kind, *flags):
    """The program that asks an exported policy."""
    export_policy(tmp_path / "policy", format=kind)
    source = SOURCES / f"ask_{kind}.{kind}"
    sources = [str(tmp_path / "policy.c")] if kind == "c" else NO_HEAP
    return compile_program(source, tmp_path / f"ask_{kind}", "-I", str(tmp_path), *sources, *flags)


@pytest.mark.compiler
@pytest.mark.parametrize("kind", ["c", "cpp"])
def test_sources_act_as_python_does_and_pass_their_self_test(kind, deployed, tmp_path):
    policy, theta, observations = deployed
    program = compiled(tmp_path, kind, "-O2")
    if kind == "c":
        acted = asked(program, observations, policy.codec.size)
    else:
        noise = np.random.default_rng(3).standard_normal((N, policy.codec.size)).astype(np.float32)
        acted, sampled = asked_cpp(program, observations, noise)
        assert (sampled.status == 0).all()
        assert_sampled(policy, theta, observations, noise, sampled.actions)
    assert (acted.status == 0).all()
    assert_agrees(policy, theta, observations, acted.actions)
    run([program, "self-test"])


def test_onnx_acts_as_python_does(deployed, tmp_path):
    policy, theta, observations = deployed
    export_policy(tmp_path / "policy")
    session = onnxruntime.InferenceSession(tmp_path / "policy.onnx", providers=["CPUExecutionProvider"])
    assert [value.name for value in (*session.get_inputs(), *session.get_outputs())] == ["obs", "actions"]
    for n in (1, 3, N):
        (actions,) = session.run(None, {"obs": observations[:n]})
        assert actions.dtype == (np.float32 if policy.codec.has_log_std else np.int64)
        assert actions.shape == (n, policy.codec.size)
    assert_agrees(policy, theta, observations, actions)


def test_json_has_the_numbers_that_python_computes_with(deployed, tmp_path):
    """By NumPy, in float64, from nothing but the file."""
    policy, theta, observations = deployed
    export_policy(tmp_path / "policy", format="json")
    d = json.loads((tmp_path / "policy.json").read_text())
    n = observations.shape[1] - d["mask_size"]
    clip = d["clip"] or np.inf
    mean = np.add(d["mean_high"], d["mean_low"])
    x = np.clip((observations[:, :n] - mean) * d["inv_std"], -clip, clip)
    activate = {
        "tanh": np.tanh, "identity": lambda z: z, "relu": lambda z: np.maximum(z, 0.0),
        "elu": lambda z: np.where(z > 0.0, z, np.expm1(np.minimum(z, 0.0))), "silu": lambda z: z / (1.0 + np.exp(-z)),
    }[d["activation"]]  # fmt: skip
    for i, layer in enumerate(d["layers"]):
        x = x @ np.array(layer["weight"]).T + layer["bias"]
        x = activate(x) if i + 1 < len(d["layers"]) else x
    if d["action_kind"] == "box":
        low, high = (np.array([float(bound) for bound in d[name]]) for name in ("low", "high"))
        x = x[:, : len(low)]
        actions = np.clip((low + high) / 2 + (high - low) / 2 * np.tanh(x) if d["squash"] else x, low, high)
    elif d["action_kind"] == "bits":
        actions = x > 0.0
    else:
        x = np.where(observations[:, n:] == 0.0, -np.inf, x) if d["mask_size"] else x
        parts = np.split(x, np.cumsum(d["num_choices"])[:-1], axis=1)
        actions = np.stack([part.argmax(axis=1) for part in parts], axis=1) + d["first"]
    assert_agrees(policy, theta, observations, actions)


@pytest.mark.compiler
@pytest.mark.parametrize("kind", ["c", "cpp"])
@pytest.mark.parametrize("name", QUICK)
def test_the_self_test_finds_a_weight_that_is_wrong(name, kind, tmp_path):
    policy, _ = made(name, "float32", tmp_path / "policy.safetensors")
    files = export_policy(tmp_path / "policy", format=kind)
    test, others = files[-1], [str(path) for path in files[:-1] if path.suffix == ".c"]
    n_layers = len(policy.policy_kwargs["net_arch"]) + 1
    bias = f"bias_{n_layers - 1}[] = {{" if kind == "c" else "kParameters = "
    text = files[0].read_text()
    assert bias in text
    begin = text.index(bias) + len(bias)
    end = text.index("}", begin)
    values = text[begin:end].split(", ")
    n_outputs = policy.unflatten(policy.initial_parameters(0))[f"layers.{n_layers - 1}.bias"].size
    assert n_outputs <= 16 or kind == "c"  # C++: in one panel, of 16, whose last row are biases
    values[-16 if kind == "cpp" else 0] = "9.0f"
    files[0].write_text(text[:begin] + ", ".join(values) + text[end:])
    broken = compile_program(test, tmp_path / "self_test", "-I", str(tmp_path), *others)
    assert subprocess.run([broken], capture_output=True).returncode == 1


@pytest.mark.compiler
@pytest.mark.parametrize("kind", ["c", "cpp"])
def test_the_self_test_is_a_program_and_a_function_for_a_program_of_ones_own(kind, tmp_path):
    made("Discrete", "float32", tmp_path / "policy.safetensors")
    *others, test = export_policy(tmp_path / "policy", format=kind)
    sources = [str(path) for path in others if path.suffix == f".{kind}"]
    program = compile_program(test, tmp_path / "self_test", "-I", str(tmp_path), *sources)
    assert run(program) == b"0 of 64 golden vectors fail\n"
    own = tmp_path / f"own.{kind}"
    own.write_text(f'#include "{others[-1].name}"\nint main(void) {{ return policy_self_test(); }}\n')
    run(compile_program(own, tmp_path / "own", "-I", str(tmp_path), "-DPOLICY_NO_MAIN", str(test), *sources))


@pytest.mark.compiler
@pytest.mark.parametrize("kind", ["c", "cpp"])
@pytest.mark.parametrize("name", ["Box bounded", "Discrete masked"])
def test_sources_refuse_what_must_not_be_acted_on(name, kind, tmp_path):
    policy, _ = made(name, "float32", tmp_path / "policy.safetensors")
    good = observed(policy, 1, np.random.default_rng(2))
    rows = np.repeat(good, 7, axis=0)
    rows[[1, 2, 3, 4], 5] = [np.nan, np.inf, -np.inf, 2e18]
    expected = [0, 1, 1, 1, 1, 0, 0]
    if policy.action_masks is not None:
        rows[5, 17:], rows[6, 17] = 0.0, 0.5
        expected[5:] = [2, 2]
    program = compiled(tmp_path, kind, "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    size = policy.codec.size
    acted = asked(program, rows, size) if kind == "c" else asked_cpp(program, rows, np.zeros((7, size)))[0]
    assert acted.status.tolist() == expected
    assert (acted.actions == acted.actions[0]).all()  # held


@pytest.mark.compiler
@pytest.mark.parametrize("kind", ["c", "cpp"])
def test_sources_refuse_outputs_that_overflow(kind, tmp_path):
    policy, theta = made("linear", "float32", tmp_path / "policy.safetensors")
    weight = policy.unflatten(theta)["layers.0.weight"]
    weight[:], weight[:, 0] = 0.0, 3e38
    save_policy(tmp_path / "policy", policy, theta)
    statistics = policy.normalizer.statistics
    rows = (statistics.mean + np.array([[0.0], [5.0], [-5.0]]) * statistics.std).astype(np.float32)
    program = compiled(tmp_path, kind)
    acted = asked(program, rows, 3) if kind == "c" else asked_cpp(program, rows, np.zeros((3, 3)))[0]
    assert acted.status.tolist() == [0, 3, 3]
    assert (acted.actions == acted.actions[0]).all()  # held


@pytest.mark.compiler
@pytest.mark.parametrize(("kind", "bound"), [("c", "x <= 1e18f"), ("cpp", "")])
def test_the_self_test_counts_what_the_policy_refuses(kind, bound, tmp_path):
    made("Discrete", "float32", tmp_path / "policy.safetensors")
    source, *_, test = export_policy(tmp_path / "policy", format=kind)
    if kind == "c":
        source.write_text(source.read_text().replace(bound, "x <= -1e18f"))
    else:  # its golden vectors
        text = test.read_text()
        test.write_text(re.sub(r"(kObservations\[\] = {)[^,]*", r"\g<1>2e18f", text))
    sources = [str(source)] if kind == "c" else []
    program = compile_program(test, tmp_path / "self_test", "-I", str(tmp_path), *sources)
    done = subprocess.run([program], capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()[0]) == (1, "64" if kind == "c" else "1")


def test_a_policy_that_never_decides_clearly_has_no_golden_vectors(tmp_path):
    policy, theta = made("Discrete", "float32", tmp_path / "policy.safetensors")
    save_policy(tmp_path / "policy", policy, np.zeros_like(theta))
    with pytest.raises(InvalidArgumentError, match="model: expected a policy that decides clearly at times"):
        export_policy(tmp_path / "policy", format="c")


@pytest.mark.parametrize("kind", ["onnx", "json"])
@pytest.mark.parametrize("name", ["Box bounded", "MultiDiscrete masked"])
def test_golden_vectors_of_onnx_and_json_are_observations_and_pythons_actions(name, kind, tmp_path):
    policy, theta = made(name, "float32", tmp_path / "policy.safetensors")
    golden = json.loads(export_policy(tmp_path / "policy", format=kind)[-1].read_text())
    observations, actions = (np.array(golden[key]) for key in ("observations", "actions"))
    assert observations.shape == (64, policy.observation_codec.size)
    assert_agrees(policy, theta, observations.astype(np.float32), actions)


@pytest.mark.compiler
def test_observations_of_several_parts_are_rows_as_gymnasium_flattens_them(tmp_path):
    space = gym.spaces.Dict(
        {"goal": gym.spaces.Discrete(3), "sensors": gym.spaces.Tuple([gym.spaces.Box(-1.0, 1.0, (2, 2))] * 2)}
    )
    model = TRPO("MlpPolicy", (space, gym.spaces.Box(-1.0, 1.0, (2,))), policy_kwargs={"net_arch": (8,)}, seed=0)
    parameters = model.get_parameters()
    parameters["policy"]["layers.1.weight"] = 50.0 * parameters["policy"]["layers.1.weight"]
    model.set_parameters(parameters)
    model.save(tmp_path / "policy")
    space.seed(0)
    observations = [space.sample() for _ in range(50)]
    rows = np.stack([gym.spaces.flatten(space, observation) for observation in observations]).astype(np.float32)
    acted = asked(compiled(tmp_path, "c"), rows, 2)
    predicted = np.stack([model.predict(observation, deterministic=True)[0] for observation in observations])
    np.testing.assert_allclose(acted.actions, predicted, rtol=1e-5, atol=1e-5)
    assert np.ptp(predicted) > 0.1


def test_metadata_say_what_the_policy_is_of(tmp_path):
    TRPO("MlpPolicy", "Pendulum-v1", n_steps=64, seed=0).learn(64).save(tmp_path / "pendulum")
    names = {"observation_names": ["cos", "sin", "speed"], "action_names": ["torque"]}
    export_policy(tmp_path / "pendulum", tmp_path / "p.onnx", **names)
    export_policy(tmp_path / "pendulum", tmp_path / "p.json", format="json", **names)
    props = {prop.key: prop.value for prop in onnx.load(tmp_path / "p.onnx").metadata_props}
    assert next(csv.reader([props["observation_names"]])) == names["observation_names"]
    described = json.loads((tmp_path / "p.json").read_text())
    assert described["action_names"] == ["torque"]
    for key in ("action_space", "observation_space", "normalizer_mean", "normalizer_var", "training_steps"):
        assert json.loads(props[key]) == described[key]
    assert described["training_steps"] == 64
    assert described["action_space"]["low"] == ["-2.0"]


def test_misuse_is_named(tmp_path):
    made("Box bounded", "float32", tmp_path / "policy.safetensors")
    with pytest.raises(InvalidArgumentError, match="format: expected one of onnx, c, cpp, json"):
        export_policy(tmp_path / "policy", format="pt")
    with pytest.raises(InvalidArgumentError, match="observation_names: expected 17 names"):
        export_policy(tmp_path / "policy", observation_names=["a"])
    with pytest.raises(InvalidArgumentError, match="path: expected a file that ends with .c, got 'robot.cpp'"):
        export_policy(tmp_path / "policy", tmp_path / "robot.cpp", format="c")
    with pytest.raises(InvalidArgumentError, match="action_names: expected unique names without commas"):
        export_policy(tmp_path / "policy", action_names=["a", "b,c", "d"])
    with pytest.raises(FileNotFoundError):
        export_policy(tmp_path / "nothing")
    assert {path.name for path in tmp_path.iterdir()} == {"policy.safetensors"}


def test_without_onnx_the_extra_is_named(tmp_path, monkeypatch):
    made("Box bounded", "float32", tmp_path / "policy.safetensors")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"the ONNX format needs .* pip install 'trpo-fast\[export\]'"):
        export_policy(tmp_path / "policy")


def test_a_policy_that_float32_cannot_hold_is_refused(tmp_path):
    policy, theta = made("linear", "float64", tmp_path / "policy.safetensors")
    policy.unflatten(theta)["layers.0.bias"][0] = 1e300
    save_policy(tmp_path / "policy", policy, theta)
    with pytest.raises(InvalidArgumentError, match="model: expected parameters that float32 can hold"):
        export_policy(tmp_path / "policy", format="c")


def test_the_command_exports_and_says_what_it_wrote(tmp_path, capsys):
    made("Box bounded", "float32", tmp_path / "policy.safetensors")
    main(["export", str(tmp_path / "policy"), "--format", "c", "--out", str(tmp_path / "robot.c")])
    written = [line.split(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert written == [str(tmp_path / name) for name in ("robot.c", "robot.h", "robot_test.c")]


def test_path_policy_and_model_export_alike(tmp_path):
    model = TRPO("MlpPolicy", "CartPole-v1", n_steps=32, policy_kwargs={"net_arch": [4]}, seed=0).learn(32)
    model.save(tmp_path / "model")
    loaded = load_policy(tmp_path / "model")
    models = {"path": tmp_path / "model", "model": model, "loaded": loaded, "pair": tuple(loaded)}
    texts = []
    for name, acting in models.items():
        written = export_policy(acting, tmp_path / name / "policy.json", format="json")
        texts.append([{**json.loads(path.read_text()), "training_steps": 0} for path in written])
    assert all(text == texts[0] for text in texts)
    assert json.loads((tmp_path / "model" / "policy.json").read_text())["training_steps"] == 32
    with pytest.raises(
        InvalidArgumentError, match=r"path: expected a file that ends with \.onnx, for a model in memory"
    ):
        export_policy(model)
    with pytest.raises(InvalidArgumentError, match="model: expected a path of a policy file, a model"):
        export_policy(loaded.policy, tmp_path / "policy.json", format="json")
