"""The private core converts nothing and checks everything. Add new bound functions to ``bound``."""

import gc
from typing import Any, NamedTuple

import numpy as np
import pytest
from arrays import CORRUPT, RELAID, copied, placed
from cases import DTYPES
from failures import collected_failures

from trpo_fast._core.modules import core, kernels

N, P = 300, 388  # rows, more than a block; parameters of the network below
nan, inf = float("nan"), float("inf")


class Bound(NamedTuple):
    """A bound callable, arguments that it takes, and which of them it writes."""

    call: Any
    arguments: dict[str, Any]
    outputs: tuple[str, ...] = ()


def make_network(k):
    return k.Network([k.Dense(3, 64, "tanh"), k.Dense(64, 2, "identity"), k.AppendLogStd(2)])


def bound(dtype):
    """Every bound callable, under its name."""
    k, rng = kernels(dtype), np.random.default_rng(0)

    def scalar(*shape):
        return rng.standard_normal(shape).astype(dtype)

    def double(*shape):
        return rng.standard_normal(shape)

    network, gaussian = make_network(k), k.DiagGaussian(2)
    critic = k.Network([k.Dense(3, 2, "relu"), k.Dense(2, 1, "identity")])
    normalizer = core.Normalizer(double(3), np.ones(3), 2.0)
    planes = rng.integers(0, 3, (60, 2, 2), dtype=np.uint8)
    numbers = rng.integers(-1, 40, (N, 3), dtype=np.int32)
    stacks = planes[numbers[:5]]
    action_range = core.ActionRange(-np.ones(2), np.ones(2), np.zeros(2, dtype=np.int64))
    theta, x, phi, actions = scalar(P), scalar(N, 3), scalar(N, 4), scalar(N, 2)
    both, out = {"network": network, "distribution": gaussian}, ("out",)
    actor = {**both, "normalizer": normalizer, "action_range": action_range, "theta": theta}
    linearization = k.Linearization(network, theta, x)
    surrogate = k.SurrogateObjective(network, gaussian, theta, x, actions, double(N), 0.1, 2)
    fisher = k.FisherOperator(network, gaussian, theta, x, 0.1, 2)
    kfac = k.KFACPreconditioner(network, gaussian, theta, x, actions, 0.1, 2)
    taken = {"phi": phi, "actions": actions}
    state = {"theta": scalar(11), "first_moment": scalar(11), "second_moment": np.abs(scalar(11))}
    order = np.stack([rng.permutation(N), np.arange(N)])
    fit = {"network": critic, "x": x, "targets": scalar(N), "order": order, "batch_size": 70, "learning_rate": 0.01}
    resize = core.AreaResize(6, 8, 3, 3)
    screen, smaller = rng.integers(0, 256, (6, 8), dtype=np.uint8), np.zeros((3, 3), np.uint8)
    return {
        "AreaResize": Bound(core.AreaResize, {"in_height": 6, "in_width": 8, "out_height": 3, "out_width": 3}),
        "AreaResize.apply": Bound(resize.apply, {"first": screen, "second": screen.copy(), "out": smaller}, out),
        "Normalizer": Bound(core.Normalizer, {"mean": double(3), "inv_std": double(3), "clip": 10.0}),
        "ActionRange": Bound(
            core.ActionRange, {"low": double(3), "high": double(3), "start": np.arange(3)}
        ),
        "copy_if_fit": Bound(core.copy_if_fit, {"values": double(N, 3), "out": double(N, 3)}, out),
        "Images": Bound(core.Images, {"planes": planes, "index": numbers}),
        "store_planes": Bound(
            core.store_planes,
            {"pixels": stacks, "previous": numbers[5:10], "index": numbers[:5].copy(), "planes": planes, "used": 40},
            ("index", "planes"),
        ),
        "to_env": Bound(k.to_env, {"action_range": action_range, "actions": scalar(N, 2), "out": double(N, 2)}, out),
        "normalize": Bound(k.normalize, {"normalizer": normalizer, "x": double(N, 3), "out": scalar(N, 3)}, out),
        "Dense": Bound(k.Dense, {"input_size": 3, "output_size": 2, "activation": "tanh"}),
        "AppendLogStd": Bound(k.AppendLogStd, {"size": 2}),
        "ClampLogStd": Bound(k.ClampLogStd, {"size": 2}),
        "Conv2d": Bound(
            k.Conv2d,
            {"height": 5, "width": 4, "channels": 2, "filters": 3, "kernel_size": (3, 2), "stride": 2, "padding": 1,
             "activation": "relu"},
        ),
        "Flatten": Bound(k.Flatten, {"height": 3, "width": 4, "channels": 5}),
        "Columns": Bound(k.Columns, {"input_size": 7, "first": 2, "count": 5}),
        "Gru": Bound(k.Gru, {"input_size": 3, "output_size": 2}),
        "Sequences": Bound(
            k.Sequences,
            {"lanes": 2, "length": 6, "starts": rng.integers(0, 2, N, dtype=np.uint8), "states": scalar(50, 4),
             "padding": (np.arange(N) % 7 == 3).astype(np.uint8)},
        ),
        "Network": Bound(k.Network, {"layers": [k.Dense(3, 2, "tanh"), k.Dense(2, 4, "relu")]}),
        "Network.forward": Bound(network.forward, {"theta": theta, "x": x, "out": scalar(N, 4)}, out),
        "Linearization": Bound(k.Linearization, {"network": network, "theta": theta, "x": x}),
        "Linearization.jvp": Bound(linearization.jvp, {"dtheta": theta, "out": scalar(N, 4)}, out),
        "Linearization.vjp": Bound(linearization.vjp, {"phi_bar": phi, "out": scalar(P)}, out),
        "DiagGaussian": Bound(k.DiagGaussian, {"size": 2}),
        "Categorical": Bound(k.Categorical, {"num_choices": 3}),
        "Bernoulli": Bound(k.Bernoulli, {"num_bits": 3}),
        "UnitGaussian": Bound(k.UnitGaussian, {"size": 2}),
        "Product": Bound(k.Product, {"factors": [k.Categorical(3), k.Bernoulli(2)]}),
        "Distribution.log_prob": Bound(gaussian.log_prob, {**taken, "out": double(N)}, out),
        "Distribution.log_ratio": Bound(
            gaussian.log_ratio, {"p": phi, "q": scalar(N, 4), "actions": actions, "out": double(N)}, out
        ),
        "Distribution.log_prob_vjp": Bound(
            gaussian.log_prob_vjp, {**taken, "weight": double(N), "out": scalar(N, 4)}, out
        ),
        "Distribution.kl_divergence": Bound(
            gaussian.kl_divergence, {"p": phi, "q": scalar(N, 4), "out": double(N)}, out
        ),
        "Distribution.entropy": Bound(gaussian.entropy, {"phi": phi, "out": double(N)}, out),
        "Distribution.entropy_vjp": Bound(
            gaussian.entropy_vjp, {"phi": phi, "weight": 0.5, "out": scalar(N, 4)}, out
        ),
        "Distribution.fisher_metric": Bound(gaussian.fisher_metric, {"phi": phi, "out": scalar(N, 4)}, out),
        "Distribution.multiply_fisher": Bound(
            gaussian.multiply_fisher, {"metric": phi, "dphi": scalar(N, 4), "out": scalar(N, 4)}, out
        ),
        "Distribution.sample": Bound(
            gaussian.sample, {"phi": phi, "noise": scalar(N, 2), "out": scalar(N, 2)}, out
        ),
        "Distribution.mode": Bound(gaussian.mode, {"phi": phi, "out": scalar(N, 2)}, out),
        "SurrogateObjective": Bound(
            k.SurrogateObjective,
            {**both, "theta": theta, "x": x, "actions": actions, "advantages": double(N), "ent_coef": 0.1,
             "n_threads": 2},
        ),
        "PolicyObjective.gradient": Bound(surrogate.gradient, {"out": double(P)}, out),
        "PolicyObjective.evaluate": Bound(surrogate.evaluate, {"theta_new": scalar(P)}),
        "VineObjective": Bound(
            k.VineObjective,
            {**both, "theta": theta, "x": x, "actions": scalar(N, 6), "q_values": double(N, 3), "proposal": "policy",
             "ent_coef": 0.1, "n_threads": 2},
        ),
        "FisherOperator": Bound(
            k.FisherOperator, {**both, "theta": theta, "x": x, "damping": 0.1, "n_threads": 2}
        ),
        "EmpiricalFisherOperator": Bound(
            k.EmpiricalFisherOperator,
            {**both, "theta": theta, "x": x, "actions": actions, "damping": 0.1, "n_threads": 2},
        ),
        "KFACPreconditioner": Bound(
            k.KFACPreconditioner,
            {**both, "theta": theta, "x": x, "actions": actions, "damping": 0.1, "n_threads": 2},
        ),
        "LinearOperator.multiply": Bound(fisher.multiply, {"v": double(P), "out": double(P)}, out),
        "get_num_threads": Bound(core.get_num_threads, {}),
        "set_num_threads": Bound(core.set_num_threads, {"n_threads": core.get_num_threads()}),
        "CallableOperator": Bound(core.CallableOperator, {"size": 3, "product": np.copy}),
        "dot": Bound(core.dot, {"x": double(P), "y": double(P)}),
        "norm": Bound(core.norm, {"x": double(P)}),
        "conjugate_gradient": Bound(
            core.conjugate_gradient,
            {"a": fisher, "b": double(P), "max_iter": 5, "rtol": 1e-9, "preconditioner": kfac, "progress_rtol": 0.0},
        ),
        "ValueFit": Bound(k.ValueFit, {**fit, **state, "n_steps": 0}),
        "ValueFit.start": Bound(k.ValueFit(**fit, **state, n_steps=0).start, {}),
        "ValueFit.finish": Bound(k.ValueFit(**fit, **state, n_steps=0).finish, {}),
        "ValueFit.read": Bound(k.ValueFit(**fit, **state, n_steps=0).read, state, tuple(state)),
        "Actor": Bound(k.Actor, actor),
        "Actor.act": Bound(
            k.Actor(**actor).act,
            {"observations": double(N, 3), "noise": actions, "out": actions, "env_actions": double(N, 2)},
            ("out", "env_actions"),
        ),
    }  # fmt: skip


