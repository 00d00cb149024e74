"""Golden vectors: observations, and the actions that an exported policy must give for them."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.export.deployment import Deployment

COUNT = 64
TRIALS = 32  # observations for each vector: unclear decisions are left out
TOLERANCE = 1e-5  # of a Box action a: TOLERANCE max(1, |a|)
MIN_GAP = 1e-4  # between the logits of the two best choices: no target need round as this machine does


class Golden(NamedTuple):
    """Observations (n, D) and actions (n, A), as float32 holds them."""

    observations: npt.NDArray[np.float32]
    actions: npt.NDArray[np.float32]


def golden_vectors(deployment: Deployment) -> Golden:
    """Observations where the policy is used to be, some far away, and what Python does there; always the same ones.

    Raises
    ------
    InvalidArgumentError
        If the policy is at a loss nearly everywhere, as one that was not trained may be.
    """
    policy, theta = deployment.policy, deployment.theta
    statistics, rng = policy.normalizer.statistics, np.random.default_rng(0)
    shape = TRIALS * COUNT, statistics.mean.size
    scale = np.where(np.arange(TRIALS * COUNT) % 8 == 7, 20.0, 1.0)[:, None]
    rows = (statistics.mean + statistics.std * scale * rng.standard_normal(shape)).astype(np.float32)
    choices = ~policy.observation_codec.is_continuous
    rows[:, choices] = rng.integers(2, size=(len(rows), int(choices.sum())))
    begin = deployment.form.sizes[0]
    for n in deployment.form.num_choices.tolist() if deployment.form.is_masked else []:
        rows[np.arange(len(rows)), begin + rng.integers(n, size=len(rows))] = 1.0  # a choice at least
        begin += n
    observations = rows.astype(np.float64)
    kernel_rows = np.empty((len(rows), deployment.form.action_size), policy.dtype)
    policy.act(theta, observations, None, kernel_rows)
    actions = np.asarray(policy.codec.to_env(kernel_rows)).reshape(len(rows), -1)
    clear = np.flatnonzero(_gaps(deployment, policy.dist_params(theta, observations)) > MIN_GAP)[:COUNT]
    if len(clear) < COUNT:
        raise InvalidArgumentError("model", "a policy that decides clearly at times", "logits that are about the same")
    return Golden(rows[clear], actions[clear].astype(np.float32))


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
    """Golden vectors beside an exported policy: STEM_test.json."""
    path = exported.with_name(f"{exported.stem}_test.json")
    vectors = {"tolerance": TOLERANCE, "observations": golden.observations.tolist(), "actions": golden.actions.tolist()}
    path.write_text(json.dumps(vectors) + "\n", encoding="utf-8")
    return path
