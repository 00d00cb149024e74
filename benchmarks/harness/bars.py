"""The bars: the targets that figures must reach, and the verdict on a question's rows."""

from typing import NamedTuple

from benchmarks.harness.machine import is_judged
from benchmarks.harness.report import seconds
from benchmarks.harness.rows import OURS, Row

SMALL, LARGE = "17-64-64-6 N=2048", "17-64-64-6 N=16384"
WIDE = "348-256-256-17 N=5000"
POLICY = f"{OURS} Policy"


class Bar(NamedTuple):
    """A limit on one figure of one row."""

    question: str
    what: str
    case: str
    contender: str
    figure: str
    limit: float
    at_most: bool = False
    threads: int = 1
    avx2: bool = False


def _fvp() -> list[Bar]:
    bars = []
    for case in (SMALL, LARGE):
        bars += [
            Bar("fvp", f"{case}: over {opponent}", f"{case} float32", opponent, "ratio", limit)
            for opponent, limit in (("torch", 5.0), ("jax", 1.8), ("numpy", 5.0))
        ]
        bars.append(Bar("fvp", f"{case}: of sgemm", f"{case} float32", OURS, "fraction", 0.85))
        bars.append(Bar("fvp", f"{case}, AVX2: of sgemm", f"{case} float32", OURS, "fraction", 0.85, avx2=True))
        bars.append(Bar("fvp", f"{case}: of dgemm", f"{case} float64", OURS, "fraction", 0.75))
    return bars


def _images() -> list[Bar]:
    bars = []
    limits = (
        ("paper 4x52x40 N=1024", (1.3, 1.6, 4.0, 4.0, 0.5)),
        ("NatureCNN 4x84x84 N=1024", (1.3, 1.5, 3.0, 3.0, 0.7)),
    )
    for case, (forward, gradient, product, jax, fraction) in limits:
        over = (
            ("forward", "torch", forward),
            ("gradient", "torch", gradient),
            ("product", "torch", product),
            ("product", "torch.func", 2.5),
            ("product", "jax", jax),
        )
        for what, opponent, limit in over:
            bars.append(Bar("images", f"{case} {what}: over {opponent}", f"{case} {what}", opponent, "ratio", limit))
        bars.append(Bar("images", f"{case} product: of sgemm", f"{case} product", OURS, "fraction", fraction))
        for what in ("gradient", "product"):
            text, one = f"{case} {what}: 2 threads over 1", f"{OURS}, 1 thread"
            bars.append(Bar("images", text, f"{case} {what}", one, "ratio", 1.8, threads=2))
    update = "NatureCNN 4x84x84 N=512 update"
    bars.append(Bar("images", f"{update}: over sb3-contrib", update, "sb3-contrib", "ratio", 2.5))
    return bars