TABLE = {dtype: bound(dtype) for dtype in DTYPES}


ABSTRACT = ("Layer", "Distribution", "LinearOperator", "PolicyObjective")
INT32 = (("Images", "index"), ("store_planes", "previous"), ("store_planes", "index"))
BYTES = (  # which have neither an order nor an alignment
    *(("AreaResize.apply", argument) for argument in ("first", "second", "out")),
    *(("store_planes", argument) for argument in ("pixels", "planes")),
    ("Images", "planes"),
    *(("Sequences", argument) for argument in ("starts", "padding")),
)
LEGAL = {
    ("Actor.act", "noise", "None"),  # the most probable action
    ("Actor.act", "env_actions", "None"),  # not wanted
    ("Actor.act", "env_actions", "the other float"),  # that of a space is taken
    ("to_env", "out", "the other float"),
    ("Normalizer", "mean", "one column more"),  # inv_std is then the one that does not fit
    ("Normalizer", "mean", "empty"),  # of a network without a vector input
    ("ActionRange", "low", "one column more"),
    ("dot", "x", "one column more"),  # y is then the one that does not fit
    ("norm", "x", "one column more"),  # any size is taken
    ("Images", "planes", "one column more"),
    ("Sequences", "starts", "one column more"),  # no whole lanes then
    ("Sequences", "states", "one column more"),
    ("Sequences", "padding", "None"),
    ("Images", "index", "one column more"),
    ("store_planes", "pixels", "one column more"),  # planes is then the one that does not fit
    ("store_planes", "pixels", "reversed"),  # each environment's planes are contiguous
    *((*argument, "int32") for argument in INT32),
    *((*argument, corruption) for argument in BYTES for corruption in ("misaligned", "the other byte order")),
    *(("copy_if_fit", "values", corruption) for corruption in (*CORRUPT, *RELAID)),  # answered with False
    *(("copy_if_fit", "out", corruption) for corruption in ("one dimension more", "one column more", "empty")),
}
ARRAYS = {
    name: [argument for argument, value in row.arguments.items() if isinstance(value, np.ndarray)]
    for name, row in TABLE["float64"].items()
}
every_callable = pytest.mark.parametrize("name", TABLE["float64"])
every_callable_of_arrays = pytest.mark.parametrize("name", [name for name, arguments in ARRAYS.items() if arguments])
both_dtypes = pytest.mark.parametrize("dtype", DTYPES)


