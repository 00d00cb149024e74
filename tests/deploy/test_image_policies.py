"""Policies with images and features extractors act as in Python: in the C++ runtime, as ONNX, C and JSON."""

import base64
import json

import gymnasium as gym
import numpy as np
import onnx
import onnxruntime
import pytest
from deployed import assert_agrees, assert_sampled
from deployed_images import (
    ACTIVATIONS,
    IMAGE_CASES,
    N,
    convolved,
    forwarded,
    image,
    in_their_space,
    made_of_images,
    observed_images,
)
from runtime import OK, act, acts, building, compile_program, run

from trpo_fast import InvalidArgumentError, Policy, export_policy, load_policy, nets, save_policy
from trpo_fast.cli import main
from trpo_fast.export import sources
from trpo_fast.spaces.leaves import ImageLeaf, parts_of

BUILD = pytest.mark.compiler
CASES_AND_DTYPES = [*((name, "float32") for name in IMAGE_CASES), ("parts", "float64")]


@pytest.fixture(params=CASES_AND_DTYPES, ids=" ".join)
def deployed(request, tmp_path):
    """(policy, theta, observations) of a case; its file is policy.safetensors in tmp_path."""
    policy, theta = made_of_images(*request.param, tmp_path / "policy.safetensors")
    return policy, theta, observed_images(policy, N, np.random.default_rng(1))


@BUILD
def test_the_runtime_acts_as_python_does_on_images(deployed, tmp_path):
    policy, theta, observations = deployed
    noise = np.random.default_rng(2).standard_normal((N, policy.codec.size)).astype(np.float32)
    content = (tmp_path / "policy.safetensors").read_bytes()
    acted, sampled = act(building("fast").result(), content, observations.numbers, noise, images=observations.images)
    assert (acted.status == OK).all()
    assert (sampled.status == OK).all()
    assert_agrees(policy, theta, observations.encoded, acted.actions)
    assert_sampled(policy, theta, observations.encoded, noise, sampled.actions)


def test_a_file_with_images_comes_back(deployed, tmp_path):
    policy, theta, observations = deployed
    loaded, theta_again = load_policy(tmp_path / "policy")
    np.testing.assert_array_equal(theta, theta_again)
    phi, again = (p.dist_params(theta, observations.encoded) for p in (policy, loaded))
    np.testing.assert_array_equal(phi, again)
    save_policy(tmp_path / "again", loaded, theta_again)
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "policy.safetensors").read_bytes()


def inputs_of(policy, observations):
    """What a network reads, in float64: an array, or a dict of arrays by key of the space."""
    statistics, n = policy.normalizer.statistics, policy.observation_codec.num_features
    numbers = (observations.numbers[:, :n] - statistics.mean[:n]) / statistics.std[:n]
    scale = 1.0 / 255.0 if policy.policy_kwargs.get("normalize_images", True) else 1.0
    images = iter(observations.images)
    parts = {
        part.path: next(images) * scale if isinstance(part, ImageLeaf) else np.clip(numbers[:, part.columns], -10, 10)
        for part in parts_of(policy.observation_space)
    }
    return parts[()] if () in parts else {path[0]: part for path, part in parts.items()}


def test_python_computes_what_the_oracle_does(deployed):
    policy, theta, observations = deployed
    kwargs, parameters = policy.policy_kwargs, policy.unflatten(theta)
    extractor, activation = nets.from_json(kwargs["features_extractor"]), kwargs["activation_fn"]
    x = forwarded(extractor, inputs_of(policy, observations), parameters, "features", activation)
    hidden = [nets.Dense(width) for width in kwargs["net_arch"]]
    x = forwarded(nets.Sequential(*hidden, nets.Dense(1, "identity")), x, parameters, "layers", activation)
    phi = policy.dist_params(theta, observations.encoded)[:, : x.shape[1]]
    possible = np.isfinite(phi)  # the mask
    np.testing.assert_allclose(phi[possible], x[possible], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["nature", "parts"])
def test_onnx_has_an_input_for_each_image(name, tmp_path):
    policy, theta = made_of_images(name, "float32", tmp_path / "policy.safetensors")
    observations = observed_images(policy, N, np.random.default_rng(1))
    export_policy(tmp_path / "policy")
    session = onnxruntime.InferenceSession(tmp_path / "policy.onnx", providers=["CPUExecutionProvider"])
    given = in_their_space(policy, observations.images)
    if observations.numbers.size:
        given["obs"] = observations.numbers
    assert {value.name: value.shape[1:] for value in session.get_inputs()} == {
        key: list(value.shape[1:]) for key, value in given.items()
    }
    for n in (1, N):
        (actions,) = session.run(None, {key: value[:n] for key, value in given.items()})
    assert_agrees(policy, theta, observations.encoded, actions)
    props = {prop.key: prop.value for prop in onnx.load(tmp_path / "policy.onnx").metadata_props}
    assert props["image_names"] == ",".join(in_their_space(policy, observations.images))


