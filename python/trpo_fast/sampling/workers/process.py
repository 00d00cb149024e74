"""The program of a worker process, which steps its share of the environments through whole rollouts.

Commands arrive as pickles on standard input, answers leave on standard output; both ends belong to this package. When
the input ends or the parent dies, the process exits at once, whatever it is doing.
"""

import faulthandler
import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import cloudpickle
import numpy.typing as npt

from trpo_fast.environments.interface import Trajectories
from trpo_fast.environments.make import EnvFactory, make_from_factories
from trpo_fast.environments.single import SingleEnvironments
from trpo_fast.errors import EnvironmentFaultError, InvalidArgumentError, SnapshotError
from trpo_fast.policies.normalization import RunningMeanStd
from trpo_fast.policies.policy import Policy
from trpo_fast.sampling.rollouts import Branches, Seconds
from trpo_fast.sampling.stepping import step_through
from trpo_fast.sampling.vine import VinePlan, sample_vine
from trpo_fast.sampling.workers.parent import ParentState, Registry
from trpo_fast.sampling.workers.shared_arrays import Layout, Sparse, map_arrays, trajectories_of
from trpo_fast.validation import describe_error

PARENTS_SIGNALS = {getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)}
PR_SET_PDEATHSIG = 1


class Setup(NamedTuple):
    """Arguments of the first command: the worker's number, its factories, and what all workers share."""

    worker: int
    factories: Sequence[EnvFactory]
    first_index: int
    path: Path
    layout: Layout
    make_networks: Callable[[], tuple[Policy, Any]]
    registry: Registry


class Worker:
    """The environments of one process; its methods are the commands, each with the number of its request."""

    def __init__(self, setup: Setup) -> None:
        setup.registry.adopt()
        arrays = map_arrays(setup.path, setup.layout.arrays())
        self._first = setup.first_index
        self._share = share = slice(setup.first_index, setup.first_index + len(setup.factories))
        self._layout, self._shared = setup.layout, arrays
        self._arrays = {name: arrays[name][:, share] for name in setup.layout.by_environment}
        position = memoryview(arrays["positions"][setup.worker])
        envs = make_from_factories(setup.factories)
        self._environments = SingleEnvironments(envs, setup.first_index, position, partial(_end_copy, os.getpid()))
        self._policy, _ = setup.make_networks()
        if self._policy.action_masks is not None:
            self._environments.use_masks()
        spaces = self._environments.observation_space, self._environments.action_space
        expected = self._policy.observation_space, self._policy.action_space
        if spaces != expected:
            raise InvalidArgumentError("env", "the spaces of environment 0, {} and {}".format(*expected), spaces)

    def reset(self, request: int, seed: int | None) -> None:
        """Start an episode in every environment; the observations are written to the shared array "start"."""
        self._shared["start"][self._share] = self._environments.reset(seed)

    def collect(
        self, request: int, plan: VinePlan | None, planes_path: Path | None, with_infos: bool
    ) -> tuple[Sparse, Seconds | None, Branches | None]:
        """Collect a rollout into the shared arrays, and planes of images into those of the file ``planes_path``.

        Returns
        -------
        sparse : Sparse
            What is not in an array, by step and environment.
        seconds : Seconds or None
            None if the request was cancelled.
        branches : Branches or None
            With a plan.
        """
        arrays, shared, layout = self._arrays, self._shared, self._layout
        if shared["cancelled"][0] >= request:  # nobody waits, and the planes' file is closed
            return Sparse({}, {}, None), None, None
        arrays["terminated"][...] = arrays["truncated"][...] = False
        arrays["valid"][...] = True
        planes = {} if planes_path is None else map_arrays(planes_path, layout.planes())
        its_planes = layout.planes_of(planes, self._share)
        sparse: Any = {"final_observations": {}, "outcomes": {}, "infos": {} if with_infos else None}
        trajectories = trajectories_of(layout, arrays, its_planes, is_filled=False, **sparse)
        trajectories.observations[0] = shared["start"][self._share]
        normalizer = replace(self._policy.normalizer, statistics=RunningMeanStd(shared["mean"], shared["var"]))
        actor = self._policy.with_normalizer(normalizer).actor(shared["theta"])

        def go_on(trajectories: Trajectories, t: int, encoded: npt.NDArray[Any]) -> bool:
            return bool(shared["cancelled"][0] < request)

        noise, actions = arrays["noise"], arrays["actions"]
        arguments = actor, noise, trajectories, actions, go_on
        if plan is None:
            seconds, branches = step_through(self._environments, *arguments), None
        else:
            is_cancelled = lambda: bool(shared["cancelled"][0] >= request)  # noqa: E731
            seconds, branches = sample_vine(self._environments, plan, *arguments, is_cancelled) or (None, None)
        return Sparse.of(trajectories), seconds, branches

    def check_restorable(self, request: int) -> str | None:
        """The reason why the state of these environments cannot be read or set, or None."""
        try:
            self._environments.check_restorable()
        except SnapshotError as error:
            return str(error)
        return None

    def get_state(self, request: int) -> dict[str, Any] | str:
        """The state of these environments, or the reason why it cannot be read."""
        try:
            return self._environments.get_state()
        except SnapshotError as error:
            return str(error)

    def set_state(self, request: int, state: dict[str, Any]) -> str | None:
        """Restore the state that ``get_state`` returned; the reason if that fails, else None."""
        try:
            self._environments.set_state(state)
        except SnapshotError as error:
            return str(error)
        return None

    def in_each(
        self, request: int, method: str, arguments: dict[int, tuple[Any, ...]]
    ) -> tuple[list[Any], Exception | None]:
        """Run a method of a ``Player`` in environments of this share; returns the results, and an error of theirs."""
        try:
            return self._environments.in_each(method, {i - self._first: args for i, args in arguments.items()}), None
        except Exception as error:
            return [], error

    def close(self, request: int) -> None:
        """Close the environments."""
        self._environments.close()


