"""Policies that leave Python: of every kind, with observations, and what Python does with them."""

from dataclasses import replace

import gymnasium as gym
import numpy as np

from trpo_fast import Policy, save_policy
from trpo_fast.policies.normalization import RunningMeanStd
from trpo_fast.spaces.observations import as_network_inputs

N = 10_000
INF = float("inf")
BOXES = {
    "bounded": gym.spaces.Box(np.float32([-1.0, -0.1, 0.2]), np.float32([1.0, 0.3, 0.5])),
    "half": gym.spaces.Box(np.float32([-INF, -0.1]), np.float32([0.0, INF])),
    "float64": gym.spaces.Box(-0.1, 0.3, (2,), np.float64),
    "2-d": gym.spaces.Box(-INF, INF, (2, 3), np.float32),
}
# name -> action space, policy's options, network
CASES = {
    **{f"Box {name}": (space, {}, (64, 64)) for name, space in BOXES.items()},
    "squashed": (gym.spaces.Box(np.float32([-1.0, 0.0]), np.float32([1.0, 3.0])), {"squash": True}, (32,)),
    "std output": (BOXES["bounded"], {"state_dependent_std": True}, (19, 33)),
    "linear": (BOXES["bounded"], {"activation_fn": "identity"}, ()),
    "relu": (BOXES["bounded"], {"activation_fn": "relu"}, (65, 17)),
    "elu": (BOXES["bounded"], {"activation_fn": "elu"}, (7, 130, 5)),
    "silu": (BOXES["bounded"], {"activation_fn": "silu"}, (48, 31)),
    "not normalised": (BOXES["bounded"], {"normalize_observations": False}, (16,)),
    "wide": (gym.spaces.Box(-1.0, 1.0, (12,), np.float32), {"activation_fn": "elu"}, (256, 128, 64)),
    "Discrete": (gym.spaces.Discrete(5, start=-2), {}, (64, 64)),
    "MultiDiscrete": (gym.spaces.MultiDiscrete([2, 7, 3], start=[0, -1, 4]), {}, (30,)),
    "MultiBinary": (gym.spaces.MultiBinary(9), {}, (30,)),
    "Discrete masked": (gym.spaces.Discrete(6), {"use_masking": True}, (20,)),
    "MultiDiscrete masked": (gym.spaces.MultiDiscrete([3, 4]), {"use_masking": True}, (20,)),
}


def made(name, dtype, path, obs_dim=17):
    """A policy of random parameters whose outputs are of size 1, with statistics far from 0 and 1; in a file."""
    space, options, net_arch = CASES[name]
    rng = np.random.default_rng(list(name.encode()))
    observed = gym.spaces.Box(-INF, INF, (obs_dim,), np.float32)
    policy = Policy(observed, space, net_arch=net_arch, dtype=dtype, **options)
    theta = policy.initial_parameters(0)
    views = policy.unflatten(theta)
    views[f"layers.{len(net_arch)}.weight"][:] *= 100.0  # of 0.01 that they begin with
    for key, view in views.items():
        view += (0.3 if key.endswith("bias") or key == "log_std" else 0.0) * rng.standard_normal(view.shape)
    size, masks = policy.observation_codec.size, 0 if policy.action_masks is None else policy.action_masks.size
    mean, var = 100.0 * rng.standard_normal(size), 10.0 ** rng.uniform(-6, 4, size)
    mean[size - masks :], var[size - masks :] = 0.0, 1.0
    if policy.normalizer.enabled:
        statistics = RunningMeanStd(mean, var, 10.0)
        policy = policy.with_normalizer(replace(policy.normalizer, statistics=statistics))
    save_policy(path, policy, theta)
    return policy, theta


def observed(policy, n, rng):
    """Observations as float32 holds them, where the policy is used to be; some far away, and clipped."""
    statistics = policy.normalizer.statistics
    scale = np.where(rng.random(n) < 0.1, 30.0, 1.0)[:, None]
    rows = statistics.mean + np.sqrt(statistics.var) * scale * rng.standard_normal((n, statistics.mean.size))
    if policy.action_masks is not None:
        masks = rng.integers(2, size=(n, policy.action_masks.size))
        for end, n in zip(np.cumsum(policy.codec.num_choices), policy.codec.num_choices, strict=True):
            masks[np.arange(len(masks)), end - 1 - rng.integers(n, size=len(masks))] = 1  # a choice at least
        rows[:, -policy.action_masks.size :] = masks
    return rows.astype(np.float32)


def encoded(observations):
    """Observations as a policy takes them: rows of float64, or with images records as they are."""
    return observations.astype(np.float64) if observations.dtype.names is None else observations


def expected(policy, theta, observations, noise):
    """What Python does: actions (n, A), and where the choice of a discrete one is near another."""
    rows = np.empty((len(observations), policy.codec.size), policy.dtype)
    policy.act(theta, as_network_inputs(encoded(observations)), noise, rows)
    return np.asarray(policy.codec.to_env(rows)).reshape(len(rows), -1).astype(np.float64)


def assert_sampled(policy, theta, observations, noise, actions):
    """That ``actions`` (n, A) are what Python draws with that noise."""
    sample = expected(policy, theta, observations, noise.astype(policy.dtype))
    if policy.codec.has_log_std:
        assert (np.abs(actions - sample) <= 1e-5 * np.maximum(1.0, np.abs(sample))).all()
    else:
        assert (actions != sample).any(axis=1).mean() < 1e-3  # noise at the edge of a choice
    assert (sample != expected(policy, theta, observations, None)).any()


def is_close_call(policy, theta, observations):
    """Where the two most probable choices are within 1e-5 of each other's logit."""
    phi = policy.dist_params(theta, encoded(observations)).astype(np.float64)
    if isinstance(policy.action_space, gym.spaces.MultiBinary):
        return (np.abs(phi) <= 1e-5).any(axis=1)
    close = np.zeros(len(phi), bool)
    for logits in np.split(phi, np.cumsum(policy.codec.num_choices)[:-1], axis=1):
        best = np.sort(logits, axis=1)[:, -2:]
        close |= best[:, 1] - best[:, 0] <= 1e-5
    return close


def assert_agrees(policy, theta, observations, actions):
    """That ``actions`` (n, A) are the most probable ones, as Python has them."""
    best = expected(policy, theta, observations, None)
    assert (best != best[0]).any()
    if policy.codec.has_log_std:
        assert (np.abs(actions - best) <= 1e-5 * np.maximum(1.0, np.abs(best))).all()
        return
    clear = ~is_close_call(policy, theta, observations)
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(actions[clear], best[clear])
