"""The benchmarks' own measuring, and that every installed opponent computes what the oracle does."""

import importlib
import os
import re
import subprocess
import sys
from argparse import Namespace
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT))

from benchmarks import __main__ as program
from benchmarks import peers
from benchmarks.harness import bars, machine, measuring, options, problems, provenance, records, report, worker
from benchmarks.harness.image_problems import NATURE, PAPER, image_critic_problem, image_problem
from benchmarks.harness.measuring import Contender
from benchmarks.harness.rows import OURS, DisagreementError
from benchmarks.peers import image_ours, ours
from benchmarks.questions import QUESTIONS, training
from benchmarks.questions.act import model_problem
from benchmarks.questions.critic import expected_fit
from benchmarks.questions.update import CONFIG
from benchmarks.studies import learning, running
from benchmarks.studies.atari import methods as atari_methods
from benchmarks.studies.atari import report as atari_report
from benchmarks.studies.atari import runs as atari_runs
from benchmarks.studies.atari import tasks as atari_tasks

from trpo_fast import TRPOConfig

PAGES = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"]
TEXT = "\n".join(page.read_text() for page in PAGES)
COMMANDS = sorted({m[0].rstrip(".") for m in re.finditer(r"python -m benchmarks[\w.]*", TEXT)})
NAMED = sorted({word for m in re.finditer(r"python -m benchmarks((?: [a-z]+)+)", TEXT) for word in m[1].split()})

needs_results = pytest.mark.skipif(not options.RESULTS.exists(), reason="an sdist has no results")


