"""Recurrent networks in the compiled core, with a batch of sequences, and the oracle of each."""

from typing import Any, NamedTuple

import convolutions
import numpy as np
import numpy_trpo as oracle

from trpo_fast._core.modules import kernels

IMAGE = (5, 4, 2)  # height, width, channels of a row, as far as convolutions are concerned
NUM_INPUTS = 40
NUM_CHOICES = 3
# The layers, of which a last dense one reads the choices: units, or filters of a convolution. Sizes that fill whole
# packets and that do not.
RECURRENCES: dict[str, list[tuple[str, int]]] = {
    "gru": [("gru", 7)],
    "gru between dense layers": [("dense", 6), ("gru", 16), ("dense", 4)],
    "two grus": [("gru", 17), ("gru", 5)],
    "one unit": [("dense", 3), ("gru", 1)],
    "convolution and gru": [("conv2d", 3), ("gru", 9)],
}


class Sequenced(NamedTuple):
    """Lanes of a batch: how they are cut, where episodes begin, and first states."""

    lanes: int  # of a block
    length: int
    starts: np.ndarray
    states: np.ndarray
    padding: np.ndarray | None = None

    @property
    def rows(self) -> np.ndarray:
        """(number of lanes, length): the rows of each lane in order of time."""
        blocks, n = [], len(self.starts)
        for begin in range(0, n, self.lanes * self.length):
            lanes = min(self.lanes, (n - begin) // self.length)
            blocks.append(begin + np.arange(self.length * lanes).reshape(self.length, lanes).T)
        return np.concatenate(blocks)

    def in_core(self, core: Any) -> Any:
        return core.Sequences(self.lanes, self.length, self.starts, self.states, self.padding)


class Case(convolutions.Case):
    """A recurrent network; x is a tuple of rows and Sequences."""

    @property
    def oracle_batch(self):
        return self.theta.astype(np.float64), self.x[0].astype(np.float64)

    def forward(self, x, last_states=None):
        out = np.empty((len(x[0]), self.network.output_size), self.theta.dtype)
        self.network.forward(self.theta, x, out, last_states)
        return out

    def mean_kl(self, theta):
        batch = self.theta, self.x, self.actions, self.advantages, 0.0, 2
        return self.core.SurrogateObjective(self.network, self.distribution, *batch).evaluate(theta)[1]


def layers_of(name, core):
    """For each layer, those of the core and what makes the oracle's: (layer, function of rows, starts and states)."""
    layers, size = [], NUM_INPUTS

    def add(layer, reference):
        nonlocal size
        layers.append((layer, reference))
        size = layer.output_size

    for kind, outputs in RECURRENCES[name]:
        if kind == "gru":
            arguments = size, outputs
            add(core.Gru(*arguments), lambda *sequences, arguments=arguments: oracle.GRU(*arguments, *sequences))
        elif kind == "conv2d":
            arguments = *IMAGE, outputs, (3, 2), 1, 0, "tanh"
            add(core.Conv2d(*arguments), oracle.Conv2d(*arguments))
            add(core.Flatten(3, 3, outputs), oracle.flatten(3, 3, outputs))
        else:
            add(core.Dense(size, outputs, "tanh"), oracle.Dense(size, outputs, "tanh"))
    add(core.Dense(size, NUM_CHOICES, "identity"), oracle.Dense(size, NUM_CHOICES))
    return layers


def make_sequences(rng, dtype, state_size, n_lanes, lanes, length):
    """Starts inside of lanes and at their beginnings, and random first states."""
    starts = (rng.random(n_lanes * length) < 0.15).astype(np.uint8)
    return Sequenced(lanes, length, starts, rng.standard_normal((n_lanes, state_size)).astype(dtype))


def make_oracle(layers, sequenced):
    nodes, states = [], sequenced.states.astype(np.float64)
    for layer, reference in layers:
        if callable(reference):
            own, states = np.split(states, [layer.output_size], axis=1)
            reference = reference(sequenced.rows, sequenced.starts != 0, own)
        nodes.append(reference)
    graph = oracle.Graph([(node, (i,)) for i, node in enumerate(nodes)])
    return oracle.Policy(NUM_INPUTS, oracle.Categorical([NUM_CHOICES]), network=graph)


def make_case(name="gru", dtype="float64", n_lanes=7, lanes=3, length=23):
    """A policy of 3 choices on 7 lanes, in blocks of 69 rows of which the last has fewer; and these lanes."""
    rng, core = np.random.default_rng(0), kernels(dtype)
    layers = layers_of(name, core)
    network = core.Network([layer for layer, _ in layers])
    sequenced = make_sequences(rng, dtype, network.state_size, n_lanes, lanes, length)
    n = len(sequenced.starts)
    theta = (0.5 * rng.standard_normal(network.num_params)).astype(dtype)
    x = rng.standard_normal((n, NUM_INPUTS)).astype(dtype), sequenced.in_core(core)
    actions = rng.integers(NUM_CHOICES, size=(n, 1)).astype(dtype)
    batch = theta, x, actions, rng.standard_normal(n), make_oracle(layers, sequenced), rng
    return Case(core, network, core.Categorical(NUM_CHOICES), *batch), sequenced
