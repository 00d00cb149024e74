"""Each status of an update, and the length of its step, on objectives whose values are known."""

import gymnasium as gym
import numpy as np
import pytest

from trpo_fast import (
    Batch,
    InvalidArgumentError,
    Policy,
    SurrogateObjective,
    TRPOConfig,
    UpdateStatus,
    VineBatch,
    VineObjective,
    trpo_update,
)
from trpo_fast.update.line_search import backtracking_line_search
from trpo_fast.update.objectives import SurrogateValue

POLICY = Policy(gym.spaces.Box(-1.0, 1.0, (2,)), gym.spaces.Discrete(2), net_arch=(3,), dtype="float64")
P = POLICY.num_params
THETA = POLICY.initial_parameters(4)


def ordinary_batch(n=40):
    rng = np.random.default_rng(5)
    return Batch(
        rng.uniform(-1.0, 1.0, (n, 2)), rng.integers(2, size=n), rng.standard_normal(n), rng.standard_normal(n)
    )


class Metric:
    """A diagonal matrix plus damping."""

    shape = (P, P)

    def __init__(self, diagonal, damping):
        self.diagonal, self.damping = diagonal, damping

    def matvec(self, v):
        return (self.diagonal + self.damping) * v

    __matmul__ = matvec


class Quadratic:
    """L(theta') = surrogate + gᵀd and KL = dᵀDd / 2 for d = theta' - theta; as a batch, its own objective."""

    policy, theta, num_rows, scale, largest_advantage = POLICY, THETA, 100, 1.0, 2.0
    is_finite = has_signal = True

    def __init__(self, gradient, diagonal=None, surrogate=0.0, metric=None):
        self.g = np.broadcast_to(np.asarray(gradient, dtype=np.float64), (P,))
        self.diagonal = np.ones(P) if diagonal is None else diagonal
        self.surrogate = surrogate
        self.metric = self.diagonal if metric is None else metric

    def objective(self, policy, theta, config):
        return self

    def gradient(self):
        return self.g.copy()

    def evaluate(self, theta_new):
        d = theta_new - THETA
        kl = float(d @ (self.diagonal * d)) / 2.0
        gain = float(self.g @ d) if d.any() else 0.0
        return SurrogateValue(self.surrogate + gain, kl, 2.0 * kl, 0.5)

    def fisher_operator(self, damping, every):
        return Metric(self.metric, damping)


def update(batch, **settings):
    return trpo_update(POLICY, THETA, batch, TRPOConfig(**settings))


def one(value):
    """A gradient of ones, but for one element."""
    g = np.ones(P)
    g[P // 2] = value
    return g


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["gradient", "surrogate"])
def test_what_overflows_is_a_status(where, value):
    batch = Quadratic(one(value)) if where == "gradient" else Quadratic(1.0, surrogate=value)
    with np.errstate(invalid="ignore"):
        theta, report = update(batch)
    assert report.status is UpdateStatus.NON_FINITE_GRADIENT
    assert theta.tobytes() == THETA.tobytes()
    assert report.cg is None
    assert report.mean_kl == 0.0


def test_a_zero_gradient_is_a_status():
    theta, report = update(Quadratic(0.0))
    assert report.status is UpdateStatus.ZERO_GRADIENT
    assert theta.tobytes() == THETA.tobytes()
    assert report.cg is None


@pytest.mark.parametrize("element", [-1.0, np.nan, np.inf, 1e-320])
def test_a_matrix_that_is_no_metric_is_a_status(element):
    theta, report = update(Quadratic(1.0, metric=np.full(P, element)), cg_damping=0.0)
    assert report.status is UpdateStatus.SOLVER_FAILED
    assert theta.tobytes() == THETA.tobytes()
    assert report.cg is not None


def test_a_quadratic_form_that_overflows_is_a_status():
    theta, report = update(Quadratic(1e150, metric=np.full(P, 1e-20)), cg_damping=0.0, step_norm="damped")
    assert report.status is UpdateStatus.SOLVER_FAILED
    assert theta is THETA


