"""Threads: bit-identical results on any number of them; forks, concurrent calls and Ctrl-C are safe."""

import os
import signal
import subprocess
import sys
import threading
import time

import gymnasium as gym
import numpy as np
import pytest
from cases import DTYPES, make_case
from conftest import script_environment

from trpo_fast import (
    TRPO,
    Batch,
    FisherOperator,
    InvalidArgumentError,
    KFACPreconditioner,
    Policy,
    SurrogateObjective,
    TRPOConfig,
    conjugate_gradient,
    get_num_threads,
    set_num_threads,
    trpo_update,
)
from trpo_fast._core.cpu_quota import cpu_quota
from trpo_fast._core.modules import kernels
from trpo_fast._core.threads import use_default
from trpo_fast.policies.predictor import LoadedPolicy

THREAD_COUNTS = (1, 2, 3, 4, 7)
ROWS = (1, 65, 3000)  # less than a slot, two slots, many


@pytest.fixture(autouse=True)
def restored_default():
    before = get_num_threads()
    yield
    set_num_threads(before)


def policy_products(case, n_threads):
    """The bytes of everything that takes ``n_threads``."""
    objective = SurrogateObjective(
        case.policy, case.theta, case.observations, case.actions, case.advantages, n_threads=n_threads
    )
    F = FisherOperator(case.policy, case.theta, case.observations, 0.1, n_threads=n_threads)
    g = objective.gradient()
    x = conjugate_gradient(F, g, max_iter=5).x
    theta_new = (case.theta + 0.01 * x / np.linalg.norm(x)).astype(case.theta.dtype)
    value = np.array(objective.evaluate(theta_new))
    return b"".join(a.tobytes() for a in (g, F @ g, x, value))