@pytest.mark.parametrize("name", ["paper", "odd", "vectors"])
def test_onnx_of_every_activation_acts_as_python_does(name, tmp_path):
    policy, theta = made_of_images(name, "float32", tmp_path / "policy.safetensors")
    observations = observed_images(policy, N, np.random.default_rng(1))
    export_policy(tmp_path / "policy")
    session = onnxruntime.InferenceSession(tmp_path / "policy.onnx", providers=["CPUExecutionProvider"])
    given = in_their_space(policy, observations.images) or {"obs": observations.numbers}
    (actions,) = session.run(None, given)
    assert_agrees(policy, theta, observations.encoded, actions)


def test_names_of_images_do_not_collide_with_those_of_a_graph(tmp_path):
    space = gym.spaces.Dict(obs=image(2, 4, 4), state=gym.spaces.Box(-1.0, 1.0, (2,)), value_0=image(2, 4, 4))
    options = {"features_extractor": nets.Flatten(), "net_arch": [], "frame_stack": 2}
    policy = Policy(space, gym.spaces.Box(-1.0, 1.0, (1,)), **options)
    export_policy((policy, policy.initial_parameters(0)), tmp_path / "policy.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "policy.onnx", providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["obs", "image_obs", "image_value_0"]
    described = session.get_modelmeta().custom_metadata_map
    assert (described["image_names"], described["frame_stack"]) == ("obs,value_0", "2")


ASK = """
#include <stdio.h>
#define POLICY_NO_MAIN
#include "policy_test.c"

int main(void) {
  static float observation[POLICY_OBSERVATION_SIZE];
  static unsigned char camera[POLICY_IMAGE_0_SIZE], depth[POLICY_IMAGE_1_SIZE];
  float action[POLICY_ACTION_SIZE] = {0};
  if (policy_self_test() != 0) return 1;
  while (fread(observation, sizeof observation, 1, stdin) == 1) {
    if (fread(camera, sizeof camera, 1, stdin) != 1 || fread(depth, sizeof depth, 1, stdin) != 1) return 2;
    const int status = policy_act(observation, camera, depth, action);
    fwrite(&status, sizeof status, 1, stdout);
    fwrite(action, sizeof action, 1, stdout);
  }
  return 0;
}
"""


@BUILD
def test_c_takes_images_beside_an_observation(tmp_path):
    policy, theta = made_of_images("parts", "float32", tmp_path / "policy.safetensors")
    observations = observed_images(policy, N, np.random.default_rng(1))
    observations.numbers[0, 0] = np.nan
    export_policy(tmp_path / "policy", format="c")
    (tmp_path / "ask.c").write_text(ASK)
    flags = [str(tmp_path / "policy.c"), "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    program = compile_program(tmp_path / "ask.c", tmp_path / "ask", "-I", str(tmp_path), *flags)
    images = in_their_space(policy, observations.images).values()
    rows = np.hstack([part.reshape(N, -1).view(np.uint8) for part in (observations.numbers, *images)])
    (acted,) = acts(run(program, rows.tobytes()), N, 1, policy.codec.size)
    assert acted.status.tolist() == [1] + [0] * (N - 1)
    assert_agrees(policy, theta, observations.encoded[1:], acted.actions[1:])


@BUILD
@pytest.mark.parametrize("name", ["odd", pytest.param("nature", marks=pytest.mark.slow)])
def test_the_self_test_of_c_makes_its_images_and_finds_a_wrong_weight(name, tmp_path):
    made_of_images(name, "float32", tmp_path / "policy.safetensors")
    source, _, test = export_policy(tmp_path / "policy", format="c")
    program = compile_program(test, tmp_path / "self_test", "-I", str(tmp_path), str(source))
    assert run(program) == b"0 of 16 golden vectors fail\n"
    text = source.read_text()
    begin = text.index("bias_0[] = {") + len("bias_0[] = {")
    source.write_text(text[:begin] + "9.0f" + text[text.index(",", begin) :])
    broken = compile_program(test, tmp_path / "broken", "-I", str(tmp_path), str(source))
    with pytest.raises(AssertionError):
        run(broken)


def test_golden_images_are_observations_and_pythons_actions(tmp_path):
    policy, theta = made_of_images("parts", "float32", tmp_path / "policy.safetensors")
    golden = json.loads(export_policy(tmp_path / "policy", format="json")[-1].read_text())
    encoded = np.empty(16, policy.observation_codec.dtype)
    encoded["vector"] = golden["observations"]
    for name, pixels in golden["images"].items():
        values = np.frombuffer(base64.b64decode(pixels["uint8"]), np.uint8).reshape(pixels["shape"])
        assert values.shape[1:] == policy.observation_space[name].shape
        assert np.ptp(values) > 200
        encoded[name] = np.moveaxis(values, -1, 1) if name == "camera" else values
    assert_agrees(policy, theta, encoded, np.array(golden["actions"]))


@pytest.mark.parametrize("name", ["odd", "parts"])
def test_json_has_the_nodes_that_python_computes_with(name, tmp_path):
    """By NumPy, in float64, from nothing but the file."""
    policy, theta = made_of_images(name, "float32", tmp_path / "policy.safetensors")
    observations = observed_images(policy, N, np.random.default_rng(1))
    export_policy(tmp_path / "policy", format="json")
    d = json.loads((tmp_path / "policy.json").read_text())
    n = len(d["inv_std"])
    numbers = (observations.numbers[:, :n] - np.add(d["mean_high"], d["mean_low"])) * d["inv_std"]
    clip = d["clip"] or np.inf
    buffers = [np.clip(numbers, -clip, clip)]
    buffers += [x * described["scale"] for x, described in zip(observations.images, d["images"], strict=True)]
    for node in d["nodes"]:
        parts = [buffers[buffer] for buffer in node["buffers"]]
        x = np.concatenate([part.reshape(N, -1) for part in parts], axis=1)
        if node["kind"] == "conv2d":
            weight, bias = np.array(node["weight"]), np.array(node["bias"])
            x = convolved(parts[0], weight, bias, node["stride"], node["padding"])
        elif node["kind"] == "dense":
            x = x @ np.array(node["weight"]).T + node["bias"]
        elif node["kind"] == "columns":
            x = x[:, node["first"] : node["first"] + node["output_size"]]
        buffers.append(ACTIVATIONS[node["activation"]](x))
    phi = policy.dist_params(theta, observations.encoded)
    possible = np.isfinite(phi)
    np.testing.assert_allclose(buffers[-1][possible], phi[possible], rtol=1e-5, atol=1e-5)


def test_what_a_format_cannot_hold_is_named(tmp_path, monkeypatch):
    made_of_images("paper", "float32", tmp_path / "policy.safetensors")
    with pytest.raises(InvalidArgumentError, match=r"format: expected c, onnx, or the policy file with trpo_fast/pol"):
        export_policy(tmp_path / "policy", format="cpp")
    monkeypatch.setattr(sources, "MAX_PARAMETERS", 100)
    with pytest.raises(InvalidArgumentError, match=r"or the policy file with trpo_fast/policy.hpp, for more than 100"):
        export_policy(tmp_path / "policy", format="c")
    assert {path.name for path in tmp_path.iterdir()} == {"policy.safetensors"}


UNFIT = """\
fewer: bad image
more: bad image
height: bad image
width: bad image
channels: bad image
no pixels: bad image
no plane: bad image
no images: bad image
no numbers: {}
one image: {}
fit: ok
"""


@BUILD
@pytest.mark.parametrize(("name", "without_numbers"), [("paper", "ok"), ("parts", "bad observation")])
def test_images_that_do_not_fit_are_a_status(name, without_numbers, tmp_path):
    made_of_images(name, "float32", tmp_path / "policy.safetensors")
    said = run([building("careful").result(), "views", tmp_path / "policy.safetensors"]).decode()
    assert said == UNFIT.format(without_numbers, without_numbers)


@BUILD
@pytest.mark.parametrize(("name", "n_ok"), [("paper", 100), ("parts", 99)])
def test_acting_on_images_allocates_nothing(name, n_ok, tmp_path):
    made_of_images(name, "float32", tmp_path / "policy.safetensors")
    said = run([building("counter").result(), tmp_path / "policy.safetensors"])
    assert said == f"0 allocations, {n_ok} of 100 ok\n".encode()


def test_the_commands_show_and_export_a_policy_with_images(tmp_path, capsys):
    made_of_images("parts", "float32", tmp_path / "policy.safetensors")
    main(["info", str(tmp_path / "policy.safetensors")])
    shown = capsys.readouterr().out
    assert "policy.features.camera.0.weight      float32 (3, 1, 3, 3)" in shown
    main(["export", str(tmp_path / "policy"), "--format", "json", "--out", str(tmp_path / "robot.json")])
    written = [line.split(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert written == [str(tmp_path / name) for name in ("robot.json", "robot_test.json")]
