"""Learning from outside transitions: same results as with an environment, and ``act`` is safe during updates."""

import sys
import threading

import gymnasium as gym
import numpy as np
import pytest
from envs import CountingEnv

from trpo_fast import TRPO, Batch, InvalidArgumentError, PolicyFileError

FAST = {"n_critic_updates": 2, "policy_kwargs": {"net_arch": (8,)}, "seed": 0}


def robot(env, model, transitions, n_steps, observation=None):
    """Let a policy act in ``env`` for some steps; the observation after them."""
    if observation is None:
        observation, _ = env.reset(seed=model._training._environment_seed)
    for _ in range(n_steps):
        action = transitions.act(observation)
        assert action in model.action_space
        observation, reward, terminated, truncated, _ = env.step(action)
        transitions.add(reward, observation, terminated=terminated, truncated=truncated)
        if terminated or truncated:
            observation, _ = env.reset()
    return observation


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
@pytest.mark.parametrize(
    "settings", [{}, {"normalize_reward": True, "normalize_returns": True}], ids=["", "normalised"]
)
def test_is_bit_identical_to_learn(env_id, settings):
    """The same steps through transitions, collect and update as through learn; episodes end and are cut off."""
    learned = TRPO("MlpPolicy", env_id, n_steps=250, **settings, **FAST).learn(1000)
    env = gym.make(env_id)
    model = TRPO("MlpPolicy", (env.observation_space, env.action_space), n_steps=250, **settings, **FAST)
    transitions, observation = model.transitions(), None
    for i in range(4):
        model.progress_remaining = 1.0 - i / 4
        observation = robot(env, model, transitions, 250, observation)
        assert len(transitions) == 250
        batch = model.collect(transitions)
        assert (len(transitions), len(batch.returns), transitions.n_dropped) == (0, 250, 0)
        report = model.update(batch)
        assert report is model.report
    np.testing.assert_array_equal(model.theta, learned.theta)
    np.testing.assert_array_equal(model.value_theta, learned.value_theta)
    assert model.num_timesteps == learned.num_timesteps == 1000
    assert model.ep_info_buffer == learned.ep_info_buffer
    shared = {name for name in learned.metrics if not name.startswith("time/")}
    assert {name: model.metrics[name] for name in shared} == pytest.approx(
        {name: learned.metrics[name] for name in shared}, nan_ok=True
    )


def spaces_model(**settings):
    env = CountingEnv()
    return TRPO("MlpPolicy", (env.observation_space, env.action_space), **{**FAST, **settings})


def observation_of(model, value=0.0):
    return np.full(model.observation_space.shape, value, model.observation_space.dtype)


def test_a_policy_of_masks_acts_on_what_is_possible():
    spaces = gym.spaces.Box(-1.0, 1.0, (2,)), gym.spaces.Discrete(5)
    model = TRPO("MlpPolicy", spaces, use_masking=True, **FAST)
    transitions = model.transitions()
    for k in range(20):
        mask = np.arange(5) == k % 5
        assert transitions.act(np.zeros(2), mask) == k % 5
        transitions.add(1.0, np.zeros(2))
    assert model.update(model.collect(transitions)).status is not None
    with pytest.raises(InvalidArgumentError, match="action_masks"):
        transitions.act(np.zeros(2), np.zeros(5))


def test_transitions_of_an_older_policy_are_dropped():
    model = spaces_model()
    transitions, others = model.transitions(), model.transitions()
    for recorder in (transitions, others):
        for _ in range(50):
            recorder.act(observation_of(model))
            recorder.add(float(np.random.default_rng(0).random()), observation_of(model))
    model.update(model.collect(transitions))
    assert len(others) == 0
    with pytest.raises(InvalidArgumentError, match="transitions: expected one or more, got none"):
        model.collect(others)
    assert others.n_dropped == 50
    others.act(observation_of(model))
    others.add(0.0, observation_of(model))
    assert len(others) == 1