@pytest.mark.parametrize("n", ROWS)
@pytest.mark.parametrize("space", ["Gaussian", "MultiDiscrete"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_objective_operator_and_solver_have_the_same_bits(space, dtype, n):
    case = make_case(space, network=((33, 17), "tanh"), dtype=dtype, n=n)
    expected = policy_products(case, 1)
    for n_threads in THREAD_COUNTS[1:]:
        assert policy_products(case, n_threads) == expected, n_threads


@pytest.mark.parametrize("dtype", DTYPES)
def test_update_and_forward_have_the_same_bits(dtype):
    case = make_case("Gaussian", network=((33, 17), "silu"), dtype=dtype, n=3000)
    batch = Batch(case.observations, case.actions, case.advantages, case.advantages)
    seen = set()
    for n_threads in THREAD_COUNTS:
        set_num_threads(n_threads)
        theta, report = trpo_update(case.policy, case.theta, batch, TRPOConfig())
        assert report.committed
        seen.add((theta.tobytes(), report.mean_kl, case.policy.dist_params(theta, case.observations).tobytes()))
    assert len(seen) == 1


def critic_fit(k, network, inputs, order):
    rng = np.random.default_rng(1)
    theta, m, v = (rng.random(network.num_params).astype(inputs.dtype) for _ in range(3))
    targets = rng.standard_normal(len(inputs)).astype(inputs.dtype)
    return k.ValueFit(network, inputs, targets, order, 100, 1e-3, theta, m, v, 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_fit_in_the_background_has_the_same_bits(dtype):
    k, rng = kernels(dtype), np.random.default_rng(0)
    network = k.Network([k.Dense(5, 64, "tanh"), k.Dense(64, 1, "identity")])
    inputs = rng.standard_normal((2000, 5)).astype(dtype)
    order = np.stack([rng.permutation(2000) for _ in range(5)])
    case = make_case("Gaussian", dtype=dtype, n=2000)
    results = []
    for in_background in (False, True):
        fit = critic_fit(k, network, inputs, order)
        if in_background:
            fit.start()
            assert policy_products(case, 4) == policy_products(case, 1)  # while it runs
        fit.finish()
        out = [np.empty(network.num_params, dtype) for _ in range(3)]
        results.append((fit.read(*out), *(a.tobytes() for a in out)))
    assert results[0] == results[1]


def test_learning_has_the_same_bits():
    seen = set()
    for n_threads in (1, 2, 5):
        set_num_threads(n_threads)
        model = TRPO("MlpPolicy", "CartPole-v1", seed=3, n_steps=1000).learn(2000)
        seen.add((model.theta.tobytes(), model.value_theta.tobytes()))
    assert len(seen) == 1


# --- what is decided at import


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=script_environment(**environment), timeout=120
    )


def output(code, **environment):
    result = python(code, **environment)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


GET = "import trpo_fast; print(trpo_fast.get_num_threads())"


def test_the_environment_variable_is_taken():
    assert output(GET, TRPO_FAST_NUM_THREADS=" 3 ") == "3"


def test_an_empty_environment_variable_is_none(monkeypatch):
    monkeypatch.delenv("TRPO_FAST_NUM_THREADS", raising=False)
    use_default()
    default = get_num_threads()
    monkeypatch.setenv("TRPO_FAST_NUM_THREADS", "")
    use_default()
    assert get_num_threads() == default


@pytest.mark.parametrize("value", ["0", "257", "-1", "2.0", "many"])
def test_the_environment_variable_is_checked(value, monkeypatch):
    monkeypatch.setenv("TRPO_FAST_NUM_THREADS", value)
    with pytest.raises(ImportError, match=rf"TRPO_FAST_NUM_THREADS: expected an integer in 1\.\.256, got '{value}'"):
        use_default()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_affinity_is_the_default():
    one = min(os.sched_getaffinity(0))
    assert output(f"import os; os.sched_setaffinity(0, {{{one}}}); {GET}", TRPO_FAST_NUM_THREADS="") == "1"
    assert output(GET, TRPO_FAST_NUM_THREADS="") == str(min(len(os.sched_getaffinity(0)), cpu_quota() or 256))


WITHOUT_MEMORY_FOR_THREADS = """
import os, resource, sys
import numpy as np
from trpo_fast import FisherOperator
from cases import make_case
case = make_case(n=300)
v = case.vector()

def product(n_threads):
    return FisherOperator(case.policy, case.theta, case.observations, n_threads=n_threads) @ v

expected = product(1)
in_use = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (in_use + 2**20, -1))  # less than one stack
assert (product(8) == expected).all()
print(len(os.listdir("/proc/self/task")))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_where_no_thread_can_be_started_the_caller_does_the_work():
    n_threads = int(output(WITHOUT_MEMORY_FOR_THREADS, OPENBLAS_NUM_THREADS="1"))
    assert n_threads == 1  # or it proves nothing


# --- misuse


@pytest.mark.parametrize("bad", [0, -1, 257, 2.0, True, "2", None])
def test_set_num_threads_refuses(bad):
    before = get_num_threads()
    with pytest.raises(InvalidArgumentError, match="n: expected"):
        set_num_threads(bad)
    assert get_num_threads() == before


@pytest.mark.parametrize("bad", [0, 257, 2.0, "2"])
def test_n_threads_is_checked(bad):
    case = make_case(n=10)
    with pytest.raises(InvalidArgumentError, match="n_threads: expected"):
        FisherOperator(case.policy, case.theta, case.observations, n_threads=bad)
    with pytest.raises(InvalidArgumentError, match="n_threads: expected"):
        SurrogateObjective(case.policy, case.theta, case.observations, case.actions, case.advantages, n_threads=bad)


# --- forks, concurrent calls, Ctrl-C


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("pause", [0.0, 0.01], ids=["workers spin", "workers sleep"])
def test_a_child_computes_the_same(pause):
    case = make_case("Gaussian", n=3000)
    expected = policy_products(case, 4)
    time.sleep(pause)
    child = os.fork()
    if child == 0:  # no pytest in here
        os._exit(0 if policy_products(case, 4) == expected == policy_products(case, 3) else 1)
    assert policy_products(case, 4) == expected
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("kind", ["actor", "predict", "Fisher", "KFAC"])
def test_a_child_can_use_what_another_thread_was_using(kind):
    """It has the object as it was in the middle of a call of a thread that does not exist there."""
    case = make_case("Gaussian", network=((64, 64), "tanh"), n=2000)
    v = case.vector()
    if kind == "actor":
        # few rows: acting holds the GIL
        actor, out = case.policy.actor(case.theta), np.empty((50, case.policy.codec.size), case.policy.dtype)
        use = lambda: actor.act(case.observations[:50], None, out) or out.copy()  # noqa: E731
    elif kind == "predict":
        loaded, observations = LoadedPolicy(case.policy, case.theta), np.asarray(case.observations)
        use = lambda: loaded.predict(observations)[0] > -np.inf  # noqa: E731  # a sample
    elif kind == "Fisher":
        F = FisherOperator(case.policy, case.theta, case.observations, n_threads=2)
        use = lambda: F @ v  # noqa: E731
    else:
        K = KFACPreconditioner(case.policy, case.theta, case.observations, case.actions, 0.1)
        use = lambda: K @ v  # noqa: E731
    expected, is_done, children = use(), threading.Event(), []

    def use_always():
        while not is_done.is_set():
            use()

    user = threading.Thread(target=use_always)
    user.start()
    try:
        for _ in range(4):
            time.sleep(0.003)
            child = os.fork()
            if child == 0:
                signal.alarm(20)  # a hang
                os._exit(0 if (use() == expected).all() else 1)
            children.append(child)
    finally:
        is_done.set()
        user.join()
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4


def test_concurrent_calls_have_the_same_bits():
    case = make_case("Categorical", n=3000)
    expected = policy_products(case, 1)
    F = FisherOperator(case.policy, case.theta, case.observations, n_threads=3)  # one operator for all
    v = case.vector()
    product = F @ v
    wrong = []

    def use():
        for _ in range(5):
            if policy_products(case, 3) != expected or (F @ v != product).any():
                wrong.append(threading.get_ident())

    users = [threading.Thread(target=use) for _ in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert not wrong


def test_a_callable_operator_may_use_the_pool():
    """Nested use: conjugate gradient calls Python, which calls the kernels."""
    case = make_case("Gaussian", n=3000)
    F = FisherOperator(case.policy, case.theta, case.observations, 0.1, n_threads=4)
    b = case.vector()
    nested = conjugate_gradient(lambda v: F @ v, b, max_iter=5)
    np.testing.assert_array_equal(nested.x, conjugate_gradient(F, b, max_iter=5).x)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="needs POSIX signals")
@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_leaves_the_pool_usable():
    rng = np.random.default_rng(0)
    policy = Policy(gym.spaces.Box(-1, 1, (20,)), gym.spaces.Box(-1, 1, (4,)), net_arch=(128, 128))
    F = FisherOperator(policy, policy.initial_parameters(0), rng.standard_normal((50_000, 20)), 0.1, n_threads=4)
    v = rng.standard_normal(policy.num_params)
    expected = F @ v
    timer = threading.Timer(0.2, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            conjugate_gradient(F, v, max_iter=10_000, rtol=0.0)
    finally:
        timer.join()
    np.testing.assert_array_equal(F @ v, expected)


# An import in another thread's first call gives the GIL to this one.
FIRST_USE = """
import builtins, threading, time
import numpy as np
from trpo_fast._core.modules import kernels

imports = []
def slow_import(name, *args):
    imports.append(name)
    time.sleep(0.1)
    return import_(name, *args)

def use(dtype):
    kernels(dtype).Categorical(2).entropy(np.zeros((1, 2), dtype), np.zeros(1))

import_, builtins.__import__ = builtins.__import__, slow_import
threads = [threading.Thread(target=use, args=(dtype,)) for dtype in (np.float32, np.float32, np.float64)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert not imports, imports
"""


def test_the_first_calls_may_be_concurrent():
    subprocess.run([sys.executable, "-c", FIRST_USE], check=True, timeout=60)
