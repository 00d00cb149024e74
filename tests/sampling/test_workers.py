"""Worker processes: bit-identical results for any number of workers; faults are reported and never hang."""

import ctypes
import gc
import json
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from functools import partial
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from conftest import script_environment
from envs import CountingEnv, counting_factories

from trpo_fast import TRPO, EnvironmentFaultError, InvalidArgumentError, ResumeWarning
from trpo_fast.sampling.workers import process, watch
from trpo_fast.sampling.workers.parent import ParentState
from trpo_fast.sampling.workers.shared_arrays import SharedFile, map_arrays

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
FAST = {"n_steps": 40, "n_critic_updates": 2, "policy_kwargs": {"net_arch": (8,)}, "seed": 3}


class Faulty(CountingEnv):
    """Environment 2 fails in step 5."""

    def __init__(self, env_id, bad):
        super().__init__(env_id, lengths=(50,))
        self.bad, self.n_steps = bad, 0

    def step(self, action):
        self.n_steps += 1
        if self.env_id == 2 and self.n_steps == 5:
            self.bad()
        return super().step(action)


class UnpicklableError(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")
        self.f = lambda: a

    def __reduce__(self):
        raise TypeError("no")


def raises(error):
    raise error


FAULTS = {
    "SIGKILL": (lambda: os.kill(os.getpid(), signal.SIGKILL), "killed by SIGKILL"),
    "SIGSTOP": (lambda: os.kill(os.getpid(), signal.SIGSTOP), "no answer"),
    "exit": (lambda: os._exit(3), "exit code 3"),
    "sys.exit": (lambda: sys.exit(4), r"SystemExit\(4\) in test_workers.py"),
    "raise": (lambda: raises(RuntimeError("out of fuel")), r"out of fuel'\) in test_workers.py:"),
    "unpicklable exception": (lambda: raises(UnpicklableError(1, 2)), "1 and 2"),
    "sleep forever": (lambda: time.sleep(1e6), "no answer"),
    "abort": (
        lambda: (os.write(2, b"simulator: licence expired\n"), os.abort()),
        "killed by SIGABRT; it printed 'simulator: licence expired'",
    ),
    "exit, survived by a child": (lambda: os._exit(3) if os.fork() else (time.sleep(8.0), os._exit(0)), "exit code 3"),
}


def hold_the_gil():
    ctypes.PyDLL(None).sleep(1000)


def children():
    out = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True).stdout
    return [line for line in out.splitlines() if "trpo_fast.sampling.workers" in line]


def everything(model):
    metrics = {name: value for name, value in model.metrics.items() if "/worker_" not in name and "time/" not in name}
    return model.theta.tobytes(), model.value_theta.tobytes(), repr(metrics), model.num_timesteps


def trained(env, n_workers, **arguments):
    model = TRPO("MlpPolicy", env, n_workers=n_workers, **{**FAST, **arguments})
    model.learn(240)
    model.learn(240, reset_num_timesteps=False)
    model.env.close()
    return everything(model)


def test_the_same_bits_for_any_number_of_workers():
    expected = trained("Pendulum-v1", 0, n_envs=3)
    for n_workers in (1, 2, 7):  # one, one for some environments, more than there are
        assert trained("Pendulum-v1", n_workers, n_envs=3) == expected


def test_the_same_bits_with_every_kind_of_end_of_episode():
    expected = trained(counting_factories(4), 0)
    assert trained(counting_factories(4), 3) == expected


def test_the_same_bits_on_mujoco():
    pytest.importorskip("mujoco")
    assert trained("Hopper-v5", 2, n_envs=2) == trained("Hopper-v5", 0, n_envs=2)


@pytest.mark.parametrize("order", [(0, 2), (2, 0)])
def test_resume_with_another_number_of_workers(order, tmp_path):
    before, after = order
    arguments = {**FAST, "n_envs": 3}
    whole = TRPO("MlpPolicy", "CartPole-v1", **arguments).learn(480)
    model = TRPO("MlpPolicy", "CartPole-v1", n_workers=before, **arguments).learn(240)
    model.save(tmp_path / "model")
    model.env.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resumed = TRPO.load(tmp_path / "model", "CartPole-v1", n_workers=after).learn(240, reset_num_timesteps=False)
    resumed.env.close()
    assert everything(resumed) == everything(whole)


