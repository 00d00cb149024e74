"""Errors and warnings. A message names the argument, what was expected and what was given.

Misuse raises an error. Numerical trouble does not: it is the status of an update (``trpo_fast.UpdateStatus``).
"""


class TRPOFastError(Exception):
    """Base class of every error that trpo_fast raises on purpose; can be pickled, so that workers can send it."""


class InvalidArgumentError(TRPOFastError, ValueError):
    """An argument or a setting is not one that its documentation allows.

    Attributes
    ----------
    argument : str
        Its name.
    """

    def __init__(self, argument: str, expected: str, got: object) -> None:
        super().__init__(argument, expected, str(got))
        self.argument = argument

    def __str__(self) -> str:
        argument, expected, got = self.args
        return f"{argument}: expected {expected}, got {got}"


class UnknownAttributeError(TRPOFastError, AttributeError):
    """A model has no attribute of this name, so reading or assigning it would do nothing."""

    def __init__(self, kind: str, name: str, nearest: str = "") -> None:
        super().__init__(kind, name, nearest)
        self.name = name

    def __str__(self) -> str:
        kind, name, nearest = self.args
        return f"{kind} has no attribute {name}{nearest}"


class UnsupportedSpaceError(TRPOFastError, ValueError):
    """An observation or action space is not supported."""


class EnvironmentFaultError(TRPOFastError, RuntimeError):
    """An environment raised, or returned a value that must not enter a batch.

    Attributes
    ----------
    env_index : int or None
        Index of the environment, from 0; None if a vector environment failed as a whole.
    step : int
        Steps taken in each environment since training started; 0 at the first reset.
    field : str
        The value that was wrong: "observation", "reset observation", "final observation", "reward", "terminated",
        "truncated" or "action mask"; or the call that raised or did not return: "step" or "reset".
    worker : int or None
        Index of the environment's worker process (``n_workers``), from 0; None without workers.
    """

    def __init__(
        self, env_index: int | None, step: int, field: str, expected: str, got: object, worker: int | None = None
    ) -> None:
        super().__init__(env_index, step, field, expected, str(got), worker)
        self.env_index = env_index
        self.step = step
        self.field = field
        self.worker = worker

    def __str__(self) -> str:
        env_index, step, field, expected, got, worker = self.args
        where = "vector environment" if env_index is None else f"environment {env_index}"
        process = "" if worker is None else f"worker {worker}, "
        return f"{process}{where}, step {step}, {field}: expected {expected}, got {got}"


class AlreadyTrainingError(TRPOFastError, RuntimeError):
    """A model was asked to sample a rollout while it samples one: in a callback, an environment or another thread."""


class InsufficientMemoryError(TRPOFastError, MemoryError):
    """Settings ask for more memory than there is; the message names them."""


class PolicyFileError(TRPOFastError, ValueError):
    """A policy file is damaged, was not written by trpo_fast, or does not fit the environment."""


class SnapshotError(TRPOFastError, RuntimeError):
    """The state of an environment cannot be read or set: its class is unknown, or is not that of the snapshot."""


class ResumeWarning(UserWarning):
    """A training continues, but is not bit-identical to an uninterrupted run; the message says why."""


class MissingExtraError(TRPOFastError, ImportError):
    """A feature needs an optional dependency that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(feature, extra)

    def __str__(self) -> str:
        feature, extra = self.args
        return f"{feature} needs an optional dependency: pip install 'trpo-fast[{extra}]'"
