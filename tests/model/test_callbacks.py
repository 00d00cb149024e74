"""Callbacks: order of the hooks, and the built-in callbacks."""

import csv
import errno
import warnings
from contextlib import closing

import gymnasium as gym
import numpy as np
import pytest
from envs import CountingEnv, Monitor, counting_factories

from trpo_fast import TRPO, InvalidArgumentError
from trpo_fast.callbacks.base import BaseCallback, CallbackList
from trpo_fast.callbacks.checkpoint import CheckpointCallback
from trpo_fast.callbacks.evaluation import EvalCallback, StopTrainingOnRewardThreshold
from trpo_fast.monitoring.csv_files import CSVFile

FAST = {"n_steps": 20, "n_critic_updates": 1, "policy_kwargs": {"net_arch": (4,)}, "seed": 0}


def make(env=None, **arguments):
    return TRPO("MlpPolicy", env or CountingEnv(), **{**FAST, **arguments})


class Recorder(BaseCallback):
    def __init__(self, stop_at=10**9):
        super().__init__()
        self.events, self.steps, self.stop_at = [], [], stop_at

    def _init_callback(self):
        self.events.append("init")

    def _on_training_start(self):
        self.events.append("training start")

    def _on_rollout_start(self):
        self.events.append("rollout start")

    def _on_step(self):
        self.steps.append({**self.locals, "new_obs": self.locals["new_obs"].copy()})
        return self.n_calls < self.stop_at

    def _on_rollout_end(self):
        self.events.append("rollout end")

    def _on_training_end(self):
        self.events.append("training end")


ROLLOUT = ["rollout start", "rollout end"]


def test_hooks_in_their_order():
    recorder = Recorder()
    model = make().learn(40, callback=recorder)
    assert recorder.events == ["init", "training start", *ROLLOUT, *ROLLOUT, "training end"]
    assert (recorder.n_calls, recorder.num_timesteps) == (40, 40)
    assert recorder.model is model
    assert recorder.training_env is model.get_env()


def test_a_callback_that_stops():
    recorder = Recorder(stop_at=25)
    model = make().learn(1000, callback=recorder)
    assert model.num_timesteps == 25
    assert recorder.events == ["init", "training start", *ROLLOUT, "rollout start", "training end"]


def test_locals_are_the_steps():
    recorder = Recorder()
    env = CountingEnv()
    make(env).learn(20, callback=recorder)
    for step, transition in zip(recorder.steps, env.history, strict=True):
        ended = transition.terminated or transition.truncated
        assert step["rewards"].tolist() == [transition.reward]
        assert step["dones"].tolist() == [ended]
        assert step["infos"][0].get("TimeLimit.truncated", False) == (
            transition.truncated and not transition.terminated
        )
        if not ended:
            assert tuple(step["new_obs"][0]) == transition.next_observation
    assert recorder.locals["total_timesteps"] == 20


def test_actions_are_as_sampled_and_as_the_environments_got_them():
    recorder, env = Recorder(), CountingEnv(action_space=gym.spaces.Box(-0.1, 0.1, (2,)))
    make(env).learn(20, callback=recorder)
    assert [tuple(step["clipped_actions"][0]) for step in recorder.steps] == [t.action for t in env.history]
    sampled = np.concatenate([step["actions"] for step in recorder.steps])
    assert (np.abs(sampled) > 0.1).any()
    np.testing.assert_array_equal(np.clip(sampled, -0.1, 0.1), [t.action for t in env.history])


def test_callbacks_within_an_evaluation_see_the_step():
    best, after = Recorder(), Recorder()
    make().learn(20, callback=EvalCallback(CountingEnv(), best, after, n_eval_episodes=1, eval_freq=20, verbose=0))
    assert best.steps[0]["infos"] == after.steps[0]["infos"]
    assert after.steps[0]["new_obs"].shape == (1, 3)


def test_callbacks_change_nothing():
    plain = make().learn(60)
    assert (
        make().learn(60, callback=[Recorder(), lambda locals_, globals_: None]).theta.tobytes() == plain.theta.tobytes()
    )


def test_a_list_calls_everyone_though_one_says_stop():
    recorders = [Recorder(stop_at=5), Recorder()]
    make().learn(60, callback=CallbackList(recorders))
    assert [r.n_calls for r in recorders] == [5, 5]


