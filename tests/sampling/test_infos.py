"""What environments say in ``info``: it reaches callbacks, and a Monitor's returns and successes are the episodes'."""

from contextlib import closing
from functools import partial

import numpy as np
import pytest
from envs import CountingEnv, FakeEnvPool, FakeVecEnv, Monitor, Scaled, VecNormalize
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import RecordEpisodeStatistics

from trpo_fast import TRPO
from trpo_fast.callbacks import BaseCallback
from trpo_fast.environments.infos import Outcome
from trpo_fast.monitoring.csv_files import MonitorFile

pytestmark = pytest.mark.filterwarnings("ignore:iteration .*outliers")  # of a VecNormalize that begins
FAST = {"n_steps": 40, "n_critic_updates": 1, "policy_kwargs": {"net_arch": (4,)}, "seed": 0}


def monitored(i):
    return Scaled(Monitor(CountingEnv(i, lengths=(3, 1, 4, 2)[i:])))


FACTORIES = [partial(monitored, i) for i in range(2)]
ENVIRONMENTS = {
    "single": lambda: {"env": FACTORIES},
    "workers": lambda: {"env": FACTORIES, "n_workers": 2},
    **{mode.name: lambda mode=mode: {"env": SyncVectorEnv(FACTORIES, autoreset_mode=mode)} for mode in AutoresetMode},
    "EnvPool": lambda: {"env": FakeEnvPool(FACTORIES)},
    "VecEnv": lambda: {"env": FakeVecEnv([make() for make in FACTORIES])},
    "VecNormalize": lambda: {"env": VecNormalize(FakeVecEnv([make() for make in FACTORIES]))},
}
everywhere = pytest.mark.parametrize("arguments", ENVIRONMENTS.values(), ids=ENVIRONMENTS)


class Look(BaseCallback):
    def __init__(self):
        super().__init__()
        self.seen, self.ends = [], []

    def _on_step(self):
        for i, (info, done) in enumerate(zip(self.locals["infos"], self.locals["dones"], strict=True)):
            if "step" in info:  # not the step of an autoreset
                self.seen.append((i, info["step"], bool(done)))
            if done:
                self.ends.append((i, info["terminal_observation"].tolist(), info["TimeLimit.truncated"]))
        return True


@everywhere
def test_infos_reach_callbacks_and_returns_are_the_monitors(arguments):
    look, model = Look(), TRPO("MlpPolicy", **{**FAST, **arguments()})
    model.learn(80, callback=look)
    model.env.close()
    of_first = [step for i, *step in look.seen if i == 0]
    assert of_first[:6] == [[1, False], [2, False], [3, True], [1, True], [1, False], [2, False]]
    if "VecNormalize" not in type(model.get_env()).__name__:  # whose observations are others
        assert [last[0] for i, last, _ in look.ends if i == 1][:4] == [1] * 4
        assert [last[2] for i, last, _ in look.ends if i == 0][:4] == [3, 1, 4, 2]
    assert [is_time_limit for i, _, is_time_limit in look.ends if i == 0][:4] == [True, False, False, True]
    assert all(episode["r"] > 0.5 * episode["l"] for episode in model.ep_info_buffer)  # not times 0.01
    episodes = model._training.collector.episodes
    successes = [episode.is_success for episode in episodes]
    assert successes == [float(episode.length > 2) for episode in episodes]
    assert model.metrics["rollout/success_rate"] == np.mean(successes)


def test_returns_are_the_monitors_without_a_callback_too():
    plain = TRPO("MlpPolicy", VecNormalize(FakeVecEnv([make() for make in FACTORIES])), **FAST).learn(80)
    watched = TRPO("MlpPolicy", VecNormalize(FakeVecEnv([make() for make in FACTORIES])), **FAST)
    watched.learn(80, callback=Look())
    assert plain.ep_info_buffer == watched.ep_info_buffer
    assert (plain.theta == watched.theta).all()


def test_monitor_csv_holds_the_monitors_returns(tmp_path):
    model = TRPO("MlpPolicy", VecNormalize(FakeVecEnv([make() for make in FACTORIES])), **FAST)
    with closing(MonitorFile(model, tmp_path / "monitor.csv", "Counting")) as sink:
        model.sinks.append(sink)
        model.learn(80)
    rows = [line.split(",")[:2] for line in (tmp_path / "monitor.csv").read_text().splitlines()[2:]]
    assert rows == [[f"{episode['r']:.6f}", str(episode["l"])] for episode in model.ep_info_buffer]
    assert all(float(r) > 0.5 * int(length) for r, length in rows)


def test_statistics_of_gymnasium_are_taken_too():
    def make():
        return Scaled(RecordEpisodeStatistics(CountingEnv(lengths=(5,))))

    for env in (make(), SyncVectorEnv([make])):
        model = TRPO("MlpPolicy", env, **FAST).learn(40)
        assert model.ep_info_buffer[0]["r"] > 5.0
        assert "rollout/success_rate" not in model.metrics


@pytest.mark.parametrize(
    ("info", "outcome"),
    [
        ({"episode": {"r": np.float32(2.5), "l": np.array([7])}}, Outcome(2.5, 7)),
        ({"episode": {"r": "much", "l": None}, "is_success": 1}, Outcome(None, None, 1.0)),
        ({"episode": 3, "is_success": np.array(False)}, Outcome(None, None, 0.0)),
        ({"episode": {"r": np.nan, "l": 2}}, Outcome(None, 2)),
        ({"episode_continues": np.array([False, True])[1]}, Outcome(continues=True)),
        ({"episode_continues": "yes"}, Outcome()),
        ({}, None),
        (None, None),
    ],
)
def test_an_outcome_is_what_can_be_read_as_numbers(info, outcome):
    assert Outcome.of(info) == outcome


def test_episodes_in_a_file_keep_their_success(tmp_path):
    model = TRPO("MlpPolicy", monitored(0), **FAST).learn(40)
    model.save(tmp_path / "model")
    loaded = TRPO.load(tmp_path / "model", monitored(0))
    assert loaded._training.collector.episodes == model._training.collector.episodes


class Telling(CountingEnv):
    """Its info holds what no pickle takes, and what is changed later."""

    told = {"lock": None}  # noqa: RUF012

    def step(self, action):
        *step, _ = super().step(action)
        self.told["lock"], self.told["t"] = (x for x in [1]), self.t
        return *step, self.told


class Rewriting(CountingEnv):
    """Observes with one array that it writes to."""

    array = np.zeros(3, np.float32)

    def observe(self):
        self.array[:] = super().observe()
        return self.array


@pytest.mark.parametrize("env", [Rewriting(), SyncVectorEnv([Rewriting], copy=False)])
def test_a_terminal_observation_stays_what_it_was(env):
    ends = []

    def look(locals_, _):
        if locals_["dones"][0]:
            ends.append(locals_["infos"][0]["terminal_observation"])

    TRPO("MlpPolicy", env, **FAST).learn(40, callback=look)
    assert [end[2] for end in ends[:4]] == [3, 1, 4, 2]


@pytest.mark.parametrize("n_workers", [0, 1])
def test_infos_are_kept_as_they_were(n_workers):
    steps = []
    look = lambda locals_, _: steps.append((locals_["infos"][0]["t"], locals_["infos"][0]["lock"]))  # noqa: E731
    model = TRPO("MlpPolicy", [partial(Telling, lengths=(5,))], n_workers=n_workers, **FAST)
    model.learn(40, callback=look)
    model.env.close()
    assert [t for t, _ in steps[:7]] == [1, 2, 3, 4, 5, 1, 2]
    assert all("generator" in repr(lock) for _, lock in steps)