def assert_untouched(arguments, before, outputs=()):
    for name, value in arguments.items():
        if isinstance(value, np.ndarray) and name not in outputs:
            np.testing.assert_array_equal(value, before[name], err_msg=name)


def assert_refused(row, arguments, message, *, errors=(TypeError, ValueError), may_write=()):
    """Assert that the call raises one of ``errors``, not a subclass, and leaves every other array unchanged."""
    before = copied(arguments)
    with pytest.raises(errors, match=message) as caught:
        row.call(**arguments)
    assert type(caught.value) in errors
    assert_untouched(arguments, before, may_write)


def numbers(row, arguments):
    """Everything that a call computed, as bytes."""
    result = row.call(**arguments)
    computed = result.values() if isinstance(result, dict) else result if isinstance(result, tuple) else ()
    parts = (*computed, *(arguments[name] for name in row.outputs))
    return [part.tobytes() if isinstance(part, np.ndarray) else repr(part) for part in parts]


def test_every_bound_callable_is_in_the_table():
    names = set()
    for module in (core, core.float32, core.float64):
        for name, value in vars(module).items():
            if isinstance(value, type) and name != "CGStatus":
                names |= set() if name in ABSTRACT else {name}
                names |= {f"{name}.{m}" for m, f in vars(value).items() if callable(f) and not m.startswith("_")}
            elif callable(value) and not isinstance(value, type):
                names.add(name)
    assert names == TABLE["float64"].keys()


