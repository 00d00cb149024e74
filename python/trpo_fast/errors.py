"""What can go wrong, by kind. Every message names the culprit, what was expected and what came.

Misuse raises; numerical trouble does not: it is a status of the update that met it (see ``trpo_fast.UpdateStatus``).
"""


class TRPOFastError(Exception):
    """Base class of every error that trpo_fast raises on purpose; survives pickling, so it crosses processes."""


class InvalidArgumentError(TRPOFastError, ValueError):
    """An argument or a setting is outside what its documentation allows."""

    def __init__(self, argument: str, expected: str, got: object) -> None:
        super().__init__(argument, expected, str(got))
        self.argument = argument

    def __str__(self) -> str:
        argument, expected, got = self.args
        return f"{argument}: expected {expected}, got {got}"


class UnsupportedSpaceError(TRPOFastError, ValueError):
    """An observation or action space that trpo_fast cannot learn on."""


class EnvironmentFaultError(TRPOFastError, RuntimeError):
    """An environment raised, or returned something that must not enter a batch.

    Attributes
    ----------
    env_index : int or None
        Which environment, counted from 0; None if a vector environment failed as a whole.
    step : int
        Steps taken in each environment since training began (0: at the first reset).
    field : str
        What was wrong: "observation", "reset observation", "final observation", "reward", "terminated", "truncated",
        "action mask", or the call that raised or never came back: "step" or "reset".
    worker : int or None
        The worker process that the environment lives in (``n_workers``), counted from 0.
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


class PolicyFileError(TRPOFastError, ValueError):
    """A policy file is damaged, is not one of ours, or does not fit the environment."""


class SnapshotError(TRPOFastError, RuntimeError):
    """The state of an environment cannot be read or set: a kind that is not known, or another than the snapshot's."""


class ResumeWarning(UserWarning):
    """A training goes on, but not bit for bit as it would have without the interruption; the message says why."""


class MissingExtraError(TRPOFastError, ImportError):
    """A feature needs an optional dependency that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(feature, extra)

    def __str__(self) -> str:
        feature, extra = self.args
        return f"{feature} needs an optional dependency: pip install 'trpo-fast[{extra}]'"
