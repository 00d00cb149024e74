"""Fisher-vector product, one thread: trpo_fast against the NumPy baseline with cached activations, in one run.

python benchmarks/bench_fvp.py
"""

import numpy as np
from problems import make_problem, relative_error, report, row, time_in_turns

from trpo_fast import FisherOperator


def main() -> None:
    rows = []
    for name, n, dtype in [
        ("HalfCheetah", 2048, "float32"),
        ("HalfCheetah", 2048, "float64"),
        ("HalfCheetah", 16384, "float32"),
        ("Hopper", 2048, "float32"),
    ]:
        p = make_problem(name, n, dtype)
        v = np.random.default_rng(0).standard_normal(p.policy.num_params)
        F = FisherOperator(p.policy, p.theta, p.observations, 0.1)
        baseline = p.baseline.fisher_operator(p.theta.astype("float64"), p.inputs, 0.1)
        error = relative_error(F @ v, baseline(v))
        if not error < (1e-11 if dtype == "float64" else 1e-5):
            raise SystemExit(f"bench_fvp: products differ by {error:.1e} ({name}, N={n}, {dtype})")
        times = time_in_turns({"trpo_fast": lambda F=F, v=v: F @ v, "numpy": lambda f=baseline, v=v: f(v)})
        rows.append(row(name, n, dtype, error, times))
    report("bench_fvp", rows)


if __name__ == "__main__":
    main()
