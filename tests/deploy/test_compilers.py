"""Headers and exported sources compile everywhere: after platforms' macros, by every standard, several in a program."""

import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from deployed import made
from runtime import INCLUDE, ROOT, WARNINGS, compile_program, run

from trpo_fast import InvalidArgumentError, export_policy, save_policy

pytestmark = pytest.mark.compiler

MACROS = ["-include", str(ROOT / "tests" / "cpp" / "runtime" / "macros.h")]
STRICT = [*WARNINGS, "-Wundef", "-Wdouble-promotion", "-Wmissing-declarations"]
STRICT_C = [*STRICT, "-Wmissing-prototypes", "-Wstrict-prototypes", "-Wredundant-decls"]
CPP = [(compiler, standard) for compiler in ("g++", "clang++") for standard in ("c++17", "c++20", "c++2b")]
C = [(compiler, standard) for compiler in ("gcc", "clang") for standard in ("c99", "c11", "c17", "c2x")]
CASES = ("Box half", "std output", "MultiDiscrete masked", "MultiBinary", "linear")  # every form of the templates


def check_syntax(compiler, standard, source, *flags):
    if shutil.which(compiler) is None:
        pytest.skip(f"needs the compiler {compiler}")
    command = [compiler, f"-std={standard}", "-fsyntax-only", "-I", INCLUDE, "-I", source.parent, *flags, source]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr[:3000]


def exported(folder, case, kind, name):
    """The files of an exported policy that has extreme numbers among its parameters, with names and scale."""
    policy, theta = made(case, "float32", folder / "policy.safetensors")
    bias = policy.unflatten(theta)["layers.0.bias"]
    bias[:2] = np.finfo(np.float32).smallest_subnormal, np.finfo(np.float32).max
    size = policy.codec.size
    policy = policy.named(
        {f"x {i} ??/": "°" for i in range(policy.observation_codec.size)}, [f"u{i}" for i in range(size)]
    )
    scale = replace(policy.interface, action_scale=[1e30] * size, action_offset=[1] * size)
    save_policy(folder / "policy", policy.with_interface(scale), theta)
    suffix = {"c": "c", "cpp": "hpp"}[kind]
    return export_policy(folder / "policy", folder / f"{name}.{suffix}", format=kind)


def test_two_exports_to_cpp_and_the_loader_share_a_translation_unit_full_of_macros(tmp_path):
    for case, name in (("squashed", "class"), ("Discrete masked", "Walker_2d")):
        exported(tmp_path, case, "cpp", name)
    program = tmp_path / "program.cpp"
    program.write_text(
        '#include "class_test.cpp"\n#include "trpo_fast/policy.hpp"\n#include "Walker_2d_test.cpp"\n'
        "int main(int, char** arguments) {\n"
        "  const bool loaded = trpo_fast::runtime::load_policy(arguments[0]).policy.has_value();\n"
        "  return class_self_test() + Walker_2d_self_test() + (loaded ? 1 : 0);\n}\n"
    )
    flags = ["-fno-exceptions", "-fno-rtti", "-DCLASS_NO_MAIN", "-DWALKER_2D_NO_MAIN", *MACROS]
    run(compile_program(program, tmp_path / "program", "-I", str(tmp_path), *flags))


NAMES = [
    "int",
    "a.b",
    "a-b",
    "a b",
    "a_b",
    "a__b",
    "2-d",
    "läufer",
    "ラン",
    "Läufer",
    "_x",
    "x_",
    "net[8]",
    "$name",
    "{x}",
]


