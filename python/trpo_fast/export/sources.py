"""Policies as C99 that stands alone, and as constants for ``trpo_fast/fixed_policy.hpp``."""

import hashlib
import math
import re
import unicodedata
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.export.c_interface import c_interface
from trpo_fast.export.c_network import CNetwork, array, number
from trpo_fast.export.c_templates import (
    C_HEADER,
    C_SOURCE,
    C_TEST,
    CPP_HEADER,
    CPP_TEST,
    DECIDE,
    FILL,
    HELPERS,
)
from trpo_fast.export.deployment import Deployment, Layer
from trpo_fast.export.golden import TOLERANCE, Golden, block_bits

MAX_PARAMETERS = 1 << 21  # of a C source: compilers take a minute and a gigabyte for more
PADDING = 16  # floats, as trpo_fast/fixed_policy.hpp wants it


def write_c(deployment: Deployment, golden: Golden, path: Path) -> list[Path]:
    """STEM.c, STEM.h and the self-test STEM_test.c; returns their paths.

    Raises
    ------
    InvalidArgumentError
        If the policy has more parameters than compilers like.
    """
    d, form, name = deployment, deployment.form, _identifier(path)
    if d.theta.size > MAX_PARAMETERS:
        expected = f"onnx, or the policy file with trpo_fast/policy.hpp, for more than {MAX_PARAMETERS} parameters"
        raise InvalidArgumentError("format", expected, f"c for {d.theta.size}")
    header, test = path.with_suffix(".h"), path.with_name(f"{path.stem}_test.c")
    has_choices = form.action_kind == "choices"
    values = {
        **_values(d, golden, name, test),
        **_interface(d, golden, name),
        "choices": array(form.num_choices if has_choices else [1], "int"),
        "first": array(d.first, "int"),
        "low": array(form.low if form.low.size else [0.0]),
        "high": array(form.high if form.high.size else [0.0]),
        "num_outputs": form.num_outputs,
        "mask": "observation + num_features" if form.observation_size else "0",
    }
    network = CNetwork(d, values)
    values |= {
        "helpers": "\n".join(Template(HELPERS[helper]).substitute(values) for helper in network.helpers),
        "constants": "\n".join(network.constants),
        "memory": "\n".join(network.memory),
        "calls": "\n".join(network.calls),
        "phi": network.buffers[-1],
        "decide": Template(DECIDE[form.action_kind + ("_squashed" if form.squash else "")]).substitute(values),
    }
    for target, template in ((path, C_SOURCE), (header, C_HEADER), (test, C_TEST)):
        target.write_text(Template(template).substitute(values), encoding="utf-8")
    return [path, header, test]


def _interface(d: Deployment, golden: Golden, name: str) -> dict[str, str]:
    """What the templates need of the arguments of ``NAME_act``, and of their golden values."""
    upper, form = name.upper(), d.form
    macros = [f"{upper}_IMAGE_{i}_SIZE" for i in range(len(d.images))]
    parameters = [f"const float observation[{upper}_OBSERVATION_SIZE]"] if form.observation_size else []
    parameters += [f"const unsigned char image_{i}[{macro}]" for i, macro in enumerate(macros)]
    arguments = [f"observations + n * {upper}_OBSERVATION_SIZE"] if form.observation_size else []
    arguments += [f"image_{i}" for i in range(len(macros))]
    sizes, vectors, filled = [], [], []
    if form.observation_size:
        vectors.append(f"  static const float observations[] = {array(golden.observations)};")
    if macros:
        vectors.append(f"  static const uint32_t seeds[] = {array(golden.seeds, 'int')};")
    for i, (leaf, macro) in enumerate(zip(d.images, macros, strict=True)):
        label = re.sub(r"[^\w.-]", "_", leaf.name, flags=re.ASCII)
        sizes.append(f"#define {macro} {math.prod(leaf.shape)} /* {label}, bytes of shape {leaf.shape} */\n")
        vectors.append(f"  static unsigned char image_{i}[{macro}];")
        shape = ", ".join(map(str, (*leaf.shape, *block_bits(leaf))))
        filled.append(f"    {name}_fill(seeds[n] + {i}u, {shape}, image_{i});\n")
    return {
        "image_sizes": "".join(sizes),
        "parameters": ", ".join([*parameters, f"float action[{upper}_ACTION_SIZE]"]),
        "arguments": ", ".join([*arguments, "action"]),
        "once": " One call at a time: its memory is static." if macros else "",
        "fill": Template(FILL).substitute(name=name) if macros else "",
        "vectors": "\n".join(vectors),
        "filled": "".join(filled),
    }


def write_cpp(deployment: Deployment, golden: Golden, path: Path) -> list[Path]:
    """STEM.hpp and the self-test STEM_test.cpp; returns their paths.

    Raises
    ------
    InvalidArgumentError
        If the policy is not a chain of dense layers.
    """
    d, form, name = deployment, deployment.form, _identifier(path)
    if form.sizes is None:
        expected = "c, onnx, or the policy file with trpo_fast/policy.hpp, for images and features extractors"
        raise InvalidArgumentError("format", expected, "cpp")
    test = path.with_name(f"{path.stem}_test.cpp")
    parameters = [_panels(d.layer(node)) for node in form.plan.nodes]
    values = {
        **_values(d, golden, name, test),
        "observations": array(golden.observations),
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
        "interface": c_interface(d, name),
        "num_features": form.num_features,
        "mask_size": form.mask_size,
        "observation_size": form.observation_size,
        "action_size": form.action_size,
        "mean_high": array(form.mean_high),
        "mean_low": array(form.mean_low),
        "inv_std": array(form.inv_std),
        "clip": number(form.clip),
        "tolerance": number(TOLERANCE),
        "count": len(golden.actions),
        "actions": array(golden.actions),
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


def _std_array(kind: str, values: npt.ArrayLike) -> str:
    flat = np.ravel(values).tolist()
    return f"std::array<{kind}, {len(flat)}>{array(flat, kind)}"
