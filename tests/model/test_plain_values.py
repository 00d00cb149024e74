"""Plain values through JSON and arrays keep their types and bits."""

import json

import numpy as np
import pytest
from arrays import same

from trpo_fast import PolicyFileError
from trpo_fast.storage.plain_values import from_json, stream_from_array, stream_to_array, to_json

VALUES = [
    None, True, -3, 2**100, "text", 0.1, -0.0, 5e-324, float("inf"), np.float32(0.1), np.float64(0.1), np.int64(-7),
    np.bool_(True), np.array(2.5), np.arange(6, dtype=np.uint8).reshape(2, 3), np.array([np.nan, -np.inf]),
    np.empty((0, 3)),
    [], (), {}, [1, (2.0, [None, {"a b": (np.float32(1),)}])], {"float": 1.0, "array": {"list": ()}},
]  # fmt: skip


def through_json(value):
    arrays = {}
    text = json.dumps(to_json(value, arrays, "v"), allow_nan=False)
    return from_json(json.loads(text), arrays)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_same_type_and_bits(value):
    assert same(through_json(value), value)


def test_names_of_arrays_are_printable_ascii():
    """Whatever the keys: names are part of a file's header, which holds nothing else."""
    value = {"é": np.zeros(2), "è": np.ones(2), 'a\n"\\': np.zeros(1)}
    arrays = {}
    data = to_json(value, arrays, "v")
    assert len(arrays) == 3
    assert all(name.isascii() and name.isprintable() for name in arrays)
    assert same(from_json(data, arrays), value)


def test_restored_arrays_are_copies():
    value = np.zeros(3)
    through_json(value)[0] = 1.0
    assert not value.any()


def test_random_streams_continue_where_they_were():
    stream = np.random.default_rng(3)
    stream.integers(0, 9, dtype=np.int32)  # leaves half a word for the next draw
    restored = through_json({"rng": stream})["rng"]
    for _ in range(3):
        assert restored.integers(0, 9, dtype=np.int32) == stream.integers(0, 9, dtype=np.int32)
        np.testing.assert_array_equal(restored.standard_normal(5), stream.standard_normal(5))


@pytest.mark.parametrize(("place", "word"), [(2, 1 << 40), (4, 2), (5, 1 << 32)])
def test_words_that_are_not_the_state_of_a_stream_are_refused(place, word):
    """An increment is odd, at most one half word is buffered, and it has 32 bits."""
    words = stream_to_array(np.random.default_rng(3))
    stream_from_array(words)
    words[place] = word
    with pytest.raises(PolicyFileError, match="six words of a PCG64"):
        stream_from_array(words)


@pytest.mark.parametrize("wrap", [lambda v: [v], lambda v: (1, v), lambda v: {"a": v}])
def test_values_are_nested_in_at_most_50_levels(wrap):
    value = wrap(0)
    for _ in range(49):
        value = wrap(value)
    assert same(through_json(value), value)
    with pytest.raises(ValueError, match="at most 50 nested lists and dicts"):
        to_json(wrap(value), {}, "v")


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (object(), "v"),
        ({"a": [1, {2}]}, r"v\.a\.1"),
        ({1: 2}, "v"),
        ((lambda: 0,), r"v\.0"),
        (np.array(["a"]), "v"),
        (np.array([None]), "v"),
        ({"rng": np.random.Generator(np.random.MT19937())}, "PCG64"),
        (1j, "v"),
    ],
)
def test_values_that_are_not_plain_are_rejected_with_their_path(value, where):
    with pytest.raises((TypeError, ValueError), match=where):
        to_json(value, {}, "v")


@pytest.mark.parametrize(
    "data",
    [
        {"float": "oops"}, {"float": 1.0}, {"array": "absent"}, {"array": ["v"]}, {"list": 3}, {"dict": []},
        {"pickle": "x"}, {},
        {"float": "0x1p0", "array": "v"}, {"stream": "v"}, {"float": "0x1p99999"},
    ],
)  # fmt: skip
def test_other_json_is_refused(data):
    with pytest.raises(PolicyFileError):
        from_json(data, {"v": np.zeros(6, dtype=np.uint64)})
