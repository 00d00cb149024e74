"""Instruction-set levels: x86-64-v3 and -v4 give the same bits, the baseline, which has no fused multiply-add, the same
numbers within a bound. As a script it writes what this process's level computes to a file."""

import subprocess
import sys

import numpy as np
import pytest
from cases import DTYPES, make_case
from conftest import script_environment  # also the oracle's path, for the script
from convolutions import CONVOLUTIONS
from convolutions import make_case as make_convolution

from trpo_fast import TRPO, FisherOperator, KFACPreconditioner, SurrogateObjective, ValueFunction, conjugate_gradient
from trpo_fast._core.loader import available_isas
from trpo_fast._core.modules import ISA, core

NETWORKS = [((33, 17), "tanh"), ((65, 5), "relu"), ((9, 40), "elu"), ((31, 23), "silu")]
SPACES = ("Gaussian", "MultiDiscrete", "Bernoulli")


def update_results(space, network, dtype):
    """Everything that an update computes, by name."""
    case = make_case(space, network=network, dtype=dtype, n=600, scale=0.3)
    objective = SurrogateObjective(case.policy, case.theta, case.observations, case.actions, case.advantages)
    F = FisherOperator(case.policy, case.theta, case.observations, 0.1)
    g = objective.gradient()
    x = conjugate_gradient(F, g, max_iter=10).x
    theta_new = (case.theta + 0.01 * case.vector() / np.sqrt(case.theta.size)).astype(dtype)
    critic = ValueFunction(case.policy.observation_space, net_arch=network[0], activation_fn=network[1], dtype=dtype)
    order = np.stack([case.rng.permutation(600) for _ in range(3)])
    fit = critic.fit(
        critic.initial_state(0), case.inputs.astype(dtype), case.advantages, order, batch_size=128, learning_rate=1e-3
    )
    return {
        "phi": case.policy.dist_params(case.theta, case.observations),
        "gradient": g,
        "product": F @ case.vector(),
        "solution": x,
        "kfac": KFACPreconditioner(case.policy, case.theta, case.observations, case.actions, 0.1) @ g,
        "objective": np.array(objective.evaluate(theta_new)),
        "critic": fit.state.theta,
    }


def convolution_results(name, dtype):
    case = make_convolution(name, dtype)
    v = case.vector()
    return {
        "phi": case.forward(case.x),
        "gradient": case.gradient(),
        "product": case.product(case.fisher(), v),
        "kfac": case.product(case.kfac(), v),
    }


def results():
    computed = {
        f"{space}-{network[1]}-{dtype}-{name}": value
        for space in SPACES
        for network in NETWORKS
        for dtype in DTYPES
        for name, value in update_results(space, network, dtype).items()
    }
    computed |= {
        f"{convolution}-{dtype}-{name}": value
        for convolution in CONVOLUTIONS
        for dtype in DTYPES
        for name, value in convolution_results(convolution, dtype).items()
    }
    x, y = np.random.default_rng(0).standard_normal((2, 12_345))
    computed |= {"dot": np.array(core.dot(x, y)), "norm": np.array(core.norm(x))}
    model = TRPO("MlpPolicy", "CartPole-v1", seed=3, n_steps=1000).learn(2000)
    return {**computed, "learn-policy": model.theta, "learn-critic": model.value_theta}


@pytest.fixture(scope="module")
def by_isa(tmp_path_factory):
    """The results of every level that is built and runs here."""
    computed = {}
    for isa in available_isas():
        path = tmp_path_factory.mktemp("isa") / f"{isa}.npz"
        environment = script_environment(TRPO_FAST_ISA=isa)
        run = subprocess.run([sys.executable, __file__, path], capture_output=True, text=True, env=environment)
        if "no compiled core module found" in run.stderr:  # a build of the baseline alone
            continue
        assert run.returncode == 0, run.stderr
        computed[isa] = dict(np.load(path))
    assert ISA in computed
    return computed


def test_levels_with_fused_multiply_add_have_the_same_bits(by_isa):
    if not {"v3", "v4"} <= by_isa.keys():
        pytest.skip("needs x86-64-v3 and -v4")
    v3, v4 = by_isa["v3"], by_isa["v4"]
    assert v3.keys() == v4.keys()
    assert not [name for name in v3 if v3[name].tobytes() != v4[name].tobytes()]


# Of a result's norm, in units of the dtype's epsilon: about ten times what there is. Ten iterations of conjugate
# gradient amplify rounding. Dot products and norms use no fused multiply-add: they have the same bits everywhere.
BOUNDS = {
    "dot": 0,
    "norm": 0,
    "phi": 20,
    "gradient": 20,
    "product": 10,
    "kfac": 100,
    "objective": 10,
    "critic": 10,
    "solution": 40_000,
}


def test_the_baseline_is_within_a_bound(by_isa):
    others = by_isa.keys() - {"base"}
    if not others:
        pytest.skip("needs a level above the baseline")
    other = by_isa[max(others)]
    for key, base in by_isa["base"].items():
        name = key.rpartition("-")[2]
        if key.startswith("learn"):  # chaotic: one action that falls out otherwise, and everything does
            continue
        epsilon = np.finfo(np.float32 if "float32" in key else np.float64).eps
        error = np.linalg.norm(base.astype(np.float64) - other[key]) / np.linalg.norm(other[key])
        assert error <= BOUNDS[name] * epsilon, key


if __name__ == "__main__":
    np.savez(sys.argv[1], **results())
