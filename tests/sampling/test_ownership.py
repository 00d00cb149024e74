"""Environments that somebody else moved between two calls of learn are noticed; a model learns once at a time."""

import os
import threading
import warnings
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from envs import CountingEnv, counting_factories
from gymnasium.vector import SyncVectorEnv

from trpo_fast import (
    TRPO,
    AlreadyTrainingError,
    EnvironmentFaultError,
    InvalidArgumentError,
    ResumeWarning,
    evaluate_policy,
)
from trpo_fast.callbacks import EvalCallback

FAST = {"n_steps": 30, "n_critic_updates": 1, "policy_kwargs": {"net_arch": (8,)}, "seed": 1}


class Noise(gym.Env):
    """Only its random streams move: that of the observation space in a step, its own in a reset."""

    action_space = gym.spaces.Discrete(2)

    def __init__(self):
        self.observation_space = gym.spaces.Box(-1.0, 1.0, (3,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self.np_random.random(3, dtype=np.float32), {}

    def step(self, action):
        return self.observation_space.sample(), float(action), False, False, {}


def made(kind):
    """An environment of a kind, and what else refers to the same environment, to move it by."""
    if kind == "vector":
        env = SyncVectorEnv([partial(gym.make, "Pendulum-v1")] * 2)
        return env, env
    if kind == "MuJoCo":
        pytest.importorskip("mujoco")
        env = gym.make("InvertedPendulum-v5").unwrapped  # without the counter of a time limit
        return env, env
    if kind == "factories":
        envs = [CountingEnv(i) for i in range(2)]
        return [lambda: envs[0], lambda: envs[1]], envs[1]
    env = {"bare": partial(CountingEnv, lengths=(50,)), "id": partial(gym.make, "CartPole-v1"), "noise": Noise}[kind]()
    return env, env.unwrapped


def step_once(env):
    env.step(env.action_space.sample())


MOVES = {
    "step": step_once,
    "reset": lambda env: env.reset(),
    "reset with a seed": lambda env: env.reset(seed=4),
}


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("kind", ["bare", "id", "noise", "vector", "factories", "MuJoCo"])
def test_a_move_by_somebody_else_starts_new_episodes(kind, move, tmp_path):
    env, other = made(kind)
    model = TRPO("MlpPolicy", env, **FAST).learn(60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.learn(60, reset_num_timesteps=False)
    MOVES[move](other)
    assert "was stepped or reset" in model.get_training_state()["not_resumable"]
    with pytest.warns(ResumeWarning, match="environment [01] was stepped or reset outside") as caught:
        model.learn(60, reset_num_timesteps=False)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # once is enough; and learn starts new episodes by default
        model.learn(60, reset_num_timesteps=False)
        MOVES[move](other)
        model.learn(60)


def test_the_first_episode_begins_with_the_reset():
    env = CountingEnv(lengths=(7,), ends=("terminated",))
    model = TRPO("MlpPolicy", env, **FAST).learn(30)
    evaluate_policy(model, env, 3)
    with pytest.warns(ResumeWarning):
        model.learn(30, reset_num_timesteps=False)
    assert {episode.length for episode in model.latest_episodes} == {7}


def test_two_models_in_one_environment():
    env = CountingEnv(lengths=(40,))
    first, second = (TRPO("MlpPolicy", env, **FAST) for _ in range(2))
    first.learn(30)
    second.learn(60)
    with pytest.warns(ResumeWarning):
        first.learn(30, reset_num_timesteps=False)


@pytest.mark.parametrize("kind", ["bare", "id", "vector", "factories"])
def test_an_evaluation_during_training_needs_environments_of_its_own(kind):
    env, other = made(kind)
    model = TRPO("MlpPolicy", env, **FAST)
    with pytest.raises(InvalidArgumentError, match="env: expected a separate environment"):
        model.learn(60, callback=EvalCallback(other, eval_freq=10, n_eval_episodes=1, verbose=0))
    with pytest.raises(InvalidArgumentError, match="env: expected a separate environment"):
        model.learn(60, callback=lambda *_: evaluate_policy(model, other, 1) and True)
    evaluate_policy(model, other, 1)
    model.learn(60, callback=EvalCallback(made(kind)[0], eval_freq=10, n_eval_episodes=1, verbose=0))


def test_another_model_cannot_train_in_the_environment_meanwhile():
    env = CountingEnv()
    first, second = (TRPO("MlpPolicy", env, **FAST) for _ in range(2))
    with pytest.raises(InvalidArgumentError, match="env: expected a separate environment"):
        first.learn(60, callback=lambda *_: second.learn(60) and True)
    second.learn(60)


def test_rollouts_of_ones_own_loop():
    env = CountingEnv(lengths=(40,))
    model = TRPO("MlpPolicy", env, **FAST)
    for _ in range(2):
        model.sample_rollout()
    step_once(env)
    with pytest.warns(ResumeWarning):
        model.sample_rollout()


class Tuned(CountingEnv):
    """Its difficulty may be set between two calls of learn; it draws pictures with a counter."""

    difficulty, random = 1.0, np.random.default_rng(0)

    def __init__(self):
        super().__init__(lengths=(40,))
        self.pictures, self.config = 0, {"difficulty": 1.0, "table": np.zeros(3)}

    def render(self):
        self.pictures += 1


def test_what_is_not_a_move_is_not_taken_for_one(tmp_path):
    def run(between):
        env = Tuned()
        model = TRPO("MlpPolicy", env, **FAST)
        for _ in range(3):
            model.learn(40, reset_num_timesteps=False)
            between(model, env)
        return model.theta.tobytes()

    def touch(model, env):
        env.render()
        env.difficulty += 1.0
        env.config["difficulty"] += 1.0
        env.config["table"][1] += 1.0
        env.action_space.sample()
        env.note = "new"
        model.predict(env.observe())
        model.save(tmp_path / "model")
        evaluate_policy(model, Tuned(), 1)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state = model_state = run(lambda model, env: None)
        assert run(touch) == state == model_state


def test_new_environments_are_not_compared_with_the_old():
    model = TRPO("MlpPolicy", CountingEnv(lengths=(40,)), **FAST).learn(30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_env(CountingEnv(lengths=(9,)))
        model.learn(30, reset_num_timesteps=False)


# --- one learn at a time


@pytest.mark.parametrize("call", [lambda m: m.learn(30), lambda m: m.sample_rollout()], ids=["learn", "rollout"])
def test_learning_within_learning_is_refused(call):
    model = TRPO("MlpPolicy", CountingEnv(), **FAST)
    refused = []

    def callback(*_):
        if model.num_timesteps == 5:
            with pytest.raises(AlreadyTrainingError) as error:
                call(model)
            refused.append(error)
        return True

    model.learn(60, callback=callback)
    assert len(refused) == 1
    assert model.num_timesteps == 60
    reference = TRPO("MlpPolicy", CountingEnv(), **FAST).learn(60)
    assert model.theta.tobytes() == reference.theta.tobytes()
    model.learn(30)


def test_an_environment_that_calls_learn():
    class Calling(CountingEnv):
        def step(self, action):
            self.model.learn(30)

    env = Calling()
    env.model = TRPO("MlpPolicy", env, **FAST)
    with pytest.raises(EnvironmentFaultError, match="AlreadyTrainingError"):
        env.model.learn(30)


def test_learning_in_two_threads_is_refused():
    model = TRPO("MlpPolicy", CountingEnv(), **FAST)
    inside, leave = threading.Event(), threading.Event()

    def callback(*_):
        inside.set()
        return leave.wait(10.0)

    other = threading.Thread(target=model.learn, args=(60, callback))
    other.start()
    try:
        assert inside.wait(10.0)
        with pytest.raises(AlreadyTrainingError, match="learn"):
            model.learn(30)
        model.predict(np.zeros(3))
    finally:
        leave.set()
        other.join()
    assert model.num_timesteps == 60


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_may_learn_while_its_parent_does():
    model = TRPO("MlpPolicy", CountingEnv(), **FAST)
    children = []

    def callback(*_):
        if model.num_timesteps == 5 and not children:
            children.append(os.fork())
            if children[0] == 0:
                code = 1
                try:
                    evaluate_policy(model, model.get_env(), 1)
                    code = 0 if model.learn(30).num_timesteps == 30 else 2
                finally:
                    os._exit(code)
        return True

    model.learn(60, callback=callback)
    assert os.waitpid(children[0], 0)[1] == 0
    assert model.theta.tobytes() == TRPO("MlpPolicy", CountingEnv(), **FAST).learn(60).theta.tobytes()


def test_a_learn_that_failed_does_not_block_the_next():
    model = TRPO("MlpPolicy", counting_factories(2), **FAST)

    def fail(*_):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        model.learn(60, callback=fail)
    assert model.learn(60).num_timesteps == 60