def test_an_action_without_outcome_truncates_the_episode():
    """Rewards after a gap do not count for the episode before it; a second ``act`` for one observation is not a gap."""
    model, batches = spaces_model(), []
    for gap in ("none", "second try", "forgotten", "cut off"):
        transitions = model.transitions()
        for k in range(20):
            if gap == "second try" or (gap == "forgotten" and k == 10):
                transitions.act(observation_of(model, k if gap == "second try" else -1.0))
            transitions.act(observation_of(model, k))
            transitions.add(1.0, observation_of(model, k + 1), truncated=gap == "cut off" and k == 9)
        batches.append(model.collect(transitions))
    plain, tried, forgotten, cut = (batch.returns for batch in batches)
    np.testing.assert_array_equal(tried, plain)
    np.testing.assert_array_equal(forgotten, cut)
    assert (cut[:10] != plain[:10]).all()
    np.testing.assert_array_equal(cut[10:], plain[10:])


def steps(model, transitions, rewards, ends=()):
    """Add one transition per reward; those numbered in ``ends`` end an episode."""
    for k, reward in enumerate(rewards):
        transitions.act(observation_of(model))
        transitions.add(reward, observation_of(model), terminated=k in ends)


@pytest.mark.parametrize("gap", ["none", "forgotten action", "dropped end", "dropped middle"])
def test_episodes_before_and_after_a_gap_are_separate(gap):
    """Ten rewards of 1 before the collect, then five of 100, which end an episode."""
    model = spaces_model(normalize_reward=True)
    transitions = model.transitions()
    steps(model, transitions, 10 * [1.0])
    batch = model.collect(transitions)
    if gap == "forgotten action":
        transitions.act(observation_of(model, -1.0))
    elif gap != "none":
        steps(model, transitions, 3 * [7.0], ends=[1] if gap == "dropped end" else [])
        model.update(batch)
        assert len(transitions) == 0
    steps(model, transitions, 5 * [100.0], ends=[4])
    model.collect(transitions)
    (episode,) = model.ep_info_buffer
    is_one = gap in ("none", "dropped middle")
    assert (episode["r"], episode["l"]) == ((510.0, 15) if is_one else (500.0, 5))


def test_misuse_is_named_and_adds_nothing():
    model = spaces_model()
    transitions = model.transitions()
    with pytest.raises(InvalidArgumentError, match=r"add: expected an act\(\) before it"):
        transitions.add(0.0, observation_of(model))
    with pytest.raises(InvalidArgumentError, match="transitions: expected one or more, got none"):
        model.collect(transitions)
    transitions.act(observation_of(model))
    for arguments, flags, name in (
        ((np.nan, observation_of(model)), {}, "reward"),
        (("1", observation_of(model)), {}, "reward"),
        ((1.0, observation_of(model, np.nan)), {}, "observation"),
        ((1.0, np.zeros(7)), {}, "observation"),
        ((1.0, observation_of(model)), {"terminated": 1}, "terminated"),
        ((1.0, observation_of(model)), {"truncated": None}, "truncated"),
    ):
        with pytest.raises(InvalidArgumentError, match=name):
            transitions.add(*arguments, **flags)
    with pytest.raises(InvalidArgumentError, match="observation: expected one observation, got a batch of 2"):
        transitions.act(np.zeros((2, *model.observation_space.shape)))
    transitions.add(1.0, observation_of(model))
    assert len(transitions) == 1
    with pytest.raises(InvalidArgumentError, match="env: expected an environment to learn in"):
        model.learn(10)
    with pytest.raises(InvalidArgumentError, match="batch: expected a Batch"):
        model.update(transitions)
    vine = spaces_model(method="vine", vine_states=1)
    with pytest.raises(InvalidArgumentError, match="method"):
        vine.collect(vine.transitions())