@pytest.mark.parametrize("name", ABSTRACT)
def test_abstract_classes_cannot_be_made(name):
    with pytest.raises(TypeError, match="No constructor defined"):
        getattr(core.float32, name, core.LinearOperator)()


@both_dtypes
@every_callable
def test_inputs_are_unmodified_and_results_do_not_depend_on_where_arrays_lie(name, dtype):
    row = TABLE[dtype][name]
    before, results = copied(row.arguments), []
    for offset in (0, 8, 16, 24, 40):
        arguments = {k: placed(v, offset) if isinstance(v, np.ndarray) else v for k, v in row.arguments.items()}
        results.append(numbers(row, arguments))
        assert_untouched(arguments, before, row.outputs)
    assert all(result == results[0] for result in results)


@both_dtypes
@every_callable_of_arrays
def test_a_wrong_array_is_refused_by_name_and_never_converted(name, dtype):
    row = TABLE[dtype][name]
    with collected_failures() as case:
        for argument in ARRAYS[name]:
            for corruption, corrupt in {**CORRUPT, **RELAID}.items():
                if (name, argument, corruption) in LEGAL:
                    continue
                with case(argument, corruption):
                    arguments = copied(row.arguments)
                    arguments[argument] = corrupt(arguments[argument])
                    message = f"^{argument}: expected .*array of shape .*, got "
                    assert_refused(row, arguments, message, may_write=row.outputs)