def test_a_callback_sees_every_step_and_can_stop():
    model = TRPO("MlpPolicy", counting_factories(2), n_workers=2, **FAST)
    seen = []
    model.learn(10_000, callback=lambda locals_, globals_: seen.append(model.num_timesteps) or len(seen) < 50)
    assert seen == list(range(2, 102, 2))
    model.learn(80)
    model.env.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_and_nothing_hangs(fault):
    bad, cause = FAULTS[fault]
    model = TRPO("MlpPolicy", [partial(Faulty, i, bad) for i in range(4)], n_workers=2, worker_timeout=2.0, **FAST)
    before = model.theta
    begin = time.monotonic()
    with pytest.raises(EnvironmentFaultError, match=cause) as error:
        model.learn(10_000)
    assert time.monotonic() - begin < 6.0
    assert (error.value.worker, error.value.env_index, error.value.step) == (1, 2, 5)
    np.testing.assert_array_equal(model.theta, before)
    begin = time.monotonic()
    model.env.close()
    assert time.monotonic() - begin < 2.0
    assert not children()


def test_training_can_restart_after_a_worker_was_lost(tmp_path):
    flag = tmp_path / "done"
    bad = lambda: None if flag.exists() else (flag.touch(), os._exit(3))  # noqa: E731
    model = TRPO("MlpPolicy", [partial(Faulty, i, bad) for i in range(4)], n_workers=2, **FAST)
    with pytest.raises(EnvironmentFaultError, match="exit code 3"):
        model.learn(160)
    assert model.learn(160).num_timesteps == 160
    model.env.close()


@pytest.mark.parametrize("fault", ["raise", "sleep forever"])  # a process that ends: below
def test_restarts(fault, tmp_path):
    flag = tmp_path / "done"
    bad = FAULTS[fault][0]
    once = lambda: None if flag.exists() else (flag.touch(), bad())  # noqa: E731
    factories = [partial(Faulty, i, once) for i in range(4)]
    model = TRPO("MlpPolicy", factories, n_workers=2, worker_timeout=1.0, worker_restarts=1, **FAST)
    with pytest.warns(RuntimeWarning, match=r"restart 1 of 1: worker 1, environment 2, step 5"):
        model.learn(320)
    assert model.num_timesteps == 320
    assert model.metrics["rollout/worker_restarts"] == 1
    model.env.close()


def test_restarts_are_counted():
    factories = [partial(Faulty, i, FAULTS["exit"][0]) for i in range(4)]
    model = TRPO("MlpPolicy", factories, n_workers=2, worker_restarts=2, **FAST)
    with pytest.warns(RuntimeWarning) as record, pytest.raises(EnvironmentFaultError, match="exit code 3"):
        model.learn(320)
    assert [str(warning.message)[:14] for warning in record] == ["restart 1 of 2", "restart 2 of 2"]
    model.env.close()


def test_close_returns_while_an_environment_hangs():
    model = TRPO("MlpPolicy", [partial(Faulty, i, FAULTS["sleep forever"][0]) for i in range(4)], n_workers=2, **FAST)
    pids = {p.pid for p in model.env._workers}

    def interrupt(*_):
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(KeyboardInterrupt):
            model.learn(10_000)
    finally:
        signal.signal(signal.SIGALRM, old)
    begin = time.monotonic()
    model.env.close()
    assert time.monotonic() - begin < 2.0
    assert not children()
    assert pids


class Slow(CountingEnv):
    n_steps = 0

    def step(self, action):
        time.sleep(0.005)
        self.n_steps += 1
        return super().step(action)


def test_an_interrupted_rollout_is_abandoned_and_its_answer_ignored():
    model = TRPO("MlpPolicy", [Slow, Slow], n_workers=1, **{**FAST, "n_steps": 1000})
    old = signal.signal(signal.SIGALRM, lambda *_: raises(KeyboardInterrupt()))
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            model.learn(2000)
    finally:
        signal.signal(signal.SIGALRM, old)
    steps = model.get_env().get_attr("n_steps")  # asks while the answer of the rollout is still to come
    assert 0 < steps[0] < 1000
    assert model.get_env().get_attr("n_steps") == steps
    model.env.close()


