"""What the numbers of a policy mean leaves Python: in ONNX, JSON, C, C++, and through the C++ runtime."""

import json
from dataclasses import replace

import gymnasium as gym
import numpy as np
import onnx
import onnxruntime
import pytest
from runtime import ROOT, building, compile_program, run

from trpo_fast import InvalidArgumentError, Policy, export_policy, nets, save_policy
from trpo_fast.cli import main
from trpo_fast.storage.policy_file import load_policy_file, to_bytes

S = gym.spaces
BOX = S.Box(-1.0, 1.0, (2,))
ODD = ('w é"', "\\ ??/ \U0001f916")  # as names, they end strings and comments of C that do not escape them
UNITS = ("rad/s // /*", "*/")
SCALE, OFFSET = (0.25, 1.0 / 3.0), (0.5, -1e-3)


@pytest.fixture
def path(tmp_path):
    """The file of a policy of which everything is known."""
    policy = Policy(S.Box(-1.0, 1.0, (2, 2)), BOX, net_arch=[4], frame_stack=2)
    policy = policy.named(dict(zip(ODD, UNITS, strict=True)), {"hip": "Nm", "knee": ""})
    facts = {"action_scale": SCALE, "action_offset": OFFSET, "control_period": 0.02, "environment": "a/Robot-v0"}
    save_policy(tmp_path / "p", policy.with_interface(replace(policy.interface, **facts)), policy.initial_parameters(0))
    return tmp_path / "p.safetensors"


@pytest.fixture
def plain(tmp_path):
    """The file of a policy without names."""
    policy = Policy(BOX, BOX, net_arch=[4])
    save_policy(tmp_path / "plain", policy, policy.initial_parameters(0))
    return tmp_path / "plain.safetensors"


NAMES = [f"{name}[{t}]" for t in ("t-1", "t") for name in ODD]
JOINTS = {
    "joint_stiffness": [40.0, 35.5],
    "joint_damping": (np.float32(0.5), 1),
    "command_names": ["twist"],
    "note": "é",
}


def properties(path):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.get_modelmeta().custom_metadata_map


def test_onnx_has_the_entries_that_whole_body_controllers_read(path):
    export_policy(path, path.with_name("p.onnx"), metadata=JOINTS)
    read = properties(path.with_name("p.onnx"))
    assert read["observation_names"].split(",") == NAMES
    assert read["observation_units"].split(",") == [*UNITS, *UNITS]
    assert read["joint_names"].split(",") == read["action_names"].split(",") == ["hip", "knee"]
    for key, expected in (
        ("action_scale", SCALE), ("default_joint_pos", OFFSET), ("action_offset", OFFSET),
        ("joint_stiffness", (40.0, 35.5)), ("joint_damping", (0.5, 1.0)),
    ):  # fmt: skip
        assert tuple(map(float, read[key].split(","))) == expected
    assert (read["command_names"], read["note"], read["environment"]) == ("twist", "é", "a/Robot-v0")
    assert (float(read["control_period"]), int(read["frame_stack"])) == (0.02, 2)


def test_the_users_entries_replace_only_what_is_not_the_policys(path, plain):
    export_policy(path, path.with_name("p.onnx"), metadata={"joint_names": "a,b", "default_joint_pos": [0, 0]})
    read = properties(path.with_name("p.onnx"))
    assert (read["joint_names"], read["default_joint_pos"]) == ("a,b", "0,0")
    for key in ("observation_names", "action_scale", "control_period", "action_space"):
        with pytest.raises(
            InvalidArgumentError, match=f"metadata: expected keys that the policy does not have, got {key}"
        ):
            export_policy(path, path.with_name("p.onnx"), metadata={key: "1"})
    export_policy(plain, metadata={"control_period": 0.5})
    assert properties(plain.with_suffix(".onnx"))["control_period"] == "0.5"


def test_json_has_everything(path):
    export_policy(path, path.with_name("p.json"), format="json", metadata=JOINTS)
    described = json.loads(path.with_name("p.json").read_text())
    assert (described["observation_names"], described["action_names"]) == (NAMES, ["hip", "knee"])
    assert (described["action_scale"], described["action_offset"]) == (list(SCALE), list(OFFSET))
    assert (described["observation_units"], described["action_units"]) == ([*UNITS, *UNITS], ["Nm", ""])
    assert (described["control_period"], described["environment"]) == (0.02, "a/Robot-v0")
    assert described["metadata"]["joint_stiffness"] == "40.0,35.5"


PRINT = """
#include <stdio.h>
#include "{header}"

static void print(const char *const *texts, int n) {{
  int i;
  for (i = 0; i < n; ++i) printf("%s\\t", texts[i]);
  printf("\\n");
}}

int main(void) {{
  print(p_observation_names, sizeof p_observation_names / sizeof *p_observation_names);
  print(p_observation_units, sizeof p_observation_units / sizeof *p_observation_units);
  print(p_action_names, sizeof p_action_names / sizeof *p_action_names);
  print(p_action_units, sizeof p_action_units / sizeof *p_action_units);
  printf("%.9g %.9g %.9g %.9g\\n", p_action_scale[0], p_action_scale[1], p_action_offset[0], p_action_offset[1]);
  return 0;
}}
"""


