"""Running statistics, and the inputs that networks see."""

import numpy as np
from cases import make_case

from trpo_fast.normalization import ObservationNormalizer, RunningMeanStd


def test_merging_batches_equals_the_statistics_of_all_data():
    rng = np.random.default_rng(0)
    batches = [rng.normal(1e3, 10.0 ** rng.integers(-2, 3), (int(n), 3)) for n in (1, 5, 200, 33)]
    statistics = RunningMeanStd.initial(3)
    for batch in batches:
        statistics = statistics.merged(batch)
    everything = np.concatenate(batches)
    np.testing.assert_allclose(statistics.mean, everything.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(statistics.var, everything.var(axis=0), rtol=1e-9)
    assert statistics.count == len(everything)


def test_inputs_are_standardised_and_clipped():
    case = make_case()
    case.policy.normalizer = ObservationNormalizer(RunningMeanStd(np.full(5, 2.0), np.full(5, 9.0), 1.0))
    observations = np.array([[2.0, 5.0, -1.0, 1e6, -1e6]])
    np.testing.assert_allclose(case.policy.normalize(observations), [[0.0, 1.0, -1.0, 10.0, -10.0]], rtol=1e-8)