def test_no_orphans_when_the_parent_is_killed():
    code = """
        import os, signal, time
        from functools import partial
        from test_workers import FAST, Faulty, hold_the_gil
        from trpo_fast import TRPO
        ways = partial(time.sleep, 1e6), hold_the_gil, lambda: os.kill(os.getpid(), signal.SIGSTOP)
        model = TRPO("MlpPolicy", [partial(Faulty, 2, way) for way in ways], n_workers=3, **FAST)
        print(*(worker.pid for worker in model.env._workers), flush=True)
        model.learn(10_000)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=os.path.dirname(__file__), env=script_environment()
    ) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 3
        time.sleep(0.5)
        parent.kill()
    deadline = time.monotonic() + 2.0
    alive = pids
    while alive and time.monotonic() < deadline:
        alive = [pid for pid in alive if is_alive(pid)]
        time.sleep(0.02)
    assert not alive


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_script_needs_no_main_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
        import gymnasium as gym
        from gymnasium.envs.classic_control import CartPoleEnv
        from trpo_fast import TRPO

        class Mine(CartPoleEnv):
            pass

        gym.register("Mine-v0", Mine, max_episode_steps=20)
        for env in ("Mine-v0", [lambda: Mine()] * 2):
            model = TRPO("MlpPolicy", env, n_envs=2, n_workers=1, n_steps=40, n_critic_updates=1, seed=0).learn(160)
            print(model.num_timesteps)
    """)
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("160\n160\n", "")