def test_numbers_that_are_not_finite_commit_nothing():
    box = gym.spaces.Box(-1.0, 1.0, (2,))
    model, rng = TRPO("MlpPolicy", (box, box), **FAST), np.random.default_rng(0)
    sizes = (2,), (2,), (), ()
    good = Batch(*(rng.standard_normal((64, *size)) for size in sizes))
    for name in ("observations", "advantages", "returns"):
        values = getattr(good, name).copy()
        values[3] = np.nan
        theta, value_theta, statistics = model.theta, model.value_theta, model.policy.normalizer.statistics
        report = model.update(good._replace(**{name: values}))
        assert report.committed == (name == "returns")
        assert (model.theta != theta).any() == (name == "returns")
        assert (model.value_theta == value_theta).all()
        assert (model.policy.normalizer.statistics is statistics) == (name != "returns")
    assert np.isfinite(model.policy.normalizer.statistics.mean).all()


@pytest.mark.filterwarnings("ignore:training continues with new episodes")
def test_a_policy_of_many_environments_learns_on_from_one_robot(tmp_path):
    model = TRPO("MlpPolicy", "Pendulum-v1", n_envs=3, n_steps=64, normalize_reward=True, **FAST).learn(192)
    model.save(tmp_path / "simulated")
    with pytest.raises(InvalidArgumentError, match="env: expected a tuple of spaces, or one environment, got 3"):
        model.transitions()
    spaces = model.observation_space, model.action_space
    loaded = TRPO.load(tmp_path / "simulated", env=spaces)
    transitions, env = loaded.transitions(), gym.make("Pendulum-v1")
    robot(env, loaded, transitions, 100)
    before = loaded.theta
    assert loaded.update(loaded.collect(transitions)).committed
    assert (loaded.theta != before).any()
    assert loaded.num_timesteps == 292
    loaded.save(tmp_path / "on_the_robot")
    np.testing.assert_array_equal(TRPO.load(tmp_path / "on_the_robot").theta, loaded.theta)
    with pytest.raises(PolicyFileError, match="expected environments with spaces"):
        TRPO.load(tmp_path / "simulated", env=(spaces[0], gym.spaces.Discrete(2)))


def test_sinks_get_the_metrics_of_an_update():
    model, seen = spaces_model(), []
    model.sinks.append(type("Sink", (), {"write": lambda self, metrics: seen.append(metrics)})())
    transitions = model.transitions()
    for k in range(30):
        transitions.act(observation_of(model, k / 30))
        transitions.add(float(k), observation_of(model), truncated=k % 10 == 9)
    model.update(model.collect(transitions))
    assert seen == [model.metrics]
    assert (seen[0]["time/total_timesteps"], seen[0]["rollout/episodes"], seen[0]["rollout/ep_len_mean"]) == (30, 3, 10)


@pytest.fixture
def eager_threads():
    """Make threads switch every 50 microseconds instead of 5 milliseconds."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("eager_threads")
def test_predict_during_updates_uses_one_consistent_policy():
    """Theta and statistics both identify the update that made them; no prediction mixes two updates."""
    space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    model = TRPO("MlpPolicy", (space, space), policy_kwargs={"net_arch": ()}, target_kl=0.5, dtype="float64", seed=0)
    model.update(some_batch(np.random.default_rng(0)))
    answers, stop, observation = (set(), set()), threading.Event(), np.array([0.7])

    def by_predict():
        while not stop.is_set():
            answers[0].add(float(model.predict(observation, deterministic=True)[0][0]))

    def by_actor():
        out = np.empty((1, 1))
        while not stop.is_set():
            model.actor.act(observation[None], None, out)
            answers[1].add(float(out[0, 0]))

    threads = [threading.Thread(target=loop) for loop in (by_predict, by_predict, by_actor)]
    committed = {float(model.predict(observation, deterministic=True)[0][0])}
    for thread in threads:
        thread.start()
    for k in range(60):
        model.update(some_batch(np.random.default_rng(k), shift=float(k)))
        committed.add(float(model.predict(observation, deterministic=True)[0][0]))
    stop.set()
    for thread in threads:
        thread.join()
    assert len(committed) > 20
    for seen in answers:
        assert seen <= committed
        assert len(seen) > 10


def some_batch(rng, shift=0.0):
    observations = shift + rng.standard_normal((512, 1))
    actions = rng.standard_normal((512, 1))
    return Batch(observations, actions, rng.standard_normal(512), rng.standard_normal(512))
