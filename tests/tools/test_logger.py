"""Loggers: values of NumPy are numbers everywhere, TensorBoard loses nothing silently, SB3's loggers are fed."""

import csv
import errno
import struct
from contextlib import closing

import numpy as np
import pytest
from envs import CountingEnv

from trpo_fast import TRPO, InvalidArgumentError
from trpo_fast.callbacks import BaseCallback
from trpo_fast.monitoring.csv_files import CSVFile
from trpo_fast.monitoring.logger import Logger
from trpo_fast.monitoring.tensorboard import TensorBoard

FAST = {"n_steps": 20, "n_critic_updates": 1, "policy_kwargs": {"net_arch": (4,)}, "seed": 0}
NUMBERS = {
    "float16": np.float16(2.5), "uint8": np.uint8(7), "longlong": np.longlong(-3), "bool": np.bool_(True), "int": 4,
    "0-d": np.array(1.25), "one": np.array([9], np.int32), "flag": False, "longdouble": np.longdouble(0.5),
}  # fmt: skip


def make(**arguments):
    return TRPO("MlpPolicy", CountingEnv(), **{**FAST, **arguments})


def recorder(model, values):
    return lambda *_: [model.logger.record(f"x/{name}", value) for name, value in values.items()] and None


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_pythons(name):
    logger = Logger()
    logger.record("x", NUMBERS[name])
    logger.record_mean("mean", NUMBERS[name])
    assert type(logger.name_to_value["x"]) in (int, float, bool)
    assert logger.name_to_value == {"x": NUMBERS[name], "mean": NUMBERS[name]}


def events(folder):
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    (path,) = folder.iterdir()
    data, at, found = path.read_bytes(), 0, {}
    while at < len(data):
        (size,) = struct.unpack("<Q", data[at : at + 8])
        for value in event_pb2.Event.FromString(data[at + 12 : at + 12 + size]).summary.value:
            found.setdefault(value.tag, []).append(value)
        at += size + 16
    return found


def test_numbers_reach_tensorboard_and_csv(tmp_path):
    pytest.importorskip("tensorboardX")
    model = make(tensorboard_log=tmp_path / "tb")
    with closing(CSVFile(tmp_path / "progress.csv")) as sink:
        model.sinks.append(sink)
        model.learn(40, callback=recorder(model, NUMBERS))
    found = events(tmp_path / "tb" / "TRPO_1")
    for name, value in NUMBERS.items():
        assert [v.simple_value for v in found[f"x/{name}"]] == [float(np.squeeze(value))] * 2
    with (tmp_path / "progress.csv").open() as file:
        row = next(csv.DictReader(file))
    assert (row["x/0-d"], row["x/uint8"], row["x/bool"]) == ("1.25", "7", "True")


def test_tensorboard_takes_numbers_of_numpy_from_any_hand(tmp_path):
    pytest.importorskip("tensorboardX")
    with closing(TensorBoard(tmp_path / "tb")) as sink:
        sink.write({"time/total_timesteps": np.int64(3), "x": np.float32(1.5)})
    assert events(tmp_path / "tb")["x"][0].simple_value == 1.5


def test_texts_reach_tensorboard_when_they_change_and_other_values_are_named(tmp_path):
    pytest.importorskip("tensorboardX")
    model = make(tensorboard_log=tmp_path / "tb")
    values = {"text": "begin", "list": [1, 2], "array": np.arange(3)}
    with pytest.warns(UserWarning, match="no number and no text") as caught:
        model.learn(60, callback=recorder(model, values))
    assert sorted(str(w.message).split(":")[1] for w in caught) == [
        " x/array is no number and no text",
        " x/list is no number and no text",
    ]
    assert [len(v) for name, v in events(tmp_path / "tb" / "TRPO_1").items() if name.startswith("x/text")] == [1]


def test_name_to_value_holds_the_latest_metrics():
    seen = []

    class Look(BaseCallback):
        def _on_rollout_end(self):
            self.logger.record("mine", 3)
            seen.append(self.logger.name_to_value)

    model = make().learn(40, callback=Look())
    assert seen[0] == {"mine": 3}
    assert seen[1]["train/n_updates"] == 1
    assert seen[1]["rollout/ep_len_mean"] > 0
    assert model.logger.name_to_value["train/n_updates"] == 2
    assert model.metrics == model.logger.name_to_value


class SB3Logger:
    """What a logger of Stable-Baselines3 looks like."""

    def __init__(self):
        self.values, self.dumped = {}, []

    def record(self, key, value, exclude=None):
        self.values[key] = (value, exclude)

    def dump(self, step=0):
        self.dumped.append((step, self.values))
        self.values = {}


def test_a_logger_of_sb3_gets_everything():
    first, second, model = SB3Logger(), SB3Logger(), make()
    model.set_logger(first)
    model.logger = second  # replaces the first
    model.learn(40, callback=lambda *_: model.logger.record("mine", np.float32(2.0), exclude="stdout"))
    assert first.dumped == []
    assert [step for step, _ in second.dumped] == [20, 40]
    values = second.dumped[1][1]
    assert values["mine"] == (2.0, "stdout")
    assert values["train/n_updates"] == (2, None)


@pytest.mark.parametrize("logger", [None, 3, dict])
def test_what_is_no_logger_is_refused(logger):
    with pytest.raises(InvalidArgumentError, match="logger: expected a logger with record"):
        make().set_logger(logger)


NUMPY_ARGUMENTS = {
    "n_steps": np.int32(20), "gamma": np.float32(0.75), "batch_size": np.uint8(16),
    "normalize_advantage": np.bool_(True),
    "target_kl": np.float16(0.03125), "seed": np.int64(0), "verbose": np.int8(0), "stats_window_size": np.int16(50),
}  # fmt: skip


def test_arguments_may_be_numbers_of_numpy(tmp_path):
    plain = {name: value.item() for name, value in NUMPY_ARGUMENTS.items()}
    models = [TRPO("MlpPolicy", CountingEnv(), **arguments) for arguments in (NUMPY_ARGUMENTS, plain)]
    assert models[0].config == models[1].config
    for model, name in zip(models, "ab", strict=True):
        model.learn(np.int64(40), log_interval=np.int64(1)).save(tmp_path / name)
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("stop", [False, np.bool_(False), 0])
def test_callbacks_may_answer_in_bools_of_numpy(stop):
    class Stops(BaseCallback):
        def _on_step(self):
            return stop if self.n_calls == 7 else np.bool_(True)

    assert make().learn(60, callback=Stops()).num_timesteps == 7
    assert make().learn(60, callback=lambda locals_, _: stop).num_timesteps == 1


def test_a_callback_that_returns_nothing_goes_on_with_a_warning():
    class Forgot(BaseCallback):
        def _on_step(self):
            pass

    with pytest.warns(UserWarning, match="Forgot._on_step returned None"):
        assert make().learn(60, callback=[Forgot()]).num_timesteps == 60


def test_a_disk_that_refuses_the_file_of_tensorboard_does_not_end_training(tmp_path, monkeypatch):
    writer = pytest.importorskip("tensorboardX").SummaryWriter
    flushes = []

    def full(self):
        flushes.append(None)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(writer, "flush", full)
    model = make(tensorboard_log=tmp_path)
    with pytest.warns(RuntimeWarning, match="TensorBoard gets no more.*No space left"):
        model.learn(80)
    assert model.num_timesteps == 80
    assert len(flushes) == 1
