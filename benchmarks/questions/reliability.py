"""What survives: trainings killed or terminated at random moments, kills during a save, and files with flipped bits.

How many trials had which outcome. Needs the extra mujoco, and Linux; about half an hour.
"""

import argparse
import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.harness.machine import Setting
from benchmarks.harness.options import Option, Options
from benchmarks.harness.report import number
from benchmarks.harness.rows import Row
from trpo_fast import TRPO, PolicyFileError
from trpo_fast.storage.checkpoints import NAME, PREVIOUS, latest_checkpoint
from trpo_fast.storage.policy_file import load_policy_file

SETTINGS = (Setting(1),)
OPTIONS: Options = {
    "kills": Option(100, "trainings to kill, of each task; 0 leaves them out"),
    "terminations": Option(100, "trainings to end by SIGTERM, of each task; 0 leaves them out"),
    "saves": Option(1000, "processes to kill while they save; 0 leaves them out"),
    "flips": Option(100_000, "files with a flipped bit; 0 leaves them out"),
}
COLUMNS = ("case", "trials", "outcomes")
NOT_OUTCOMES = ("case", "trials", "threads", "avx2")
COMMAND = [sys.executable, "-c", "from trpo_fast.cli import main; main()"]
RUNS = {  # a dozen iterations each
    "CartPole-v1": ["-n", "98304", "--n-steps", "1024", "--n-envs", "8", "--checkpoint-every", "8192"],
    "Hopper-v5": ["-n", "24576", "--n-steps", "2048", "--checkpoint-every", "2048"],
}


def measure(setting: Setting, options: argparse.Namespace) -> Iterator[Row]:
    for name, ending, n in (
        ("kills", signal.SIGKILL, options.kills),
        ("terminations", signal.SIGTERM, options.terminations),
    ):
        for env_id in RUNS if n else ():
            yield {"case": f"{name} {env_id}", **ended(env_id, n, ending)}
    if options.saves:
        yield {"case": "saves", **saves(options.saves)}
    if options.flips:
        yield {"case": "flips", **flips(options.flips)}
    yield {"case": "memory", **memory()}


def cells(row: Row) -> Sequence[str]:
    outcomes = (f"{name} {number(value)}" for name, value in row.items() if name not in NOT_OUTCOMES)
    return [row["case"], str(row.get("trials", "")), ", ".join(outcomes)]


def ended(env_id: str, n: int, ending: signal.Signals) -> Row:
    """Send a signal to a training at a random moment, resume it, and compare with an uninterrupted one."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        reference = Path(folder) / "reference"
        run("train", env_id, *RUNS[env_id], "--seed", "1", "--out", str(reference))
        seconds = time.perf_counter() - begin
        trials = (resumed_after(ending, env_id, Path(folder), reference, seconds, trial) for trial in range(n))
        outcomes = Counter(trials)
    return {"trials": n, "seconds_a_run": seconds, **outcomes}


def resumed_after(
    ending: signal.Signals, env_id: str, folder: Path, reference: Path, seconds: float, trial: int
) -> str:
    stream = random.Random(trial)
    for attempt in itertools.count():  # until the signal comes before the end
        out = folder / f"{ending.name}-{trial}-{attempt}"
        arguments = ["train", env_id, *RUNS[env_id], "--seed", "1", "--out", str(out), "--no-progress-bar"]
        process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not (out / "config.json").exists() and process.poll() is None:
            time.sleep(0.001)
        time.sleep(stream.uniform(0.0, seconds))
        process.send_signal(ending)
        if process.wait() != 0:
            break
    run("resume", str(out))
    same = (out / "policy.safetensors").read_bytes() == (reference / "policy.safetensors").read_bytes()
    return "equal bits" if same else "other bits"


def run(*arguments: str) -> None:
    subprocess.run([*COMMAND, *arguments, "--no-progress-bar"], check=True, stdout=subprocess.DEVNULL)


def saves(n: int) -> Row:
    """Kill -9 a process that only saves, and load its latest checkpoint."""
    outcomes: Counter[str] = Counter()
    model = TRPO("MlpPolicy", "CartPole-v1", n_steps=64, n_critic_updates=1, seed=0).learn(128)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.save(folder / NAME, previous=folder / PREVIOUS)
        for trial in range(n):
            child = os.fork()
            if child == 0:
                while True:
                    model.num_timesteps += 1
                    model.save(folder / NAME, previous=folder / PREVIOUS)
            time.sleep(random.Random(trial).uniform(0.0, 0.02))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            was_amid = any(folder.glob(".*.tmp"))
            for abandoned in folder.glob(".*.tmp"):
                abandoned.unlink()
            path = latest_checkpoint(folder)
            loaded = path is not None and TRPO.load(path).num_timesteps >= 128
            outcomes["loaded" if loaded else "lost"] += 1
            outcomes["amid a write"] += was_amid
    return {"trials": n, **outcomes}


def flips(n: int) -> Row:
    """Load files in which one random bit is flipped."""
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        TRPO("MlpPolicy", "CartPole-v1", n_steps=64, policy_kwargs={"net_arch": (8,)}, seed=0).learn(128).save(path)
        content = bytearray(path.read_bytes())
        stream = random.Random(0)
        for _ in range(n):
            at, bit = stream.randrange(len(content)), 1 << stream.randrange(8)
            content[at] ^= bit
            path.write_bytes(content)
            content[at] ^= bit
            try:
                load_policy_file(path)
            except PolicyFileError:
                outcomes["refused"] += 1
            except Exception as error:
                outcomes[type(error).__name__] += 1
            else:
                outcomes["loaded"] += 1
    return {"trials": n, "bytes": len(content), **outcomes}


def memory() -> Row:
    """Peak memory of loading a file of about 40 MB and a damaged one, over the file's size."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        TRPO("MlpPolicy", "CartPole-v1", policy_kwargs={"net_arch": (1600, 1600)}, seed=0).save(path)
        content = path.read_bytes()
        damaged = Path(folder) / "damaged.safetensors"
        damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        size = len(content)
        return {"bytes": size, **{name: peak(file) / size for name, file in (("whole", path), ("damaged", damaged))}}


def peak(path: Path) -> float:
    """Bytes by which the peak memory of a process grows when it loads a file."""
    code = (
        "import re, sys, pathlib; from trpo_fast.storage.policy_file import load_policy_file\n"
        "status = pathlib.Path('/proc/self/status')\n"
        "def peak(): return 1024 * int(re.search(r'VmHWM:\\s+(\\d+)', status.read_text(encoding='utf-8'))[1])\n"
        "before = peak()\n"
        "try: load_policy_file(pathlib.Path(sys.argv[1]))\n"
        "except Exception: pass\n"
        "print(peak() - before)"
    )
    return float(subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True).stdout)
