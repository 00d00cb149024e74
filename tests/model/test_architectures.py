"""Policies of every architecture: names and arguments of Stable-Baselines3, networks, files and copies."""

import copy
import json
import pickle
from contextlib import closing
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from cases import relative_error, tolerance
from envs import Catch

from trpo_fast import TRPO, InvalidArgumentError, Policy, PolicyFileError, evaluate, load_policy, nets, save_policy
from trpo_fast.nets import Conv2d, Dense, Flatten, NatureCNN, PaperCNN, Parallel, Sequential
from trpo_fast.policies.factory import plain_kwargs, plan_options
from trpo_fast.storage.policy_file import load_policy_file, save_policy_file

IMAGE = gym.spaces.Box(0, 255, (4, 52, 40), np.uint8)
VECTOR = gym.spaces.Box(-1.0, 1.0, (5,))
MIXED = gym.spaces.Dict(a=VECTOR, camera=gym.spaces.Box(0, 255, (36, 40, 3), np.uint8), z=gym.spaces.Discrete(3))
PARTS = gym.spaces.Dict(a=VECTOR, b=gym.spaces.Dict(c=gym.spaces.Discrete(3), d=gym.spaces.Box(-1.0, 1.0, (2, 2))))
CHOICE = gym.spaces.Discrete(6)
TREE = Sequential(Dense(7, "relu"), Dense(3))


def plan_for(space, action_space=CHOICE, part="pi", **policy_kwargs):
    options = plan_options(space, plain_kwargs(policy_kwargs), part)
    return options.policy_plan(action_space, False) if part == "pi" else options.plan(1)


@pytest.mark.parametrize(
    ("policy", "space", "expected"),
    [
        ("MlpPolicy", IMAGE, "CnnPolicy for images"), ("MultiInputPolicy", IMAGE, "CnnPolicy for images"),
        ("CnnPolicy", VECTOR, "MlpPolicy for observations without images"),
        ("CnnPolicy", gym.spaces.Box(0.0, 1.0, (4, 52, 40)), "MlpPolicy for observations without images"),
        ("CnnPolicy", MIXED, "MultiInputPolicy for a Dict"), ("MlpPolicy", MIXED, "MultiInputPolicy for a Dict"),
        ("MlpLstmPolicy", VECTOR, "one of MlpPolicy, CnnPolicy, MultiInputPolicy, auto"),
    ],
)  # fmt: skip
def test_a_policy_for_other_observations_is_refused_and_the_right_one_named(policy, space, expected):
    with pytest.raises(InvalidArgumentError, match=f"policy: expected {expected}"):
        TRPO(policy, (space, CHOICE))


def test_defaults_are_those_of_stable_baselines3():
    image, mixed, vector = plan_for(IMAGE), plan_for(MIXED), plan_for(VECTOR)
    assert image == plan_for(IMAGE, features_extractor=NatureCNN(512), net_arch=[])
    assert image.images == ((52, 40, 4, 1 / 255),)
    assert mixed == plan_for(MIXED, features_extractor=Parallel({"camera": NatureCNN(256)}), net_arch=[64, 64])
    assert mixed.images == ((36, 40, 3, 1 / 255),)
    assert mixed.shapes["layers.0.weight"] == (64, 5 + 256 + 3)
    assert list(vector.shapes) == [f"layers.{i}.{part}" for i in range(3) for part in ("weight", "bias")]
    assert plan_for(MIXED, part="vf", net_arch={"pi": [2], "vf": [3]}).shapes["layers.1.weight"] == (1, 3)
    assert plan_for(IMAGE, normalize_images=False).images[0].scale == 1.0


def test_policy_and_critic_may_have_features_extractors_of_their_own(tmp_path):
    extractors = {"pi": TREE, "vf": nets.to_json(Dense(5))}
    for part, net in (("pi", TREE), ("vf", Dense(5))):
        assert plan_for(VECTOR, part=part, features_extractor=extractors) == plan_for(
            VECTOR, part=part, features_extractor=net
        )
    with pytest.raises(InvalidArgumentError, match="features_extractor: expected Conv2d, Dense"):
        plan_for(VECTOR, features_extractor={"pi": TREE, "vf": "NatureCNN"})
    model = TRPO("MlpPolicy", (VECTOR, CHOICE), policy_kwargs={"features_extractor": extractors})
    model.save(tmp_path / "model")
    loaded = TRPO.load(tmp_path / "model")
    assert loaded.policy_kwargs == model.policy_kwargs
    assert loaded.value_function.num_params == model.value_function.num_params