def main(parent: int) -> None:
    """Execute commands of the process ``parent`` until the input ends."""
    worker = os.getpid()
    _leave_signals_to_parent(worker)
    _end_with(parent)
    commands: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what environments print goes to standard error
    faulthandler.enable()
    threading.Thread(target=_read, args=(os.fdopen(os.dup(0), "rb"), commands), daemon=True).start()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    environments: Any = None
    while True:
        request, name, payload = pickle.loads(commands.get())
        try:
            arguments = cloudpickle.loads(payload)
            if name == "adopt":
                ParentState.adopt(*arguments)
                continue
            if name == "setup":
                environments = Worker(*arguments)
                answer: Any = ("done", None)
            else:
                answer = ("done", getattr(environments, name)(request, *arguments))
            message = pickle.dumps((request, *answer, ""))
        except BaseException as error:  # SystemExit of an environment too
            message = pickle.dumps((request, *_described(error), traceback.format_exc()))
        _end_copy(worker)
        answers.write(message)
        answers.flush()


def _end_copy(worker: int) -> None:
    """End this process if it is not ``worker``: an environment forked, and both processes came back."""
    if os.getpid() != worker:
        os._exit(1)


def _described(error: BaseException) -> tuple[str, Any]:
    if isinstance(error, EnvironmentFaultError):
        return "fault", error.args[:-1]
    if isinstance(error, InvalidArgumentError):
        return "invalid", error.args
    return "error", describe_error(error)


def _leave_signals_to_parent(worker: int) -> None:
    """Ignore the signals that a terminal or a batch system sends to all processes: the parent decides.

    What environments start gets SIGTERM and SIGHUP as usual, so that environments can end it.
    """

    def handle(number: int, frame: Any) -> None:
        if os.getpid() != worker:  # a fork from a thread
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    def use(action: Any) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in PARENTS_SIGNALS - {signal.SIGINT}:
                signal.signal(number, action)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    use(handle)
    if hasattr(os, "register_at_fork"):  # a signal that arrives before Python runs in the fork would be lost
        os.register_at_fork(before=lambda: use(signal.SIG_DFL), after_in_parent=lambda: use(handle))
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PARENTS_SIGNALS)


def _end_with(parent: int) -> None:
    """End this process when its parent ends, even while a call of an environment does not let Python run."""
    if sys.platform == "linux":
        with suppress(ImportError):  # a Python without libffi
            import ctypes

            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if sys.platform != "win32":
        threading.Thread(target=_watch_parent, args=(parent,), daemon=True).start()


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(0)


def _read(stream: IO[bytes], commands: "queue.SimpleQueue[bytes]") -> None:
    while True:
        size = stream.read(8)
        if len(size) < 8:
            os._exit(0)
        commands.put(stream.read(int.from_bytes(size, "little")))
