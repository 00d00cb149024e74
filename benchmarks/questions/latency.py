"""How long one action takes, call by call: the C++ runtime, Eigen by hand, ONNX Runtime and PyTorch.

Needs a C++ compiler and Eigen's headers (pip install cmeel-eigen), onnx and onnxruntime; torch if it is installed. An
empty loop, and a wait that is as long as an action but touches no memory, show what the machine itself does to a loop
and to a call of that length. Every contender's action is compared with Python's before it is timed.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import util
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from benchmarks.harness.bars import POLICY
from benchmarks.harness.compiling import ROOT, compile_program
from benchmarks.harness.machine import Others, Setting
from benchmarks.harness.options import Option, Options
from benchmarks.harness.rows import DisagreementError, NotMeasuredError, Row
from trpo_fast import TRPO, export_policy
from trpo_fast.policies.normalization import RunningMeanStd

SETTINGS = (Setting(1),)
OPTIONS: Options = {
    "calls": Option(10_000_000, "calls of each contender in C++"),
    "python_calls": Option(200_000, "calls of each contender in Python"),
}
COLUMNS = ("network", "contender", "p50 ns", "p99", "p99.9", "max", "allocations", "floats a vector")
AVX512_LANES = 16
CONTROLS = ("empty loop", "a wait as long")
CHECKED_CALLS = 50  # of each contender, before any is timed
BOX = gym.spaces.Box
CASES = {  # observation size, widths, activation, action space
    "17-64-64-6": (17, (64, 64), "tanh", BOX(-1.0, 1.0, (6,), np.float32)),
    "48-256-128-64-12": (48, (256, 128, 64), "elu", BOX(-1.0, 1.0, (12,), np.float32)),  # a robot with legs
    "4-64-64-2": (4, (64, 64), "tanh", gym.spaces.Discrete(2)),  # CartPole
}


def measure(setting: Setting, options: argparse.Namespace) -> Iterator[Row]:
    if not (util.find_spec("onnx") and util.find_spec("onnxruntime")):
        raise NotMeasuredError("needs onnx and onnxruntime")
    for case in CASES:
        yield from latencies(case, options)


def cells(row: Row) -> Sequence[str]:
    figures = [f"{row[key]:,.0f}" for key in ("p50", "p99", "p99.9", "max")]
    return [row["case"], row["contender"], *figures, *(str(row.get(key, "")) for key in ("allocations", "lanes"))]


def make_model(case: str) -> tuple[TRPO, np.ndarray]:
    """A model with random parameters and statistics, and an observation."""
    size, net_arch, activation_fn, space = CASES[case]
    spaces = BOX(-np.inf, np.inf, (size,), np.float32), space
    model = TRPO("MlpPolicy", spaces, policy_kwargs={"net_arch": net_arch, "activation_fn": activation_fn}, seed=0)
    parameters = model.get_parameters()
    parameters["policy"][f"layers.{len(net_arch)}.weight"] *= 50.0  # initialised 0.01 times as large as the others
    model.set_parameters(parameters)
    rng = np.random.default_rng(0)
    model.set_observation_statistics(RunningMeanStd(rng.standard_normal(size), rng.uniform(0.1, 2.0, size), 1.0))
    return model, rng.standard_normal(size).astype(np.float32)


def build_cpp(folder: Path) -> tuple[Path, str]:
    """The program benchmarks/cpp/latency.cpp, with the policy's constants in it; and the compiler's version."""
    export_policy(folder / "policy", format="cpp")
    tests = ROOT / "tests" / "cpp"
    sources = [ROOT / "benchmarks" / "cpp" / "latency.cpp", tests / "counted_new.cpp"]
    includes = [ROOT / "cpp" / "runtime" / "include", tests, folder]
    compiler = compile_program(folder / "latency", sources, includes, ["-march=native", "-DNDEBUG"])
    return folder / "latency", compiler


def in_cpp(program: Path, observation: np.ndarray, calls: int) -> Iterator[Row]:
    """Rows of the program's contenders."""
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
    d = json.loads((folder / "numbers.json").read_text(encoding="utf-8"))
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
    """Quantiles of nanoseconds per call."""
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


def latencies(case: str, options: argparse.Namespace) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, observation = make_model(case)
        model.save(folder / "policy.safetensors")
        expected = np.ravel(model.predict(observation, deterministic=True)[0]).astype(np.float64)
        program, compiler = build_cpp(folder)
        for row in in_cpp(program, observation, CHECKED_CALLS):
            if row["contender"] not in CONTROLS:
                check(row["contender"], row["action"], expected)
        contenders = {"ONNX Runtime": in_onnxruntime(folder, observation, len(expected))}
        if util.find_spec("torch"):
            contenders["PyTorch"] = in_torch(folder, observation)
        for name, act in contenders.items():
            check(name, act().numpy(), expected)

        others = Others()
        rows = list(in_cpp(program, observation, options.calls))
        rows += [in_python(name, act, options.python_calls) for name, act in contenders.items()]
        quiet = others.row()
    by_name = {row["contender"]: row for row in rows}
    empty, act_row = by_name["empty loop"], by_name[POLICY]
    for row in rows:
        row.pop("action", None)
        compared = {"ratio": row["p50"] / act_row["p50"], "tail": (row["p99.9"] - empty["p99.9"]) / row["p50"]}
        if row.get("lanes") == AVX512_LANES:
            compared["p50 with AVX-512"] = row["p50"]
        yield {"case": case, **row, **compared, "compiler": compiler, **quiet}