def test_the_papers_policy_has_33500_parameters():
    assert (
        plan_for(IMAGE, gym.spaces.MultiDiscrete([3, 3, 2]), features_extractor_class="PaperCNN").num_params == 33_500
    )


class CombinedExtractor:
    """A class of Stable-Baselines3 is read by its name."""


@pytest.mark.parametrize(
    ("space", "named", "features_extractor"),
    [
        (IMAGE, {"features_extractor_class": "NatureCNN", "features_extractor_kwargs": {"features_dim": np.int64(9)}},
         NatureCNN(9)),
        (IMAGE, {"features_extractor_kwargs": {"features_dim": 9, "normalized_image": False}}, NatureCNN(9)),
        (IMAGE, {"features_extractor_class": "FlattenExtractor"}, Flatten()),
        (IMAGE, {"features_extractor_class": PaperCNN, "features_extractor_kwargs": {"activation_fn": "tanh"}},
         PaperCNN("tanh")),
        (MIXED, {"features_extractor_class": CombinedExtractor, "features_extractor_kwargs": {"cnn_output_dim": 9}},
         Parallel({"camera": NatureCNN(9)})),
        (PARTS, {"features_extractor_class": CombinedExtractor}, Flatten()),
        (gym.spaces.Tuple([IMAGE, gym.spaces.Dict(camera=IMAGE)]), {"features_extractor_class": CombinedExtractor},
         Parallel({"0": NatureCNN(256), "1": Parallel({"camera": NatureCNN(256)})})),
        (VECTOR, {"features_extractor": nets.to_json(TREE), "share_features_extractor": False}, TREE),
    ],
)  # fmt: skip
def test_extractors_of_stable_baselines3_are_trees(space, named, features_extractor):
    assert plan_for(space, **named) == plan_for(space, features_extractor=features_extractor)


@pytest.mark.parametrize(
    ("space", "policy_kwargs", "message"),
    [
        (IMAGE, {"features_extractor_class": "ResNet"}, "features_extractor_class: expected one of FlattenExtractor"),
        (IMAGE, {"features_extractor_class": 3}, "features_extractor_class: expected one of"),
        (VECTOR, {"features_extractor_class": "NatureCNN"}, "an image for NatureCNN"),
        (IMAGE, {"features_extractor_class": "CombinedExtractor"}, "a Dict space for CombinedExtractor"),
        (IMAGE, {"features_extractor_kwargs": {"cnn_output_dim": 4}}, "one of features_dim, normalized_image"),
        (IMAGE, {"features_extractor_kwargs": {"features_dim": 0}}, "features_dim: expected an integer"),
        (IMAGE, {"features_extractor_kwargs": [4]}, "features_extractor_kwargs: expected a dict"),
        (IMAGE, {"features_extractor": "NatureCNN"}, "features_extractor: expected Conv2d, Dense"),
        (IMAGE, {"features_extractor": {"type": "Dense"}}, "expected a Dense with activation_fn, width"),
        (IMAGE, {"features_extractor": TREE, "features_extractor_class": "NatureCNN"}, "one of features_extractor and"),
        (VECTOR, {"features_extractor": NatureCNN()}, "an image before"),
        (gym.spaces.Box(0, 255, (24, 24, 1), np.uint8), {}, "room for the kernel"),
        (IMAGE, {"normalize_images": 1}, "normalize_images: expected True or False"),
    ],
)  # fmt: skip
def test_arguments_that_do_not_fit_are_refused_by_name(space, policy_kwargs, message):
    with pytest.raises(InvalidArgumentError, match=message):
        TRPO("auto", (space, CHOICE), policy_kwargs=policy_kwargs)


def test_a_dict_without_images_is_one_vector_whatever_the_policy_is_called():
    models = [TRPO(name, (PARTS, CHOICE), seed=1) for name in ("MlpPolicy", "MultiInputPolicy", "auto")]
    for model in models:
        assert model.policy.unflatten(model.theta).keys() == plan_for(VECTOR).shapes.keys()
        np.testing.assert_array_equal(model.theta, models[0].theta)


