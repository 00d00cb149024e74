"""The benchmarks' own measuring, and that every opponent at hand computes what the oracle does."""

import importlib
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT))

from benchmarks import peers
from benchmarks.harness import bars, machine, measuring, problems, report
from benchmarks.harness.measuring import OURS, Contender
from benchmarks.peers import ours
from benchmarks.questions import training
from benchmarks.questions.act import model_problem
from benchmarks.questions.critic import expected_fit
from benchmarks.questions.update import CONFIG


def sleeper(name, milliseconds, form="", count=1):
    return Contender(name, form, lambda: (time.sleep(milliseconds / 1e3), np.ones(2))[1], count)


def rows_of(contenders, **options):
    rows = measuring.compare("case", contenders, np.ones(2), 1e-6, seconds=0.0, **options)
    return {row["contender"]: row for row in rows}


def test_a_row_has_time_rate_error_and_ratio():
    found = rows_of([sleeper(OURS, 2), sleeper("peer", 10, count=2)], flops=10**6)
    assert 0.002 <= found[OURS]["seconds_min"] <= found[OURS]["seconds"] <= found[OURS]["seconds_max"]
    assert found[OURS]["gflops"] == pytest.approx(1e-3 / found[OURS]["seconds"], rel=0.5)
    assert found[OURS]["error"] == 0.0
    assert "ratio" not in found[OURS]
    assert 1.2 < found["peer"]["ratio"] < 4.0
    assert found["peer"]["turns"] >= measuring.MIN_TURNS


def test_of_a_peers_forms_the_fastest_counts():
    forms = [sleeper("peer", 4, "fast"), sleeper("peer", 12, "slow"), sleeper("peer", 4.6, "nearly as fast")]
    assert {c.form for c in measuring.promising_forms(forms)} == {"fast", "nearly as fast"}
    assert rows_of([sleeper(OURS, 1), *forms])["peer"]["form"] == "fast"


def test_fractions_are_of_the_gemm_in_the_same_turn():
    gemm = sleeper(measuring.GEMM, 4)
    found = rows_of([sleeper(OURS, 2)], flops=measuring.GEMM_FLOPS, gemms=[gemm])
    assert 1.2 < found[OURS]["fraction"] < 3.0
    assert "ratio" not in found[measuring.GEMM]


def test_who_disagrees_is_not_timed():
    wrong = Contender("peer", "form", lambda: np.array([1.0, 1.1]))
    with pytest.raises(measuring.DisagreementError, match=r"peer form: error 7\.1e-02, expected below 1e-06"):
        rows_of([sleeper(OURS, 1), wrong])
    assert measuring.relative_error((np.ones(2), np.array([2.0, 0.0])), (np.ones(2), np.array([1.0, 0.0]))) == 1.0
    not_finite = Contender("peer", "", lambda: np.array([np.nan, 1.0]))
    with pytest.raises(measuring.DisagreementError):
        rows_of([not_finite])


def judged(row):
    row = {"threads": 1, "avx2": False, "case": "17-64-64-6 N=2048 float32", **row}
    return next(line for line in bars.judge("fvp", [row]) if "17-64-64-6 N=2048: over torch" in line)


def test_bars_are_met_or_not_or_say_why_there_is_no_figure():
    assert judged({"contender": "torch", "ratio": 5.0}).startswith("met")
    assert judged({"contender": "torch", "ratio": 4.9}).startswith("NOT MET")
    assert judged({"contender": "torch", "ratio": 6.0, "threads": 2}).endswith("no such row")
    assert judged({"not measured": "no quiet machine"}).endswith("no quiet machine")


def test_at_most_bars_are_met_below():
    row = {"threads": 1, "avx2": False, "case": "size", "contender": OURS}
    assert bars.judge("package", [{**row, "megabytes": 7.0}])[1].startswith("met")
    assert bars.judge("package", [{**row, "megabytes": 9.0}])[1].startswith("NOT MET")


def test_tables_show_what_was_measured_and_what_was_not():
    rows = [{"case": "c", "contender": "torch", "seconds": 2e-3, "seconds_min": 1e-3, "seconds_max": 3e-3}]
    text = report.table([*rows, {"threads": 2, "avx2": True, "not measured": "busy"}])
    assert "| c | torch | 2 ms (1 ms-3 ms) |" in text
    assert "| 2 threads, AVX2 |" in text
    assert "not measured: busy" in text