def test_exports_to_c_of_any_names_link_into_one_program(tmp_path):
    """Separately, and as one translation unit; their names are identifiers, and no two are the same."""
    made("linear", "float32", tmp_path / "policy.safetensors")
    sources, names = [], []
    for stem in NAMES:
        source, header, test = export_policy(tmp_path / "policy", tmp_path / "out" / f"{stem}.c", format="c")
        assert (header.name, test.name) == (f"{stem}.h", f"{stem}_test.c")
        names += re.findall(r"^int (\w+)_act\(", header.read_text(encoding="utf-8"), re.MULTILINE)
        sources += [source, test]
    assert [name for name, stem in zip(names, NAMES, strict=True) if name == stem] == ["int", "a_b", "a__b", "x_"]
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) for name in names)
    assert names[NAMES.index("läufer")].startswith("laufer_")
    together = tmp_path / "together.c"
    together.write_text("".join(f'#include "{source.name}"\n' for source in sources), encoding="utf-8")
    program = tmp_path / "program.c"
    tests = "".join(f'#include "{stem}.h"\n' for stem in NAMES)
    sum_of_tests = " + ".join(f"{name}_self_test()" for name in names)
    program.write_text(f"{tests}int main(void) {{ return {sum_of_tests}; }}\n", encoding="utf-8")
    no_main = [f"-D{name.upper()}_NO_MAIN" for name in names]
    for parts in (sources, [together]):
        flags = ["-I", str(tmp_path / "out"), *no_main, *map(str, parts)]
        run(compile_program(program, tmp_path / "program", *flags))


@pytest.mark.parametrize("stem", ['a"b', "a\\b", "a\nb", "what??)"])
@pytest.mark.parametrize(("kind", "suffix"), [("c", "c"), ("cpp", "hpp")])
def test_a_name_that_no_include_can_spell_is_refused(stem, kind, suffix, tmp_path):
    made("Box bounded", "float32", tmp_path / "policy.safetensors")
    with pytest.raises(InvalidArgumentError, match="path: expected a name that #include can spell"):
        export_policy(tmp_path / "policy", tmp_path / f"{stem}.{suffix}", format=kind)
    assert {path.name for path in tmp_path.iterdir()} == {"policy.safetensors"}


@pytest.mark.slow
@pytest.mark.parametrize(("compiler", "standard"), C)
def test_exports_to_c_are_clean(compiler, standard, tmp_path):
    """Together; each file alone is for the next test."""
    files = [path for i, case in enumerate(CASES) for path in exported(tmp_path, case, "c", f"walker_{i}")]
    together = tmp_path / "together.c"
    together.write_text("".join(f'#include "{path.name}"\n' for path in files))
    no_main = [f"-DWALKER_{i}_NO_MAIN" for i in range(len(CASES))]
    check_syntax(compiler, standard, together, *STRICT_C, *no_main, *MACROS)
    check_syntax(compiler, standard, together, *STRICT_C, *no_main)


@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_exports_to_c_are_clean_file_by_file_and_as_cpp(compiler, tmp_path):
    for case in CASES:
        for path in exported(tmp_path, case, "c", "walker"):
            check_syntax(compiler, "c99", path, *STRICT_C)
            check_syntax(compiler.replace("gcc", "g++"), "c++17", path, *STRICT, "-x", "c++")


@pytest.mark.slow
@pytest.mark.parametrize(("compiler", "standard"), CPP)
def test_exports_to_cpp_are_clean(compiler, standard, tmp_path):
    together = tmp_path / "together.cpp"
    tests = [exported(tmp_path, case, "cpp", f"walker_{i}")[-1] for i, case in enumerate(CASES)]
    together.write_text("".join(f'#include "{test.name}"\n' for test in tests))
    no_main = [f"-DWALKER_{i}_NO_MAIN" for i in range(len(CASES))]
    check_syntax(compiler, standard, together, *STRICT, *no_main, "-fno-exceptions", "-fno-rtti", *MACROS)


@pytest.mark.slow
def test_every_header_compiles_alone_and_all_of_them_after_macros(tmp_path):
    source, lines = tmp_path / "source.cpp", []
    for header in INCLUDE.rglob("*.hpp"):
        lines.append(f'#include "{header.relative_to(INCLUDE).as_posix()}"\n')
        source.write_text(lines[-1])
        check_syntax("c++", "c++17", source, *STRICT)
    source.write_text("".join(lines))
    check_syntax("c++", "c++17", source, *STRICT, *MACROS)
