"""Limits on the JSON that files may hold."""

import json

import pytest

from trpo_fast._core import strict_json


def nested(levels, key):
    value = ["]}"]  # brackets in a text end nothing
    for level in range(levels - 1):
        value = {key: value} if level % 2 else [[], value]
    return value


@pytest.mark.parametrize("key", ["a", "[{"])
def test_values_may_be_nested_in_128_levels(key):
    deepest, deeper = nested(128, key), nested(129, key)
    assert strict_json.loads(json.dumps([*deepest, *deepest])) == [*deepest, *deepest]
    with pytest.raises(ValueError, match="at most 128 levels"):
        strict_json.loads(json.dumps(deeper))
