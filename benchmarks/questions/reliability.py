"""What survives: trainings killed at random moments, kills inside a save, and files with flipped bits.

    python -m benchmarks.questions.reliability                      # everything, about ten minutes on two cores
    python -m benchmarks.questions.reliability saves flips --out /tmp/reliability.json

Writes benchmarks/results/reliability.json: how many of how many came through. Needs the extra mujoco, and Linux.
"""

import argparse
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from trpo_fast import TRPO, PolicyFileError
from trpo_fast._core.diagnostics import versions
from trpo_fast.storage.checkpoints import NAME, PREVIOUS, latest_checkpoint
from trpo_fast.storage.policy_file import load_policy_file

RESULTS = Path(__file__).parents[1] / "results" / "reliability.json"
COMMAND = [sys.executable, "-c", "from trpo_fast.cli import main; main()"]
RUNS = {  # a dozen iterations each
    "CartPole-v1": ["-n", "98304", "--n-steps", "1024", "--n-envs", "8", "--checkpoint-every", "8192"],
    "Hopper-v5": ["-n", "24576", "--n-steps", "2048", "--checkpoint-every", "2048"],
}


def kills(env_id: str, n: int) -> dict[str, Any]:
    """Kill -9 a training at a random moment, resume it, and compare with one that was left alone."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        reference = Path(folder) / "reference"
        run("train", env_id, *RUNS[env_id], "--seed", "1", "--out", str(reference))
        seconds = time.perf_counter() - begin
        one = partial(killed_and_resumed, env_id, Path(folder), reference, seconds)
        with ThreadPoolExecutor(2) as pool:
            outcomes = Counter(pool.map(one, range(n)))
    return {"trials": n, "seconds_a_run": seconds, **outcomes}


def killed_and_resumed(env_id: str, folder: Path, reference: Path, seconds: float, trial: int) -> str:
    stream = random.Random(trial)
    for attempt in itertools.count():  # until a kill comes before the end
        out = folder / f"{trial}-{attempt}"
        arguments = ["train", env_id, *RUNS[env_id], "--seed", "1", "--out", str(out), "--no-progress-bar"]
        process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL)
        while not (out / "config.json").exists() and process.poll() is None:
            time.sleep(0.001)
        time.sleep(stream.uniform(0.0, seconds))
        process.send_signal(signal.SIGKILL)
        if process.wait() != 0:
            break
    run("resume", str(out))
    same = (out / "policy.safetensors").read_bytes() == (reference / "policy.safetensors").read_bytes()
    return "equal bits" if same else "other bits"


def run(*arguments: str) -> None:
    subprocess.run([*COMMAND, *arguments, "--no-progress-bar"], check=True, stdout=subprocess.DEVNULL)


def saves(n: int) -> dict[str, Any]:
    """Kill -9 a process that does nothing but save, and load its latest checkpoint."""
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
            was_amid = any(folder.glob(".*.tmp")) or not (folder / NAME).exists()
            for abandoned in folder.glob(".*.tmp"):
                abandoned.unlink()
            path = latest_checkpoint(folder)
            loaded = path is not None and TRPO.load(path).num_timesteps >= 128
            outcomes["loaded" if loaded else "lost"] += 1
            outcomes["amid a write"] += was_amid
    return {"trials": n, **outcomes}


def flips(n: int) -> dict[str, Any]:
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


def memory() -> dict[str, Any]:
    """Peak memory of loading a whole file of 64 MB and a damaged one, over the file's size."""
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
        "import re, sys, pathlib; from trpo_fast.policy_file import load_policy_file\n"
        "status = pathlib.Path('/proc/self/status')\n"
        "def peak(): return 1024 * int(re.search(r'VmHWM:\\s+(\\d+)', status.read_text())[1])\n"
        "before = peak()\n"
        "try: load_policy_file(pathlib.Path(sys.argv[1]))\n"
        "except Exception: pass\n"
        "print(peak() - before)"
    )
    return float(subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True).stdout)


QUESTIONS = {
    "kills CartPole-v1": lambda: kills("CartPole-v1", 100),
    "kills Hopper-v5": lambda: kills("Hopper-v5", 100),
    "saves": lambda: saves(1000),
    "flips": lambda: flips(100_000),
    "memory": memory,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("questions", nargs="*", default=list(QUESTIONS), metavar="QUESTION", help=", ".join(QUESTIONS))
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    results = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    for name in (name for name in QUESTIONS if any(name.startswith(asked) for asked in arguments.questions)):
        results[name] = QUESTIONS[name]()
        print(name, results[name], flush=True)
        results["versions"] = versions()
        arguments.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