@pytest.mark.compiler
@pytest.mark.parametrize("kind", ["c", "cpp"])
def test_tables_of_c_and_cpp_have_the_bytes_of_the_names(kind, path):
    source, *others = export_policy(
        path, path.with_name(f"p.{'c' if kind == 'c' else 'hpp'}"), format=kind, metadata=JOINTS
    )
    header = others[0] if kind == "c" else source
    program = path.with_name(f"print.{kind}")
    program.write_text(PRINT.format(header=header.name))
    flags = ["-I", str(path.parent), "-Wno-conversion", "-Wno-double-promotion", "-Wno-sign-conversion"]
    lines = run(compile_program(program, path.with_name(f"print_{kind}"), *flags)).decode().splitlines()
    assert [line.split("\t")[:-1] for line in lines[:4]] == [NAMES, [*UNITS, *UNITS], ["hip", "knee"], ["Nm", ""]]
    assert [np.float32(x) for x in lines[4].split()] == [np.float32(x) for x in (*SCALE, *OFFSET)]
    text = header.read_text()
    for comment in ("  action[0]  hip, Nm\n", "every 0.02 s", "trained in a/Robot-v0", "joint_damping: 0.5,1"):
        assert comment in text
    run(compile_program(others[-1], path.with_name("self_test"), *flags, *([str(source)] if kind == "c" else [])))


@pytest.mark.parametrize("kind", ["c", "cpp"])
def test_a_policy_without_names_has_no_tables(kind, plain):
    source, *others = export_policy(plain, format=kind)
    text = (others[0] if kind == "c" else source).read_text()
    assert "static const char" not in text
    assert "\n/*\n" not in text


@pytest.mark.compiler
def test_the_runtime_knows_what_the_file_says(path, plain):
    probe = building("careful").result()
    lines = run([probe, "names", path]).decode().splitlines()
    assert [line.split("\t")[:-1] for line in lines[:4]] == [NAMES, [*UNITS, *UNITS], ["hip", "knee"], ["Nm", ""]]
    assert [tuple(map(float, line.split())) for line in lines[4:6]] == [SCALE, OFFSET]
    assert lines[6:] == ["0.02", "a/Robot-v0", "2"]
    assert run([probe, "names", plain]).decode().splitlines() == [""] * 6 + ["0", "", "1"]


@pytest.mark.compiler
def test_numbers_beside_images_and_masks_have_names_in_the_runtime(tmp_path):
    camera = S.Box(0, 255, (8, 8, 3), np.uint8)
    space = S.Dict(camera=camera, gear=S.Discrete(2), speed=S.Box(-1.0, 1.0, (1,)))
    policy = Policy(space, S.Discrete(2), features_extractor=nets.Flatten(), net_arch=[4], use_masking=True)
    save_policy(tmp_path / "p", policy, policy.initial_parameters(0))
    (names, *_) = run([building("careful").result(), "names", tmp_path / "p.safetensors"]).decode().splitlines()
    assert names.split("\t")[:-1] == ["gear[0]", "gear[1]", "speed", "mask[0]", "mask[1]"]


def test_files_of_before_load_without_names(path, tmp_path):
    tensors, metadata = load_policy_file(path)
    old = {name: tensor for name, tensor in tensors.items() if not name.startswith("interface")}
    path.write_bytes(to_bytes(old, metadata))
    export_policy(path, path.with_name("p.onnx"))
    props = {prop.key: prop.value for prop in onnx.load(path.with_name("p.onnx")).metadata_props}
    assert props["observation_names"] == "obs_0,obs_1,obs_2,obs_3"
    assert not props.keys() & {"joint_names", "default_joint_pos", "action_scale", "environment", "control_period"}
    assert props["frame_stack"] == "2"


def test_the_command_takes_metadata_and_says_what_is_wrong(path, capsys):
    out = path.with_name("p.json")
    main(
        [
            "export",
            str(path),
            "--format",
            "json",
            "--out",
            str(out),
            "--metadata",
            "joint_damping=1,2",
            "--metadata",
            "a=b=c",
        ]
    )
    assert json.loads(out.read_text())["metadata"] == {"joint_damping": "1,2", "a": "b=c"}
    for pairs in (["a"], ["a=1", "a=2"], ["=1"], ["a b=1"], ["a=\n"]):
        words = [word for pair in pairs for word in ("--metadata", pair)]
        with pytest.raises(SystemExit) as ended:
            main(["export", str(path), "--format", "json", "--out", str(out), *words])
        assert ended.value.code == 2
        assert "metadata: expected" in capsys.readouterr().err


@pytest.mark.parametrize(
    "metadata", [{"a": None}, {"a": {"b": 1}}, {1: "a"}, {"a": [["b"]]}, {"a": "\x00"}, ["a"]], ids=str
)
def test_metadata_that_cannot_be_written_are_refused(metadata, plain):
    with pytest.raises(InvalidArgumentError, match="metadata: expected"):
        export_policy(plain, metadata=metadata)


@pytest.mark.compiler
def test_the_example_in_c_balances(tmp_path):
    policy = Policy(S.Box(-1.0, 1.0, (4,)), S.Discrete(2), net_arch=[], normalize_observations=False)
    theta = np.zeros(policy.num_params, np.float32)
    policy.unflatten(theta)["layers.0.weight"][1] = [0.1, 0.3, 2.0, 1.0]  # to the right if the pole falls to the right
    export_policy((policy, theta), tmp_path / "pole.c", format="c")
    source = tmp_path / "balance.c"
    source.write_bytes((ROOT / "examples" / "c" / "balance.c").read_bytes())
    program = compile_program(source, tmp_path / "balance", str(tmp_path / "pole.c"))
    assert run(program) == b"upright for 500 of 500 ticks\n"


def test_info_prints_what_the_file_says(path, plain, capsys):
    main(["info", str(path)])
    printed = capsys.readouterr().out
    for name, value in (("action_names", ("hip", "knee")), ("action_scale", SCALE), ("control_period", 0.02)):
        assert f"  {name:<36} {value}\n" in printed
    main(["info", str(plain)])
    assert "interface" not in capsys.readouterr().out
