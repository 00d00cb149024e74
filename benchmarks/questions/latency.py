"""How long one action takes, call by call: the C++ runtime, Eigen by hand, ONNX Runtime and PyTorch.

    python -m benchmarks.questions.latency      # 10 million calls in C++, 200,000 in Python

Needs a C++ compiler and Eigen's headers (pip install cmeel-eigen), onnx and onnxruntime; torch if it is installed.
Quantiles are raw, with those of an empty loop beside them, and of a wait that takes as long as an action but touches no
memory: what the machine itself does to a loop, and to a call of that length. All of it is held to one core. Every
contender's action is compared with Python's before it is timed.
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.harness.bars import POLICY, judge
from benchmarks.harness.machine import MAX_OTHERS, Others
from benchmarks.harness.measuring import DisagreementError, Row
from benchmarks.harness.problems import save
from trpo_fast import Policy, export_policy, save_policy
from trpo_fast.policies.normalization import ObservationNormalizer, RunningMeanStd

ROOT = Path(__file__).parents[2]
FLAGS = ["-O3", "-std=c++17", "-march=native", "-DNDEBUG", "-w"]
AVX512_LANES = 16
CONTROLS = ("empty loop", "a wait as long")
CHECKED_CALLS = 50  # of each contender, before any is timed
BOX = gym.spaces.Box
CASES = {  # observation size, widths, activation, action space
    "17-64-64-6": (17, (64, 64), "tanh", BOX(-1.0, 1.0, (6,), np.float32)),
    "48-256-128-64-12": (48, (256, 128, 64), "elu", BOX(-1.0, 1.0, (12,), np.float32)),  # a robot with legs
    "4-64-64-2": (4, (64, 64), "tanh", gym.spaces.Discrete(2)),  # CartPole
}


def make_policy(case: str, path: Path) -> tuple[Policy, np.ndarray, np.ndarray]:
    """A policy of random parameters in a file; an observation, and the action that Python takes."""
    size, net_arch, activation_fn, space = CASES[case]
    policy = Policy(BOX(-np.inf, np.inf, (size,), np.float32), space, net_arch=net_arch, activation_fn=activation_fn)
    rng = np.random.default_rng(0)
    theta = policy.initial_parameters(0)
    policy.unflatten(theta)[f"layers.{len(net_arch)}.weight"][:] *= 50.0  # of 0.01 that they begin with
    policy.normalizer = ObservationNormalizer(
        RunningMeanStd(rng.standard_normal(size), rng.uniform(0.1, 2.0, size), 1.0)
    )
    save_policy(path, policy, theta)
    observation = rng.standard_normal(size).astype(np.float32)
    row = np.empty((1, policy.codec.size), np.float32)
    policy.act(theta, observation[None].astype(np.float64), None, row)
    return policy, observation, np.asarray(policy.codec.to_env(row)).reshape(-1).astype(np.float64)


def build_cpp(folder: Path) -> Path:
    """The program benchmarks/cpp/latency.cpp, with the policy's constants in it."""
    export_policy(folder / "policy", format="cpp")
    compiler = shutil.which("c++") or "g++"
    eigen = Path(sysconfig.get_path("purelib")) / "cmeel.prefix" / "include" / "eigen3"
    tests = ROOT / "tests" / "cpp"
    includes = [f"-I{path}" for path in (ROOT / "cpp" / "runtime" / "include", tests, folder)]
    sources = [str(path) for path in (ROOT / "benchmarks" / "cpp" / "latency.cpp", tests / "counted_new.cpp")]
    command = [compiler, *FLAGS, *includes, "-isystem", str(eigen), *sources, "-o", str(folder / "latency")]
    subprocess.run(command, check=True)
    return folder / "latency"


def in_cpp(program: Path, observation: np.ndarray, calls: int) -> Iterator[Row]:
    """Its contenders."""
    command = [program, program.with_name("policy.safetensors"), str(calls)]
    answer = subprocess.run(command, input=observation.tobytes(), capture_output=True, check=True).stdout
    yield from map(json.loads, answer.splitlines())


