"""Policies as C99 that stands alone, and as constants for ``trpo_fast/fixed_policy.hpp``."""

import hashlib
import itertools
import re
import unicodedata
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.export.c_templates import C_HEADER, C_SOURCE, C_TEST, CPP_HEADER, CPP_TEST, DECIDE
from trpo_fast.export.deployment import Deployment, Layer
from trpo_fast.export.golden import TOLERANCE, Golden

ACTIVATIONS = {
    "tanh": "tanhf(z)",
    "relu": "z < 0.0f ? 0.0f : z",
    "elu": "z > 0.0f ? z : expf(z) - 1.0f",
    "silu": "z / (1.0f + expf(-z))",
    "identity": "z",
}
PADDING = 16  # floats, as trpo_fast/fixed_policy.hpp wants it


def write_c(deployment: Deployment, golden: Golden, path: Path) -> list[Path]:
    """STEM.c, STEM.h and the self-test STEM_test.c; returns their paths."""
    d, form, name = deployment, deployment.form, _identifier(path)
    header, test = path.with_suffix(".h"), path.with_name(f"{path.stem}_test.c")
    layers = []
    for i, layer in enumerate(d.layers):
        layers.append(f"  static const float weight_{i}[] = {_array(layer.weight)};")
        layers.append(f"  static const float bias_{i}[] = {_array(layer.bias)};")
    calls, x, y = [], "a", "b"
    for i, (inputs, outputs) in enumerate(itertools.pairwise(form.sizes)):
        calls.append(f"  {name}_dense(weight_{i}, bias_{i}, {x}, {inputs}, {outputs}, {y});")
        if i + 1 < len(d.layers):
            calls.append(f"  for (i = 0; i < {outputs}; ++i) {y}[i] = {name}_activate({y}[i]);")
        x, y = y, x
    values = {
        **_values(d, golden, name, test),
        "activate": f"static float {name}_activate(float z) {{ return {ACTIVATIONS[form.activation]}; }}\n"
        if d.layers[1:]
        else "",
        "layers": "\n".join(layers),
        "calls": "\n".join(calls),
        "phi": x,
        "choices": _array(form.num_choices if form.num_choices.size else [1], "int"),
        "first": _array(d.first, "int"),
        "low": _array(form.low if form.low.size else [0.0]),
        "high": _array(form.high if form.high.size else [0.0]),
        "widest": max(form.sizes),
        "num_outputs": form.sizes[-1],
    }
    values["decide"] = Template(DECIDE[form.action_kind + ("_squashed" if form.squash else "")]).substitute(values)
    for target, template in ((path, C_SOURCE), (header, C_HEADER), (test, C_TEST)):
        target.write_text(Template(template).substitute(values), encoding="utf-8")
    return [path, header, test]


def write_cpp(deployment: Deployment, golden: Golden, path: Path) -> list[Path]:
    """STEM.hpp and the self-test STEM_test.cpp; returns their paths."""
    d, form, name = deployment, deployment.form, _identifier(path)
    test = path.with_name(f"{path.stem}_test.cpp")
    parameters = [_panels(layer) for layer in d.layers]
    values = {
        **_values(d, golden, name, test),
        "sizes": _std_array("int", form.sizes),
        "parameters": _std_array("float", np.concatenate(parameters)),
        **{key: _std_array("float", _padded(getattr(form, key)[None])) for key in ("mean_high", "mean_low", "inv_std")},
        "kind": form.action_kind,
        "activation": form.activation,
        "squash": str(form.squash).lower(),
        "low": _std_array("float", form.low),
        "high": _std_array("float", form.high),
        "std": _std_array("float", d.std),
        "choices": _std_array("std::int32_t", form.num_choices),
        "first": _std_array("float", d.first),
    }
    for target, template in ((path, CPP_HEADER), (test, CPP_TEST)):
        target.write_text(Template(template).substitute(values), encoding="utf-8")
    return [path, test]


def _values(d: Deployment, golden: Golden, name: str, test: Path) -> dict[str, Any]:
    """What every template takes."""
    form = d.form
    return {
        "name": name,
        "NAME": name.upper(),
        "stem": test.stem.removesuffix("_test"),
        "test": test.name,
        "version": d.description()["trpo_fast"],
        "steps": d.description()["training_steps"],
        "num_features": form.sizes[0],
        "mask_size": form.mask_size,
        "observation_size": form.sizes[0] + form.mask_size,
        "action_size": form.action_size,
        "mean_high": _array(form.mean_high),
        "mean_low": _array(form.mean_low),
        "inv_std": _array(form.inv_std),
        "clip": _number(form.clip),
        "tolerance": _number(TOLERANCE),
        "count": len(golden.observations),
        "observations": _array(golden.observations),
        "actions": _array(golden.actions),
    }


def _panels(layer: Layer) -> npt.NDArray[np.float32]:
    """Parameters of a layer in panels, as trpo_fast/runtime/dense.hpp says."""
    rows = _padded(np.vstack([layer.weight.T, layer.bias]))
    n, begin, panels = len(layer.bias), 0, []
    while begin < n:
        width = 64 if n - begin > 48 else 32 if n - begin > 16 else 16
        panels.append(rows[:, begin : begin + width].ravel())
        begin += width
    return np.concatenate(panels)


def _padded(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Rows with zeros behind, up to a multiple of PADDING."""
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % PADDING)))


def _identifier(path: Path) -> str:
    """The policy's name in C and C++: the file's stem, or if that is not an identifier, one of its own made of it."""
    stem = path.stem
    if not stem.isprintable() or re.search(r'["\\]|\?\?', stem):
        raise InvalidArgumentError("path", "a name that #include can spell", repr(path.name))
    if re.fullmatch(r"[A-Za-z]\w*", stem, re.ASCII):
        return stem
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    words = re.findall(r"[A-Za-z0-9]+", plain)
    if not words or words[0][0].isdigit():
        words.insert(0, "policy")
    digest = hashlib.sha256(stem.encode()).hexdigest()[:8]  # other names may be made of the same words
    return "_".join([*words, digest])


def _number(value: float, kind: str = "float") -> str:
    """A constant of C and C++, to the last bit."""
    if kind != "float":
        return str(int(value))
    if np.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    text = f"{float(value):.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def _array(values: npt.ArrayLike, kind: str = "float") -> str:
    return "{" + ", ".join(_number(value, kind) for value in np.ravel(values).tolist()) + "}"


def _std_array(kind: str, values: npt.ArrayLike) -> str:
    flat = np.ravel(values).tolist()
    return f"std::array<{kind}, {len(flat)}>{_array(flat, kind)}"
