"""Actors: a policy prepared for acting at one theta."""

import gymnasium as gym
import numpy as np
import pytest
from cases import DTYPES, all_cases, make_case, tolerance

from trpo_fast import TRPO, Policy

BOXES = {
    "float32": gym.spaces.Box(np.float32([[-0.1, -0.2]]), np.float32([[0.3, 0.1]])),
    "float64": gym.spaces.Box(-0.1, 0.3, (2,), np.float64),
    "float16": gym.spaces.Box(-0.1, 0.3, (2,), np.float16),
    "unbounded": gym.spaces.Box(-np.inf, np.inf, (2,), np.float32),
}
CHOICES = {
    "Discrete": gym.spaces.Discrete(3),
    "far away": gym.spaces.Discrete(3, start=2**60 + 1),
    "int8": gym.spaces.Discrete(3, start=-2, dtype=np.int8),
    "MultiDiscrete": gym.spaces.MultiDiscrete([2, 3, 1], start=[0, -1, 4]),
    "MultiBinary": gym.spaces.MultiBinary(4),
}


def acted(case, noise):
    """The encoded actions of an actor."""
    out = np.empty((len(case.observations), case.policy.codec.size), case.policy.dtype)
    case.policy.actor(case.theta).act(case.observations, noise, out)
    return out


def normalised_case(**spec):
    case = make_case(**spec)
    return case._replace(
        policy=case.policy.with_normalizer(case.policy.normalizer.updated(3.0 * case.observations + 1.0))
    )


@all_cases(n=600)
def test_an_actor_samples_from_the_policys_distribution(spec):
    case = normalised_case(**spec)
    policy, noise = case.policy, case.rng.standard_normal((600, case.policy.codec.size)).astype(spec["dtype"])
    phi, expected = policy.dist_params(case.theta, case.observations), np.empty_like(noise)
    policy.distribution.sample(phi, noise, expected)
    np.testing.assert_allclose(acted(case, noise), expected, atol=tolerance(spec["dtype"], 1e-12, 1e-4))
    policy.distribution.mode(phi, expected)
    np.testing.assert_allclose(acted(case, None), expected, atol=tolerance(spec["dtype"], 1e-12, 1e-4))


@all_cases(n=257)
def test_an_action_does_not_depend_on_its_batch(spec):
    case = normalised_case(**spec)
    noise = case.rng.standard_normal((257, case.policy.codec.size)).astype(spec["dtype"])
    expected, actor = acted(case, noise), case.policy.actor(case.theta)
    for n in (1, 2, 3, 8, 9, 64, 65):
        for begin in (0, 5, 257 - n):
            rows, out = slice(begin, begin + n), np.empty_like(noise[:n])
            actor.act(case.observations[rows], noise[rows], out)
            np.testing.assert_array_equal(out, expected[rows])


def test_later_changes_do_not_reach_an_actor():
    case = normalised_case()
    expected, out = acted(case, None), np.empty_like(acted(case, None))
    actor = case.policy.actor(case.theta)
    case.theta[:] = 0.0
    other = case.policy.with_normalizer(case.policy.normalizer.updated(case.observations - 5.0))
    actor.act(case.observations, None, out)
    np.testing.assert_array_equal(out, expected)
    assert (acted(case._replace(policy=other), None) != expected).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("space", [*BOXES.values(), *CHOICES.values()], ids=[*BOXES, *CHOICES])
def test_an_environment_takes_the_sample_within_its_space(space, dtype):
    policy = Policy(gym.spaces.Box(-1.0, 1.0, (3,)), space, net_arch=(4,), dtype=dtype)
    codec, rng = policy.codec, np.random.default_rng(0)
    noise = rng.standard_normal((50, codec.size)).astype(dtype)
    out, env_actions = np.empty_like(noise), codec.empty_env_actions(50)
    theta, observations = policy.initial_parameters(0), rng.standard_normal((50, 3))
    policy.actor(theta).act(observations, noise, out, env_actions.reshape(50, -1))
    actions = codec.in_space(env_actions)
    assert actions.dtype == space.dtype
    assert all(action in space for action in actions)
    sampled = codec.decode(out).reshape(actions.shape)
    if codec.has_log_std:
        np.testing.assert_array_equal(actions, np.clip(sampled, space.low, space.high).astype(space.dtype))
        assert (actions == sampled.astype(space.dtype)).any()
    else:
        np.testing.assert_array_equal(actions, sampled)
        assert len(np.unique(actions)) > 1
    np.testing.assert_array_equal(codec.to_env(out), actions)


def test_predict_acts_with_what_was_committed_or_loaded(tmp_path):
    def expected(model):
        out = np.empty((4, model.policy.codec.size), model.policy.dtype)
        model.policy.act(model.theta, observations, None, out)
        return model.policy.codec.to_env(out)

    observations = np.random.default_rng(0).standard_normal((4, 3))
    model = TRPO("MlpPolicy", "Pendulum-v1", n_steps=64, n_critic_updates=1, seed=0)
    for _ in range(2):
        np.testing.assert_array_equal(model.predict(observations, deterministic=True)[0], expected(model))
        before = expected(model)
        model.learn(64)
        assert (expected(model) != before).any()
    model.save(tmp_path / "model")
    loaded = TRPO.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(observations, deterministic=True)[0], expected(model))
