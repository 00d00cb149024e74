"""Environments in worker processes: each steps its share through a whole rollout without a message.

Workers are started as programs of their own, not forked, so no script needs an ``if __name__ == "__main__"``. Every
environment is seeded by its number and has its own noise, so no bit depends on how many workers there are.
"""

import itertools
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import cloudpickle
import numpy as np
import numpy.typing as npt

from trpo_fast.environments.make import EnvFactory, make_from_factories
from trpo_fast.errors import EnvironmentFaultError, InvalidArgumentError, SnapshotError
from trpo_fast.policies.policy import Actor, Policy
from trpo_fast.sampling.rollouts import Branches, Rollout, Seconds
from trpo_fast.sampling.stepping import AfterStep
from trpo_fast.sampling.vine import VinePlan
from trpo_fast.sampling.workers.process import Setup
from trpo_fast.sampling.workers.shared_arrays import TRAJECTORIES, Layout, SharedFile, map_arrays, trajectories_of

TICK = 0.05  # seconds between two looks at what the workers do
STARTING = 60.0  # seconds a worker has for its first answer, at least
CLOSING = 1.0  # seconds a worker has to close its environments

_START = "import sys; sys.path[:] = {path!r}; from trpo_fast.sampling.workers.process import main; main()"


class WorkerProcess:
    """One worker: a process, a pipe to it and a thread that hears its answers."""

    def __init__(self, heard: "queue.SimpleQueue[tuple[WorkerProcess, Any]]") -> None:
        code = _START.format(path=sys.path)
        self._process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.is_lost = False
        threading.Thread(target=self._listen, args=(heard,), daemon=True).start()

    def ask(self, request: int, command: str, *arguments: Any) -> None:
        """Send a command; its answer will be heard with the number ``request``."""
        message = pickle.dumps((request, command, cloudpickle.dumps(arguments)))
        self._write(len(message).to_bytes(8, "little") + message)

    def end(self) -> str:
        """How the process ended, in words; it is killed if it has not."""
        self.is_lost = True
        self._close_input()
        try:
            code = self._process.wait(timeout=CLOSING)
        except subprocess.TimeoutExpired:
            return self.kill()
        return (
            f"its process killed by {signal.Signals(-code).name}" if code < 0 else f"its process gone, exit code {code}"
        )

    def kill(self) -> str:
        """Kill the process; what there is to say of it then."""
        self.is_lost = True
        self._close_input()
        self._process.kill()
        self._process.wait()
        return "no answer, and its process was killed"

    def leave(self, deadline: float) -> None:
        """Tell the process to be gone, and kill it if it is not at ``deadline`` (of ``time.monotonic``)."""
        self._close_input()
        try:
            self._process.wait(timeout=max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.kill()

    def _close_input(self) -> None:
        with suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]

    def _write(self, message: bytes) -> None:
        try:
            self._process.stdin.write(message)  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]
        except (OSError, ValueError):
            pass  # its end is heard

    def _listen(self, heard: "queue.SimpleQueue[tuple[WorkerProcess, Any]]") -> None:
        try:
            while True:
                heard.put((self, pickle.load(self._process.stdout)))  # type: ignore[arg-type]
        except (EOFError, pickle.UnpicklingError, OSError, ValueError):
            self._process.stdout.close()  # type: ignore[union-attr]
            heard.put((self, None))


