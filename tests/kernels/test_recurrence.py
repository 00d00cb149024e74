"""Recurrent layers: derivatives and Fisher products against the oracle's loops, and how sequences may be cut."""

import numpy as np
import pytest
from cases import DTYPES, relative_error, tolerance
from convolutions import DAMPING, check_linearization
from recurrences import NUM_CHOICES, NUM_INPUTS, RECURRENCES, Sequenced, layers_of, make_case, make_oracle

from trpo_fast._core.modules import core as modules


def all_cases(function):
    function = pytest.mark.parametrize("name", RECURRENCES)(function)
    return pytest.mark.parametrize("dtype", DTYPES)(function)


@all_cases
def test_network_agrees_with_the_oracle(name, dtype):
    (case, _), bound = make_case(name, dtype), tolerance(dtype, 1e-13, 1e-5)
    u, v, dphi, theta_bar = check_linearization(case, dtype, bound)
    product = np.sum(u * dphi, dtype=np.float64)  # <u, J v> = <J^T u, v>
    assert abs(product - np.dot(theta_bar, v)) < bound * np.linalg.norm(u) * np.linalg.norm(dphi)


@pytest.mark.parametrize("name", RECURRENCES)
def test_jvp_is_the_directional_derivative(name):
    case, _ = make_case(name)
    v, h, dphi = case.vector(), 1e-6, np.empty((len(case.x[0]), NUM_CHOICES))
    case.core.Linearization(case.network, case.theta, case.x).jvp(v, dphi)
    ahead, behind = (case._replace(theta=case.theta + t * v).forward(case.x) for t in (h, -h))
    assert relative_error(dphi, (ahead - behind) / (2 * h)) < 1e-7


@all_cases
def test_update_agrees_with_the_oracle(name, dtype):
    (case, _), bound = make_case(name, dtype), tolerance(dtype, 1e-12, 3e-5)
    v, (theta, x) = case.vector(), case.oracle_batch
    gradient = case.oracle.surrogate_gradient(theta, x, case.choices, case.advantages)
    assert relative_error(case.gradient(), gradient) < bound
    product = case.oracle.fisher_vector_product(theta, x, v, DAMPING)
    assert relative_error(case.product(case.fisher(), v), product) < bound
    after = (case.theta + 0.01 * v).astype(dtype)
    kl = case.oracle.evaluate(after.astype(np.float64), theta, x, case.choices, case.advantages)[1]
    assert relative_error(case.mean_kl(after), kl) < bound
    assert case.mean_kl(case.theta) == 0.0  # the actor's parameters


@pytest.mark.parametrize("name", RECURRENCES)
def test_fisher_is_the_hessian_of_the_mean_kl(name):
    case, _ = make_case(name)
    u, v, h = case.vector(), case.vector(), 1e-5
    second = sum(s * t * case.mean_kl(case.theta + h * (s * u + t * v)) for s in (1, -1) for t in (1, -1)) / (4 * h * h)
    fisher = case.fisher()
    fu, fv = (case.product(fisher, w) - DAMPING * w for w in (u, v))
    assert abs(u @ fv - second) < 1e-4 * (abs(u @ fu) + abs(v @ fv))


def whole(case, sequenced):
    """Outputs and last states of a batch."""
    last = np.empty_like(sequenced.states)
    return case.forward((case.x[0], sequenced.in_core(case.core)), last), last


@all_cases
def test_chunks_with_carried_states_are_bit_identical_to_the_sequence(name, dtype):
    case, sequenced = make_case(name, dtype)
    phi, last = whole(case, sequenced)
    got, states, begin = np.empty_like(phi), sequenced.states, 0
    for length in (1, 6, 16):  # the lanes of all chunks in one block
        rows = sequenced.rows[:, begin : begin + length].T.ravel()
        chunk = Sequenced(7, length, sequenced.starts[rows], states)
        got[rows], states = whole(case._replace(x=(case.x[0][rows],)), chunk)
        begin += length
    assert got.tobytes() == phi.tobytes()
    assert states.tobytes() == last.tobytes()


@all_cases
def test_steps_of_an_actor_are_bit_identical_to_the_sequence(name, dtype):
    case, sequenced = make_case(name, dtype, n_lanes=70, lanes=16, length=6)
    phi, last = whole(case, sequenced)
    expected, states = np.empty((len(phi), 1), dtype), sequenced.states.copy()
    noise = case.rng.standard_normal((len(phi), 1)).astype(dtype)
    case.distribution.sample(phi, noise, expected)
    normalizer = modules.Normalizer(np.zeros(NUM_INPUTS), np.ones(NUM_INPUTS), 1e9)
    action_range = modules.ActionRange(np.zeros(1), np.full(1, NUM_CHOICES - 1.0), np.zeros(1, np.int64))
    actor = case.core.Actor(case.network, case.distribution, normalizer, action_range, case.theta)
    for rows in sequenced.rows.T:  # 70 environments: more than a block
        states[sequenced.starts[rows] != 0] = 0.0
        actions = np.empty((len(rows), 1), dtype)
        actor.act(case.x[0][rows].astype(np.float64), noise[rows], actions, states=states)
        assert actions.tobytes() == expected[rows].tobytes()
    assert states.tobytes() == last.tobytes()


