"""Snapshots of environments: the same actions from a restored one give the same bits, through ends of episodes too."""

import gymnasium as gym
import numpy as np
import pytest
from envs import TAXI
from gymnasium import wrappers

from trpo_fast import SnapshotError
from trpo_fast.environments import snapshots
from trpo_fast.storage.plain_values import from_json, to_json

CLASSIC = ["Acrobot-v1", "CartPole-v1", "MountainCar-v0", "MountainCarContinuous-v0", "Pendulum-v1"]
TOY_TEXT = ["Blackjack-v1", "CliffWalking-v1", "FrozenLake-v1", TAXI]
MUJOCO = [
    "Ant-v5", "HalfCheetah-v5", "Hopper-v5", "Humanoid-v5", "HumanoidStandup-v5", "InvertedDoublePendulum-v5",
    "InvertedPendulum-v5", "Pusher-v5", "Reacher-v5", "Swimmer-v5", "Walker2d-v5",
]  # fmt: skip


def bits(observation):
    return np.asarray(observation).tobytes()


def steps(env, actions):
    """What ``env`` returns; it is reset when an episode ends."""
    answers = []
    for action in actions:
        observation, reward, terminated, truncated, _ = env.step(action)
        answers.append((bits(observation), float(reward), terminated, truncated))
        if terminated or truncated:
            answers.append(bits(env.reset()[0]))
    return answers


def actions_for(env, n):
    env.action_space.seed(0)
    return [env.action_space.sample() for _ in range(n)]


def through_a_file(state):
    arrays = {}
    return from_json(to_json(state, arrays, "state"), arrays)


def check(make, n=200):
    env = make()
    actions = actions_for(env, 2 * n)
    env.reset(seed=4)
    steps(env, actions[:n])
    state = through_a_file(snapshots.capture(env))
    expected = steps(env, actions[n:])
    snapshots.restore(env, state)
    assert steps(env, actions[n:]) == expected
    fresh = make()  # that was never reset
    snapshots.restore(fresh, state)
    assert steps(fresh, actions[n:]) == expected


@pytest.mark.parametrize("env_id", CLASSIC + TOY_TEXT)
def test_classic_control_and_toy_text(env_id):
    check(lambda: gym.make(env_id))


@pytest.mark.parametrize("env_id", MUJOCO)
def test_every_mujoco_task(env_id):
    pytest.importorskip("mujoco")
    check(lambda: gym.make(env_id))


ALE = ["Breakout", "Pong", "SpaceInvaders", "VideoPinball"]


def make_ale(game, sticky=0.0):
    return gym.make(f"ALE/{game}-v5", obs_type="ram", repeat_action_probability=sticky)


@pytest.fixture
def ale():
    ale_py = pytest.importorskip("ale_py")
    gym.register_envs(ale_py)
    ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)


@pytest.mark.parametrize("game", ALE)
def test_ale(ale, game):
    check(lambda: make_ale(game))


def test_the_state_of_another_game_is_refused(ale):
    pong, other = make_ale("Pong"), make_ale("Breakout")
    pong.reset(seed=0)
    with pytest.raises(SnapshotError, match="expected game, mode and difficulty .*breakout.*, got .*pong"):
        snapshots.restore(other, snapshots.capture(pong))


def test_ale_with_sticky_actions_is_refused(ale):
    with pytest.raises(SnapshotError, match="expected repeat_action_probability=0 .*, got 0.25"):
        snapshots.capture(make_ale("Pong", 0.25))


@pytest.mark.parametrize("spoil", [lambda state: state[:100], lambda state: 0 * state], ids=["short", "zeros"])
def test_bytes_that_are_not_an_emulator_state_are_rejected(ale, spoil):
    env = make_ale("Pong")
    env.reset(seed=0)
    state = snapshots.capture(env)
    state[-1][1]["state"]["emulator"] = spoil(state[-1][1]["state"]["emulator"])
    with pytest.raises(SnapshotError, match="AtariEnv: expected a state that get_state returned"):
        snapshots.restore(env, state)


def test_the_integration_state_alone_is_not_enough_for_ant():
    pytest.importorskip("mujoco")
    env = gym.make("Ant-v5")
    actions = actions_for(env, 40)
    env.reset(seed=4)
    steps(env, actions[:20])
    state = snapshots.capture(env)
    expected = steps(env, actions[20:])
    state[-1][1]["state"]["derived"] = snapshots.capture(env)[-1][1]["state"]["derived"]  # those of 20 steps later
    snapshots.restore(env, state)
    assert steps(env, actions[20:]) != expected


@pytest.mark.filterwarnings("ignore:.*precision lowered")
def test_wrappers():
    def make():
        env = wrappers.RescaleAction(gym.make("Pendulum-v1", max_episode_steps=7), -1.0, 1.0)
        env = wrappers.ClipAction(wrappers.RecordEpisodeStatistics(env))
        env = wrappers.ClipReward(wrappers.RescaleObservation(env, -1.0, 1.0), -5.0, 0.0)
        return wrappers.FlattenObservation(wrappers.TimeAwareObservation(wrappers.DtypeObservation(env, np.float32)))

    check(make, n=31)


class Walk(gym.Env):
    """An environment of the user's, a random walk, with get_state and set_state."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_space = gym.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.x = self.np_random.standard_normal(1)
        return self.x.copy(), {}

    def step(self, action):
        self.x += action + self.np_random.standard_normal(1)
        return self.x.copy(), 0.0, bool(self.x[0] > 9.0), False, {}

    def get_state(self):
        return {"x": self.x.copy()}

    def set_state(self, state):
        self.x = state["x"]


def test_an_environment_with_get_state_and_set_state():
    check(lambda: wrappers.TimeLimit(Walk(), 5))


class Unknown(gym.Env):
    observation_space, action_space = Walk.observation_space, Walk.action_space


@pytest.mark.parametrize(
    ("env", "name"),
    [
        (Unknown(), "test_snapshots.Unknown"),
        (wrappers.TransformObservation(Walk(), lambda x: x, None), "TransformObservation"),
        (type("Hopper", (Unknown,), {"set_state": print})(), "Hopper"),
        (type("Task", (gym.make("CartPole-v1").unwrapped.__class__,), {})(), "Task"),
    ],
    ids=["environment", "wrapper", "half the methods", "subclass"],
)
def test_what_is_not_known_is_refused_by_name(env, name):
    with pytest.raises(SnapshotError, match=rf"{name}.*get_state"):
        snapshots.capture(env)


def test_a_state_of_other_classes_is_refused():
    cart, pendulum = gym.make("CartPole-v1"), gym.make("Pendulum-v1")
    cart.reset(seed=0)
    with pytest.raises(SnapshotError, match="PendulumEnv.*CartPoleEnv"):
        snapshots.restore(pendulum, snapshots.capture(cart))


@pytest.mark.parametrize("spoil", [lambda s: s.pop("state"), lambda s: s.update(np_random=3)], ids=["missing", "type"])
def test_a_state_that_does_not_fit_is_refused(spoil):
    env = gym.make("CartPole-v1")
    env.reset(seed=0)
    state = snapshots.capture(env)
    spoil(state[-1][1])
    with pytest.raises(SnapshotError, match="CartPoleEnv"):
        snapshots.restore(env, state)


def test_a_mujoco_state_of_another_model_is_refused():
    pytest.importorskip("mujoco")
    env = gym.make("Hopper-v5")
    env.reset(seed=0)
    state = snapshots.capture(env)
    state[-1][1]["state"]["integration"] = np.zeros(3)
    with pytest.raises(SnapshotError, match="HopperEnv"):
        snapshots.restore(env, state)