class ParallelSampler:
    """n environments in K processes, in the place of ``SingleEnvironments``.

    Parameters
    ----------
    factories : sequence of callables that each make a gymnasium.Env
        Sent by cloudpickle.
    n_workers : int
        K; each gets a share of consecutive environments, and there are no more workers than environments.
    timeout : float
        Seconds after which an environment that has not come back from a call counts as hung.
    restarts : int
        How many lost workers are made anew in all. Their environments begin new episodes, and the rollout of their
        share is collected again.

    Attributes
    ----------
    n_restarts : int
        Workers made anew so far.
    """

    def __init__(self, factories: Sequence[EnvFactory], n_workers: int, *, timeout: float, restarts: int) -> None:
        self._factories = list(factories)
        self.num_envs = len(self._factories)
        n_workers = min(n_workers, self.num_envs)
        self._bounds = [round(w * self.num_envs / n_workers) for w in range(n_workers + 1)]
        self._timeout = timeout
        self._restarts = restarts
        self.n_restarts = 0
        (env,) = make_from_factories(self._factories[:1])
        self.observation_space, self.action_space = env.observation_space, env.action_space
        env.close()
        self._workers: list[WorkerProcess] = []
        self._heard: queue.SimpleQueue[tuple[WorkerProcess, Any]] = queue.SimpleQueue()
        self._request = 0
        self._seed = 0

    def start(self, n_steps: int, policy: Policy, make_networks: Callable[[], tuple[Policy, Any]]) -> None:
        """Start the processes, for rollouts of ``n_steps`` steps with ``policy``; ``make_networks`` makes copies of it.

        Raises
        ------
        EnvironmentFaultError
            If a worker cannot make its environments.
        """
        n_workers = len(self._bounds) - 1
        shape = policy.observation_codec.shape
        size, dtype = (policy.codec.size, policy.num_params), str(policy.dtype)
        self._layout = Layout(n_steps, self.num_envs, shape, *size, dtype, n_workers)
        self._make_networks = make_networks
        self._file = SharedFile(self._layout)
        self._arrays = map_arrays(self._file.path, self._layout)
        self._arrays["positions"][:, 1] = self._bounds[:-1]
        self._closed = weakref.finalize(self, _end, self._workers, self._file)
        self._workers.extend(WorkerProcess(self._heard) for _ in range(n_workers))
        try:
            self._ask("setup", self._setups())
        except BaseException:
            self._closed()
            raise

    def use_masks(self) -> None:
        """As ``SingleEnvironments``; workers do so by their policy."""

    def reset(self, seed: int | None) -> npt.NDArray[np.float64]:
        """As ``SingleEnvironments``; a worker that was lost is made anew."""
        if seed is not None:
            self._seed = seed
        for w, worker in enumerate(self._workers):
            if worker.is_lost:
                self._replace(w)
        self._ask("reset", [(None if seed is None else seed + first,) for first in self._bounds[:-1]])
        observations: npt.NDArray[np.float64] = self._arrays["observations"][0].copy()
        return observations

    def collect(
        self,
        actor: Actor,
        noise: npt.NDArray[Any],
        observations: npt.NDArray[np.float64],
        after_step: AfterStep | None,
        plan: VinePlan | None = None,
    ) -> Rollout | None:
        """As ``Sampler.collect``; ``after_step`` is called for every step once the rollout is complete."""
        arrays = self._arrays
        arrays["observations"][0] = observations
        arrays["noise"][...] = noise
        arrays["theta"][...] = actor.theta
        statistics = actor.policy.normalizer.statistics
        arrays["mean"][...], arrays["var"][...] = statistics.mean, statistics.var
        lost: list[int] = []
        shares = [slice(*bounds) for bounds in itertools.pairwise(self._bounds)]
        plans = [(None if plan is None else plan.of(share),) for share in shares]
        finals, seconds, branches = zip(*self._ask("collect", plans, lost), strict=True)
        final_observations = {
            (t, i + first): final
            for first, found in zip(self._bounds, finals, strict=False)
            for (t, i), final in found.items()
        }
        trajectories = trajectories_of({name: arrays[name].copy() for name in TRAJECTORIES}, final_observations)
        if after_step is not None and not all(after_step(trajectories, t) for t in range(len(noise))):
            return None
        reset_envs = [i for w in lost for i in range(self._bounds[w], self._bounds[w + 1])]
        mean_seconds = Seconds(*np.mean(seconds, axis=0).tolist())
        joined = None if plan is None else Branches.joined(branches)
        return Rollout(trajectories, arrays["actions"].copy(), mean_seconds, joined, reset_envs)

    def check_restorable(self) -> None:
        """As ``SingleEnvironments``."""
        for answer in self._ask("check_restorable", [()] * len(self._workers)):
            if answer is not None:
                raise SnapshotError(answer)

    def get_state(self) -> dict[str, Any]:
        """As ``SingleEnvironments``, whatever the number of workers."""
        if not self._workers or any(worker.is_lost for worker in self._workers):
            raise SnapshotError("a worker was lost or closed")
        shares = self._ask("get_state", [()] * len(self._workers))
        for share in shares:
            if isinstance(share, str):
                raise SnapshotError(share)
        environments = [state for share in shares for state in share["environments"]]
        return {"steps": shares[0]["steps"], "environments": environments}

    def set_state(self, state: dict[str, Any]) -> None:
        """As ``SingleEnvironments``, whatever the number of workers."""
        states = state["environments"]
        if len(states) != self.num_envs:
            raise SnapshotError(f"snapshot: expected {self.num_envs} environments, got {len(states)}")
        shares = [states[begin:end] for begin, end in itertools.pairwise(self._bounds)]
        for answer in self._ask("set_state", [({**state, "environments": share},) for share in shares]):
            if answer is not None:
                raise SnapshotError(answer)

    def close(self) -> None:
        """Close the environments and end the processes, within two seconds."""
        if self._workers:
            self._cancel()
            self._request += 1
            for worker in self._workers:
                worker.ask(self._request, "close")
            deadline = time.monotonic() + CLOSING
            waiting = {worker for worker in self._workers if not worker.is_lost}
            while waiting and (left := deadline - time.monotonic()) > 0.0:
                try:
                    worker, answer = self._heard.get(timeout=left)
                except queue.Empty:
                    break
                if answer is None or answer[0] == self._request:
                    waiting.discard(worker)
            self._closed()

    def _setups(self) -> list[tuple[Setup]]:
        return [
            (Setup(w, self._factories[begin:end], begin, self._file.path, self._layout, self._make_networks),)
            for w, (begin, end) in enumerate(itertools.pairwise(self._bounds))
        ]

    def _ask(self, command: str, arguments: Sequence[tuple[Any, ...]], lost: list[int] | None = None) -> list[Any]:
        """The answers of all workers to a command.

        With ``lost``, a worker that fails is made anew and asked again while ``restarts`` last; its number goes there.
        """
        if not self._workers:
            raise InvalidArgumentError("env", "environments that are open", "closed ones")
        self._request += 1
        for worker, its_arguments in zip(self._workers, arguments, strict=True):
            worker.ask(self._request, command, *its_arguments)
        answers: dict[int, Any] = {}
        watch = self._watch(command)
        try:
            while len(answers) < len(self._workers):
                w, answer = self._hear(watch, waiting=[w for w in range(len(self._workers)) if w not in answers])
                if isinstance(answer, EnvironmentFaultError):
                    answers.pop(w, None)
                    if lost is None or self.n_restarts >= self._restarts:
                        raise answer
                    self._restart(w, answer)
                    lost.append(w)
                    self._workers[w].ask(self._request, command, *arguments[w])
                    watch.forget(w)
                elif isinstance(answer, InvalidArgumentError):
                    raise answer
                else:
                    answers[w] = answer
        except BaseException:  # Ctrl-C too
            self._cancel()
            raise
        return [answers[w] for w in range(len(self._workers))]

    def _hear(self, watch: "Watch", waiting: list[int]) -> tuple[int, Any]:
        """The next answer to the latest request, and whose it is; in its place the error of one that is lost."""
        while True:
            try:
                worker, answer = self._heard.get(timeout=TICK)
            except queue.Empty:
                hung = watch.hung(waiting)
                if hung is None:
                    continue
                cause = self._workers[hung].kill()
                return hung, self._fault(hung, f"{cause} after {self._timeout:g} s")
            if worker not in self._workers:  # replaced
                continue
            w = self._workers.index(worker)
            if answer is None:
                if not worker.is_lost:
                    return w, self._fault(w, worker.end())
                continue
            request, kind, content = answer
            if request != self._request:  # nobody waits for it any more
                continue
            if kind == "invalid":
                argument, expected, got = content
                return w, InvalidArgumentError(argument, expected, got)
            if kind == "fault":
                env_index, step, field, expected, got = content
                return w, EnvironmentFaultError(env_index, step, field, expected, got, w)
            return w, content if kind == "done" else self._fault(w, content)

    def _fault(self, w: int, cause: str) -> EnvironmentFaultError:
        """What became of worker ``w``, in terms of the environment that it was stepping."""
        step, i = self._arrays["positions"][w, :2].tolist()
        return EnvironmentFaultError(i, step, "step" if step else "reset", "an answer", cause, worker=w)

    def _restart(self, w: int, fault: EnvironmentFaultError) -> None:
        """Make worker ``w`` anew and begin new episodes in its environments."""
        self.n_restarts += 1
        warnings.warn(f"restart {self.n_restarts} of {self._restarts}: {fault}", RuntimeWarning, stacklevel=5)
        self._replace(w)
        seed = np.random.SeedSequence([self._seed, self.n_restarts]).generate_state(1)[0]
        self._one("reset", w, int(seed) + self._bounds[w])

    def _replace(self, w: int) -> None:
        self._workers[w].kill()
        self._workers[w] = WorkerProcess(self._heard)
        self._arrays["positions"][w, :2] = 0, self._bounds[w]
        self._one("setup", w, *self._setups()[w])

    def _one(self, command: str, w: int, *arguments: Any) -> None:
        """Have worker ``w`` obey a command, while others may be at work on the latest request."""
        worker, watch, early = self._workers[w], self._watch(command), []
        worker.ask(self._request, command, *arguments)
        try:
            while True:
                heard, answer = self._hear(watch, waiting=[w])
                if heard != w:
                    early.append((self._workers[heard], (self._request, "done", answer)))
                elif isinstance(answer, EnvironmentFaultError | InvalidArgumentError):
                    raise answer
                else:
                    return
        finally:
            for item in early:
                self._heard.put(item)

    def _watch(self, command: str) -> "Watch":
        """A process also has to start and to import its modules before its environments are made."""
        timeout = max(self._timeout, STARTING) if command == "setup" else self._timeout
        return Watch(self._arrays["positions"], timeout)

    def _cancel(self) -> None:
        self._arrays["cancelled"][0] = self._request


class Watch:
    """Tells which workers have not moved for ``timeout`` seconds."""

    def __init__(self, positions: npt.NDArray[np.int64], timeout: float) -> None:
        self._positions = positions
        self._timeout = timeout
        self._seen: dict[int, tuple[tuple[int, ...], float]] = {}

    def hung(self, waiting: list[int]) -> int | None:
        """The first of them that has not moved for too long."""
        now = time.monotonic()
        for w in waiting:
            position = tuple(self._positions[w].tolist())
            if w not in self._seen or self._seen[w][0] != position:
                self._seen[w] = position, now
            elif now - self._seen[w][1] > self._timeout:
                return w
        return None

    def forget(self, w: int) -> None:
        """Let the time of ``w`` begin anew."""
        self._seen.pop(w, None)


def _end(workers: list[WorkerProcess], file: SharedFile) -> None:
    """Leave nothing behind, when the environments are closed or forgotten."""
    deadline = time.monotonic() + 0.5
    for worker in workers:
        worker.leave(deadline)
    workers.clear()
    file.close()