@all_cases
def test_a_start_within_a_lane_is_the_start_of_another_sequence(name, dtype):
    case, sequenced = make_case(name, dtype)
    t = 9
    starts = np.zeros_like(sequenced.starts)
    starts[sequenced.rows[:, t]] = 1
    phi, last = whole(case, sequenced._replace(starts=starts))
    rows = sequenced.rows[:, t:].T.ravel()
    fresh = Sequenced(7, sequenced.length - t, np.zeros(len(rows), np.uint8), np.zeros_like(sequenced.states))
    tail, tail_last = whole(case._replace(x=(case.x[0][rows],)), fresh)
    assert tail.tobytes() == phi[rows].tobytes()
    assert tail_last.tobytes() == last.tobytes()


@all_cases
def test_permuted_lanes_permute_rows(name, dtype):
    case, sequenced = make_case(name, dtype)
    phi, last = whole(case, sequenced)
    order = case.rng.permutation(len(sequenced.states))
    for lanes in (3, 1, 5):
        moved = sequenced._replace(lanes=lanes, states=sequenced.states[order])
        to, source = moved.rows.ravel(), sequenced.rows[order].ravel()
        rows, starts = np.empty_like(case.x[0]), np.empty_like(sequenced.starts)
        rows[to], starts[to] = case.x[0][source], sequenced.starts[source]
        got, got_last = whole(case._replace(x=(rows,)), moved._replace(starts=starts))
        assert got[to].tobytes() == phi[source].tobytes()
        assert got_last.tobytes() == last[order].tobytes()


def results(case, v):
    """What an update reads of a batch, as bytes."""
    objective = case.core.SurrogateObjective(
        case.network, case.distribution, case.theta, case.x, case.actions, case.advantages, 0.01, 2
    )
    gradient, vine_gradient = np.empty_like(v), np.empty_like(v)
    objective.gradient(gradient)
    q_values = np.stack([case.advantages, np.sin(case.advantages)], axis=1)
    batch = case.theta, case.x, np.repeat(case.actions, 2, axis=1), q_values, "policy", 0.0, 2
    vine = case.core.VineObjective(case.network, case.distribution, *batch)
    vine.gradient(vine_gradient)
    after = (case.theta + 0.01 * v).astype(case.theta.dtype)
    products = [case.product(operator, v) for operator in (case.fisher(), case.kfac())]
    values = np.array([*objective.evaluate(after), *vine.evaluate(after)])
    return [array.tobytes() for array in (gradient, vine_gradient, *products, values)]


def with_padding(case, sequenced, changed):
    """The batch with padding at the ends of lanes and elsewhere; other numbers there if ``changed``."""
    padding = (np.random.default_rng(3).random(len(case.actions)) < 0.2).astype(np.uint8)
    padding[sequenced.rows[:, -4:]] = 1
    ignored, counted = padding != 0, padding == 0
    starts = sequenced.starts.copy()  # what follows padding amid a lane is the start of an episode, as after a reset
    starts[sequenced.rows[:, 1:][ignored[sequenced.rows[:, :-1]]]] = 1
    rows, actions, advantages = case.x[0].copy(), case.actions.copy(), case.advantages.copy()
    if changed:
        rows[ignored], advantages[ignored] = 3.0 - rows[ignored], 7.0
        actions[ignored] = NUM_CHOICES - 1.0 - actions[ignored]
    sequenced = sequenced._replace(starts=starts, padding=padding)
    case = case._replace(x=(rows, sequenced.in_core(case.core)), actions=actions, advantages=advantages)
    return case, counted, sequenced


@all_cases
def test_padding_changes_no_bit(name, dtype):
    case, sequenced = make_case(name, dtype)
    v = case.vector()
    expected = results(with_padding(case, sequenced, False)[0], v)
    assert results(with_padding(case, sequenced, True)[0], v) == expected
    assert results(case, v) != expected


def test_means_are_over_rows_that_are_not_padding():
    case, sequenced = make_case("gru between dense layers")
    case, counted, sequenced = with_padding(case, sequenced, True)
    reference = make_oracle(layers_of("gru between dense layers", case.core), sequenced)
    theta, x = case.oracle_batch
    phi, jvp, vjp = reference.linearize(theta, x)
    v, n = case.vector(), counted.sum()
    metric = counted[:, None] * reference.distribution.metric(phi, jvp(v)) / n
    assert relative_error(case.product(case.fisher(), v), vjp(metric) + DAMPING * v) < 1e-12
    score = (counted * case.advantages)[:, None] * reference.distribution.score(phi, case.choices) / n
    assert relative_error(case.gradient(), vjp(score)) < 1e-12
    after = theta + 0.01 * v
    kl = reference.distribution.kl(phi, reference.dist_params(after, x))[counted]
    assert relative_error(case.mean_kl(after), kl.mean()) < 1e-12


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["gru", "convolution and gru"])
def test_any_number_of_threads_gives_the_same_bits(name, dtype):
    case, _ = make_case(name, dtype, n_lanes=40, lanes=2, length=30)
    v = case.vector()
    results = [case.product(case.fisher(n_threads), v).tobytes() for n_threads in (1, 2, 3)]
    assert results[0] == results[1] == results[2]


