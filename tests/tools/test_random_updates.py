"""Random updates, judged in float64. ``.ci/nightly`` judges more of them."""

import sys

import numpy as np
import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tools"))
from random_updates import random_update, violations

from trpo_fast import UpdateStatus, trpo_update


@pytest.mark.parametrize("numbers", [range(k, 200, 2) for k in range(2)], ids=lambda numbers: f"from {numbers[0]}")
def test_random_updates_stay_in_the_trust_region(numbers):
    for i in numbers:
        update = random_update(8, i)
        assert violations(update, *trpo_update(*update)) == [], f"update {i}"


def test_the_judge_finds_a_step_that_is_too_long():
    update = next(u for u in map(random_update, [8] * 100, range(100)) if trpo_update(*u)[1].committed)
    theta, report = trpo_update(*update)
    far = (update.theta + 1000.0 * (theta - update.theta)).astype(theta.dtype)
    assert "KL" in violations(update, far, report)[0]
    assert violations(update, theta, report._replace(status=UpdateStatus.LINE_SEARCH_FAILED))
    huge = np.full_like(theta, 1e6)
    assert any("norm" in violation for violation in violations(update, huge, report))