BARS = [
    *_fvp(),
    *_images(),
    Bar("fvp", f"{WIDE}: of sgemm", f"{WIDE} float32", OURS, "fraction", 0.85),
    Bar("fvp", f"{WIDE}, AVX2: of sgemm", f"{WIDE} float32", OURS, "fraction", 0.85, avx2=True),
    Bar("fvp", f"{WIDE}: of dgemm", f"{WIDE} float64", OURS, "fraction", 0.75),
    Bar("fvp", f"{WIDE}: over torch", f"{WIDE} float32", "torch", "ratio", 2.0),
    Bar("fvp", f"{WIDE}: over jax", f"{WIDE} float32", "jax", "ratio", 1.05),
    Bar("fvp", f"{SMALL}: 2 threads over 1", f"{SMALL} float32", f"{OURS}, 1 thread", "ratio", 1.65, threads=2),
    Bar("fvp", f"{LARGE}: 2 threads over 1", f"{LARGE} float32", f"{OURS}, 1 thread", "ratio", 1.8, threads=2),
    Bar("fvp", "time per row, N = 1k to 256k", "17-64-64-6 growth float32", OURS, "growth", 1.3, at_most=True),
    Bar(
        "fvp",
        "NumPy opponent over its bare products",
        f"{SMALL} float32",
        "numpy, bare products",
        "overhead",
        1.1,
        True,
    ),
    Bar("critic", "minibatch step: over torch", "17-64-64-1 rows=128 float32", "torch", "ratio", 15.0),
    Bar(
        "update",
        "over sb3-contrib, faster of 1 and 2 threads",
        f"{SMALL} float32",
        "sb3-contrib",
        "ratio",
        20.0,
        threads=2,
    ),
    Bar("update", "over jax, 2 threads", f"{SMALL} float32", "jax", "ratio", 2.0, threads=2),
    Bar("update", "over jax, 1 thread", f"{SMALL} float32", "jax", "ratio", 2.0),
    Bar("act", "inside C++", "17-64-64-6 N=1 float32", f"{OURS}, C++", "seconds", 0.25e-6, at_most=True),
    Bar("act", "call with out=", "17-64-64-6 N=1 float32", f"{OURS}, out=", "seconds", 2.5e-6, at_most=True),
    Bar("act", "predict", "17-64-64-6 N=1 float32", OURS, "seconds", 8e-6, at_most=True),
    Bar("act", "predict: over sb3-contrib", "17-64-64-6 N=1 float32", "sb3-contrib", "ratio", 20.0),
    *(
        Bar(
            "rollout",
            f"{task}, {n} env{'s' * (n > 1)}: Python per step",
            f"{task} envs={n}",
            OURS,
            "seconds",
            limit,
            at_most=True,
        )
        for task in ("CartPole-v1", "HalfCheetah-v5")
        for n, limit in ((1, 12e-6), (8, 4e-6))
    ),
    *(
        Bar("training", f"{task}: over sb3-contrib", f"{task} steps=200000", "sb3-contrib", "ratio", limit, threads=2)
        for task, limit in (("CartPole-v1", 12.0), ("HalfCheetah-v5", 5.0), ("Hopper-v5", 3.0))
    ),
    Bar(
        "training",
        "HalfCheetah-v5: share of env.step",
        "HalfCheetah-v5 steps=200000",
        f"{OURS}, timed",
        "share",
        0.72,
        threads=2,
    ),
    *(
        Bar("workers", f"{task}: 2 workers over none", f"{task} envs=8", OURS, "ratio", 1.8, threads=2)
        for task in ("Hopper-v5", "HalfCheetah-v5")
    ),
    *(
        Bar("atari", f"{case}: a step over AtariVectorEnv's", case, "AtariVectorEnv", "ratio", 1.0)
        for case in ("pong 84x84", "breakout 84x84", "pong 52x40")
    ),
    *(
        Bar("atari", f"{case}: 2 threads over 2 workers", case, "AtariVectorEnv", "ratio", 0.95, threads=2)
        for case in ("pong 84x84 envs=8", "pong 84x84 envs=8 alone", "breakout 84x84 envs=8 alone", "pong 52x40 envs=8")
    ),
    Bar("latency", "act() with AVX-512, ns", "17-64-64-6", POLICY, "p50 with AVX-512", 250.0, at_most=True),
    Bar("latency", "ONNX Runtime over act()", "17-64-64-6", "ONNX Runtime", "ratio", 10.0),
    Bar("latency", "p99.9 above the empty loop's, in p50", "17-64-64-6", POLICY, "tail", 2.0, at_most=True),
    Bar("latency", "allocations", "17-64-64-6", POLICY, "allocations", 0.0, at_most=True),
    Bar("package", "import beyond numpy and gymnasium", "import", OURS, "seconds", 0.25, at_most=True),
    Bar("package", "installed size, MB", "size", OURS, "megabytes", 8.0, at_most=True),
]


def judge(question: str, rows: list[Row]) -> list[str]:
    """One line for each bar of the question: met, NOT MET, not judged, or why there is no figure."""
    return [_verdict(bar, rows) for bar in BARS if bar.question == question]


def _verdict(bar: Bar, rows: list[Row]) -> str:
    setting = [r for r in rows if (r["threads"], r["avx2"]) == (bar.threads, bar.avx2)]
    found = [r for r in setting if (r.get("case"), r.get("contender")) == (bar.case, bar.contender)]
    target = f"{'<=' if bar.at_most else '>='} {_text(bar, bar.limit)}"
    for row in found:
        if bar.figure in row:
            value = row[bar.figure]
            met = value <= bar.limit if bar.at_most else value >= bar.limit
            verdict = ("met" if met else "NOT MET") if is_judged(row) else "not judged"
            reason = "" if is_judged(row) else f": others used {row['others']:.2f} cores"
            return f"{verdict:12} {bar.what}: {_text(bar, value)} {target}{reason}"
    whole = [r for r in setting if "contender" not in r]  # the reason of a setting that gave no row
    reasons = [r["not measured"] for r in [*found, *whole] if "not measured" in r]
    return f"{'not measured':12} {bar.what} {target}: {(reasons or ['no such row'])[0]}"


def _text(bar: Bar, value: float) -> str:
    return seconds(value) if bar.figure == "seconds" else f"{value:.3g}"