def test_a_setting_limits_its_process():
    environment = machine.Setting(1, avx2=True).environment()
    assert environment["OPENBLAS_NUM_THREADS"] == environment["OMP_NUM_THREADS"] == "1"
    assert environment["TRPO_FAST_ISA"] == "v3"
    assert "xla_cpu_multi_thread_eigen=false" in environment["XLA_FLAGS"]
    assert "TRPO_FAST_ISA" not in machine.Setting(2).environment().keys() - os.environ.keys()


def test_the_faster_of_sb3s_two_trainings_is_the_opponent():
    def runs(seconds):
        return [{"seconds": s, "ep_rew_mean": 1.0} for s in seconds]

    one, two = training.SB3
    results = {OURS: runs([1.0, 1.1]), one: runs([7.0, 8.0]), two: runs([5.0, 5.5])}
    found = {row["contender"]: row for row in training.summary("case", results)}
    assert found["sb3-contrib"]["form"] == "torch threads: 2"
    assert found["sb3-contrib"]["ratio"] == pytest.approx(5.0)


EVERYTHING = ("fisher_product", "solve", "fit_critic", "update", "act")
OFFERED = {
    "numpy_peer": EVERYTHING,
    "torch_peer": ("fisher_product", "solve", "fit_critic", "act"),
    "sb3_peer": ("fisher_product", "solve", "update", "act"),
    "tianshou_peer": ("fisher_product", "solve"),
    "jax_peer": ("fisher_product", "solve", "fit_critic", "update"),
    "onnx_peer": ("act",),
}


@pytest.mark.parametrize("peer", list(peers.NEEDS))
def test_opponents_agree(peer):
    if set(peers.NEEDS[peer]) & set(peers.missing()):
        pytest.skip(f"needs {', '.join(peers.NEEDS[peer])}")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:  # their threads and hooks stay out of here
        assert pool.submit(agreement, peer).result().keys() == set(OFFERED[peer])


def agreement(peer):
    """The errors of everything the peer offers."""
    module, errors = importlib.import_module(f"benchmarks.peers.{peer}"), {}
    for function in EVERYTHING:
        if hasattr(module, function):
            args, tolerance = arguments(function)
            expected = next(c.call() for c in getattr(ours, function)(*args) if c.name == OURS)
            errors[function] = measuring.check_agreement(getattr(module, function)(*args), expected, tolerance)
    return errors


def arguments(function):
    """Of a small problem, and the tolerance of float32."""
    p = problems.policy_problem((5, 16, 8, 3), 256, "float32")
    c = problems.critic_problem(p.inputs, CONFIG.n_critic_updates)
    v = np.random.default_rng(0).standard_normal(len(p.theta))
    return {
        "fisher_product": ((p, v), 1e-5),
        "solve": ((p, v, 10), 1e-3),
        "fit_critic": ((c,), 1e-3),
        "update": ((p, c, CONFIG), 1e-2),
        "act": ((model_problem(p.sizes),), 1e-5),
    }[function]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_we_agree_with_the_oracle(dtype):
    p = problems.policy_problem((5, 16, 8, 3), 256, dtype)
    c = problems.critic_problem(p.inputs, 2)
    v = np.random.default_rng(0).standard_normal(len(p.theta))
    F = p.oracle.fisher_operator(p.theta.astype(np.float64), p.inputs.astype(np.float64), p.damping)
    measuring.check_agreement(ours.fisher_product(p, v), F(v), problems.TOLERANCE[dtype])
    measuring.check_agreement(ours.fit_critic(c), expected_fit(c), 1e-4 if dtype == "float32" else 1e-12)


def test_flops_are_the_nominal_ones():
    p = problems.policy_problem((17, 64, 64, 6), 10, "float32")
    assert p.product_flops == 10 * 40_192
    c = problems.critic_problem(p.inputs)
    assert c.step_flops == 128 * (4 * (17 * 64 + 64 * 64 + 64) + 2 * (64 * 64 + 64))