@both_dtypes
@pytest.mark.parametrize("name", [name for name, row in TABLE["float64"].items() if row.outputs])
def test_a_read_only_output_is_refused_and_stays(name, dtype):
    row = TABLE[dtype][name]
    with collected_failures() as case:
        for argument in row.outputs:
            with case(argument):
                arguments = copied(row.arguments)
                arguments[argument].flags.writeable = False
                message = f"^{argument}: expected a writeable array, got a read-only one"
                assert_refused(row, arguments, message, errors=(ValueError,), may_write=row.outputs)
                np.testing.assert_array_equal(arguments[argument], row.arguments[argument])


def other(dtype):
    return TABLE["float32" if dtype == "float64" else "float64"]


SIZE = (0, -1, 2**31, 2**62, 2**70, 1.5, nan, None, "1")
COUNT = (0, -1, 2**70, 1.5, nan, None, "1")
THREADS = (0, -1, 257, 2**70, 1.5, nan, None, "1")
REAL = (-1.0, nan, inf, -inf, None, "1", 1j)
FOREIGN = "an object of the other dtype's module"
OBJECT = (None, 1, FOREIGN)
BAD_SCALARS = {
    "AreaResize": {"in_height": SIZE, "in_width": SIZE, "out_height": (*SIZE, 7), "out_width": (*SIZE, 9)},
    "Normalizer": {"clip": (0.0, -1.0, nan, None, "1", 1j)},
    "normalize": {"normalizer": (None, 1)},
    "to_env": {"action_range": (None, 1)},
    "store_planes": {"used": (-1, 46, 2**70, 1.5, nan, None, "1")},
    "Dense": {"input_size": SIZE, "output_size": SIZE, "activation": ("Tanh", "", None, 1)},
    "AppendLogStd": {"size": SIZE},
    "ClampLogStd": {"size": SIZE},
    "Conv2d": {
        "height": SIZE, "width": SIZE, "channels": SIZE, "filters": SIZE, "stride": SIZE,
        "kernel_size": ((0, 1), (8, 1), (1, 7), (1, 2**31), (1.5, 1), (1,), None, 1),
        "padding": (-1, 2**31, 2**70, 1.5, nan, None, "1"), "activation": ("Tanh", "", None, 1),
    },
    "Flatten": {"height": SIZE, "width": SIZE, "channels": SIZE},
    "Columns": {"input_size": SIZE, "first": (-1, 3, 2**70, 1.5, nan, None, "1"), "count": SIZE},
    "Gru": {"input_size": SIZE, "output_size": SIZE},
    "Sequences": {"lanes": SIZE, "length": SIZE},
    "Distribution.entropy_vjp": {"weight": (None, "1", 1j)},
    "Network": {"layers": ([], [None], [1], None, 1)},
    "Linearization": {"network": OBJECT},
    "DiagGaussian": {"size": SIZE},
    "Categorical": {"num_choices": SIZE},
    "Bernoulli": {"num_bits": SIZE},
    "UnitGaussian": {"size": SIZE},
    "Product": {"factors": ([], [None], [1], None, 1)},
    "SurrogateObjective": {"network": OBJECT, "distribution": OBJECT, "ent_coef": REAL, "n_threads": THREADS},
    "VineObjective": {
        "network": OBJECT, "distribution": OBJECT, "proposal": ("Policy", "", None, 1), "ent_coef": REAL,
        "n_threads": THREADS,
    },
    "FisherOperator": {"network": OBJECT, "distribution": OBJECT, "damping": REAL, "n_threads": THREADS},
    "EmpiricalFisherOperator": {"network": OBJECT, "distribution": OBJECT, "damping": REAL, "n_threads": THREADS},
    "KFACPreconditioner": {"network": OBJECT, "distribution": OBJECT, "damping": REAL, "n_threads": THREADS},
    "set_num_threads": {"n_threads": THREADS},
    "CallableOperator": {"size": SIZE, "product": (None, 1)},
    "conjugate_gradient": {
        "a": (None, np.eye(3)), "max_iter": COUNT, "rtol": REAL, "preconditioner": (1, np.eye(3)), "progress_rtol": REAL
    },
    "ValueFit": {
        "network": OBJECT, "batch_size": COUNT, "learning_rate": REAL, "n_steps": (-1, 2**70, 1.5, nan, None, "1")
    },
    "Actor": {"network": OBJECT, "distribution": OBJECT, "normalizer": (None, 1), "action_range": (None, 1)},
}  # fmt: skip


