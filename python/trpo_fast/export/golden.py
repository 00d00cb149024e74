"""Golden vectors: observations, and the actions that an exported policy must give for them."""

import base64
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.export.deployment import Deployment
from trpo_fast.spaces.leaves import VECTOR, ImageLeaf

COUNT = 64
COUNT_OF_IMAGES = 16
TRIALS = 32  # observations for each vector: unclear decisions are left out
TOLERANCE = 1e-5  # of a Box action a: TOLERANCE max(1, |a|)
MIN_GAP = 1e-4  # between the logits of the two best choices: no target need round as this machine does


class Golden(NamedTuple):
    """Observations (n, D) and actions (n, A), as float32 holds them, and images by name, (n, *shape in the space).

    ``golden_images`` makes the images of ``seeds`` (n,).
    """

    observations: npt.NDArray[np.float32]
    images: dict[str, npt.NDArray[np.uint8]]
    seeds: npt.NDArray[np.uint32]
    actions: npt.NDArray[np.float32]


def golden_vectors(deployment: Deployment) -> Golden:
    """Observations where the policy is used to be, some far away, and what Python does there; always the same ones.

    Raises
    ------
    InvalidArgumentError
        If the policy is at a loss nearly everywhere, as one that was not trained may be.
    """
    policy, theta, leaves = deployment.policy, deployment.theta, deployment.images
    count = COUNT_OF_IMAGES if leaves else COUNT
    rows = _rows(deployment, TRIALS * count)
    seeds = np.arange(len(rows), dtype=np.uint32) * max(len(leaves), 1)
    images = {leaf.name: golden_images(leaf, seeds + np.uint32(i)) for i, leaf in enumerate(leaves)}
    observations = _encoded(deployment, rows, images)
    actions = np.asarray(policy.actor(theta).env_actions(observations)).reshape(len(rows), -1)
    clear = np.flatnonzero(_gaps(deployment, policy.dist_params(theta, observations)) > MIN_GAP)[:count]
    if len(clear) < count:
        raise InvalidArgumentError("model", "a policy that decides clearly at times", "logits that are about the same")
    kept = {name: pixels[clear] for name, pixels in images.items()}
    return Golden(rows[clear], kept, seeds[clear], actions[clear].astype(np.float32))


def golden_images(leaf: ImageLeaf, seeds: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
    """Images of a space, shape (n, *leaf.shape), of blocks of random shades; exported self-tests make them again."""
    places = zip(leaf.shape, block_bits(leaf), strict=True)
    a, b, c = (np.arange(size, dtype=np.uint32) >> np.uint32(bits) for size, bits in places)
    with np.errstate(over="ignore"):
        h = (
            (a * np.uint32(0x85EBCA77))[:, None, None]
            + (b * np.uint32(0xC2B2AE3D))[:, None]
            + c * np.uint32(0x27D4EB2F)
        )
        h = h + (seeds * np.uint32(0x9E3779B1))[:, None, None, None]
        h = (h ^ h >> np.uint32(15)) * np.uint32(0x2C1B3C6D)
    images: npt.NDArray[np.uint8] = ((h ^ h >> np.uint32(12)) >> np.uint32(24)).astype(np.uint8)
    return images


def block_bits(leaf: ImageLeaf) -> tuple[int, int, int]:
    """Logarithm of the size of a block along each axis of an image: channels are apart, of the sides 4 are alike."""
    return (2, 2, 0) if leaf.is_channels_last else (0, 2, 2)


def _rows(deployment: Deployment, n: int) -> npt.NDArray[np.float32]:
    """The numbers of ``n`` observations, with masks."""
    policy, form = deployment.policy, deployment.form
    statistics, rng = policy.normalizer.statistics, np.random.default_rng(0)
    scale = np.where(np.arange(n) % 8 == 7, 20.0, 1.0)[:, None]
    gaussian = rng.standard_normal((n, statistics.mean.size))
    rows = (statistics.mean + statistics.std * scale * gaussian).astype(np.float32)
    choices = ~policy.observation_codec.is_continuous
    rows[:, choices] = rng.integers(2, size=(n, int(choices.sum())))
    begin = form.num_features
    for size in form.num_choices.tolist() if form.is_masked else []:
        rows[np.arange(n), begin + rng.integers(size, size=n)] = 1.0  # a choice at least
        begin += size
    return rows


def _encoded(
    deployment: Deployment, rows: npt.NDArray[np.float32], images: dict[str, npt.NDArray[np.uint8]]
) -> npt.NDArray[Any]:
    """Observations as the policy takes them."""
    if not images:
        return rows.astype(np.float64)
    encoded = np.empty(len(rows), deployment.policy.observation_codec.dtype)
    encoded[VECTOR] = rows
    for leaf in deployment.images:
        pixels = images[leaf.name]
        encoded[leaf.name] = np.moveaxis(pixels, -1, 1) if leaf.is_channels_last else pixels
    return encoded


def _gaps(deployment: Deployment, phi: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """How far the closest decision of each row is from another one, in logits; infinite of a Box."""
    phi, gaps, form = phi.astype(np.float64), np.full(len(phi), np.inf), deployment.form
    if form.action_kind == "bits":
        gaps = np.abs(phi).min(axis=1)
    if form.action_kind != "choices":
        return gaps
    for logits in np.split(phi, np.cumsum(form.num_choices)[:-1], axis=1):
        best = np.sort(np.where(np.isfinite(logits), logits, -1e300), axis=1)
        if best.shape[1] > 1:
            gaps = np.minimum(gaps, best[:, -1] - best[:, -2])
    return gaps


def write_golden_json(golden: Golden, exported: Path) -> Path:
    """Golden vectors beside an exported policy: STEM_test.json; images as base64 of their bytes."""
    path = exported.with_name(f"{exported.stem}_test.json")
    vectors: dict[str, Any] = {"tolerance": TOLERANCE, "observations": golden.observations.tolist()}
    if golden.images:
        vectors["images"] = {
            name: {"shape": pixels.shape, "uint8": base64.b64encode(pixels.tobytes()).decode()}
            for name, pixels in golden.images.items()
        }
    vectors["actions"] = golden.actions.tolist()
    path.write_text(json.dumps(vectors) + "\n", encoding="utf-8")
    return path
