"""Loads models of Stable-Baselines3 and sb3-contrib, without executing anything in their files.

A zip file of SB3 contains pickles. The sizes of the layers come from the weights and the spaces from ``env``; no pickle
in the JSON is read. Unpicklers that import nothing read the weights and the file of VecNormalize, without PyTorch.
"""

import io
import json
import math
import os
import pickle
import re
import zipfile
import zlib
from collections import OrderedDict
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.environments.make import EnvLike
from trpo_fast.errors import PolicyFileError
from trpo_fast.learner import TRPO
from trpo_fast.policies.normalization import CLIP, EPSILON, RunningMeanStd

_DAMAGE = (
    pickle.UnpicklingError, zipfile.BadZipFile, AttributeError, EOFError, ImportError, IndexError, KeyError,
    MemoryError, OverflowError, RuntimeError, TypeError, ValueError, zlib.error,
)  # fmt: skip
MAX_MEMBER = 1 << 30  # bytes, after decompression


def load_model(
    path: str | os.PathLike[str], env: EnvLike, *, vec_normalize: str | os.PathLike[str] | None = None, **kwargs: Any
) -> TRPO:
    """Load the policy and the critic of an ``MlpPolicy`` that SB3's TRPO, PPO or A2C saved.

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
    data, weights = _read(path)
    if data.get("use_sde"):
        raise PolicyFileError(f"{path}: expected a policy without state-dependent exploration, got use_sde=True")
    parameters = {
        "policy": _layers(weights, "policy_net", "action_net", path),
        "value_function": _layers(weights, "value_net", "value_net", path),
    }
    if "log_std" in weights:
        parameters["policy"]["log_std"] = weights["log_std"]
    widths = {
        part: [len(a) for name, a in parameters[ours].items() if name.endswith("bias")][:-1]
        for part, ours in (("pi", "policy"), ("vf", "value_function"))
    }
    policy_kwargs = {"net_arch": widths, "activation_fn": _activation(data, path)}
    model = TRPO(
        "MlpPolicy",
        env,
        policy_kwargs=policy_kwargs,
        **{"normalize_observations": vec_normalize is not None, "normalize_returns": False, **kwargs},
    )
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
    try:
        if str(path).endswith(".npz"):
            with np.load(path, allow_pickle=False) as arrays:
                mean, var, count = (np.asarray(arrays[name], dtype=np.float64) for name in ("mean", "var", "count"))
            return RunningMeanStd(mean.ravel(), var.ravel(), float(count))
        with open(path, "rb") as file:
            state = vars(_Unpickler(file).load())
        statistics = vars(state["obs_rms"])
        mean, var = (statistics[name].value.astype(np.float64).ravel() for name in ("mean", "var"))
        clip, epsilon, n = state["clip_obs"], state["epsilon"], float(statistics["count"])
    except _DAMAGE as error:
        raise PolicyFileError(f"{path}: expected a VecNormalize of one Box, got {error!r}") from error
    if (clip, epsilon) != (CLIP, EPSILON) or not state.get("norm_obs", True):
        got = f"clip_obs={clip}, epsilon={epsilon}, norm_obs={state.get('norm_obs')}"
        raise PolicyFileError(f"{path}: expected clip_obs={CLIP:g}, epsilon={EPSILON:g} and norm_obs, got {got}")
    return RunningMeanStd(mean, var, n)


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
    """The JSON and the weights in a zip file."""
    try:
        with zipfile.ZipFile(path) as archive:
            data = json.loads(_member(archive, "data"))
            with zipfile.ZipFile(io.BytesIO(_member(archive, "policy.pth"))) as weights:
                return data, _state_dict(weights)
    except _DAMAGE as error:
        raise PolicyFileError(f"{path}: expected a model of Stable-Baselines3, got {error!r}") from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    if archive.getinfo(name).file_size > MAX_MEMBER:
        raise ValueError(f"{name} of more than {MAX_MEMBER} bytes")
    return archive.read(name)


def _state_dict(archive: zipfile.ZipFile) -> dict[str, npt.NDArray[Any]]:
    """The tensors that ``torch.save`` wrote: a pickle that refers to files of numbers beside it."""
    (root,) = (name.removesuffix("data.pkl") for name in archive.namelist() if name.endswith("/data.pkl"))
    if f"{root}byteorder" in archive.namelist() and _member(archive, f"{root}byteorder") != b"little":
        raise ValueError("numbers that are not little-endian")
    weights = _TensorUnpickler(archive, root).load()
    if not all(isinstance(name, str) and isinstance(array, np.ndarray) for name, array in weights.items()):
        raise ValueError("something other than tensors")
    return dict(weights)


def _layers(
    weights: dict[str, npt.NDArray[Any]], hidden: str, output: str, path: str | os.PathLike[str]
) -> dict[str, npt.NDArray[Any]]:
    """The dense layers of a network, under trpo_fast's names."""
    pattern = re.compile(rf"mlp_extractor\.{hidden}\.(\d+)\.weight")
    numbers = sorted(int(match[1]) for match in map(pattern.fullmatch, weights) if match)
    sources = [*(f"mlp_extractor.{hidden}.{n}" for n in numbers), output]
    try:
        return {
            f"layers.{i}.{part}": weights[f"{source}.{part}"]
            for i, source in enumerate(sources)
            for part in ("weight", "bias")
        }
    except KeyError as error:
        raise PolicyFileError(f"{path}: expected the weights of an MlpPolicy, got none for {error}") from error


