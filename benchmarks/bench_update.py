"""One policy update and one critic fit, one thread: trpo_fast against the NumPy baseline, in one run.

15 conjugate gradient steps; 10 epochs of minibatches of 128.

    python benchmarks/bench_update.py
"""

import gymnasium as gym
import numpy as np
from problems import make_problem, numpy_trpo, relative_error, report, row, time_in_turns

from trpo_fast import Batch, TRPOConfig, ValueFunction, trpo_update

N = 2048
CONFIG = TRPOConfig(cg_max_steps=15, n_critic_updates=10, batch_size=128)


def policy_row(name: str, dtype: str) -> dict:
    p = make_problem(name, N, dtype)
    batch = Batch(p.observations, p.actions, p.advantages, p.advantages)
    theta64, actions64 = p.theta.astype(np.float64), p.actions.astype(np.float64)

    def ours() -> np.ndarray:
        return trpo_update(p.policy, p.theta, batch, CONFIG)[0]

    def baseline() -> np.ndarray:
        return numpy_trpo.trpo_update(
            p.baseline, theta64, p.inputs, actions64, p.advantages,
            target_kl=CONFIG.target_kl, cg_max_steps=CONFIG.cg_max_steps, cg_damping=CONFIG.cg_damping,
        )[0]  # fmt: skip

    error = relative_error(ours() - p.theta, baseline() - theta64)
    if not error < (1e-8 if dtype == "float64" else 1e-2):
        raise SystemExit(f"bench_update: steps differ by {error:.1e} ({name}, {dtype})")
    return row(f"policy update, {name}", N, dtype, error, time_in_turns({"trpo_fast": ours, "numpy": baseline}))


def critic_row(name: str, dtype: str) -> dict:
    p = make_problem(name, N, dtype)
    obs_dim = p.observations.shape[1]
    critic = ValueFunction(gym.spaces.Box(-np.inf, np.inf, (obs_dim,)), normalize_returns=False, dtype=dtype)
    state = critic.initial_state(0)
    rng = np.random.default_rng(0)
    order = np.stack([rng.permutation(N) for _ in range(CONFIG.n_critic_updates)])
    inputs = p.inputs.astype(dtype)
    network = numpy_trpo.MLP([obs_dim, 64, 64, 1])
    theta64, inputs64 = state.theta.astype(np.float64), inputs.astype(np.float64)

    def ours() -> np.ndarray:
        return critic.fit(state, inputs, p.advantages, order, batch_size=128, learning_rate=1e-3).state.theta

    def baseline() -> np.ndarray:
        return numpy_trpo.fit_critic(network, theta64, (0.0, 0.0, 0), inputs64, p.advantages, order, 128, 1e-3)[0]

    error = relative_error(ours(), baseline())
    if not error < (1e-8 if dtype == "float64" else 1e-2):
        raise SystemExit(f"bench_update: critics differ by {error:.1e} ({name}, {dtype})")
    return row(f"critic fit, {name}", N, dtype, error, time_in_turns({"trpo_fast": ours, "numpy": baseline}))


def main() -> None:
    cases = [("HalfCheetah", "float32"), ("HalfCheetah", "float64"), ("Hopper", "float32")]
    report("bench_update", [make(*case) for make in (policy_row, critic_row) for case in cases])


if __name__ == "__main__":
    main()
