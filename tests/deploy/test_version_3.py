"""Policy files of version 3 load in Python and leave it again; the C++ runtime says that it reads version 4 alone.

``files/make_version_3.py`` says where the files come from.
"""

import subprocess

import numpy as np
import pytest
from runtime import LOAD_STATUS, ROOT, act, compile_program

from trpo_fast import TRPO, PolicyFileError, export_policy, load_policy, save_policy
from trpo_fast.storage.policy_file import load_policy_file, to_bytes

FILES = ROOT / "tests" / "deploy" / "files"
EXPECTED = np.load(FILES / "expected_v3.npz")
NAMES = ["box", "discrete", "masked", "dict", "squash", "std_output", "float64"]


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    return compile_program(ROOT / "tests" / "cpp" / "runtime" / "probe.cpp", folder / "probe", "-O1")


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_acts_as_it_did_and_is_saved_as_version_4(name, probe, tmp_path):
    policy, theta = load_policy(FILES / f"{name}_v3")
    np.testing.assert_array_equal(theta, EXPECTED[f"{name}.theta"])
    rows, actions = EXPECTED[f"{name}.rows"], EXPECTED[f"{name}.actions"]
    kernel_rows = np.empty((len(rows), policy.codec.size), policy.dtype)
    policy.act(theta, rows, None, kernel_rows)
    np.testing.assert_allclose(np.asarray(policy.codec.to_env(kernel_rows)).reshape(actions.shape), actions, rtol=1e-5)
    save_policy(tmp_path / "policy", policy, theta)
    content = (tmp_path / "policy.safetensors").read_bytes()
    acted, _ = act(probe, content, rows, np.zeros(actions.shape))
    np.testing.assert_allclose(acted.actions, actions, rtol=1e-5, atol=1e-6)


def test_a_model_learns_on_as_it_did(tmp_path):
    model = TRPO.load(FILES / "model_v3", env="CartPole-v1")
    model.save(tmp_path / "model")
    for path in (FILES / "model_v3", tmp_path / "model"):
        model = TRPO.load(path, env="CartPole-v1").learn(64, reset_num_timesteps=False)
        np.testing.assert_allclose(model.theta, EXPECTED["model.theta"], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(model.value_theta, EXPECTED["model.value_theta"], rtol=1e-3, atol=1e-4)


def test_a_policy_is_exported(tmp_path):
    assert export_policy(FILES / "masked_v3", tmp_path / "policy.json", format="json")[0].is_file()


def test_the_cpp_runtime_names_the_version_it_reads(tmp_path):
    source = tmp_path / "load.cpp"
    source.write_text("""
#include "trpo_fast/policy.hpp"
int main(int, char** argv) {
  const auto problem = trpo_fast::runtime::load_policy(argv[1]).problem;
  std::printf("%d %s", static_cast<int>(problem.status), problem.message.c_str());
}
""")
    program = compile_program(source, tmp_path / "load", "-O1")
    for name in [*NAMES, "model"]:
        said = subprocess.run([program, FILES / f"{name}_v3.safetensors"], capture_output=True, text=True, check=True)
        status, message = said.stdout.split(" ", 1)
        assert LOAD_STATUS[int(status)] == "unsupported"
        assert message.startswith('expected "trpo_fast.policy" version 4, got "trpo_fast.policy" version 3')


@pytest.mark.parametrize("version", [2, 5, 4.0, True, "4", None])
def test_other_versions_are_refused(version, tmp_path):
    tensors, metadata = load_policy_file(FILES / "box_v3.safetensors")
    (tmp_path / "other").write_bytes(to_bytes(tensors, {**metadata, "version": version}))
    with pytest.raises(PolicyFileError, match="expected trpo_fast.policy version 3 or 4, got 'trpo_fast.policy'"):
        load_policy(tmp_path / "other")


def test_version_4_without_an_acting_form_and_version_3_with_one_are_refused(tmp_path):
    tensors, metadata = load_policy_file(FILES / "box_v3.safetensors")
    policy, theta = load_policy(FILES / "box_v3")
    save_policy(tmp_path / "new", policy, theta)
    with_form, new_metadata = load_policy_file(tmp_path / "new.safetensors")
    for content in (to_bytes(tensors, new_metadata), to_bytes(with_form, metadata)):
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(PolicyFileError, match=r"expected the acting form of its policy, got another acting\."):
            load_policy(tmp_path / "other")
