"""Images made smaller: means over areas, compared with matrix products in float64, and with OpenCV if it is there."""

import numpy as np
import pytest

from trpo_fast._core.modules import core

SIZES = [
    ((210, 160), (84, 84)),  # Atari
    ((210, 160), (52, 40)),  # the paper
    ((250, 160), (84, 84)),
    ((210, 160), (105, 80)),  # ratios that are integers
    ((7, 5), (7, 5)),
    ((7, 5), (1, 1)),
    ((13, 17), (11, 3)),
    ((1, 65793), (1, 65792)),  # as many pixels as possible, and sums up to the largest
]


def overlaps(n_in, n_out):
    """Share of pixel j in pixel i of the result, (n_out, n_in)."""
    edges_out, edges_in = np.arange(n_out + 1) / n_out, np.arange(n_in + 1) / n_in
    end, begin = np.minimum.outer(edges_out[1:], edges_in[1:]), np.maximum.outer(edges_out[:-1], edges_in[:-1])
    return np.clip(end - begin, 0.0, None) * n_out


def resized(first, second, size):
    out = np.zeros(size, np.uint8)
    core.AreaResize(*first.shape, *size).apply(first, second, out)
    return out


def images(size):
    rng = np.random.default_rng(0)
    yield from (rng.integers(0, 256, size, np.uint8), np.full(size, 255, np.uint8), np.zeros(size, np.uint8))
    yield rng.choice(np.array([0, 255], np.uint8), size)


@pytest.mark.parametrize(("size_in", "size_out"), SIZES[:-1])
def test_pixels_are_means_over_their_areas(size_in, size_out):
    for image in images(size_in):
        means = overlaps(size_in[0], size_out[0]) @ image @ overlaps(size_in[1], size_out[1]).T
        assert np.abs(resized(image, image, size_out) - means).max() <= 0.5 + 1e-9


def test_white_stays_white_in_the_largest_image():
    size_in, size_out = SIZES[-1]
    white = np.full(size_in, 255, np.uint8)
    assert (resized(white, white, size_out) == 255).all()


@pytest.mark.parametrize(("values", "mean"), [((0, 1), 0), ((1, 2), 2), ((253, 254), 254), ((254, 255), 254)])
def test_halves_become_even(values, mean):
    image = np.array([values], np.uint8)
    assert resized(image, image, (1, 1)) == mean


def test_the_larger_pixel_of_two_images_counts():
    first, second = list(images((21, 16)))[::3]
    expected = resized(np.maximum(first, second), np.zeros_like(first), (8, 8))
    np.testing.assert_array_equal(resized(first, second, (8, 8)), expected)
    assert (expected != resized(first, first, (8, 8))).any()


def test_images_of_too_many_pixels_are_refused():
    with pytest.raises(ValueError, match="^in_height: expected an image of at most 65793 pixels, got 65794"):
        core.AreaResize(2, 32897, 1, 1)


@pytest.mark.parametrize(("size_in", "size_out"), SIZES[:-1])
def test_opencv_computes_the_same(size_in, size_out):
    cv2 = pytest.importorskip("cv2")
    for image in images(size_in):
        expected = cv2.resize(image, size_out[::-1], interpolation=cv2.INTER_AREA)
        difference = np.abs(resized(image, image, size_out).astype(int) - expected)
        assert difference.max() <= 1
        assert difference.mean() < 0.2  # OpenCV rounds halves of 2 by 2 pixels up
