"""What a worker process shares with its parent, so that an environment behaves in it as it would in the parent."""

import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import cloudpickle
import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec

from trpo_fast.sampling.workers.sending import packed

_MAIN = "__main__:"  # of an entry point in the user's script


class ParentState(NamedTuple):
    """State of the parent process that may change at any time. What cannot be sent is left out."""

    path: list[str]
    argv: list[str]
    environ: dict[str, str]
    folder: str | None
    warning_filters: list[bytes]
    float_errors: dict[str, Any]
    float_error_call: list[bytes]

    @classmethod
    def present(cls) -> "ParentState":
        """The state of this process."""
        folder = None
        with suppress(OSError):  # it may be deleted
            folder = os.getcwd()
        return cls(
            import_path(),
            list(sys.argv),
            dict(os.environ),
            folder,
            list(_packed(warnings.filters)),
            dict(np.geterr()),
            list(_packed([np.geterrcall()])),
        )

    def adopt(self) -> None:
        """Give this process the same state."""
        sys.path[:], sys.argv[:] = self.path, self.argv
        for name in os.environ.keys() - self.environ.keys():
            del os.environ[name]
        os.environ.update(self.environ)
        if self.folder is not None:
            with suppress(OSError):
                os.chdir(self.folder)
        warnings.resetwarnings()
        warnings.filters.extend(_unpacked(self.warning_filters))  # type: ignore[attr-defined]  # a list at run time
        for call in _unpacked(self.float_error_call):
            np.seterrcall(call)
        np.seterr(**self.float_errors)


class Registry(NamedTuple):
    """The environments that the parent has registered, and what its script defines for them."""

    specs: list[bytes]
    definitions: list[bytes]  # (name, value) in the module __main__

    @classmethod
    def present(cls) -> "Registry":
        """Ids registered in this process, without Gymnasium's own."""
        specs = [spec for spec in gym.registry.values() if not _is_gymnasiums(spec)]
        names = {name for spec in specs for name in _names_in_main(spec)}
        main = sys.modules["__main__"]
        definitions = [(name, getattr(main, name)) for name in sorted(names) if hasattr(main, name)]
        return cls(list(_packed(specs)), list(_packed(definitions)))

    def adopt(self) -> None:
        """Register the same environments in this process."""
        for name, value in _unpacked(self.definitions):
            setattr(sys.modules["__main__"], name, value)
        for spec in _unpacked(self.specs):
            gym.registry[spec.id] = spec


def import_path() -> list[str]:
    """The entries of ``sys.path``, which may be of any type, as text."""
    path = []
    for entry in sys.path:
        with suppress(TypeError):  # neither text nor a path: the import system ignores it
            path.append(os.fsdecode(entry))
    return path


def _is_gymnasiums(spec: EnvSpec) -> bool:
    return isinstance(spec.entry_point, str) and spec.entry_point.startswith("gymnasium.envs.")


def _names_in_main(spec: EnvSpec) -> Iterator[str]:
    wrappers = [wrapper.entry_point for wrapper in spec.additional_wrappers or ()]
    for entry_point in (spec.entry_point, spec.vector_entry_point, *wrappers):
        if isinstance(entry_point, str) and entry_point.startswith(_MAIN):
            yield entry_point.removeprefix(_MAIN)


def _packed(values: Iterable[Any]) -> Iterator[bytes]:
    for value in values:
        with suppress(Exception):  # a class or function of the user that cannot be sent
            yield packed(value)


def _unpacked(packed: Iterable[bytes]) -> Iterator[Any]:
    for data in packed:
        with suppress(Exception):  # its module cannot be imported here
            yield cloudpickle.loads(data)