def test_layers_of_an_extractor_come_first_and_compute_what_they_say():
    policy = Policy(VECTOR, CHOICE, features_extractor=TREE, net_arch=[4], normalize_observations=False)
    theta = policy.initial_parameters(0)
    parameters = policy.unflatten(theta)
    assert list(parameters) == [
        f"{name}.{part}" for name in ("features.0", "features.1", "layers.0", "layers.1") for part in ("weight", "bias")
    ]
    for name, gain in {"features.0": 2.0, "features.1": 2.0, "layers.0": 2.0, "layers.1": 1e-4}.items():
        weight = parameters[f"{name}.weight"].astype(np.float64)
        gram = weight @ weight.T if weight.shape[0] <= weight.shape[1] else weight.T @ weight
        np.testing.assert_allclose(gram, gain * np.eye(len(gram)), atol=1e-6)
    x = observations = np.random.default_rng(0).standard_normal((20, 5))
    for name, activation in {"features.0": "relu", "features.1": "tanh", "layers.0": "tanh", "layers.1": None}.items():
        x = x @ parameters[f"{name}.weight"].T + parameters[f"{name}.bias"]
        x = {"relu": lambda z: np.maximum(z, 0.0), "tanh": np.tanh, None: lambda z: z}[activation](x)
    assert relative_error(policy.dist_params(theta, observations), x) < 1e-5


@pytest.mark.parametrize("features_extractor", [TREE, Flatten()])
def test_files_copies_and_pickles_keep_the_architecture(features_extractor, tmp_path):
    policy = Policy(PARTS, CHOICE, features_extractor=features_extractor, net_arch=[4])
    assert ("features_extractor" in policy.policy_kwargs) == (features_extractor != Flatten())
    assert json.loads(json.dumps(policy.policy_kwargs)) == policy.policy_kwargs
    assert ("Dense(7, activation_fn='relu'), Dense(3)" in repr(policy)) == (features_extractor != Flatten())
    theta = policy.initial_parameters(0)
    save_policy(tmp_path / "policy", policy, theta)
    for other in (load_policy(tmp_path / "policy").policy, copy.deepcopy(policy), pickle.loads(pickle.dumps(policy))):
        assert other.policy_kwargs == policy.policy_kwargs
        assert other.plan == policy.plan
    np.testing.assert_array_equal(load_policy(tmp_path / "policy").theta, theta)


def test_a_model_learns_and_resumes_with_an_extractor(tmp_path):
    options = {"n_steps": 64, "n_critic_updates": 2, "policy_kwargs": {"features_extractor": TREE}, "seed": 1}
    model = TRPO("MlpPolicy", "CartPole-v1", **options).learn(64)
    assert list(model.get_parameters()["value_function"])[:2] == ["features.0.weight", "features.0.bias"]
    model.save(tmp_path / "model")
    resumed = TRPO.load(tmp_path / "model", env="CartPole-v1")
    for other in (model, resumed):
        other.learn(64, reset_num_timesteps=False)
    np.testing.assert_array_equal(resumed.theta, model.theta)
    np.testing.assert_array_equal(resumed._training.model.critic.theta, model._training.model.critic.theta)


def test_renormalized_networks_with_branches_are_the_same_functions():
    """Statistics of a part belong to the first layer that reads it, wherever that is."""
    net = Parallel({"a": Dense(4), "b": Parallel({"d": Sequential(Dense(3), Dense(2))})})
    policy = Policy(PARTS, CHOICE, features_extractor=net, net_arch=[6], dtype="float64")
    rng = np.random.default_rng(0)
    theta = rng.standard_normal(policy.num_params)
    size = policy.observation_codec.size
    old = policy.normalizer.updated(rng.normal(1.0, 2.0, (50, size)))
    new = old.updated(rng.normal(-1.0, 0.3, (400, size)))
    observations = rng.standard_normal((30, size))
    policy, updated = policy.with_normalizer(old), policy.with_normalizer(new)
    before = policy.dist_params(theta, observations)
    after = updated.dist_params(policy.renormalized(theta, new), observations)
    np.testing.assert_allclose(after, before, atol=1e-12)
    assert np.abs(updated.dist_params(theta, observations) - before).max() > 1e-3


ACTIVATIONS = {"relu": lambda z: np.maximum(z, 0.0), "tanh": np.tanh, "identity": lambda z: z}


