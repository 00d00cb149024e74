"""Public functions cast floats, accept any layout and reject other arrays. Add new functions to ``public``."""

import functools

import numpy as np
import pytest
from arrays import CORRUPT, RELAID
from cases import DTYPES, make_case
from failures import collected_failures

from trpo_fast import (
    Batch,
    FisherOperator,
    InvalidArgumentError,
    KFACPreconditioner,
    SurrogateObjective,
    TRPOConfig,
    ValueFunction,
    conjugate_gradient,
    trpo_update,
)


@functools.cache
def public(dtype):
    case = make_case(n=8, dtype=dtype)
    policy, theta, ones = case.policy, case.theta, np.ones(case.policy.num_params)
    observations, advantages = case.observations.astype(np.float32), case.advantages.astype(np.float32)
    F = FisherOperator(policy, theta, observations, damping=0.1)
    phi = policy.dist_params(theta, observations)
    value = ValueFunction(policy.observation_space, net_arch=(4,), dtype=policy.dtype)
    critic = value.initial_state(0)
    order = np.tile(np.arange(len(observations)), (2, 1))
    batch = {"observations": observations, "actions": case.actions, "advantages": advantages}
    v = case.vector().astype(np.float32)

    def objective(theta, **batch):
        return SurrogateObjective(policy, theta, **batch)

    return {
        "Policy.normalize": (policy.normalize, {"observations": observations}),
        "Policy.dist_params": (policy.dist_params, {"theta": theta, "observations": observations}),
        "Policy.forward": (policy.forward, {"theta": theta, "inputs": observations}),
        "Policy.log_prob": (
            policy.log_prob, {"theta": theta, "observations": observations, "actions": case.actions}
        ),
        "Policy.kl_divergence": (policy.kl_divergence, {"p": phi, "q": phi[::-1].copy()}),
        "FisherOperator": (
            lambda theta, observations: FisherOperator(policy, theta, observations) @ ones,
            {"theta": theta, "observations": observations},
        ),
        "FisherOperator, rows": (
            lambda observations: FisherOperator(policy, theta, observations, rows=slice(0, None, 2)) @ ones,
            {"observations": observations},
        ),
        "FisherOperator.matvec": (F.matvec, {"v": v}),
        "KFACPreconditioner": (
            lambda theta, observations, actions: KFACPreconditioner(policy, theta, observations, actions, 0.1) @ ones,
            {"theta": theta, "observations": observations, "actions": case.actions},
        ),
        "SurrogateObjective": (lambda **arrays: objective(**arrays).gradient(), {"theta": theta, **batch}),
        "SurrogateObjective.evaluate": (
            lambda theta_new: np.array(objective(theta, **batch).evaluate(theta_new)), {"theta_new": theta * 1.01}
        ),
        "conjugate_gradient": (lambda b: conjugate_gradient(F, b).x, {"b": v}),
        "trpo_update": (
            lambda theta, **arrays: trpo_update(policy, theta, Batch(**arrays, returns=advantages), TRPOConfig())[0],
            {"theta": theta, **batch},
        ),
        "ValueFunction.predict": (lambda inputs: value.predict(critic, inputs), {"inputs": observations}),
        "ValueFunction.fit": (
            lambda **arrays: value.fit(critic, **arrays, batch_size=3, learning_rate=0.01).state.theta,
            {"inputs": observations, "returns": advantages, "order": order},
        ),
    }  # fmt: skip


EXACT = ("theta", "theta_new", "order")  # of one dtype only
every_function = pytest.mark.parametrize("name", public("float64"))
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


def is_legal(argument, corruption):
    """Whether public functions accept the array, or reject another argument."""
    return (
        (argument not in EXACT and corruption == "the other float")
        or (argument == "actions" and corruption in ("float16", "the other byte order"))
        or (argument == "b" and corruption == "one column more")  # F is then the one that does not fit
    )


@both_dtypes
@every_function
def test_any_layout_is_taken(name, dtype):
    call, arrays = public(dtype)[name]
    expected = call(**arrays)
    with collected_failures() as case:
        for argument, array in arrays.items():
            for layout, relay in RELAID.items():
                with case(argument, layout):
                    relaid = relay(array)
                    before = relaid.copy()
                    np.testing.assert_array_equal(call(**{**arrays, argument: relaid}), expected)
                    np.testing.assert_array_equal(relaid, before)


@both_dtypes
@every_function
def test_both_floats_are_taken(name, dtype):
    call, arrays = public(dtype)[name]
    expected = call(**arrays)
    with collected_failures() as case:
        for argument, array in arrays.items():
            if argument not in EXACT:
                with case(argument):
                    given = {**arrays, argument: array.astype(np.float64)}
                    np.testing.assert_allclose(call(**given), expected, rtol=1e-6)


@both_dtypes
@every_function
def test_the_rest_is_refused_by_name(name, dtype):
    call, arrays = public(dtype)[name]
    with collected_failures() as case:
        for argument, array in arrays.items():
            for corruption, corrupt in CORRUPT.items():
                if is_legal(argument, corruption):
                    continue
                with (
                    case(argument, corruption),
                    pytest.raises(InvalidArgumentError, match=f"^{argument}: expected .+, got .+"),
                ):
                    call(**{**arrays, argument: corrupt(array)})
