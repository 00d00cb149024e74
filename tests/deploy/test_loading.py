"""The C++ loader takes no more memory than a file deserves, reads no more than it must, and says what is wrong."""

import hashlib
import re

import gymnasium as gym
import numpy as np
import pytest
from forged_files import forged, whole
from hostile_files import with_header
from runtime import LOAD_STATUS, building, load, python_verdict, run

from trpo_fast import Policy, save_policy
from trpo_fast.nets import Flatten
from trpo_fast.storage.policy_file import MAX_HEADER, load_policy_file, to_bytes

pytestmark = pytest.mark.compiler

ALLOWED = 16 << 20  # bytes, beyond twice the file
EMPTY = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'


@pytest.fixture
def probe():
    return building("fast").result()


@pytest.fixture
def loaded(probe, tmp_path):
    """A function that loads a file, checks the memory that this took, and returns the status."""

    def load_bytes(content):
        path = tmp_path / "file.safetensors"
        path.write_bytes(content)
        result = load(probe, path)
        assert result.peak <= 2 * len(content) + ALLOWED
        return result.status

    return load_bytes


def parts(folder):
    """The text of the header, and the data, of a small policy file."""
    policy = Policy(gym.spaces.Box(-1.0, 1.0, (2,)), gym.spaces.Box(-1.0, 1.0, (2,)), net_arch=[2])
    save_policy(folder / "small", policy, policy.initial_parameters(0))
    content = (folder / "small.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    return content[8 : 8 + size].decode().rstrip(), content[8 + size :]


def policy_of(folder, space, sizes, **acting):
    """The file of a policy whose layers have these sizes, and parameters of 0, in the acting form alone."""
    policy = Policy(gym.spaces.Box(-1.0, 1.0, (2,)), space, net_arch=[2])
    save_policy(folder / "form", policy, policy.initial_parameters(0))
    tensors, metadata = load_policy_file(folder / "form.safetensors")
    dtype = acting.pop("dtype", np.float32)
    tensors = {name: tensor for name, tensor in tensors.items() if name.startswith(("acting.", "policy.log_std"))}
    if "policy.log_std" in tensors:
        tensors["policy.log_std"] = np.zeros(sizes[-1], dtype)
    tensors["acting.sizes"] = np.array(sizes)
    for name in ("mean_high", "mean_low", "inv_std"):
        tensors[f"acting.{name}"] = np.zeros(sizes[0], np.float32)
    for i in range(len(sizes) - 1):
        tensors[f"policy.layers.{i}.weight"] = np.zeros((sizes[i + 1], sizes[i]), dtype)
        tensors[f"policy.layers.{i}.bias"] = np.zeros(sizes[i + 1], dtype)
    tensors.update({f"acting.{name}": np.asarray(value) for name, value in acting.items()})
    return to_bytes(tensors, metadata)


BOX = gym.spaces.Box(-1.0, 1.0, (2,))
PARTS = gym.spaces.MultiDiscrete([2])


@pytest.mark.parametrize(
    ("space", "sizes", "more", "status"),
    [
        (BOX, [1024, 2048, 1024, 2], {}, "ok"),
        (BOX, [1000, 2000, 2], {"dtype": np.float64}, "ok"),
        (BOX, [200_000, 16, 2], {}, "ok"),
        (BOX, [1 << 20, 2], {}, "unsupported"),
        (BOX, [2, 1 << 19, 1, 2], {}, "unsupported"),
        (BOX, [1] * 2000 + [2], {}, "ok"),
        (BOX, [4, 1 << 17], {"low": -np.ones(1 << 17, np.float32), "high": np.ones(1 << 17, np.float32)}, "ok"),
        (PARTS, [4, 1 << 17], {"num_choices": np.ones(1 << 17, int), "start": np.zeros(1 << 17, int)}, "ok"),
        (PARTS, [1, 1 << 20], {"num_choices": np.ones(1 << 20, int), "start": np.zeros(1 << 20, int)}, "unsupported"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_large_policies_take_twice_their_file(space, sizes, more, status, loaded, tmp_path):
    assert loaded(policy_of(tmp_path, space, sizes, **more)) == status


LONG = MAX_HEADER - 10_000  # characters, which the header has room for


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        ("{", "{" + "".join(f'"{i:x}":{EMPTY},' for i in range(LONG // 60)), "ok"),
        ("{", "{" + "".join(f'"{i:x}":{EMPTY},' for i in range(LONG // 60)) + f'"0":{EMPTY},', "malformed"),
        ("{", f'{{"{"n" * (LONG // 2)}":{EMPTY},', "ok"),
        ('"F32"', f'"{"F" * LONG}"', "malformed"),
        ('"shape":[2]', f'"shape":[{"1," * (LONG // 2)}2]', "malformed"),
        ('"data_offsets":[', f'"data_offsets":[{"0," * (LONG // 2)}', "malformed"),
        ('{\\"', f'{{\\"n\\":[{"0," * (LONG // 2)}0],\\"', "ok"),
        ('{\\"', f'{{\\"n\\":\\"{"a" * LONG}\\",\\"', "ok"),
        ('{\\"', f'{{\\"n\\":\\"{chr(92) * 4 * (LONG // 4)}\\",\\"', "ok"),
        ('{\\"', f'{{\\"n\\":{"[" * (LONG // 2)}{"]" * (LONG // 2)},\\"', "ok"),
        ('{\\"', f'{{\\"n\\":{"[" * LONG},\\"', "malformed"),
        ('{\\"', f'{{\\"n\\":\\"{"a" * LONG},\\"', "malformed"),
        ('\\"version\\":4', f'\\"version\\":{"4" * LONG}', "unsupported"),
        ('\\"sha256\\":\\"', f'\\"sha256\\":\\"{"0" * LONG}', "malformed"),
    ],
    ids=[
        "tensors", "a tensor twice", "name", "dtype", "shape", "offsets", "list", "text", "escapes", "nested",
        "open list", "open text", "version", "digest",
    ],
)  # fmt: skip
def test_long_headers_take_twice_their_file(old, new, status, loaded, tmp_path):
    header, data = parts(tmp_path)
    assert header.count(old) > 0
    assert loaded(with_header(header.replace(old, new, 1).encode(), data)) == status


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('{"__metadata__":', '{"__metadata__":{"trpo_fast":"{}"},"__metadata__":'),
        ('{\\"', f'{{\\"a\\":{{\\"sha256\\":\\"{"7" * 64}\\"}},\\"'),
        ('{"__metadata__":', f'{{"\\"sha256\\":\\"{"7" * 64}\\"":{EMPTY},"__metadata__":'),
        ('\\"sha256\\":', '\\"more\\":'),
    ],
    ids=["metadata twice", "digest twice", "digest in a name", "no digest"],
)
def test_metadata_and_digest_stand_once(old, new, loaded, tmp_path):
    header, data = parts(tmp_path)
    header = re.sub("[0-9a-f]{64}", "7" * 64, header)
    assert old in header
    content = with_header(header.replace(old, new, 1).encode(), data)
    assert loaded(content) == "malformed"
    assert not python_verdict(tmp_path / "forged", content)


def test_a_header_that_is_longer_than_the_file_is_refused(loaded, tmp_path):
    """Although it is signed, and what there is of it is a header."""
    header, _ = parts(tmp_path)
    metadata = header[: header.index('}"}') + 3]
    unsigned = re.sub("[0-9a-f]{64}", "0" * 64, metadata).encode()
    content = (len(unsigned) + 8).to_bytes(8, "little") + unsigned + b"}"
    content = content.replace(b"0" * 64, hashlib.sha256(content).hexdigest().encode())
    assert loaded(content) == "malformed"
    assert not python_verdict(tmp_path / "forged", content)


@pytest.mark.parametrize("bound", [np.inf, -np.inf])
def test_an_action_has_a_finite_value(bound, loaded, tmp_path):
    only = {name: np.full(2, bound, np.float32) for name in ("low", "high")}
    assert loaded(policy_of(tmp_path, BOX, [2, 2], **only)) == "unfit"


def nodes_of(folder, image, filters, kernel, padding=0, stride=1):
    """The file of a policy that is one convolution of an image, in the acting form alone."""
    policy = Policy(gym.spaces.Box(0, 255, (3, 4, 4), np.uint8), BOX, features_extractor=Flatten(), net_arch=[])
    save_policy(folder / "form", policy, policy.initial_parameters(0))
    tensors, metadata = load_policy_file(folder / "form.safetensors")
    height, width, channels = image
    conv2d = [1, 0, 1, height, width, channels, filters, *kernel, stride, padding]
    tensors["acting.images"] = np.array([image])
    tensors["acting.nodes"] = np.array([conv2d])
    tensors["acting.buffers"] = np.array([1])
    tensors["acting.names"] = np.frombuffer(b"c", np.uint8)
    tensors["policy.c.weight"] = np.zeros((filters, channels, *kernel), np.float32)
    tensors["policy.c.bias"] = np.zeros(filters, np.float32)
    return to_bytes(tensors, metadata)


@pytest.mark.parametrize(
    ("image", "filters", "kernel", "padding", "status"),
    [
        ((1, 2, 1), 1, (1, 1), 0, "ok"),
        ((300, 400, 1), 2, (300, 400), 0, "ok"),
        ((1000, 1200, 1), 2, (1000, 1200), 0, "unsupported"),  # padded to 16 filters
        ((1 << 15, 1 << 14, 1), 1, (1, 1), 0, "unsupported"),
        ((1 << 15, 1 << 15, 1), 1, (1, 1), 0, "unfit"),
        ((1, 1, 1), 1, (2, 2), 1 << 12, "unsupported"),
        ((1, 1, 1), 1, (2, 2), 1 << 62, "unfit"),
        ((1 << 40, 1 << 40, 1), 1, (1, 1), 0, "unfit"),
        ((1, 2, 1), 2, (1, 3), 0, "unfit"),
        ((1, 1, 1), 1 << 20, (1, 1), 0, "unfit"),  # outputs that are no action
    ],
    ids=str,
)
def test_images_and_convolutions_take_little_more_than_their_file(
    image, filters, kernel, padding, status, loaded, tmp_path
):
    assert loaded(nodes_of(tmp_path, image, filters, kernel, padding)) == status


def test_a_border_counts_as_memory(loaded, tmp_path):
    few = nodes_of(tmp_path, (1, 1, 1), 2, (1, 1), padding=1 << 7, stride=1 << 20)
    many = nodes_of(tmp_path, (1, 1, 1), 2, (1, 1), padding=1 << 12, stride=1 << 20)
    assert (loaded(few), loaded(many)) == ("ok", "unsupported")


def test_a_table_has_up_to_4096_nodes(loaded, tmp_path):
    tensors, metadata = load_policy_file(written(tmp_path, nodes_of(tmp_path, (1, 1, 2), 2, (1, 1))))
    flatten = [2, 0, 1, 1, 1, 2, 0, 0, 0, 0, 0]
    for n, status in ((4095, "ok"), (4096, "unsupported")):
        tensors["acting.nodes"] = np.array([*tensors["acting.nodes"][:1].tolist(), *[flatten] * n])
        tensors["acting.buffers"] = np.arange(1, n + 2)
        assert loaded(to_bytes(tensors, metadata)) == status


def written(folder, content):
    path = folder / "written.safetensors"
    path.write_bytes(content)
    return path


def test_sizes_that_make_no_policy_are_unfit(loaded, tmp_path):
    three = {"low": np.zeros(3, np.float32), "high": np.ones(3, np.float32)}
    assert loaded(policy_of(tmp_path, BOX, [2, 0, 2])) == "unfit"
    assert loaded(policy_of(tmp_path, BOX, [2, 4], **three)) == "unfit"
    assert loaded(policy_of(tmp_path, BOX, [2, 6], **three)) == "ok"  # their log standard deviations follow the means


@pytest.mark.parametrize(("num_choices", "status"), [(1 << 20, "ok"), ((1 << 20) + 1, "unfit")])
def test_a_part_of_an_action_has_up_to_a_million_choices(num_choices, status, loaded, tmp_path):
    more = np.zeros(25 << 20, np.uint8)  # a file without it would deserve too little memory for so many outputs
    content = policy_of(tmp_path, PARTS, [1, num_choices], num_choices=[num_choices], start=[0], more=more)
    assert loaded(content) == status


@pytest.mark.parametrize(
    ("value", "status"), [(np.nan, "unfit"), (-np.inf, "unfit"), (-3.5e38, "unsupported"), (-3.4e38, "ok")]
)
def test_parameters_are_finite_and_fit_into_float32(value, status, loaded, tmp_path):
    policy = Policy(BOX, BOX, net_arch=[2], dtype="float64")
    save_policy(tmp_path / "policy", policy, policy.initial_parameters(0))
    tensors, metadata = load_policy_file(tmp_path / "policy.safetensors")
    tensors["policy.layers.0.bias"][1] = value
    assert loaded(to_bytes(tensors, metadata)) == status


def test_a_header_may_have_its_greatest_size_and_no_more(loaded, tmp_path):
    header, data = parts(tmp_path)
    for more, is_policy in ((0, True), (1, False)):
        content = with_header(header.encode().ljust(MAX_HEADER + more), data)
        assert loaded(content) == ("ok" if is_policy else "malformed")
        assert python_verdict(tmp_path / "padded", content) == is_policy


@pytest.mark.parametrize(
    ("begin", "status"),
    [
        (bytes(8), "malformed"),
        (bytes([255] * 8), "malformed"),
        ((MAX_HEADER + 1).to_bytes(8, "little"), "malformed"),
        (MAX_HEADER.to_bytes(8, "little"), "malformed"),
        (b"PK\3\4\0\0\0\0", "malformed"),
        (None, "damaged"),
    ],
    ids=["zeros", "ones", "above the limit", "the limit", "a zip file", "a policy, lengthened"],
)
def test_a_file_of_3_gb_is_read_no_further_than_its_header(begin, status, probe, tmp_path):
    path = tmp_path / "sparse.safetensors"
    policy = Policy(BOX, BOX, net_arch=[2])
    save_policy(path, policy, policy.initial_parameters(0))
    with path.open("r+b") as file:
        file.write(begin or b"")
        file.truncate(3 << 30)
    result = load(probe, path)
    assert result.status == status
    assert result.peak <= 2 * MAX_HEADER + ALLOWED


def test_data_that_are_promised_and_not_there_cost_nothing(loaded, probe, tmp_path):
    header, data = parts(tmp_path)
    for promised, status in ((3 << 30, "malformed"), (1 << 32, "unreadable"), (1 << 40, "unreadable")):
        size = promised - len(data)
        more = f'{{"more":{{"dtype":"U8","shape":[{size}],"data_offsets":[{len(data)},{promised}]}},'
        content = with_header(header.replace("{", more, 1).encode(), data)
        assert loaded(content) == status
        (tmp_path / "lie").write_bytes(content)  # where memory cannot even be reserved
        assert run(["sh", "-c", f"ulimit -v 1000000; '{probe}' load '{tmp_path / 'lie'}'"]).startswith(
            b"%d " % LOAD_STATUS.index(status)
        )


@pytest.mark.parametrize(
    ("tensors", "size", "is_policy"),
    [  # name -> begin, end, and number of bytes if that is another; all counted from where the policy's data end
        ({"a": (0, 4)}, 4, True),
        ({"a": (4, 8), "b": (0, 4)}, 8, True),
        ({"a": (0, 0), "b": (0, 0), "c": (0, 4), "d": (4, 4)}, 4, True),
        ({}, 1, False),
        ({"a": (0, 4)}, 5, False),
        ({"a": (0, 4)}, 3, False),
        ({"a": (1, 5)}, 5, False),
        ({"a": (0, 4), "b": (5, 8)}, 8, False),
        ({"a": (0, 4), "b": (3, 8)}, 8, False),
        ({"a": (0, 4), "b": (0, 4)}, 4, False),
        ({"a": (0, 8), "b": (2, 4)}, 8, False),
        ({"a": (-1, 4)}, 4, False),
        ({"a": (2, 2)}, 0, False),
        ({"a": (0, 4, 3)}, 4, False),
        ({"a": (0, 4, 5)}, 4, False),
        ({"a": (4, 0, 4)}, 4, False),
        ({"a": (4, 0, 0)}, 4, False),
    ],
    ids=str,
)
def test_tensors_fill_the_data_without_gaps_and_overlaps(tensors, size, is_policy, loaded, tmp_path):
    header, metadata, data = whole(tmp_path)
    n = len(data)
    more = {
        name: {"dtype": "U8", "shape": [*length] or [end - begin], "data_offsets": [n + begin, n + end]}
        for name, (begin, end, *length) in tensors.items()
    }
    content = forged({**header, **more}, metadata, data + bytes(size))
    assert loaded(content) == ("ok" if is_policy else "malformed")
    assert python_verdict(tmp_path / "forged", content) == is_policy
