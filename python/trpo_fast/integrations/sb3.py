"""Loads models of Stable-Baselines3 and sb3-contrib, without executing anything in their files.

A zip file of SB3 contains pickles. The sizes of the layers come from the weights and the spaces from ``env``; no pickle
in the JSON is read. Unpicklers that import nothing (sb3_pickles.py) read the weights and the file of VecNormalize,
without PyTorch.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast import nets
from trpo_fast._core import strict_json
from trpo_fast._core.archives import Archive, read_npz
from trpo_fast.environments.make import EnvLike
from trpo_fast.errors import InvalidArgumentError, PolicyFileError
from trpo_fast.integrations.sb3_pickles import read_state, read_tensors
from trpo_fast.learner import TRPO
from trpo_fast.policies.normalization import CLIP, EPSILON, RunningMeanStd
from trpo_fast.validation import check_path

MAX_STATISTICS = 1 << 20  # numbers of the mean of the observations


def load_model(
    path: str | os.PathLike[str], env: EnvLike, *, vec_normalize: str | os.PathLike[str] | None = None, **kwargs: Any
) -> TRPO:
    """Load the policy and the critic that SB3's TRPO, PPO or A2C saved.

    Of an ``MlpPolicy``, a ``CnnPolicy`` or a ``MultiInputPolicy`` with SB3's own features extractors. Policy and critic
    share one with weights if they did in SB3 (``share_features_extractor``).

    Parameters
    ----------
    path : path
        Zip file written by ``model.save``.
    env : as the ``env`` of TRPO
        With the spaces that the model was trained on.
    vec_normalize : path, optional
        File written by ``VecNormalize.save``, or an .npz file with mean, var and count. Without it, observations are
        not normalised.
    **kwargs
        Arguments of TRPO. Settings in the zip file, such as gamma, are ignored.

    Returns
    -------
    TRPO
        A model with these parameters, which can act and continue to learn.

    Raises
    ------
    PolicyFileError
        If the file is not such a model, or its weights do not fit ``env``.
    """
    path = check_path("path", path)
    data, weights = _read(path)
    if data.get("use_sde"):
        raise PolicyFileError(f"{path}: expected a policy without state-dependent exploration, got use_sde=True")
    parameters = {
        "policy": _layers(weights, "policy_net", "action_net", path),
        "value_function": _layers(weights, "value_net", "value_net", path),
    }
    _check_names(weights, path)
    if "log_std" in weights:
        parameters["policy"]["log_std"] = weights["log_std"]
    widths = {
        part: [len(a) for name, a in parameters[ours].items() if name.endswith("bias")][:-1]
        for part, ours in (("pi", "policy"), ("vf", "value_function"))
    }
    policy_kwargs: dict[str, Any] = {"net_arch": widths, "activation_fn": _activation(data, path)}
    (extractor, features), (_, critic_features) = (_features(weights, part, path) for part in ("pi", "vf"))
    parameters["policy"] |= features
    if extractor is not None:
        policy_kwargs["features_extractor"] = extractor
        policy_kwargs["normalize_images"] = _is_not_off(data, "normalize_images")
        policy_kwargs["share_features_extractor"] = _is_not_off(data, "share_features_extractor")
    if not policy_kwargs.get("share_features_extractor"):
        parameters["value_function"] |= critic_features
    try:
        model = TRPO(
            "auto",
            env,
            policy_kwargs=policy_kwargs,
            **{"normalize_observations": vec_normalize is not None, "normalize_returns": False, **kwargs},
        )
    except InvalidArgumentError as error:
        if error.argument not in ("features_extractor", "Parallel"):
            raise
        raise PolicyFileError(f"{path}: expected weights that fit the environment's spaces, {error}") from error
    try:
        model.set_parameters(parameters)
        if vec_normalize is not None:
            model.set_observation_statistics(read_vec_normalize(vec_normalize))
    except ValueError as error:
        raise PolicyFileError(f"{path}: expected weights that fit the environment's spaces, {error}") from error
    return model


def read_vec_normalize(path: str | os.PathLike[str]) -> RunningMeanStd:
    """Read mean, variance and count of the observations from a file of ``VecNormalize.save`` or an .npz file.

    Raises
    ------
    PolicyFileError
        If the file does not have them, or if its normalisation differs from trpo_fast's (clipped at 10, 1e-8 under the
        root).
    """
    path = check_path("vec_normalize", path)
    try:
        if path.name.endswith(".npz"):
            return _statistics(**read_npz(path, ("mean", "var", "count")))
        state = read_state(path.read_bytes())
        statistics = state["obs_rms"].state
        found = _statistics(statistics["mean"].value, statistics["var"].value, statistics["count"])
        clip, epsilon = float(state["clip_obs"]), float(state["epsilon"])
    except OSError:
        raise
    except Exception as error:  # of a pickle that is none
        raise PolicyFileError(f"{path}: expected a VecNormalize of one Box, got {error!r}") from error
    if (clip, epsilon) != (CLIP, EPSILON) or not state.get("norm_obs", True):
        got = f"clip_obs={clip}, epsilon={epsilon}, norm_obs={state.get('norm_obs')}"
        raise PolicyFileError(f"{path}: expected clip_obs={CLIP:g}, epsilon={EPSILON:g} and norm_obs, got {got}")
    return found


def _statistics(mean: npt.NDArray[Any], var: npt.NDArray[Any], count: Any) -> RunningMeanStd:
    if mean.size > MAX_STATISTICS or mean.shape != var.shape:
        raise ValueError(f"statistics of shapes {mean.shape} and {var.shape}")
    return RunningMeanStd(mean.astype(np.float64).ravel(), var.astype(np.float64).ravel(), float(count))


def _read(path: Path) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """The JSON and the weights in a zip file."""
    try:
        archive = Archive(path.read_bytes())
        text, weights = archive.read("data").decode(), archive.read("policy.pth")
        strict_json.check_cost(text)
        data = json.loads(text)
        if not isinstance(data, dict):
            raise TypeError(f"data that are a {type(data).__name__}")
        del archive, text
        return data, read_tensors(Archive(weights))
    except OSError:
        raise
    except Exception as error:  # of pickles and archives that are none
        raise PolicyFileError(f"{path}: expected a model of Stable-Baselines3, got {error!r}") from error


def _layers(weights: dict[str, npt.NDArray[Any]], hidden: str, output: str, path: Path) -> dict[str, npt.NDArray[Any]]:
    """The dense layers of a network, under trpo_fast's names."""
    pattern = re.compile(rf"mlp_extractor\.{hidden}\.(\d+)\.weight")
    numbers = sorted(int(match[1]) for match in map(pattern.fullmatch, weights) if match)
    sources = [*(f"mlp_extractor.{hidden}.{n}" for n in numbers), output]
    layers: dict[str, npt.NDArray[Any]] = {}
    columns: int | None = None  # of the next weight
    for i, source in enumerate(sources):
        try:
            weight, bias = (weights[f"{source}.{part}"] for part in ("weight", "bias"))
        except KeyError as error:
            raise PolicyFileError(f"{path}: expected the weights of an MlpPolicy, got none for {error}") from error
        if weight.ndim != 2 or bias.shape != weight.shape[:1] or columns not in (None, weight.shape[1]):
            raise PolicyFileError(f"{path}: expected dense layers, got {source} of {weight.shape} and {bias.shape}")
        layers |= {f"layers.{i}.weight": weight, f"layers.{i}.bias": bias}
        columns = len(bias)
    return layers