def test_output_of_environments_goes_to_stderr(capfd):
    factories = [partial(Faulty, i, partial(print, "a word")) for i in range(4)]
    model = TRPO("MlpPolicy", factories, n_workers=2, **FAST).learn(160)
    model.env.close()
    assert "a word" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("env", "arguments", "message"),
    [
        (CountingEnv(), {}, "env: expected an id or a list of factories"),
        (gym.make_vec("CartPole-v1", 2, vectorization_mode="sync"), {}, "env: expected an id or a list"),
        ("CartPole-v1", {"n_workers": -1}, "n_workers"),
        ("CartPole-v1", {"worker_timeout": 0.0}, "worker_timeout"),
        ("CartPole-v1", {"worker_restarts": -1}, "worker_restarts"),
    ],
)
def test_misuse(env, arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        TRPO("MlpPolicy", env, **{"n_workers": 2, **arguments})


def test_a_factory_that_raises_in_a_worker(tmp_path):
    parent = os.getpid()

    def make():
        if os.getpid() != parent:
            raise RuntimeError("no licence")
        return CountingEnv()

    with pytest.raises(EnvironmentFaultError, match="worker [01].*no licence") as error:
        TRPO("MlpPolicy", [make] * 2, n_workers=2, **FAST)
    assert not children()
    trace = str(error.value.__cause__)
    assert re.search(r"Traceback .*test_workers.py.* in make\n *raise RuntimeError.*: no licence", trace, re.DOTALL)


def test_factories_that_cannot_be_sent():
    lock = threading.Lock()
    with pytest.raises(InvalidArgumentError, match="env: expected factories that cloudpickle can send.*lock"):
        TRPO("MlpPolicy", [lambda: CountingEnv(lock.locked())], n_workers=1, **FAST)
    assert not children()


class Erratic(CountingEnv):
    """Episodes of 3 steps until it exits in step 20; of 8 steps once it has."""

    def __init__(self, flag):
        super().__init__(lengths=(8 if flag.exists() else 3,), ends=("truncated",))
        self.flag, self.n_steps = flag, 0

    def step(self, action):
        self.n_steps += 1
        if self.n_steps == 20 and not self.flag.exists():
            self.flag.touch()
            os._exit(3)
        return super().step(action)


@pytest.mark.filterwarnings("ignore:restart 1 of 1")
def test_a_rollout_collected_again_has_its_own_ends(tmp_path):
    model = TRPO(
        "MlpPolicy", [partial(Erratic, tmp_path / "flag")], n_workers=1, worker_restarts=1, **{**FAST, "n_steps": 32}
    )
    model.learn(32)
    assert [episode["l"] for episode in model.ep_info_buffer] == [8, 8, 8, 8]
    model.env.close()


@pytest.mark.filterwarnings("ignore:restart 1 of 1")
def test_episodes_of_a_restarted_worker_begin_anew(tmp_path):
    """Its open episode is forgotten; that of the other worker goes on."""
    flag = tmp_path / "done"

    class DiesInItsSecondRollout(Faulty):
        def step(self, action):
            self.n_steps += 1
            if self.env_id == 1 and self.n_steps == 45 and not flag.exists():
                flag.touch()
                os._exit(3)
            return CountingEnv.step(self, action)

    factories = [partial(DiesInItsSecondRollout, i, None) for i in range(2)]
    model = TRPO("MlpPolicy", factories, n_workers=2, worker_restarts=1, **FAST)
    model.learn(3 * 40 * 2)  # three rollouts; an episode has 50 steps
    assert [episode["l"] for episode in model.ep_info_buffer] == [50, 50, 50]
    model.env.close()


def test_environments_of_other_spaces_are_refused():
    actions = (gym.spaces.Box(-1, 1, (1,)), gym.spaces.Box(-5, 5, (1,)))
    factories = [partial(CountingEnv, i, action_space=space) for i, space in enumerate(actions)]
    for n_workers in (1, 2):
        with pytest.raises(InvalidArgumentError, match="env: expected the spaces of environment 0"):
            TRPO("MlpPolicy", factories, n_workers=n_workers, **FAST)
    assert not children()


def test_a_lost_worker_does_not_prevent_saving(tmp_path):
    model = TRPO("MlpPolicy", "CartPole-v1", n_envs=2, n_workers=2, worker_timeout=2.0, **FAST).learn(80)
    model.env._workers[1]._process.kill()
    begin = time.monotonic()
    with pytest.warns(ResumeWarning, match="killed by SIGKILL"):
        model.save(tmp_path / "model")
    model.save(tmp_path / "model")
    assert time.monotonic() - begin < 3.0
    assert TRPO.load(tmp_path / "model").theta.tobytes() == model.theta.tobytes()
    model.env.close()
    model.save(tmp_path / "model")
    with pytest.raises(InvalidArgumentError, match="closed"):
        model.learn(80)


def test_a_model_with_closed_workers_is_saved_without_a_warning(tmp_path):
    model = TRPO("MlpPolicy", "CartPole-v1", n_envs=2, n_workers=2, **FAST).learn(80)
    model.env.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.save(tmp_path / "model")
    with pytest.warns(ResumeWarning, match="the workers were closed"):
        TRPO.load(tmp_path / "model", env="CartPole-v1").learn(80, reset_num_timesteps=False)


SCRIPT = """
import json, os, pathlib, sys, warnings
import gymnasium as gym, numpy as np

FOLDER = pathlib.Path(sys.argv[1])
sys.path += [FOLDER / "modules", 7]  # of any type
warnings.simplefilter("error", FutureWarning)
os.environ["OF_THE_SCRIPT"] = "1"
os.chdir(FOLDER)

class Reporting(gym.Env):
    observation_space, action_space = gym.spaces.Box(-1, 1, (2,), np.float32), gym.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        import beside  # in FOLDER / modules
        try:
            warnings.warn("old", FutureWarning)
            filters = "none"
        except FutureWarning:
            filters = "error"
        seen = [beside.VALUE, filters, os.environ.get("OF_THE_SCRIPT"), os.environ.get("LATER"), os.getcwd(),
                np.geterr()["over"], sys.argv[1:], sys.flags.dev_mode, "Other-v0" in gym.registry]
        pathlib.Path(os.environ["REPORT"]).open("a").write(json.dumps(seen) + "\\n")
        return np.zeros(2, np.float32), {}
    def step(self, action):
        return np.zeros(2, np.float32), float(action), True, False, {}

class Doubling(gym.RewardWrapper):
    def reward(self, reward):
        return 2.0 * reward

gym.register("Other-v0", entry_point=Reporting)
doubling = gym.envs.registration.WrapperSpec("Doubling", "__main__:Doubling", {})
gym.register("Mine-v0", entry_point="__main__:Reporting", additional_wrappers=(doubling,))

from trpo_fast import TRPO
np.seterr(over="raise")
model = TRPO("MlpPolicy", "Mine-v0", n_workers=int(sys.argv[2]), n_steps=8, n_critic_updates=1, seed=0).learn(8)
os.environ["LATER"] = "2"
del os.environ["OF_THE_SCRIPT"]
np.seterr(over="warn")
os.chdir("modules")
model.learn(8)
print(model.ep_info_buffer)
model.env.close()
"""


def test_workers_carry_what_the_script_is(tmp_path):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "beside.py").write_text("VALUE = 17")
    (tmp_path / "script.py").write_text(SCRIPT)
    reports, outputs = [], []
    for n_workers in ("0", "1"):
        report = tmp_path / f"report_{n_workers}"
        modules = str(tmp_path / "modules") if n_workers == "0" else ""  # Python itself ignores a path as an entry
        done = subprocess.run(
            [sys.executable, "-X", "dev", "-W", "ignore", str(tmp_path / "script.py"), str(tmp_path), n_workers],
            capture_output=True,
            text=True,
            env=script_environment(REPORT=str(report), **({"PYTHONPATH": python_path(modules)} if modules else {})),
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        reports.append([json.loads(line) for line in report.read_text().splitlines()])
        outputs.append(done.stdout)
    assert reports[0] != []
    strip = [[[*line[:6], *line[7:]] for line in report] for report in reports]  # without n_workers in argv
    assert strip[0] == strip[1]
    assert reports[1][0][6] == [str(tmp_path), "1"]
    assert outputs[0] == outputs[1]


def test_what_cannot_be_sent_or_loaded_is_left_out(monkeypatch):
    class Unsendable(Warning):
        lock = threading.Lock()

    with warnings.catch_warnings():
        warnings.simplefilter("error", Unsendable)
        n_filters = len(warnings.filters)
        monkeypatch.setattr(sys, "path", ["a", b"b", Path("c"), 7, None])
        state = ParentState.present()
        assert state == ParentState.present()  # is compared before every request
    assert (len(state.warning_filters), state.path) == (n_filters - 1, ["a", "b", "c"])
    with warnings.catch_warnings():
        state._replace(warning_filters=[*state.warning_filters, pickle.dumps(1)[:-1]], path=sys.path).adopt()
        assert len(warnings.filters) == n_filters - 1


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_worker_ends_when_its_parent_is_another_process():
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        process._watch_parent(os.getpid())  # which is not its parent
    assert os.waitpid(child, 0)[1] == 0


def python_path(folder):
    return os.pathsep.join([folder, script_environment()["PYTHONPATH"]])


def test_workers_outlive_the_thread_that_made_them():
    made = []
    thread = threading.Thread(
        target=lambda: made.append(TRPO("MlpPolicy", counting_factories(2), n_workers=1, **FAST).learn(40))
    )
    thread.start()
    thread.join()
    time.sleep(0.2)  # Linux would have ended them with it
    assert made[0].learn(80).num_timesteps == 80
    made[0].env.close()


class Forking(CountingEnv):
    """In step 3 it forks, and both processes return from the step; in step 5 it ends processes by SIGTERM."""

    n_steps = 0

    def step(self, action):
        self.n_steps += 1
        if self.n_steps == 3:
            self.child = os.fork()
        if self.n_steps == 5:
            program = subprocess.Popen(["sleep", "1000"])
            program.terminate()
            assert program.wait(timeout=5.0) == -signal.SIGTERM
            sleeper = multiprocessing.get_context("fork").Process(target=time.sleep, args=(1000,))
            sleeper.start()
            sleeper.terminate()
            sleeper.join(5.0)
            assert sleeper.exitcode == -signal.SIGTERM
        return super().step(action)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forks_and_signals_disturb_no_worker(tmp_path):
    def act_in_child(model):
        """0 if a forked process can use the model, except for its environments."""
        with pytest.raises(InvalidArgumentError, match=f"forked from.*make the model again|process {os.getppid()}"):
            model.learn(40)
        model.predict(np.zeros(3))
        model.save(tmp_path / "child")
        model.env.close()
        del model
        gc.collect()
        return 0

    model = TRPO("MlpPolicy", [Forking], n_workers=1, **FAST)
    (worker,) = model.env._workers
    for _ in range(2):  # before and after the environment forks
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(worker.pid, number)
        model.learn(40, reset_num_timesteps=False)
    (grandchild,) = model.get_env().get_attr("child")
    deadline = time.monotonic() + 10.0
    while is_alive(grandchild) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(grandchild)  # not a second worker
    gc.collect()  # other tests' garbage, such as sessions with threads that a child does not have
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = act_in_child(model)
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert TRPO.load(tmp_path / "child").theta.tobytes() == model.theta.tobytes()
    model.learn(40, reset_num_timesteps=False)
    reference = TRPO("MlpPolicy", CountingEnv(), **FAST).learn(80).learn(40, reset_num_timesteps=False)
    assert model.theta.tobytes() == reference.theta.tobytes()
    assert model.env._workers == [worker]
    model.env.close()
    assert not children()


class ForkingLate(CountingEnv):
    """In step 3 it forks; the copy comes back, with a reward of its own, while the worker is in the last step."""

    n_steps = 0

    def step(self, action):
        self.n_steps += 1
        if self.n_steps == 3:
            go, self.went = os.pipe()
            self.child = os.fork()
            if self.child == 0:
                os.read(go, 1)
                return *super().step(action)[:1], 1e6, False, False, {}
        if self.n_steps == 40 and self.child:
            os.write(self.went, b"!")
            os.waitpid(self.child, 0)
        return super().step(action)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_copy_of_a_worker_writes_nothing():
    model = TRPO("MlpPolicy", [ForkingLate], n_workers=1, **FAST).learn(40)
    assert model.theta.tobytes() == TRPO("MlpPolicy", CountingEnv(), **FAST).learn(40).theta.tobytes()
    model.env.close()


def test_arrays_are_not_mapped_in_a_file_of_another_size(tmp_path):
    shapes = {"a": ((3, 5), "float64"), "b": ((0, 2), "int32")}
    file = SharedFile(shapes)
    map_arrays(file.path, shapes)["a"][2, 4] = 7.0
    assert map_arrays(file.path, shapes)["a"].sum() == 7.0
    log = tmp_path / "log.csv"  # the number of a closed file goes to the next one that is opened
    log.write_text("a user's")
    file.close()
    for path in (file.path, log):
        with pytest.raises(FileNotFoundError):
            map_arrays(path, shapes)
    assert log.read_text() == "a user's"


# --- what counts as a hang


def watched(monkeypatch, looks, timeout=1.0, looks_per_step=1000):
    """Seconds after which a watch reports worker 0; looks are (seconds since the last, state, CPU time)."""
    clock = [0.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: clock[0])
    positions = np.zeros((1, 2), dtype=np.int64)
    observer = watch.Watch(positions, timeout)
    cpu = 0.0
    for i, (seconds, state, used) in enumerate(looks):
        positions[0, 0] = i // looks_per_step
        clock[0] += seconds
        cpu += used
        monkeypatch.setattr(watch, "_state_and_cpu_time", lambda pid, state=state, cpu=cpu: (state, cpu))
        if observer.hung({0: 1}) is not None:
            return clock[0]
    return None


TICK = watch.TICK


def test_what_counts_as_a_hang(monkeypatch):
    assert watched(monkeypatch, [(TICK, "S", 0.0)] * 30) == pytest.approx(1.05, abs=0.06)  # it waits
    assert watched(monkeypatch, [(TICK, "T", 0.0)] * 30) == pytest.approx(1.05, abs=0.06)  # it was stopped
    assert watched(monkeypatch, [(TICK, "", 0.0)] * 30) == pytest.approx(1.05, abs=0.06)  # no /proc
    assert watched(monkeypatch, [(TICK, "R", TICK)] * 30) == pytest.approx(1.05, abs=0.06)  # an endless loop
    assert watched(monkeypatch, [(TICK, "S", 0.0)] * 100, looks_per_step=18) is None  # steps of 0.9 s
    assert watched(monkeypatch, [(TICK, "R", TICK / 10)] * 150) is None  # a crowded machine: 0.75 s of work
    assert watched(monkeypatch, [(TICK, "R", TICK / 10)] * 250) > 9.0
    assert watched(monkeypatch, [(TICK, "t", 0.0)] * 1000) is None  # in a debugger
    assert watched(monkeypatch, [(TICK, "S", 0.0), (3600.0, "S", 0.0), (TICK, "S", 0.0)]) is None  # suspended


def test_the_state_and_the_time_of_a_process():
    end = time.process_time() + 0.1
    while time.process_time() < end:
        pass
    state, cpu = watch._state_and_cpu_time(os.getpid())
    if sys.platform == "linux":
        assert state == "R"
        assert abs(cpu - time.process_time()) < 0.1
    assert watch._state_and_cpu_time(2**22 + 1) == ("", 0.0)  # no such process