def python(*arguments):
    command = [sys.executable, *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_docs_has_help(command, tmp_path):
    assert python(*command.split()[1:], "--help").startswith(f"usage: {command} [-h]")


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_has_help_and_measures_nothing_for_it(question, capsys, monkeypatch):
    monkeypatch.setattr(program, "ask", None)
    with pytest.raises(SystemExit, match="0"):
        program.main([question, "--help"])
    module = importlib.import_module(f"benchmarks.questions.{question}")
    text = capsys.readouterr().out
    assert module.__doc__.strip() in text
    assert all(f"--{name.replace('_', '-')}" in text for name in module.OPTIONS)


def test_questions_of_the_docs_exist():
    assert NAMED
    assert set(NAMED) <= set(QUESTIONS)


def test_an_unknown_question_is_an_error(capsys):
    with pytest.raises(SystemExit, match="2"):
        program.main(["fpv"])
    assert "got fpv" in capsys.readouterr().err


class Clock:
    """Time that passes only in ``sleep``, in place of the module time."""

    now = 0.0

    def perf_counter(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def sleeper(monkeypatch):
    """Makes contenders that take exactly so many milliseconds."""
    clock = Clock()
    monkeypatch.setattr(measuring, "time", clock)

    def make(name, milliseconds, form="", count=1):
        return Contender(name, form, lambda: (clock.sleep(milliseconds / 1e3), np.ones(2))[1], count)

    return make


def rows_of(contenders, **options):
    rows = measuring.compare("case", contenders, np.ones(2), 1e-6, seconds=0.0, **options)
    return {row["contender"]: row for row in rows}


def test_a_row_has_time_rate_error_and_ratio(sleeper):
    found = rows_of([sleeper(OURS, 2), sleeper("peer", 10, count=2)], flops=10**6)
    assert all(found[OURS][name] == pytest.approx(0.002) for name in ("seconds", "seconds_min", "seconds_max"))
    assert found[OURS]["gflops"] == pytest.approx(0.5)
    assert found[OURS]["error"] == 0.0
    assert "ratio" not in found[OURS]
    assert found["peer"]["ratio"] == pytest.approx(2.5)
    assert found["peer"]["turns"] >= measuring.MIN_TURNS


def test_of_a_peers_forms_the_fastest_counts(sleeper):
    forms = [sleeper("peer", 4, "fast"), sleeper("peer", 12, "slow"), sleeper("peer", 4.6, "nearly as fast")]
    assert {c.form for c in measuring.promising_forms(forms)} == {"fast", "nearly as fast"}
    assert rows_of([sleeper(OURS, 1), *forms])["peer"]["form"] == "fast"


def test_fractions_are_of_the_gemm_in_the_same_turn(sleeper):
    gemm = sleeper(measuring.GEMM, 4)
    found = rows_of([sleeper(OURS, 2)], flops=measuring.GEMM_FLOPS, gemms=[gemm])
    assert found[OURS]["fraction"] == pytest.approx(2.0)
    assert "ratio" not in found[measuring.GEMM]


def test_who_disagrees_is_not_timed(sleeper):
    wrong = Contender("peer", "form", lambda: np.array([1.0, 1.1]))
    with pytest.raises(DisagreementError, match=r"peer form: error 7\.1e-02, expected below 1e-06"):
        rows_of([sleeper(OURS, 1), wrong])
    assert measuring.relative_error((np.ones(2), np.array([2.0, 0.0])), (np.ones(2), np.array([1.0, 0.0]))) == 1.0
    not_finite = Contender("peer", "", lambda: np.array([np.nan, 1.0]))
    with pytest.raises(DisagreementError):
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


def test_a_row_measured_while_others_worked_is_not_judged():
    row = {"contender": "torch", "ratio": 6.0, **machine.others_row(0.3)}
    assert row["judged"] is False
    assert judged(row).startswith("not judged")
    assert judged(row).endswith("others used 0.30 cores")
    assert judged({"contender": "torch", "ratio": 6.0, **machine.others_row(0.01)}).startswith("met")
    assert judged({"contender": "torch", "ratio": 6.0, "others": 0.3}).startswith("not judged")  # an old record
    assert "0.30, not judged" in report.table([{"case": "c", **row}])


def test_a_timed_row_says_what_others_used(sleeper, monkeypatch):
    monkeypatch.setattr(machine.Others, "cores", lambda self: 0.7)
    assert rows_of([sleeper(OURS, 1)])[OURS].items() >= {"others": 0.7, "judged": False}.items()


@pytest.mark.skipif(not os.path.exists("/proc/stat"), reason="needs /proc")
def test_the_cpu_time_of_a_child_is_our_own():
    others, (_, before, _) = machine.Others(), machine._cpu_times()
    spin = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", spin], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        _, while_alive, _ = machine._cpu_times()
        child.communicate(b"\n")
    _, afterwards, _ = machine._cpu_times()
    assert while_alive - before >= 0.28
    assert afterwards >= while_alive
    assert 0.0 <= others.cores() <= os.cpu_count()


def test_a_worker_marks_its_rows_with_the_setting(monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.questions.package.TRIALS", 1)
    rows = list(worker.rows("package", machine.Setting(1), Namespace()))
    assert [row["case"] for row in rows] == ["import", "size"]
    assert all((row["threads"], row["avx2"]) == (1, False) for row in rows)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_results_go_to_a_fresh_folder_and_to_the_committed_one_only_on_demand(tmp_path, monkeypatch):
    parser = options.make_parser("prog", "text")
    options.add_destination(parser)
    monkeypatch.chdir(tmp_path)
    fresh = options.destination(parser.parse_args([]))
    assert fresh.parts[0] == "runs"
    assert fresh.is_dir()
    assert options.destination(parser.parse_args(["--out", "there"])).resolve() == tmp_path / "there"
    assert options.destination(parser.parse_args(["--record"])) == ROOT / "benchmarks" / "results"
    assert options.destination(parser.parse_args(["--show"])) == ROOT / "benchmarks" / "results"
    with pytest.raises(SystemExit):
        parser.parse_args(["--record", "--out", "there"])


def test_a_record_says_where_it_comes_from():
    origin = provenance.provenance()
    assert origin["date"].endswith("+00:00")
    assert origin["machine"].items() >= provenance.versions().items()
    assert origin["contenders"]["numpy"] == np.__version__
    assert provenance.blas()["numpy"]["name"]
    if "commit" in origin:
        assert re.fullmatch(r"[0-9a-f]{40}", origin["commit"])
        assert isinstance(origin["dirty"], bool)
    text = records.origin({**origin, "commit": "0123456789abcdef", "dirty": True})
    assert "commit 0123456789ab with changes" in text
    assert f"numpy {np.__version__}" in text


@needs_results
def test_committed_records_can_be_shown(capsys):
    program.main(["--show"])
    shown = capsys.readouterr().out
    assert all(f"{path.stem}: date" in shown for path in options.RESULTS.glob("*.json"))


def test_a_study_resumes_behind_a_torn_line(tmp_path):
    path = tmp_path / "runs.jsonl"
    file = records.RunFile(path)
    assert file.runs == []
    file.append({"seed": 1, "score": 0.1})
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"seed": 2, "sco')
    file = records.RunFile(path)
    assert file.runs == [{"seed": 1, "score": 0.1}]
    assert file.find(seed=1) == {"seed": 1, "score": 0.1}
    assert file.find(seed=2) is None
    assert path.read_bytes() != whole  # reading changes nothing
    file.append({"seed": 3, "score": 0.3})
    assert records.RunFile(path).runs == [{"seed": 1, "score": 0.1}, {"seed": 3, "score": 0.3}]


def test_a_damaged_line_within_a_study_is_an_error(tmp_path):
    path = tmp_path / "runs.jsonl"
    path.write_text('{"seed": 1}\n{"se\n{"seed": 3}\n')
    with pytest.raises(ValueError, match=r"runs\.jsonl, line 2: expected a JSON object"):
        records.RunFile(path)


def half(numerator):
    return {"numerator": numerator, "half": numerator / 2}


def test_a_failed_run_costs_no_other(tmp_path, capsys):
    file = records.RunFile(tmp_path / "halves.jsonl")
    with pytest.raises(SystemExit, match="1 of 3 runs failed"):
        running.run_all([(1,), ("one",), (3,)], half, file, 1, lambda run: f"{run['half']}")
    found = records.RunFile(file.path).runs
    assert sorted(run["half"] for run in found) == [0.5, 1.5]
    assert all(run.keys() >= {"date", "machine", "contenders", "blas"} for run in found)
    assert "('one',) failed: TypeError" in capsys.readouterr().out


@pytest.mark.slow
def test_a_study_runs_once(tmp_path):
    pytest.importorskip("matplotlib")
    what = ["--tasks", "cart-pole", "--methods", "single path", "--steps", "500", "--seeds", "1", "--processes", "1"]
    command = ["-m", "benchmarks.studies.paper", *what, "--out", str(tmp_path)]
    assert "cart-pole, single path, seed 1: " in python(*command)
    (run,) = records.RunFile(tmp_path / "paper.jsonl").runs
    assert run["steps"] == 500
    assert (tmp_path / "paper.png").stat().st_size > 0
    assert "seed 1: " not in python(*command)  # there is nothing left to run
    assert records.RunFile(tmp_path / "paper.jsonl").runs == [run]


@needs_results
def test_committed_studies_are_whole():
    counts = {path.stem: len(records.RunFile(path).runs) for path in options.RESULTS.glob("*.jsonl")}
    assert counts.keys() == {"atari", "learning", "paper", "training"}
    file = records.RunFile(options.RESULTS / "learning.jsonl")
    assert all(file.find(task=task, seed=seed) for task in learning.TASKS for seed in learning.SEEDS)
    assert all(len(path.read_bytes().splitlines()) == counts[path.stem] for path in options.RESULTS.glob("*.jsonl"))


EVERYTHING = ("fisher_product", "solve", "fit_critic", "update", "act")
ON_IMAGES = ("image_forward", "image_gradient", "image_product", "image_update")
OFFERED = {
    "numpy_peer": EVERYTHING,
    "torch_peer": ("fisher_product", "solve", "fit_critic", "act"),
    "sb3_peer": ("fisher_product", "solve", "update", "act"),
    "tianshou_peer": ("fisher_product", "solve"),
    "jax_peer": ("fisher_product", "solve", "fit_critic", "update"),
    "onnx_peer": ("act",),
    "torch_images": ON_IMAGES[:3],
    "sb3_images": ON_IMAGES[3:],
    "jax_images": ON_IMAGES[:3],
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
    for function in (*EVERYTHING, *ON_IMAGES):
        if hasattr(module, function):
            args, tolerance = image_arguments(function) if function in ON_IMAGES else arguments(function)
            of_ours = getattr(image_ours if function in ON_IMAGES else ours, function)
            expected = next(c.call() for c in of_ours(*args) if c.name == OURS)
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


def image_arguments(function):
    """Of a few images, and the tolerance of float32."""
    p = image_problem(NATURE, 16)
    v = np.random.default_rng(0).standard_normal(len(p.theta))
    config = replace(CONFIG, n_critic_updates=1)
    c = image_critic_problem(p, config)
    return {"image_product": ((p, v), 1e-5), "image_update": ((p, c, config), 1e-2)}.get(function, ((p,), 1e-5))


def test_we_agree_with_the_oracle_on_images():
    p = image_problem(PAPER, 8)
    v = np.random.default_rng(0).standard_normal(len(p.theta))
    for what, args in (("forward", ()), ("gradient", ()), ("product", (v,))):
        contenders = getattr(image_ours, f"image_{what}")(p, *args)
        measuring.check_agreement(contenders, image_ours.expected(what, p, *args), 1e-5)


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
    assert image_problem(PAPER, 1).flops == {"forward": 1_750_336, "gradient": 4_278_208, "product": 5_055_744}
    assert c.step_flops == 128 * (4 * (17 * 64 + 64 * 64 + 64) + 2 * (64 * 64 + 64))


def atari_run(**changes):
    run = {"game": "Pong", "protocol": "v4", "method": "single path", "variant": "default", "seed": 0, "steps": 1e6}
    return {**run, "timesteps": 1e6, "score": 10.0, "games": 900, "path": 30.0, "curve": [(1e6, 10.0)], **changes}


def test_atari_tables_have_every_seed_once_and_the_published_scores(tmp_path):
    runs = [atari_run(), atari_run(timesteps=2e6, score=14.0), atari_run(seed=1, score=16.0, timesteps=3e6)]
    table = atari_report.paper_table([*runs, atari_run(game="Breakout", variant="batch 1k")])
    assert "| trpo_fast, single path, v4 |  |  |  | 15.0 ± 1.0 (2M) |  |  |  |" in table
    assert "| human | 7456 | 31 | 368 | -3 | 18900 | 28010 | 3690 |" in table
    assert "machado" not in table
    assert atari_report.variant_table(runs) == ""
    table = atari_report.variant_table([*runs, atari_run(variant="KL 0.001", path=3.0)])
    assert "| Pong, v4, single path | default | 15.0 ± 1.0 (2M) | 14.0, 16.0 | 30.0 |" in table
    assert "| Pong, v4, single path | KL 0.001 | 10.0 (1M) | 10.0 | 3.0 |" in table


def test_atari_runs_are_read_from_their_progress(tmp_path):
    columns = ["time/total_timesteps", "rollout/ep_rew_mean", "rollout/episodes", "train/kl_divergence_loss"]
    rows = [columns, [500_000, "nan", 0, 0.02], [1_000_000, -20.5, 7, 0.02], [1_500_000, -20.0, 9, 0.02]]
    (tmp_path / "progress.csv").write_text("\n".join(",".join(map(str, row)) for row in rows))
    run = atari_runs.summary(tmp_path, 1_000_000)
    assert (run["timesteps"], run["score"], run["games"]) == (1_000_000, -20.5, 7)
    assert run["path"] == pytest.approx(2 * 0.2)
    assert len(run["curve"]) == 2
    assert atari_runs.summary(tmp_path)["games"] == 9


@pytest.mark.parametrize("protocol", atari_tasks.PROTOCOLS)
@pytest.mark.parametrize("method", atari_methods.METHODS)
def test_settings_of_the_atari_study_are_settings(protocol, method):
    for variant in atari_methods.VARIANTS:
        settings = atari_methods.settings_of(protocol, method, variant)
        del settings["policy_kwargs"], settings["n_envs"]
        assert TRPOConfig(**settings).method == ("vine" if method == "vine" else "single_path")
