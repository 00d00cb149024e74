"""Planes of bytes: stored once, found again, and what rows of them give back."""

import numpy as np
import pytest

from trpo_fast._core.modules import core, kernels

N_ENVS, H, W = 3, 5, 7
none = np.full((N_ENVS, 4), -1, np.int32)


def stacked(planes, index):
    return np.where((index >= 0)[..., None, None], planes[index], 0)


class Store:
    """A pool of planes and the index of each step."""

    def __init__(self, channels=4):
        self.planes, self.used = np.full((300, H, W), 255, np.uint8), 0
        self.index = [np.full((N_ENVS, channels), -1, np.int32)]

    def add(self, pixels, previous=None):
        index = np.empty_like(self.index[0])
        self.used = core.store_planes(
            pixels, self.index[-1] if previous is None else previous, index, self.planes, self.used
        )
        assert (stacked(self.planes, index) == pixels).all()
        self.index.append(index)
        return index


def frames(rng, *shape):
    return rng.integers(1, 255, (*shape, H, W), dtype=np.uint8)


def test_the_planes_of_a_frame_stack_are_stored_once():
    rng, store = np.random.default_rng(0), Store()
    stack = np.zeros((N_ENVS, 4, H, W), np.uint8)  # padded with zeros
    for _ in range(20):
        stack = np.concatenate([stack[:, 1:], frames(rng, N_ENVS, 1)], axis=1)
        store.add(stack)
    assert store.used == 20 * N_ENVS
    steps = np.stack(store.index[1:])
    assert (steps[0] == [[-1, -1, -1, 0], [-1, -1, -1, 1], [-1, -1, -1, 2]]).all()
    assert (steps[1:, :, :3] == steps[:-1, :, 1:]).all()


def test_a_reset_that_repeats_its_frame_stores_it_once():
    rng, store = np.random.default_rng(1), Store()
    store.add(frames(rng, N_ENVS, 4))
    first = np.repeat(frames(rng, N_ENVS, 1), 4, axis=1)
    index = store.add(first)
    assert store.used == 4 * N_ENVS + N_ENVS
    assert (index == index[:, :1]).all()
    store.add(first)  # nothing moved
    assert store.used == 5 * N_ENVS


def test_colours_of_a_stack_move_by_three():
    rng, store = np.random.default_rng(2), Store(channels=6)
    old, new = frames(rng, N_ENVS, 3), frames(rng, N_ENVS, 3)
    store.add(np.concatenate([np.zeros_like(old), old], axis=1))
    store.add(np.concatenate([old, new], axis=1))
    assert store.used == 6 * N_ENVS


def test_planes_that_differ_in_one_pixel_are_two():
    for value in (0, 1):
        store = Store()
        stack = np.full((N_ENVS, 4, H, W), value, np.uint8)
        first = store.add(stack)
        assert store.used == (N_ENVS if value else 0)
        for row, column in ((0, 0), (H - 1, W - 1)):
            changed, before = stack.copy(), store.used
            changed[:, 2, row, column] = 2
            index = store.add(changed, first)
            assert store.used == before + N_ENVS
            assert ((index == first) == [True, True, False, True]).all()


def test_only_the_former_observation_of_the_same_environment_is_searched():
    rng, store = np.random.default_rng(3), Store()
    stack = frames(rng, N_ENVS, 4)
    store.add(stack)
    store.add(stack[[1, 2, 0]])
    assert store.used == 8 * N_ENVS
    store.add(stack, none)
    assert store.used == 12 * N_ENVS


def test_observations_may_be_a_field_of_records():
    rng, store = np.random.default_rng(4), Store()
    records = np.zeros(N_ENVS, np.dtype([("vector", np.float64, (3,)), ("image", np.uint8, (4, H, W))]))
    records["image"] = frames(rng, N_ENVS, 4)
    store.add(records["image"])
    assert store.used == 4 * N_ENVS


def test_the_index_of_a_step_may_replace_the_former_one():
    rng, store = np.random.default_rng(5), Store()
    stack = frames(rng, N_ENVS, 4)
    index = store.add(stack)
    for _ in range(5):
        stack = np.concatenate([stack[:, 1:], frames(rng, N_ENVS, 1)], axis=1)
        store.used = core.store_planes(stack, index, index, store.planes, store.used)
        assert (stacked(store.planes, index) == stack).all()


@pytest.mark.parametrize("bad", [-2, 60, 2**31 - 1, -(2**31)])
def test_a_plane_number_out_of_range_is_refused(bad):
    planes, index = np.zeros((60, H, W), np.uint8), np.zeros((N_ENVS, 4), np.int32)
    index[1, 2] = bad
    with pytest.raises(ValueError, match=rf"^index: expected plane numbers in -1\.\.59, got .*{bad}"):
        core.Images(planes, index)
    pixels, out = np.zeros((N_ENVS, 4, H, W), np.uint8), none.copy()
    with pytest.raises(ValueError, match=rf"^previous: expected plane numbers in -1\.\.39, got .*{bad}"):
        core.store_planes(pixels, index, out, planes, 40)
    with pytest.raises(ValueError, match=r"^previous: expected plane numbers in -1\.\.-1, got 0\.\.0"):
        core.store_planes(pixels, np.zeros_like(index), out, planes, 0)


def test_images_hold_their_planes_and_a_copy_of_the_index():
    planes, index = np.zeros((2, H, W), np.uint8), np.array([[0, -1], [1, 0]], np.int32)
    images = core.Images(planes, index)
    assert images.planes is planes
    index[0, 0] = 99
    assert images.index.tolist() == [[0, -1], [1, 0]]
    assert images.index.dtype == np.int32
    images.index[0, 0] = 99
    assert images.index[0, 0] == 0


def test_images_keep_the_shapes_that_were_checked():
    planes = np.arange(16, dtype=np.uint8).reshape(4, 2, 2)
    images, out = core.Images(planes, np.array([[3]], np.int32)), np.empty((1, 4))
    network = kernels("float64").Network([(kernels("float64").Dense(4, 4, "identity"), 1)], images=[(2, 2, 1, 1.0)])
    planes.shape = (1, 4, 4)
    network.forward(np.append(np.eye(4), np.zeros(4)), (np.empty((1, 0)), images), out)
    assert out.tolist() == [[12.0, 13.0, 14.0, 15.0]]