@pytest.mark.parametrize("smallest", [1e-1, 1e-5, 1e-8])
def test_the_length_is_that_of_the_metric_without_its_damping(smallest):
    """Also where damping is nearly all of it: D is down to 1e-7 of the damping."""
    rng = np.random.default_rng(9)
    g, diagonal = rng.standard_normal(P), smallest * rng.uniform(1.0, 10.0, P)
    radius = 0.2 * smallest  # for steps shorter than theta
    theta, report = update(Quadratic(g, diagonal), target_kl=radius, cg_damping=0.1, cg_max_steps=P)
    x = g / (diagonal + 0.1)
    step = np.sqrt(2.0 * radius / (x @ (diagonal * x))) * x
    assert report.committed
    assert report.n_backtracks <= 1
    assert np.allclose(theta - THETA, 0.8**report.n_backtracks * step, rtol=1e-5, atol=0.0)


def test_theta_that_overflows_is_no_candidate():
    """Even where an objective calls it the best: the next shorter step is taken."""
    theta = np.zeros(2, np.float32)
    start = SurrogateValue(0.0, 0.0, 0.0, 1.0)

    def evaluate(candidate):
        return SurrogateValue(1.0, 0.0, 0.0, 1.0)

    search = {"start": start, "radius": 0.1, "min_improvement": 0.0, "shrinking_factor": 0.5}
    with np.errstate(over="ignore"):
        found = backtracking_line_search(evaluate, theta, np.array([1e39, 1.0]), **search, max_iter=5)
        lost = backtracking_line_search(evaluate, theta, np.array([1e39, 1.0]), **search, max_iter=1)
    assert found.accepted
    assert found.n_backtracks == 2
    assert np.isfinite(found.theta).all()
    assert not lost.accepted
    assert lost.theta is theta
    assert lost.value is start


@pytest.mark.parametrize("field", SurrogateValue._fields)
def test_a_value_that_is_not_finite_is_no_improvement(field):
    start = SurrogateValue(0.0, 0.0, 0.0, 1.0)
    excellent = SurrogateValue(1.0, 0.0, 0.0, 1.0)
    values = iter([excellent._replace(**{field: np.inf}), excellent._replace(**{field: -np.inf}), excellent])
    found = backtracking_line_search(
        lambda candidate: next(values), np.zeros(2), np.ones(2), start=start, radius=0.1, min_improvement=0.0,
        shrinking_factor=0.5, max_iter=3,
    )  # fmt: skip
    assert found.accepted
    assert found.n_backtracks == 2


def test_the_line_search_alone_keeps_the_radius():
    """Without any further check of a step."""
    start = SurrogateValue(0.0, 0.0, 0.0, 1.0)
    found = backtracking_line_search(
        lambda candidate: SurrogateValue(candidate[0], 0.6 * candidate[0], 0.6 * candidate[0], 1.0),
        np.zeros(1), np.ones(1), start=start, radius=0.5, min_improvement=0.0, shrinking_factor=0.5, max_iter=2,
    )  # fmt: skip
    assert found.theta == 0.5


def test_a_penalty_counts_in_the_line_search():
    start = SurrogateValue(0.0, 0.0, 0.0, 1.0)
    step = {"start": start, "radius": np.inf, "min_improvement": 0.0, "shrinking_factor": 0.5, "max_iter": 4}

    def evaluate(candidate):
        d = candidate[0]
        return SurrogateValue(d, d * d, d * d, 1.0)

    taken = {
        c: backtracking_line_search(evaluate, np.zeros(1), np.ones(1), **step, kl_penalty=c) for c in (0.9, 1.1, 3)
    }
    assert {c: search.theta[0] for c, search in taken.items()} == {0.9: 1.0, 1.1: 0.5, 3: 0.25}


def test_a_largest_kl_that_overflows_leaves_the_step_to_the_line_search():
    class Overflowing(Quadratic):
        def evaluate(self, theta_new):
            value = super().evaluate(theta_new)
            return value._replace(max_kl=value.max_kl if value.mean_kl < 1e-3 else np.inf)

    _theta, report = update(Overflowing(1.0), trust_region="max_kl", line_search_max_iter=20)
    assert report.committed
    assert 0.0 < report.mean_kl < 1e-3


