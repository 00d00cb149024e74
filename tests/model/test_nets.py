"""Architectures: trees of layers, their plain values, and the plans of networks."""

import copy
import json
import pickle

import pytest

from trpo_fast import InvalidArgumentError, nets
from trpo_fast.nets import Conv2d, Dense, Flatten, NatureCNN, PaperCNN, Parallel, Sequential
from trpo_fast.policies.plan import Features, Pixels, PlannedImage, make_plan

MIXED = Parallel({"camera": Sequential(Conv2d(3, (2, 3), 2, padding=1, activation_fn="tanh"), Dense(4)), "a": Dense(2)})
TREES = {
    "nature": NatureCNN(),
    "paper": PaperCNN("tanh"),
    "mixed": MIXED,
    "flat": Flatten(),
    "nested": Sequential(MIXED),
}


def plan_of(net, inputs, images=(), output_size=6, **options):
    images = [PlannedImage(*size, 1 / 255) for size in images]
    options = {"net_arch": [], "activation_fn": "tanh", **options}
    return make_plan(inputs, images, net, output_size=output_size, **options)


@pytest.mark.parametrize("net", TREES.values(), ids=TREES)
def test_trees_survive_json_copies_pickles_and_their_own_text(net):
    again = nets.from_json(json.loads(json.dumps(nets.to_json(net), sort_keys=True)))
    for other in (again, pickle.loads(pickle.dumps(net)), copy.deepcopy(net), eval(repr(net), vars(nets))):
        assert other == net
        assert hash(other) == hash(net)
    assert net != Sequential(net)


def test_trees_are_immutable_and_of_the_same_network_equal():
    assert Conv2d(4, 3) == Conv2d(4, (3, 3), stride=1, padding=0, activation_fn="relu") != Conv2d(4, (3, 2))
    assert Parallel({"a": Flatten(), "b": Dense(1)}) == Parallel({"b": Dense(1), "a": Flatten()})
    with pytest.raises(AttributeError):
        Dense(3).width = 4


@pytest.mark.parametrize(
    "make",
    [
        lambda: Conv2d(0, 3), lambda: Conv2d(4, 0), lambda: Conv2d(4, (3,)), lambda: Conv2d(4, 3.0),
        lambda: Conv2d(4, 3, stride=0), lambda: Conv2d(4, 3, padding=3), lambda: Conv2d(4, 3, padding=-1),
        lambda: Conv2d(4, 3, activation_fn="swish"), lambda: Conv2d(1 << 31, 1), lambda: Dense(True),
        lambda: Dense(4, "softplus"), Sequential, lambda: Sequential(64), lambda: Sequential([Dense(1)]),
        lambda: Parallel({}), lambda: Parallel({1: Dense(1)}), lambda: Parallel({"a": "NatureCNN"}),
        lambda: Parallel([Dense(1)]), lambda: Sequential(*[Flatten()] * 1001), lambda: nested(40),
    ],
)  # fmt: skip
def test_layers_that_cannot_be_are_refused(make):
    with pytest.raises(InvalidArgumentError, match="expected"):
        make()


def nested(levels):
    net = Dense(1)
    for _ in range(levels):
        net = Sequential(net)
    return net


def nested_json(levels):
    values = {"type": "Flatten"}
    for _ in range(levels):
        values = {"type": "Sequential", "layers": [values]}
    return values


@pytest.mark.parametrize(
    "values",
    [
        None, [], "Dense", {}, {"type": ["Dense"]}, {"type": "Dense"}, {"type": "Dense", "width": 4},
        {"type": "Dense", "width": "4", "activation_fn": None}, {"type": "Flatten", "width": 4},
        {"type": "Sequential", "layers": {}}, {"type": "Sequential", "layers": []}, {"type": "Parallel", "nets": []},
        {"type": "Sequential", "layers": [{"type": "Flatten"}] * 1001}, {"type": "Parallel", "nets": {"a": 1}},
        nested_json(60),
    ],
    ids=lambda values: str(values)[:50],
)  # fmt: skip
def test_values_of_no_tree_are_refused(values):
    with pytest.raises(InvalidArgumentError, match="expected"):
        nets.from_json(values)


def test_the_papers_and_natures_networks_have_the_parameters_of_their_papers():
    assert plan_of(PaperCNN(), Pixels(1, 52, 40, 4), [(52, 40, 4)], 3 + 3 + 2).num_params == 33_500
    nature = plan_of(NatureCNN(), Pixels(1, 84, 84, 4), [(84, 84, 4)])
    assert nature.num_params == 1_687_206
    assert nature.shapes["features.4.weight"] == (512, 3136)
    assert [node.kind for node in nature.nodes] == ["conv2d"] * 3 + ["flatten", "dense", "dense"]


def test_a_vector_is_read_as_it_is():
    plan = plan_of(Flatten(), {"a": Features(0, 2), "b": {"c": Features(2, 0), "d": Features(2, 3)}}, net_arch=[7])
    assert [(node.kind, node.name, node.buffers) for node in plan.nodes] == [
        ("dense", "layers.0", (0,)), ("dense", "layers.1", (1,))
    ]  # fmt: skip
    assert [(node.name, column, features) for node, column, features in plan.readers()] == [
        ("layers.0", 0, Features(0, 5))
    ]


def test_parts_are_concatenated_in_the_order_of_the_space():
    inputs = {"a": Features(0, 3), "camera": Pixels(1, 6, 6, 1), "z": Features(3, 2)}
    plan = plan_of(Parallel({"camera": Conv2d(2, 3)}), inputs, [(6, 6, 1)], log_std="parameter")
    assert [(node.kind, node.name, node.buffers, node.output_size) for node in plan.nodes] == [
        ("conv2d", "features.camera.0", (1,), 32), ("flatten", "", (2,), 32), ("columns", "", (0,), 3),
        ("columns", "", (0,), 2), ("dense", "layers.0", (4, 3, 5), 6), ("append_log_std", "log_std", (6,), 12),
    ]  # fmt: skip
    assert plan.shapes["layers.0.weight"] == (6, 3 + 32 + 2)
    assert plan.last_layer == "layers.0"
    assert [(column, features) for _, column, features in plan.readers()] == [
        (0, Features(0, 3)), (35, Features(3, 2))
    ]  # fmt: skip


CAMERA = Pixels(1, 6, 5, 1)


@pytest.mark.parametrize(
    ("net", "inputs", "message"),
    [
        (Conv2d(2, 3), Features(0, 5), "an image before .*, got a vector"),
        (Conv2d(2, 7), CAMERA, "room for the kernel before .* got 6 x 5 pixels"),
        (Sequential(Flatten(), Conv2d(2, 3)), CAMERA, "an image before"),
        (MIXED, CAMERA, "a Dict or Tuple space before"),
        (MIXED, {"camara": CAMERA, "a": Features(0, 1)}, r"keys of the space \(camara, a\) \(did you mean camara\?\)"),
        (Conv2d(1 << 30, 1), CAMERA, "an integer in"),
        (Parallel({"é": Dense(1)}), {"é": Features(0, 1)}, "printable ASCII"),
        (Parallel({"a.b": Dense(1), "a": Parallel({"b": Dense(1)})}),
         {"a.b": Features(0, 1), "a": {"b": Features(1, 1)}}, "keys without dots"),
        (Dense(1), Features(0, 0), "inputs of features.0"),
    ],
)  # fmt: skip
def test_trees_that_do_not_fit_their_inputs_are_refused(net, inputs, message):
    with pytest.raises(InvalidArgumentError, match=message):
        plan_of(net, inputs, [(6, 5, 1)])
