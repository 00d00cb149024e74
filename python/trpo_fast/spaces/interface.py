"""What the numbers of observations and actions mean: names, units, scale, control period. A controller checks them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.errors import InvalidArgumentError
from trpo_fast.validation import check_integer, check_real, describe

MAX_SCALE = float(np.finfo(np.float32).max)
MAX_TEXT = 1 << 16  # bytes of the names, or units, of an observation or action
# Neither control nor invisible characters, as in C++ (cpp/runtime: is_printable).
_UNPRINTABLE = re.compile(
    "[\\x00-\\x1f\\x7f-\\xa0\\xad\\u200b-\\u200f\\u2028-\\u202f\\u2060-\\u206f\\ud800-\\uf8ff\\ufeff\\ufff0-\\uffff"
    "\\U000e0000-\\U0010ffff]"
)


@dataclass(frozen=True)
class Interface:
    """What the numbers of a policy's observations and actions mean. A policy file holds it if a policy has one.

    Texts are printable, without control and invisible characters. Any field may be left out.

    Attributes
    ----------
    observation_names : tuple of str
        One for each number of an observation in the order in which the network reads them, with a mask and without
        images; unique, without commas.
    observation_units : tuple of str
        One for each of these numbers, "" where there is none; without commas.
    action_names, action_units : tuple of str
        The same for an action.
    action_scale, action_offset : tuple of float
        The environment was given offset + scale * action. Both or neither, in the range of float32.
    control_period : float, optional
        Seconds between two actions.
    environment : str
        Id of the environment that the policy was trained in.
    frame_stack : int
        Latest observations that the policy reads, the oldest first.

    Raises
    ------
    InvalidArgumentError
        If a field has another type or is not as described.
    """

    observation_names: tuple[str, ...] = ()
    observation_units: tuple[str, ...] = ()
    action_names: tuple[str, ...] = ()
    action_units: tuple[str, ...] = ()
    action_scale: tuple[float, ...] = ()
    action_offset: tuple[float, ...] = ()
    control_period: float | None = None
    environment: str = ""
    frame_stack: int = 1

    def __post_init__(self) -> None:
        for name in ("observation_names", "action_names"):
            self._check_texts(name, "unique names without commas", is_name=True)
        for name in ("observation_units", "action_units"):
            self._check_texts(name, "units without commas")
        for name in ("action_scale", "action_offset"):
            values = _sequence(name, getattr(self, name), "numbers")
            bounds = {"at_least": -MAX_SCALE, "at_most": MAX_SCALE}
            object.__setattr__(self, name, tuple(check_real(name, value, **bounds) for value in values))
        if self.control_period is not None:
            object.__setattr__(self, "control_period", check_real("control_period", self.control_period, above=0.0))
        if not isinstance(self.environment, str) or not is_text(self.environment):
            expected = f"printable text of up to {MAX_TEXT} bytes"
            raise InvalidArgumentError("environment", expected, describe(self.environment))
        check_integer("frame_stack", self.frame_stack, at_least=1)

    def _check_texts(self, name: str, what: str, *, is_name: bool = False) -> None:
        expected = f"{what}, printable and of up to {MAX_TEXT} bytes in all"
        texts = _sequence(name, getattr(self, name), expected)
        for text in texts:
            if not isinstance(text, str) or not is_text(text) or "," in text or (is_name and not text):
                raise InvalidArgumentError(name, expected, describe(text))
        if len("\n".join(texts).encode()) > MAX_TEXT or (is_name and len(set(texts)) < len(texts)):
            raise InvalidArgumentError(name, expected, describe(texts))
        object.__setattr__(self, name, texts)

    def check_sizes(self, observation_size: int, action_size: int, frame_stack: int) -> None:
        """Raise InvalidArgumentError if a field has another size than the policy's observations and actions."""
        for name in ("observation_names", "observation_units", "action_names", "action_units"):
            size = observation_size if name.startswith("observation") else action_size
            if len(getattr(self, name)) not in (0, size):
                raise InvalidArgumentError(name, f"{size} texts", f"{len(getattr(self, name))} texts")
        if {len(self.action_scale), len(self.action_offset)} not in ({0}, {action_size}):
            got = f"{len(self.action_scale)} and {len(self.action_offset)}"
            raise InvalidArgumentError("action_scale, action_offset", f"{action_size} numbers each, or none", got)
        if self.frame_stack != frame_stack:
            raise InvalidArgumentError("frame_stack", f"that of the policy, {frame_stack}", self.frame_stack)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The fields that are there as arrays of a policy file, by name; texts are UTF-8, one a line."""
        texts = ("observation_names", "observation_units", "action_names", "action_units")
        lines = {name: "\n".join(getattr(self, name)) for name in texts if getattr(self, name)}
        lines |= {"environment": self.environment} if self.environment else {}
        numbers: dict[str, Any] = {n: getattr(self, n) for n in ("action_scale", "action_offset") if getattr(self, n)}
        numbers |= {} if self.control_period is None else {"control_period": self.control_period}
        return {
            **{name: np.frombuffer(text.encode(), np.uint8) for name, text in lines.items()},
            **{name: np.array(value, np.float64) for name, value in numbers.items()},
            **({"frame_stack": np.array(self.frame_stack, np.int64)} if self.frame_stack > 1 else {}),
        }

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "Interface":
        """The interface that ``arrays`` returned; other arrays are ignored.

        Raises
        ------
        InvalidArgumentError
            If an array has another dtype or shape, or is not what the fields may be.
        """
        fields: dict[str, Any] = {}
        for name, (dtype, ndim) in _ARRAYS.items():
            if (array := arrays.get(name)) is None:
                continue
            if array.dtype != dtype or array.ndim != ndim or (dtype == np.float64 and not array.size):
                raise InvalidArgumentError(name, f"a {dtype} array of {ndim} dimensions", describe(array))
            try:
                fields[name] = bytes(array).decode() if dtype == np.uint8 else array.tolist()
            except UnicodeDecodeError as error:
                raise InvalidArgumentError(name, "UTF-8", str(error)) from error
            if name.endswith(("_names", "_units")):
                fields[name] = fields[name].split("\n")
        return cls(**fields)


_ARRAYS = {
    **{name: (np.dtype(np.uint8), 1) for name in ("observation_names", "observation_units")},
    **{name: (np.dtype(np.uint8), 1) for name in ("action_names", "action_units", "environment")},
    **{name: (np.dtype(np.float64), 1) for name in ("action_scale", "action_offset")},
    "control_period": (np.dtype(np.float64), 0),
    "frame_stack": (np.dtype(np.int64), 0),
}


def is_text(text: str) -> bool:
    """Whether ``text`` is printable and of up to ``MAX_TEXT`` bytes."""
    return _UNPRINTABLE.search(text) is None and len(text.encode()) <= MAX_TEXT


def _sequence(name: str, value: Any, expected: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise InvalidArgumentError(name, expected, describe(value))
    return tuple(value)