def test_record_goes_to_the_metrics():
    def callback(locals_, globals_):
        model.logger.record("mine/last", model.num_timesteps)
        model.logger.record_mean("mine/mean", model.num_timesteps)

    model = make()
    model.learn(20, callback=callback)
    assert model.metrics["mine/last"] == 20
    assert model.metrics["mine/mean"] == pytest.approx(10.5)


def test_checkpoint_callback(tmp_path):
    make(counting_factories(2)).learn(80, callback=CheckpointCallback(15, tmp_path / "a", name_prefix="model"))
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == [
        "model_30_steps.safetensors",
        "model_60_steps.safetensors",
    ]
    assert TRPO.load(tmp_path / "a" / "model_60_steps").num_timesteps == 40  # the last whole iteration


def test_eval_callback(tmp_path):
    callback = EvalCallback(
        CountingEnv(7, lengths=(3,)), n_eval_episodes=4, eval_freq=10, log_path=tmp_path, best_model_save_path=tmp_path
    )
    model = make()
    model.learn(40, callback=callback)
    with np.load(tmp_path / "evaluations.npz") as arrays:
        assert arrays["timesteps"].tolist() == [10, 20, 30, 40]
        assert arrays["results"].shape == arrays["ep_lengths"].shape == (4, 4)
        assert (arrays["ep_lengths"] == 3).all()
        assert callback.last_mean_reward == arrays["results"][-1].mean()
        assert callback.best_mean_reward == arrays["results"].mean(axis=1).max()
    assert model.metrics["eval/mean_reward"] == callback.last_mean_reward
    assert TRPO.load(tmp_path / "best_model").num_timesteps <= 40


def test_eval_callback_keeps_successes(tmp_path):
    callback = EvalCallback(Monitor(CountingEnv(lengths=(2, 4))), n_eval_episodes=4, eval_freq=10, log_path=tmp_path)
    model = make().learn(20, callback=callback)
    with np.load(tmp_path / "evaluations.npz") as arrays:
        assert arrays["successes"].shape == (2, 4)
        assert (arrays["successes"] == (arrays["ep_lengths"] == 4)).all()
    assert model.metrics["eval/success_rate"] == 0.5


def test_stop_training_on_reward_threshold():
    stop = StopTrainingOnRewardThreshold(-1.0)
    callback = EvalCallback(CountingEnv(), callback_on_new_best=stop, n_eval_episodes=1, eval_freq=10, verbose=0)
    assert make().learn(400, callback=callback).num_timesteps == 10
    with pytest.raises(InvalidArgumentError, match="EvalCallback"):
        make().learn(20, callback=StopTrainingOnRewardThreshold(-1.0))


def test_an_object_that_is_not_a_callback_is_rejected():
    with pytest.raises(InvalidArgumentError, match=r"as Recorder\(\) makes it"):
        make().learn(20, callback=Recorder)
    with pytest.raises(InvalidArgumentError, match="callback"):
        make().learn(20, callback=3)


def test_columns_of_a_csv_may_come_later(tmp_path):
    model = make()
    evaluation = EvalCallback(CountingEnv(), n_eval_episodes=1, eval_freq=50, verbose=0)
    with closing(CSVFile(tmp_path / "progress.csv")) as sink:
        model.sinks.append(sink)
        model.learn(100, callback=evaluation)
    with (tmp_path / "progress.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["eval/mean_reward"]) for row in rows] == [False, False, True, False, True]
    assert [row["time/total_timesteps"] for row in rows] == ["20", "40", "60", "80", "100"]


def test_a_disk_that_refuses_files_of_callbacks_does_not_end_training(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    evaluation = EvalCallback(CountingEnv(7), eval_freq=10, log_path=tmp_path, best_model_save_path=tmp_path)
    model = make()
    with monkeypatch.context() as patch, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        patch.setattr(TRPO, "save", full)
        patch.setattr("trpo_fast.callbacks.evaluation_file.replace_file", full)
        model.learn(40, [evaluation, CheckpointCallback(20, tmp_path)])
    said = {str(warning.message).partition(":")[0] for warning in caught}
    assert {"the best model is not saved", "no files of 20_steps", "no files of 40_steps"} < said
    assert sum("evaluations.npz" in text for text in said) == 1  # until the disk takes it
    assert model.num_timesteps == 40
    model.learn(20, evaluation, reset_num_timesteps=False)
    with np.load(tmp_path / "evaluations.npz") as arrays:
        assert arrays["timesteps"].tolist() == [10, 20, 30, 40, 50, 60]