def _activation(data: dict[str, Any], path: str | os.PathLike[str]) -> str:
    """The name of the activation, from the text that SB3 stores for its class."""
    text = str(data.get("policy_kwargs", {}).get("activation_fn", "torch.nn.modules.activation.Tanh"))
    match = re.search(r"(?:torch\.nn\.modules\.(?:activation|linear)\.)(\w+)", text)
    name = match[1].lower() if match else text
    if name not in ("tanh", "relu", "elu", "silu", "identity"):
        raise PolicyFileError(f"{path}: expected an activation that trpo_fast has, got {name}")
    return name


class _Passive:
    """Replaces every class in a pickle: it stores the state and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> "_Passive":
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


class _DType(_Passive):
    """Replaces a NumPy dtype: its code, for little-endian numbers only."""

    def __init__(self, code: Any, *_: Any) -> None:
        if code not in ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"):
            raise pickle.UnpicklingError(f"expected numbers, got dtype {code!r}")
        self.code = code

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", "|", "="):
            raise pickle.UnpicklingError(f"expected little-endian numbers, got {state[1]!r}")


class _Array(_Passive):
    """Replaces a NumPy array: made from bytes, whose number NumPy checks."""

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, is_fortran, raw = state
        if not isinstance(dtype, _DType) or not isinstance(raw, bytes):
            raise pickle.UnpicklingError("expected an array of numbers")
        self.value = np.frombuffer(raw, dtype.code).reshape(shape, order="F" if is_fortran else "C")


def _scalar(dtype: Any, raw: Any) -> float:
    if not isinstance(dtype, _DType) or not isinstance(raw, bytes):
        raise pickle.UnpicklingError("expected a number")
    return float(np.frombuffer(raw, dtype.code)[0])


def _encode(text: str, _: str) -> bytes:
    return text.encode("latin1")


_STAND_INS: dict[str, Any] = {"_reconstruct": _Array, "scalar": _scalar, "ndarray": _Passive, "dtype": _DType}


class _Unpickler(pickle.Unpickler):
    """Replaces every class by a passive one, and imports nothing that the file names."""

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] == "numpy":
            return _STAND_INS.get(name, _Passive)
        return {("collections", "OrderedDict"): dict, ("_codecs", "encode"): _encode}.get((module, name), _Passive)


def _tensor(storage: Any, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> npt.NDArray[Any]:
    """The tensor that ``torch._utils._rebuild_tensor_v2`` makes of these arguments, if its numbers are in order."""
    array: npt.NDArray[Any] = storage[offset : offset + math.prod(shape)].reshape(shape)
    if (array.shape, strides) != (shape, tuple(stride // array.itemsize for stride in array.strides)):
        raise pickle.UnpicklingError(f"expected a contiguous tensor, got shape {shape} and strides {strides}")
    return array


_TENSORS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch", "FloatStorage"): "<f4",
    ("torch", "DoubleStorage"): "<f8",
}


class _TensorUnpickler(pickle.Unpickler):
    """Makes NumPy arrays of tensors, and refuses everything else."""

    def __init__(self, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(_member(archive, f"{root}data.pkl")))
        self._archive, self._root = archive, root

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _TENSORS:
            raise pickle.UnpicklingError(f"expected tensors, got {module}.{name}")
        return _TENSORS[module, name]

    def persistent_load(self, pid: Any) -> npt.NDArray[Any]:
        _, dtype, key, *_ = pid
        return np.frombuffer(_member(self._archive, f"{self._root}data/{key}"), dtype)