def test_every_other_argument_is_in_the_table():
    rest = {name: row.arguments.keys() - ARRAYS[name] for name, row in TABLE["float64"].items()}
    assert {name: arguments for name, arguments in rest.items() if arguments} == {
        name: row.keys() for name, row in BAD_SCALARS.items()
    }


@both_dtypes
@pytest.mark.parametrize("name", BAD_SCALARS)
def test_a_wrong_number_or_object_is_refused_by_name(name, dtype):
    row = TABLE[dtype][name]
    with collected_failures() as case:
        for argument, values in BAD_SCALARS[name].items():
            for bad in values:
                with case(argument, repr(bad)):
                    value = other(dtype)[name].arguments[argument] if bad is FOREIGN else bad
                    assert_refused(row, copied({**row.arguments, argument: value}), rf"\b{argument}:")


@both_dtypes
@pytest.mark.parametrize("bad", [nan, inf, -1.0, 2.0, 0.5], ids=str)
@pytest.mark.parametrize("kind", ["Categorical", "Bernoulli", "Product"])
def test_what_is_no_action_of_a_discrete_distribution_is_refused(kind, bad, dtype):
    k = kernels(dtype)
    distribution = {
        "Categorical": k.Categorical(2),
        "Bernoulli": k.Bernoulli(2),
        "Product": k.Product([k.Categorical(2), k.Categorical(2)]),
    }[kind]
    phi, out = np.zeros((N, distribution.num_dist_params), dtype), np.zeros(N)
    actions = np.zeros((N, distribution.action_size), dtype)
    actions[3, -1] = bad
    network = k.Network([k.Dense(3, distribution.num_dist_params, "identity")])
    batch = np.zeros(network.num_params, dtype), np.zeros((N, 3), dtype), actions, np.ones(N), 0.0, 1
    for call in (
        lambda: distribution.log_prob(phi, actions, out),
        lambda: distribution.log_ratio(phi, phi, actions, out),
        lambda: distribution.log_prob_vjp(phi, actions, np.ones(N), phi.copy()),
        lambda: k.SurrogateObjective(network, distribution, *batch),
        lambda: k.VineObjective(network, distribution, *batch[:3], np.ones((N, 1)), "policy", 0.0, 1),
        lambda: k.EmpiricalFisherOperator(network, distribution, *batch[:3], 0.1, 1),
        lambda: k.KFACPreconditioner(network, distribution, *batch[:3], 0.1, 1),
    ):
        with pytest.raises(ValueError, match=r"^actions: expected .*, got row 3 outside it"):
            call()


@pytest.mark.parametrize("bad", [-1, N, 2**40, -(2**63)])
@both_dtypes
def test_a_row_number_out_of_range_is_refused(bad, dtype):
    row = TABLE[dtype]["ValueFit"]
    arguments = copied(row.arguments)
    arguments["order"][1, 2] = bad
    before = copied(arguments)
    with pytest.raises(ValueError, match=rf"^order: expected row numbers in 0\.\.{N - 1}, got .*{bad}"):
        row.call(**arguments)
    assert_untouched(arguments, before)


