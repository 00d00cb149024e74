"""Images in observations: which are taken, how they are encoded, what errors say."""

import json

import gymnasium as gym
import numpy as np
import pytest
from hostile_memory import peak_of

from trpo_fast import InvalidArgumentError, PolicyFileError, UnsupportedSpaceError
from trpo_fast.spaces.as_json import own_copy, space_from_json, space_to_json
from trpo_fast.spaces.leaves import ImageLeaf
from trpo_fast.spaces.observation_codec import ObservationCodec

S = gym.spaces


def image(*shape):
    return S.Box(0, 255, shape, np.uint8)


FIRST, LAST = image(4, 6, 5), image(6, 5, 4)
NESTED = S.Dict({"arm": S.Box(-1, 1, (2,), np.float64), "eyes": S.Tuple([image(5, 7, 3), S.Discrete(3), FIRST])})
SPACES = {"first": FIRST, "last": LAST, "Dict": S.Dict({"a": LAST, "b": image(3, 8, 8)}), "nested": NESTED}
each_space = pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)


def samples_of(space, n):
    space.seed(5)
    return [space.sample() for _ in range(n)]


def batched(space, samples):
    return gym.vector.utils.concatenate(space, samples, gym.vector.utils.create_empty_array(space, len(samples)))


def test_the_channels_are_the_smaller_of_the_first_and_the_last_axis():
    for shape, height, width, channels in [((4, 6, 5), 6, 5, 4), ((6, 5, 4), 6, 5, 4), ((3, 9, 3), 9, 3, 3)]:
        (leaf,) = ObservationCodec(image(*shape)).images
        assert leaf == ImageLeaf((), "image", height, width, channels, is_channels_last=shape == (6, 5, 4))


def test_images_of_a_nested_space_have_their_paths_as_names():
    codec = ObservationCodec(NESTED)
    assert [(leaf.path, leaf.name) for leaf in codec.images] == [(("eyes", 0), "eyes.0"), (("eyes", 2), "eyes.2")]
    assert (codec.num_features, codec.size, codec.shape) == (5, 5, ())
    assert codec.dtype.names == ("vector", "eyes.0", "eyes.2")
    assert codec.is_continuous.tolist() == [True, True, False, False, False]
    assert ObservationCodec(FIRST).num_features == 0


@pytest.mark.parametrize(
    "space", [S.Box(0, 1, (4, 4, 1), np.uint8), S.Box(0, 255, (4, 4), np.uint8), S.Box(0, 255, (4, 4, 1), np.int16)]
)
def test_other_boxes_are_numbers(space):
    codec = ObservationCodec(space)
    assert (codec.images, codec.num_features, codec.dtype) == ((), 16, np.float64)


@pytest.mark.parametrize("parts", [{"vector": FIRST}, {"a.b": FIRST, "a": S.Dict({"b": FIRST})}], ids=str)
def test_names_that_are_not_unique_are_refused(parts):
    with pytest.raises(UnsupportedSpaceError, match="unique"):
        ObservationCodec(S.Dict(parts))


def test_an_image_in_a_file_is_short():
    text = json.dumps(space_to_json(image(84, 84, 4)))
    assert len(text) < 100
    assert space_from_json(json.loads(text)) == image(84, 84, 4)
    with pytest.raises(PolicyFileError, match="space"):
        space_from_json(json.loads(text.replace("255", "254")))


def test_images_of_a_file_take_no_more_memory_than_large_ones():
    large = S.Tuple([image(1024, 1024, 1), image(1, 1024, 1024)])
    assert space_from_json(space_to_json(large)) == large
    with pytest.raises(UnsupportedSpaceError, match="at most 2097152 pixels, got 2097153"):
        own_copy("observation space", S.Dict({"a": image(1, 1, 1), "b": large}))
    boxes = space_to_json(S.Tuple([image(8, 256, 1024)] * 40))
    peak, raised = peak_of(lambda: space_from_json(boxes))
    assert isinstance(raised, PolicyFileError)
    assert peak < 1 << 20


@each_space
def test_an_observation_is_encoded_with_its_channels_first_and_decoded(space):
    codec, samples = ObservationCodec(space, mask_size=2), samples_of(space, 3)
    records = np.empty(3, codec.dtype)
    assert all(codec.take(sample, record) for sample, record in zip(samples, records, strict=True))
    np.testing.assert_array_equal(records["vector"][:, -2:], 1.0)
    for leaf in codec.images:
        for sample, planes in zip(samples, records[leaf.name], strict=True):
            for key in leaf.path:
                sample = sample[key]
            channel = sample[..., 1] if leaf.is_channels_last else sample[1]
            np.testing.assert_array_equal(planes[1], channel)
    batch = batched(space, samples)
    for observations, n in ((batch, 3), (samples[1], 1)):
        rows, is_batch = codec.rows(observations)
        assert is_batch == (n == 3)
        for name in codec.dtype.names:
            np.testing.assert_array_equal(rows[name], records[name] if is_batch else records[name][1:2])
    assert str(codec.decode(records)) == str(batch)


def test_lists_and_other_integers_are_taken_if_they_are_pixels():
    codec, pixels = ObservationCodec(FIRST), FIRST.sample()
    for value in (pixels.tolist(), pixels.astype(np.int64)):
        np.testing.assert_array_equal(codec.rows(value)[0]["image"][0], pixels)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda o: o["eyes"][0].astype(np.float32), r"float32 array of shape \(5, 7, 3\) in \['eyes'\]\[0\]"),
        (lambda o: o["eyes"][0][:4], r"uint8 array of shape \(4, 7, 3\) in \['eyes'\]\[0\]"),
        (lambda o: o["eyes"][0].astype(int) - 300, r"got -\d+ at index \(0, 0, 0\) in \['eyes'\]\[0\]"),
        (lambda o: None, r"got None .*in \['eyes'\]\[0\]"),
    ],
)
def test_what_is_no_image_is_named_with_its_place(spoil, message):
    (observation,) = samples_of(NESTED, 1)
    observation["eyes"] = (spoil(observation), *observation["eyes"][1:])
    with pytest.raises(InvalidArgumentError, match=message):
        ObservationCodec(NESTED).rows(observation)


def test_the_row_of_a_batch_of_images_that_is_wrong_is_named():
    pixels = np.zeros((3, *FIRST.shape), np.int64)
    pixels[2, 0, 1, 1] = 256
    with pytest.raises(InvalidArgumentError, match=r"got 256 at index \(0, 1, 1\) in row 2"):
        ObservationCodec(FIRST).rows(pixels)