def convolved(x, weight, bias, stride):
    """Convolution of images (N, C, H, W), written as windows."""
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    return np.einsum("nchwij,ocij->nohw", windows, weight) + bias[:, None, None]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_network_on_images_and_numbers_computes_what_its_layers_say(dtype):
    camera = Sequential(Conv2d(5, (3, 4), stride=2, activation_fn="tanh"), Conv2d(3, 2, padding=1))
    options = {"features_extractor": Parallel({"camera": camera}), "net_arch": [4], "dtype": dtype}
    policy = Policy(MIXED, CHOICE, normalize_observations=False, **options)
    rng = np.random.default_rng(0)
    theta = (0.1 * rng.standard_normal(policy.num_params)).astype(dtype)
    batch = {"a": rng.standard_normal((7, 5)), "camera": rng.integers(0, 256, (7, 36, 40, 3), np.uint8)}
    batch["z"] = rng.integers(0, 3, 7)
    records, _ = policy.rows(batch)
    p = {name: value.astype(np.float64) for name, value in policy.unflatten(theta).items()}
    x = batch["camera"].transpose(0, 3, 1, 2) / 255.0
    x = np.tanh(convolved(x, p["features.camera.0.weight"], p["features.camera.0.bias"], 2))
    x = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    x = np.maximum(convolved(x, p["features.camera.1.weight"], p["features.camera.1.bias"], 1), 0.0)
    x = np.hstack([batch["a"], x.reshape(7, -1), np.eye(3)[batch["z"]]])
    x = np.tanh(x @ p["layers.0.weight"].T + p["layers.0.bias"]) @ p["layers.1.weight"].T + p["layers.1.bias"]
    assert relative_error(policy.dist_params(theta, records), x) < tolerance(dtype, 1e-13, 1e-5)


def catch_model(**options):
    net = Sequential(Conv2d(4, 3, stride=3), Flatten(), Dense(8))
    settings = {"n_steps": 24, "n_critic_updates": 2, "batch_size": 16, "policy_kwargs": {"features_extractor": net}}
    return TRPO("CnnPolicy", [partial(Catch, 4)] * 2, seed=3, **settings, **options)


def test_training_on_images_resumes_bit_identically_with_any_workers(tmp_path):
    model = catch_model().learn(96)
    model.save(tmp_path / "model")
    model.learn(96, reset_num_timesteps=False)
    assert 0.0 < model.metrics["train/kl_divergence_loss"] < 0.02
    resumed = TRPO.load(tmp_path / "model", env=[partial(Catch, 4)] * 2)
    parallel = catch_model(n_workers=2)
    with closing(parallel.env):
        parallel.learn(192)
    resumed.learn(96, reset_num_timesteps=False)
    for other in (resumed, parallel):
        for part, named in model.get_parameters().items():
            for name, value in named.items():
                np.testing.assert_array_equal(other.get_parameters()[part][name], value)
    observation, _ = Catch(4).reset(seed=0)
    loaded = load_policy(tmp_path / "model")
    loaded.predict(observation, deterministic=True)
    assert loaded.policy.plan == model.policy.plan


@pytest.mark.slow
def test_catch_is_learned_from_pixels():
    net = Sequential(Conv2d(8, 3, stride=3), Conv2d(16, 4, stride=2), Flatten(), Dense(32))
    model = TRPO("CnnPolicy", [Catch] * 8, policy_kwargs={"features_extractor": net}, n_steps=128, seed=0)
    model.learn(120_000)
    assert evaluate(model, [Catch] * 8, 400, seed=1).mean >= 0.97


def test_an_extractor_that_is_not_that_of_the_tensors_is_refused_even_if_signed(tmp_path):
    policy = Policy(VECTOR, CHOICE, features_extractor=TREE, net_arch=[4])
    path = tmp_path / "policy.safetensors"
    save_policy(path, policy, policy.initial_parameters(0))
    tensors, metadata = load_policy_file(path)
    for extractor in (Dense(7), Sequential(Dense(7), Dense(1 << 30)), NatureCNN(), {"type": "Dense", "width": 1e9}, []):
        value = extractor if isinstance(extractor, dict | list) else nets.to_json(extractor)
        metadata["arguments"]["policy_kwargs"]["features_extractor"] = value
        save_policy_file(path, tensors, metadata)
        with pytest.raises((PolicyFileError, InvalidArgumentError), match="expected"):
            load_policy(path)


def test_none_leaves_the_default_for_the_space():
    assert plain_kwargs({"net_arch": None, "features_extractor": None, "ortho_init": False}) == {"ortho_init": False}