@both_dtypes
def test_parts_that_do_not_fit_together_are_refused(dtype):
    k, rows = kernels(dtype), TABLE[dtype]
    wide = k.DiagGaussian(3)
    for name in ("Actor", "FisherOperator", "KFACPreconditioner", "SurrogateObjective"):
        with pytest.raises(ValueError, match="^network: expected output size 6, got 4"):
            rows[name].call(**{**rows[name].arguments, "distribution": wide})
    with pytest.raises(ValueError, match="^network: expected output size 1, got 4"):
        rows["ValueFit"].call(**{**rows["ValueFit"].arguments, "network": make_network(k)})
    with pytest.raises(ValueError, match="^layers: expected a layer with input size 4, got 3"):
        k.Network([k.Dense(3, 4, "tanh"), k.Dense(3, 1, "tanh")])
    small = core.Normalizer(np.zeros(2), np.ones(2), 1.0)
    with pytest.raises(ValueError, match="^normalizer: expected size 3, got 2"):
        rows["Actor"].call(**{**rows["Actor"].arguments, "normalizer": small})
    large = core.ActionRange(np.zeros(3), np.ones(3), np.zeros(3, dtype=np.int64))
    with pytest.raises(ValueError, match="^action_range: expected size 2, got 3"):
        rows["Actor"].call(**{**rows["Actor"].arguments, "action_range": large})
    solve = rows["conjugate_gradient"]
    with pytest.raises(ValueError, match=f"^preconditioner: expected size {P}, got 3"):
        solve.call(**{**solve.arguments, "preconditioner": core.CallableOperator(3, np.copy)})


@pytest.mark.parametrize("corruption", ["nothing", *CORRUPT, *RELAID, "nan", "inf", "-inf", "above 1e18"])
@both_dtypes
def test_only_plain_floats_of_the_same_shape_that_are_fit_are_copied(corruption, dtype):
    values, out = np.linspace(-9.0, 9.0, 36).reshape(12, 3).astype(dtype), np.zeros((12, 3))
    unfit = {"nan": nan, "inf": inf, "-inf": -inf, "above 1e18": 1.001e18}
    values[7, 2] = unfit.get(corruption, values[7, 2])
    given = {**CORRUPT, **RELAID}.get(corruption, np.copy)(values)
    fit = corruption in ("nothing", "the other float")
    assert core.copy_if_fit(given, out) is fit
    if fit:
        np.testing.assert_array_equal(out, given)


BAD_PRODUCTS = {
    "wrong size": (lambda v: np.zeros(2), ValueError, "the operator's product: expected"),
    "float32": (lambda v: v.astype(np.float32), TypeError, "the operator's product: expected"),
    "strided": (lambda v: np.repeat(v, 2)[::2], ValueError, "the operator's product: expected"),
    "a list": (lambda v: v.tolist(), TypeError, "the operator's product: expected"),
    "None": (lambda v: None, TypeError, "the operator's product: expected"),
    "raises": (lambda v: v[99], IndexError, "99"),
}


@pytest.mark.parametrize(("product", "error", "message"), BAD_PRODUCTS.values(), ids=BAD_PRODUCTS)
def test_what_a_callable_operator_returns_is_checked(product, error, message):
    operator = core.CallableOperator(3, product)
    with pytest.raises(error, match=message):
        operator.multiply(np.ones(3), np.zeros(3))
    with pytest.raises(error, match=message):
        core.conjugate_gradient(operator, np.ones(3), 5, 1e-9)


@both_dtypes
def test_objects_keep_alive_what_they_were_made_of(dtype):
    k = kernels(dtype)
    theta, x, out = np.ones(P, dtype), np.ones((N, 3), dtype), np.zeros(P)
    operator = k.FisherOperator(make_network(k), k.DiagGaussian(2), theta, x, 0.0, 1)
    gc.collect()
    operator.multiply(np.ones(P), out)
    assert np.isfinite(out).all()
    assert out.any()