def test_a_fixed_step_that_overflows_theta_is_not_taken():
    class Always(Quadratic):
        def evaluate(self, theta_new):
            return SurrogateValue(0.0, 0.0, 0.0, 1.0)

    assert update(Always(1.0), trust_region="none", step_size=1e308, cg_damping=0.0)[1].committed
    theta, report = update(Always(10.0), trust_region="none", step_size=1e308, cg_damping=0.0)
    assert report.status is UpdateStatus.LINE_SEARCH_FAILED
    assert theta is THETA


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_in_a_batch_or_theta_is_a_status(value, normalize):
    config = TRPOConfig(normalize_advantage=normalize)
    batch = ordinary_batch()
    batch.advantages[11] = value
    assert trpo_update(POLICY, THETA, batch, config)[1].status is UpdateStatus.NON_FINITE_INPUT
    broken = THETA.copy()
    broken[-1] = value
    theta, report = trpo_update(POLICY, broken, ordinary_batch(), config)
    assert report.status is UpdateStatus.NON_FINITE_INPUT
    assert theta.tobytes() == broken.tobytes()


def test_an_objective_keeps_the_theta_of_its_construction():
    batch, theta = ordinary_batch(), THETA.copy()
    objective = SurrogateObjective(POLICY, theta, batch.observations, batch.actions, batch.advantages)
    before = objective.fisher_operator(0.1, every=2) @ np.ones(P)
    theta += 1.0
    assert np.array_equal(objective.theta, THETA)
    assert np.array_equal(objective.fisher_operator(0.1, every=2) @ np.ones(P), before)


def vine_batch(q_values, actions=None, proposal="policy"):
    n, k = q_values.shape
    observations = np.random.default_rng(6).uniform(-1.0, 1.0, (n, 2))
    return VineBatch(observations, np.tile(np.arange(k), (n, 1)) if actions is None else actions, q_values, proposal)


@pytest.mark.parametrize("normalize", [True, False])
def test_differences_of_a_vine_that_are_rounding_are_no_signal(normalize):
    differences = 1e-5 * np.random.default_rng(7).standard_normal((12, 2))
    config = TRPOConfig(normalize_advantage=normalize)
    assert update(vine_batch(1e4 + differences))[1].status is UpdateStatus.NO_SIGNAL
    assert trpo_update(POLICY, THETA, vine_batch(differences), config)[1].committed


def test_weights_of_a_vine_are_relative_to_the_most_probable_action():
    """Actions that the policy hardly takes: their probabilities are 0 in float64, the ratios of them are not."""
    policy = Policy(gym.spaces.Box(-1.0, 1.0, (2,)), gym.spaces.Discrete(3), net_arch=(), dtype="float64")
    theta = np.zeros(policy.num_params)
    theta[-3:] = [0.0, np.log(3.0), 2000.0]
    batch = vine_batch(np.array([[1.0, 5.0]]), proposal="uniform")
    objective = VineObjective(policy, theta, batch.observations, batch.actions, batch.q_values, "uniform")
    assert objective.is_finite
    assert objective.largest_advantage == pytest.approx(3.0)  # |1 - (1 + 3 * 5) / 4|


def test_a_vine_cannot_hold_an_action_that_its_mask_excludes():
    policy = Policy(
        gym.spaces.Box(-1.0, 1.0, (2,)), gym.spaces.Discrete(3), net_arch=(), dtype="float64", use_masking=True
    )
    theta, q_values = np.zeros(policy.num_params), np.array([[1.0, 5.0]] * 2)
    rows = np.array([[0.1, 0.2, 1.0, 1.0, 1.0], [0.1, 0.2, 0.0, 1.0, 1.0]])
    VineObjective(policy, theta, rows, np.array([[0, 1], [1, 2]]), q_values)
    with pytest.raises(InvalidArgumentError, match="^actions: .* in row 2"):
        VineObjective(policy, theta, rows, np.array([[0, 1], [0, 1]]), q_values)
