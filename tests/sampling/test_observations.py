"""Observations: one value, checked once, normalised once per statistics, in the order of environments."""

import copy
import pickle

import numpy as np
import pytest
from cases import make_case

from trpo_fast import TRPO
from trpo_fast.spaces import observations as module
from trpo_fast.spaces.observations import ObservationBuffer, Observations, by_environment, by_time, concatenate, stack


@pytest.mark.parametrize("n", [1, 3])
@pytest.mark.parametrize("all_valid", [True, False])
def test_by_time_is_the_inverse_of_by_environment(n, all_valid):
    rng = np.random.default_rng(n)
    values, valid = rng.standard_normal((7, n, 2)), rng.random((7, n)) < (1.1 if all_valid else 0.6)
    ordered = by_environment(values, valid)
    expected = [values[t, i] for i in range(n) for t in range(7) if valid[t, i]]
    np.testing.assert_array_equal(ordered, expected)
    np.testing.assert_array_equal(by_time(ordered, valid), np.where(valid[..., None], values, 0.0))


def test_a_buffer_gives_transitions_last_observations_and_states_of_a_plan():
    array = np.random.default_rng(0).standard_normal((5, 2, 3, 2))  # four steps, two environments, a Box of (3, 2)
    buffer = ObservationBuffer(array)
    flat = array.reshape(5, 2, 6)
    valid = np.array([[1, 1], [1, 0], [1, 1], [0, 1]], dtype=bool)
    np.testing.assert_array_equal(buffer.acted_on(2), flat[2])
    np.testing.assert_array_equal(buffer.transitions(valid), flat[[0, 1, 2, 0, 2, 3], [0, 0, 0, 1, 1, 1]])
    np.testing.assert_array_equal(buffer.last(), flat[4])
    np.testing.assert_array_equal(buffer.at(np.array([[0, 4], [1, 3]])), flat[[0, 4, 1, 3], [0, 0, 1, 1]])
    parts = [stack([array[0, 0]]), stack([array[1, 1], array[2, 0]])]
    np.testing.assert_array_equal(concatenate(parts), flat[[0, 1, 2], [0, 1, 0]])


def count_normalisations(monkeypatch):
    """Rows that the kernels normalise from now on, a number for each call."""
    counted = []
    kernels = module.kernels

    class Counting:
        def __init__(self, dtype):
            self._kernel = kernels(dtype)

        def normalize(self, normalizer, rows, inputs):
            counted.append(len(rows))
            self._kernel.normalize(normalizer, rows, inputs)

    monkeypatch.setattr(module, "kernels", Counting)
    return counted


def test_rows_are_normalised_once_per_statistics_and_parts_keep_it(monkeypatch):
    case = make_case(n=50)
    counted = count_normalisations(monkeypatch)
    observations = case.policy.check_observations(case.observations)
    inputs = case.policy.normalize(observations)
    assert case.policy.normalize(observations) is inputs
    np.testing.assert_array_equal(case.policy.normalize(observations[::4]), inputs[::4])
    assert counted == [50]
    other = case.policy.with_normalizer(case.policy.normalizer.updated(case.observations))
    assert (other.normalize(observations) != inputs).any()
    assert counted == [50, 50]


def test_an_iteration_normalises_each_row_once_under_the_old_statistics_and_once_under_the_new(monkeypatch):
    model = TRPO("MlpPolicy", "CartPole-v1", n_envs=2, n_steps=300, seed=0, sub_sampling_factor=2)
    model.learn(600)
    counted = count_normalisations(monkeypatch)
    rollout = model.sample_rollout()
    n_finals = len(rollout.trajectories.final_observations)
    assert n_finals == 0
    model.update(model.make_batch(rollout))
    # transitions, the observations after the last step, transitions again; samples in float64, before and after a step
    assert counted == [600, 2, 600, 120, 120]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_found_when_asked(value):
    array = np.zeros((3, 2))
    assert Observations(array).is_finite
    array[1, 1] = value
    assert not Observations(array).is_finite


def test_rows_and_cached_inputs_are_read_only():
    case = make_case(n=5)
    observations = case.policy.check_observations(case.observations)
    inputs = case.policy.normalize(observations)
    for array in (np.asarray(observations), inputs, np.asarray(observations[::2]), case.policy.normalize(observations)):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = np.nan
    assert case.observations.flags.writeable  # the user's own array stays so


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
def test_a_copy_has_the_same_rows_and_its_own_inputs(copied):
    case = make_case(n=5)
    observations = case.policy.check_observations(case.observations)
    inputs = case.policy.normalize(observations)
    same = copied(observations)
    np.testing.assert_array_equal(same, observations)
    np.testing.assert_array_equal(case.policy.normalize(same), inputs)


def test_concatenated_observations_are_finite_only_if_all_parts_are():
    finite, other = Observations(np.zeros((2, 3))), Observations(np.full((1, 3), np.inf))
    assert concatenate([finite, finite]).is_finite
    assert not concatenate([finite, other]).is_finite