_NATURE_CNN = {"cnn.0": 0, "cnn.2": 1, "cnn.4": 2, "linear.0": 4}  # places of the layers in nets.NatureCNN


def _features(
    weights: dict[str, npt.NDArray[Any]], part: str, path: Path
) -> tuple[nets.Net | None, dict[str, npt.NDArray[Any]]]:
    """The features extractor of the policy ("pi") or the critic ("vf"), if it has weights, and these by our names."""
    own, shared = f"{part}_features_extractor.", "features_extractor."
    prefix = own if any(name.startswith(own) for name in weights) else shared
    found: dict[str, npt.NDArray[Any]] = {}
    branches: dict[str, nets.Net] = {}
    for name in (name for name in weights if name.startswith(prefix)):
        match = re.fullmatch(r"(?:extractors\.(.+)\.)?(cnn\.[024]|linear\.0)\.(weight|bias)", name[len(prefix) :])
        if match is None:
            raise PolicyFileError(f"{path}: expected the weights of NatureCNN or CombinedExtractor, got {name!r}")
        key, layer, kind = match.groups()
        place = "features" if key is None else f"features.{key}"
        found[f"{place}.{_NATURE_CNN[layer]}.{kind}"] = weights[name]
        if (layer, kind) == ("linear.0", "bias") and weights[name].size > 0:
            branches[key or ""] = nets.NatureCNN(weights[name].size)
    if not found:
        return None, {}
    if len(found) != 8 * len(branches) or ("" in branches and len(branches) > 1):
        raise PolicyFileError(f"{path}: expected the weights of NatureCNN or CombinedExtractor, got {sorted(found)}")
    return branches.get("") or nets.Parallel(branches), found


def _check_names(weights: dict[str, npt.NDArray[Any]], path: Path) -> None:
    """Refuse weights of which nothing here knows what they are for."""
    known = re.compile(
        r"((pi_|vf_)?features_extractor\..+|mlp_extractor\.(policy_net|value_net)\.\d+\.(weight|bias)"
        r"|(action_net|value_net)\.(weight|bias)|log_std)"
    )
    for name in weights:
        if not known.fullmatch(name):
            raise PolicyFileError(f"{path}: expected the weights of an MLP or of a CNN, got {name!r}")


def _is_not_off(data: dict[str, Any], name: str) -> bool:
    """Whether an argument of the policy has its default, True."""
    kwargs = data.get("policy_kwargs")
    return kwargs.get(name) is not False if isinstance(kwargs, dict) else True


def _activation(data: dict[str, Any], path: Path) -> str:
    """The name of the activation, from the text that SB3 stores for its class."""
    kwargs = data.get("policy_kwargs")
    default = "torch.nn.modules.activation.Tanh"
    text = str(kwargs.get("activation_fn", default)) if isinstance(kwargs, dict) else default
    match = re.search(r"(?:torch\.nn\.modules\.(?:activation|linear)\.)(\w+)", text)
    name = match[1].lower() if match else text
    if name not in ("tanh", "relu", "elu", "silu", "identity"):
        raise PolicyFileError(f"{path}: expected an activation that trpo_fast has, got {name}")
    return name