def in_onnxruntime(folder: Path, observation: np.ndarray, size: int) -> Callable[[], np.ndarray]:
    """A call of ONNX Runtime with input and output bound, on one thread."""
    import onnxruntime

    export_policy(folder / "policy", format="onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "policy.onnx", options, providers=["CPUExecutionProvider"])
    dtype = np.float32 if "float" in session.get_outputs()[0].type else np.int64
    obs, actions = (
        onnxruntime.OrtValue.ortvalue_from_numpy(a) for a in (observation[None], np.zeros((1, size), dtype))
    )
    binding = session.io_binding()
    binding.bind_ortvalue_input("obs", obs)
    binding.bind_ortvalue_output("actions", actions)

    def act() -> np.ndarray:
        session.run_with_iobinding(binding)
        return actions

    return act


def in_torch(folder: Path, observation: np.ndarray) -> Callable[[], Any]:
    """A call of an eager module, on one thread, without gradients."""
    import torch

    torch.set_num_threads(1)
    export_policy(folder / "policy", folder / "numbers.json", format="json")
    d = json.loads((folder / "numbers.json").read_text())
    mean = torch.tensor(np.add(d["mean_high"], d["mean_low"]), dtype=torch.float32)
    inv_std = torch.tensor(d["inv_std"])
    activation = {"tanh": torch.nn.Tanh, "elu": torch.nn.ELU}[d["activation"]]
    modules: list[Any] = []
    for layer in d["layers"]:
        linear = torch.nn.Linear(len(layer["weight"][0]), len(layer["bias"]))
        linear.load_state_dict({name: torch.tensor(layer[name]) for name in ("weight", "bias")})
        modules += [linear, activation()]
    network, x = torch.nn.Sequential(*modules[:-1]), torch.from_numpy(observation)[None]
    is_box = d["action_kind"] == "box"
    low, high = (torch.tensor([float(bound) for bound in d[name]]) for name in ("low", "high"))

    @torch.inference_mode()
    def act() -> Any:
        phi = network(torch.clamp((x - mean) * inv_std, -10.0, 10.0))
        return torch.clamp(phi, low, high) if is_box else phi.argmax(dim=1)

    return act


def in_python(name: str, act: Callable[[], Any], calls: int) -> Row:
    """Quantiles of nanoseconds a call."""
    taken = np.empty(calls, np.int64)
    for _ in range(1000):
        act()
    clock = time.perf_counter_ns
    for i in range(calls):
        begin = clock()
        act()
        taken[i] = clock() - begin
    quantiles = {key: float(np.quantile(taken, q)) for key, q in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))}
    return {"contender": name, "calls": calls, **quantiles, "max": int(taken.max())}


def check(contender: str, action: Any, expected: np.ndarray) -> None:
    if not np.abs(np.ravel(action) - expected).max() <= 1e-5:
        raise DisagreementError(f"{contender}: expected {expected}, got {action}")


def measure(case: str, calls: int, python_calls: int) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        policy, observation, expected = make_policy(case, folder / "policy.safetensors")
        program = build_cpp(folder)
        for row in in_cpp(program, observation, CHECKED_CALLS):
            if row["contender"] not in CONTROLS:
                check(row["contender"], row["action"], expected)
        contenders = {"ONNX Runtime": in_onnxruntime(folder, observation, policy.codec.size)}
        try:
            contenders["PyTorch"] = in_torch(folder, observation)
        except ImportError:
            print("not installed, left out: torch")
        for name, act in contenders.items():
            check(name, act().numpy(), expected)

        others = Others()
        rows = list(in_cpp(program, observation, calls))
        rows += [in_python(name, act, python_calls) for name, act in contenders.items()]
        by_name = {row["contender"]: row for row in rows}
        empty, act_row = by_name["empty loop"], by_name[POLICY]
        for row in rows:
            row.pop("action", None)
            compared = {
                "ratio": row["p50"] / act_row["p50"],
                "tail": (row["p99.9"] - empty["p99.9"]) / row["p50"],
            }
            if row.get("lanes") == AVX512_LANES:
                compared["p50 with AVX-512"] = row["p50"]
            yield {"case": case, **row, **compared, "threads": 1, "avx2": False, "others": others.cores()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000_000, help="in C++ (%(default)s)")
    parser.add_argument("--python-calls", type=int, default=200_000, help="in Python (%(default)s)")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rows = [row for case in CASES for row in measure(case, options.calls, options.python_calls)]
    busy = max(row["others"] for row in rows)
    if busy > MAX_OTHERS:
        print(f"the machine was not quiet, others used {busy:.2f} cores: figures are rough")
    print("| network | contender | p50 ns | p99 | p99.9 | max | allocations |\n|---|---|---|---|---|---|---|")
    for row in rows:
        figures = " | ".join(f"{row[key]:,.0f}" for key in ("p50", "p99", "p99.9", "max"))
        print(f"| {row['case']} | {row['contender']} | {figures} | {row.get('allocations', '')} |")
    print(f"\nvectors of {rows[0]['lanes']} floats")
    print("\n".join(judge("latency", rows)))
    save("latency", rows, shlex.join(["python", "-m", "benchmarks.questions.latency", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
