"""Policy files of version 3 load in Python, act as they did, and are saved as version 4.

``files/make_version_3.py`` says where the files come from.
"""

import numpy as np
import pytest
from runtime import VERSION_3

from trpo_fast import TRPO, PolicyFileError, export_policy, load_policy, save_policy
from trpo_fast.storage.policy_file import load_policy_file, to_bytes

EXPECTED = np.load(VERSION_3 / "expected_v3.npz")
NAMES = ["box", "discrete", "masked", "dict", "squash", "std_output", "float64"]


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_acts_as_it_did_and_is_saved_as_version_4(name, tmp_path):
    rows, actions = EXPECTED[f"{name}.rows"], EXPECTED[f"{name}.actions"]
    save_policy(tmp_path / "policy", *load_policy(VERSION_3 / f"{name}_v3"))
    assert load_policy_file(tmp_path / "policy.safetensors")[1]["version"] == 4
    for path in (VERSION_3 / f"{name}_v3", tmp_path / "policy"):
        policy, theta = load_policy(path)
        np.testing.assert_array_equal(theta, EXPECTED[f"{name}.theta"])
        kernel_rows = np.empty((len(rows), policy.codec.size), policy.dtype)
        policy.act(theta, rows, None, kernel_rows)
        acted = np.asarray(policy.codec.to_env(kernel_rows)).reshape(actions.shape)
        np.testing.assert_allclose(acted, actions, rtol=1e-5)


def test_a_model_learns_on_as_it_did(tmp_path):
    model = TRPO.load(VERSION_3 / "model_v3", env="CartPole-v1")
    model.save(tmp_path / "model")
    for path in (VERSION_3 / "model_v3", tmp_path / "model"):
        model = TRPO.load(path, env="CartPole-v1").learn(64, reset_num_timesteps=False)
        np.testing.assert_allclose(model.theta, EXPECTED["model.theta"], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(model.value_theta, EXPECTED["model.value_theta"], rtol=1e-3, atol=1e-4)


def test_a_policy_is_exported(tmp_path):
    assert export_policy(VERSION_3 / "masked_v3", tmp_path / "policy.json", format="json")[0].is_file()


@pytest.mark.parametrize("version", [2, 5, 4.0, True, "4", None])
def test_other_versions_are_refused(version, tmp_path):
    tensors, metadata = load_policy_file(VERSION_3 / "box_v3.safetensors")
    (tmp_path / "other").write_bytes(to_bytes(tensors, {**metadata, "version": version}))
    with pytest.raises(PolicyFileError, match="expected trpo_fast.policy version 3 or 4, got 'trpo_fast.policy'"):
        load_policy(tmp_path / "other")


def test_version_4_without_an_acting_form_and_version_3_with_one_are_refused(tmp_path):
    tensors, metadata = load_policy_file(VERSION_3 / "box_v3.safetensors")
    policy, theta = load_policy(VERSION_3 / "box_v3")
    save_policy(tmp_path / "new", policy, theta)
    with_form, new_metadata = load_policy_file(tmp_path / "new.safetensors")
    for content in (to_bytes(tensors, new_metadata), to_bytes(with_form, metadata)):
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(PolicyFileError, match=r"expected the acting form of its policy, got another acting\."):
            load_policy(tmp_path / "other")