def test_the_first_state_is_data():
    """A parameter before the last GRU gets no gradient from beyond the start of an episode."""
    case, sequenced = make_case("gru", n_lanes=1, lanes=1, length=5)
    rows, u = case.x[0].copy(), np.zeros((5, NUM_CHOICES))
    u[3:] = 1.0  # outputs after the start
    sequences = sequenced._replace(starts=np.array([0, 0, 0, 1, 0], np.uint8)).in_core(case.core)
    gradients = []
    for _ in range(2):
        gradients.append(np.empty_like(case.theta))
        case.core.Linearization(case.network, case.theta, (rows, sequences)).vjp(u, gradients[-1])
        rows[:3] = 2.0
    assert gradients[0].tobytes() == gradients[1].tobytes()


def test_sequences_are_copies_that_an_operator_keeps():
    case, sequenced = make_case("gru")
    v, (expected, _) = case.vector(), whole(case, sequenced)
    product = case.product(case.fisher(), v)
    x = case.x[0], sequenced.in_core(case.core)
    sequenced.states.fill(np.nan)
    sequenced.starts.fill(0)
    assert case.forward(x).tobytes() == expected.tobytes()
    fisher = case._replace(x=x).fisher()
    del x
    others = [sequenced.in_core(case.core) for _ in range(9)]  # where the first ones would have been freed
    assert case.product(fisher, v).tobytes() == product.tobytes()
    del others


def test_arguments_are_checked():
    case, sequenced = make_case("gru")
    core, n = case.core, len(sequenced.starts)
    with pytest.raises(TypeError, match="x: expected a tuple of a float64 array of shape .N, 40. and Sequences, got"):
        case.forward((case.x[0],))
    with pytest.raises(TypeError, match="and Sequences, got ndarray"):
        core.FisherOperator(case.network, case.distribution, case.theta, case.x[0], DAMPING, 1)
    short = Sequenced(1, 23, sequenced.starts[:23], sequenced.states[:1])
    with pytest.raises(ValueError, match=f"x: expected Sequences of {n} rows with states of size 7, got 23 rows"):
        case.forward((case.x[0], short.in_core(core)))
    wide = sequenced._replace(states=np.zeros((7, 8)))
    with pytest.raises(ValueError, match="with states of size 7, got 161 rows with states of size 8"):
        case.forward((case.x[0], wide.in_core(core)))
    with pytest.raises(ValueError, match="starts: expected whole lanes of 24 rows, got 161 rows"):
        core.Sequences(1, 24, sequenced.starts, sequenced.states)
    with pytest.raises(ValueError, match="padding: expected a row that is 0, got none"):
        core.Sequences(1, 23, sequenced.starts, sequenced.states, np.ones(n, np.uint8))
    with pytest.raises(ValueError, match="states: expected float64 array of shape .7, N., got"):
        core.Sequences(1, 23, sequenced.starts, sequenced.states[:6])
    dense = core.Network([core.Dense(NUM_INPUTS, NUM_CHOICES, "identity")])
    theta, rows, phi = np.zeros(dense.num_params), case.x[0], np.empty((n, NUM_CHOICES))
    with pytest.raises(TypeError, match="last_states: expected None for a network without a state, got an array"):
        dense.forward(theta, rows, phi, sequenced.states)
    normalizer = modules.Normalizer(np.zeros(NUM_INPUTS), np.ones(NUM_INPUTS), 1.0)
    action_range = modules.ActionRange(np.zeros(1), np.ones(1), np.zeros(1, np.int64))
    for network, parameters, states in ((dense, theta, sequenced.states), (case.network, case.theta, None)):
        actor = core.Actor(network, case.distribution, normalizer, action_range, parameters)
        with pytest.raises(TypeError, match="states: expected"):
            actor.act(rows[:7], None, np.empty((7, 1)), states=states)


def test_the_critic_has_no_state_yet():
    case, _ = make_case("gru")
    core = case.core
    critic = core.Network([core.Gru(NUM_INPUTS, 1)])
    theta = np.zeros(critic.num_params)
    order, n = np.arange(161)[None], 161
    with pytest.raises(ValueError, match="network: expected state size 0, got 1"):
        core.ValueFit(critic, case.x, np.zeros(n), order, 64, 0.01, theta, theta, theta, 0)
