"""Environments in worker processes: each worker steps its share through a whole rollout without exchanging messages.

Workers are started as separate programs, not forked, so a script needs no ``if __name__ == "__main__"``. Every
environment is seeded by its index and has its own noise stream, so results are bit-identical for any number of workers.
"""

import itertools
import os
import queue
import time
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from trpo_fast.environments.facts import facts_of
from trpo_fast.environments.fingerprint import Fingerprint
from trpo_fast.environments.make import EnvFactory, make_from_factories
from trpo_fast.environments.sb3_vec_env import SB3Environments
from trpo_fast.environments.vec_env_view import VecEnvView
from trpo_fast.errors import EnvironmentFaultError, InvalidArgumentError, SnapshotError
from trpo_fast.policies.policy import Actor, Policy
from trpo_fast.sampling.rollouts import Branches, Rollout, Seconds
from trpo_fast.sampling.stepping import AfterStep
from trpo_fast.sampling.vine import VinePlan
from trpo_fast.sampling.workers.connection import WorkerOutput, WorkerProcess
from trpo_fast.sampling.workers.parent import ParentState, Registry
from trpo_fast.sampling.workers.process import Setup
from trpo_fast.sampling.workers.shared_arrays import (
    Layout,
    SharedFile,
    joined,
    map_arrays,
    planes_for,
    trajectories_of,
)
from trpo_fast.sampling.workers.watch import TICK, Watch
from trpo_fast.spaces.observations import EncodedArray

STARTING = 60.0  # least timeout in seconds for a worker's first answer
CLOSING = 1.0  # seconds that workers have to close their environments


class ParallelSampler:
    """n environments in K processes; replaces ``SingleEnvironments`` and ``SerialSampler``.

    Parameters
    ----------
    factories : sequence of callables that each make a gymnasium.Env
        Sent to the workers by cloudpickle.
    n_workers : int
        K. Each worker gets a share of consecutive environments; there are at most as many workers as environments.
    timeout : float
        Seconds after which an environment that has not returned from a call counts as hung.
    restarts : int
        How many lost workers are restarted in total. Their environments start new episodes, and the rollout of their
        share is collected again.

    Attributes
    ----------
    num_envs : int
    observation_space, action_space : gymnasium.Space
        Spaces of environment 0.
    n_restarts : int
        Workers restarted so far.
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
        self._facts = facts_of(env)
        env.close()
        self._workers: list[WorkerProcess] = []
        self._closed_by = "closed ones"
        self._shared_state: ParentState | None = None  # the latest that the workers were sent
        self._heard: queue.SimpleQueue[tuple[WorkerProcess, Any]] = queue.SimpleQueue()
        self._request = 0
        self._seed = 0
        self._moves = 0  # calls that move the environments

    def start(self, n_steps: int, policy: Policy, make_networks: Callable[[], tuple[Policy, Any]]) -> None:
        """Start the processes.

        Parameters
        ----------
        n_steps : int
            Steps of a rollout.
        policy : Policy
            The policy that will act.
        make_networks : callable () -> (Policy, ValueFunction)
            Builds the same policy in a worker.

        Raises
        ------
        EnvironmentFaultError
            If a worker cannot make its environments.
        InvalidArgumentError
            If an environment has other spaces than environment 0.
        """
        n_workers = len(self._bounds) - 1
        size, dtype = (policy.codec.size, policy.num_params), str(policy.dtype)
        self._layout = Layout(n_steps, self.num_envs, policy.observation_codec, *size, dtype, n_workers)
        self._make_networks = make_networks
        self._file = SharedFile(self._layout.arrays())
        self._arrays = map_arrays(self._file.path, self._layout.arrays())
        self._arrays["positions"][:, 1] = self._bounds[:-1]
        self._closed = weakref.finalize(self, _end, self._workers, self._file)
        _open_samplers.add(self)
        try:
            self._workers.extend(WorkerProcess(self._heard) for _ in range(n_workers))
            self._ask("setup", self._setups())
        except BaseException:
            self._closed()
            raise

    def use_masks(self) -> None:
        """Do nothing: workers use masks if their policy does."""

    def reset(self, seed: int | None) -> EncodedArray:
        """See ``Environments.reset``; lost workers are restarted."""
        self._moves += 1
        if seed is not None:
            self._seed = seed
        for w, worker in enumerate(self._workers):
            if worker.is_lost:
                self._replace(w)
        self._ask("reset", [(None if seed is None else seed + first,) for first in self._bounds[:-1]])
        observations: EncodedArray = self._arrays["start"].copy()
        return observations

    def collect(
        self,
        actor: Actor,
        noise: npt.NDArray[Any],
        observations: EncodedArray,
        after_step: AfterStep | None,
        plan: VinePlan | None = None,
    ) -> Rollout | None:
        """See ``Sampler.collect``; ``after_step`` is called for every step once the rollout is complete."""
        self._check_open()
        self._moves += 1
        arrays = self._arrays
        arrays["start"][...] = observations
        arrays["noise"][...] = noise
        arrays["theta"][...] = actor.theta
        statistics = actor.policy.normalizer.statistics
        arrays["mean"][...], arrays["var"][...] = statistics.mean, statistics.var
        lost: list[int] = []
        shares, layout = [slice(*bounds) for bounds in itertools.pairwise(self._bounds)], self._layout
        with planes_for(layout) as (path, planes):
            plans = [(None if plan is None else plan.of(share), path, after_step is not None) for share in shares]
            sparse, seconds, branches = zip(*self._ask("collect", plans, lost), strict=True)
        kept = {name: arrays[name].copy() for name in layout.trajectories}
        layout.move_planes(kept, planes, shares)
        trajectories = trajectories_of(layout, kept, planes, is_filled=True, **joined(sparse, self._bounds[:-1]))
        actions = arrays["actions"].copy()
        if after_step is not None and not all(after_step(trajectories, t, a) for t, a in enumerate(actions)):
            return None
        reset_envs = [i for w in lost for i in range(self._bounds[w], self._bounds[w + 1])]
        mean_seconds = Seconds(*np.mean(seconds, axis=0).tolist())
        all_branches = None if plan is None else Branches.joined(branches)
        return Rollout(trajectories, actions, mean_seconds, all_branches, reset_envs)

    def check_restorable(self) -> None:
        """See ``Environments.check_restorable``; on an error the environments are closed."""
        try:
            for answer in self._ask("check_restorable", [()] * len(self._workers)):
                if answer is not None:
                    raise SnapshotError(answer)
        except BaseException:
            self.close()
            raise

    def get_state(self) -> dict[str, Any]:
        """See ``Environments.get_state``; the state does not depend on the number of workers."""
        if not self._workers:
            raise SnapshotError("the workers were closed, or belong to another process")
        shares = self._ask("get_state", [()] * len(self._workers))
        for share in shares:
            if isinstance(share, str):
                raise SnapshotError(share)
        environments = [state for share in shares for state in share["environments"]]
        return {"steps": shares[0]["steps"], "environments": environments}

    def set_state(self, state: dict[str, Any]) -> None:
        """See ``Environments.set_state``; the state may come from any number of workers."""
        states = state["environments"]
        if len(states) != self.num_envs:
            raise SnapshotError(f"snapshot: expected {self.num_envs} environments, got {len(states)}")
        shares = [states[begin:end] for begin, end in itertools.pairwise(self._bounds)]
        for answer in self._ask("set_state", [({**state, "environments": share},) for share in shares]):
            if answer is not None:
                raise SnapshotError(answer)

    def fingerprints(self) -> list[Fingerprint]:
        """See ``Environments.fingerprints``: only a view of them reaches environments in workers."""
        return [{("moves",): self._moves}]

    def bases(self) -> list[Any]:
        """See ``Environments.bases``: none in this process."""
        return []

    def facts(self) -> dict[str, Any]:
        """See ``Environments.facts``."""
        return self._facts

    def view(self) -> VecEnvView:
        """See ``Environments.view``; every step is a message to each worker."""
        spaces = self.observation_space, self.action_space
        return VecEnvView(self.num_envs, *spaces, self._in_each, SB3Environments, self.close)

    def _in_each(self, method: str, arguments: dict[int, tuple[Any, ...]]) -> list[Any]:
        """See ``InEach`` of ``vec_env_view``."""
        self._moves += method in ("reset", "step", "call")
        shares = [
            (method, {i: args for i, args in arguments.items() if begin <= i < end})
            for begin, end in itertools.pairwise(self._bounds)
        ]
        results: dict[int, Any] = {}
        for share, (answers, error) in zip(shares, self._ask("in_each", shares), strict=True):
            if error is not None:
                raise error
            results.update(zip(share[1], answers, strict=True))
        return [results[i] for i in arguments]

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

    def forget(self) -> None:
        """Give up the workers in a fork of the process that they belong to, without disturbing that."""
        if not self._workers:
            return
        self._closed.detach()
        for worker in self._workers:
            worker.forget()
        self._workers.clear()
        self._file.forget()
        self._closed_by = (
            f"those of the process {os.getppid()} that this one was forked from: make the model again here"
        )

    def _check_open(self) -> None:
        if not self._workers:
            raise InvalidArgumentError("env", "open environments", self._closed_by)

    def _setups(self) -> list[tuple[Setup]]:
        shared = self._file.path, self._layout, self._make_networks, Registry.present()
        return [
            (Setup(w, self._factories[begin:end], begin, *shared),)
            for w, (begin, end) in enumerate(itertools.pairwise(self._bounds))
        ]

    def _ask(self, command: str, arguments: Sequence[tuple[Any, ...]], lost: list[int] | None = None) -> list[Any]:
        """Send a command to all workers and return their answers.

        With ``lost``, a worker that fails is restarted and asked again, as often as ``restarts`` allows; its number is
        appended to ``lost``.
        """
        self._check_open()
        self._share_state()
        self._request += 1
        for worker, worker_arguments in zip(self._workers, arguments, strict=True):
            worker.ask(self._request, command, *worker_arguments)
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

    def _share_state(self) -> None:
        """Send the state of this process to the workers, if it has changed."""
        state = ParentState.present()
        if state != self._shared_state:
            self._shared_state = state
            for worker in self._workers:
                worker.ask(0, "adopt", state)

    def _hear(self, watch: "Watch", waiting: list[int]) -> tuple[int, Any]:
        """Wait for an answer to the latest request; returns the worker's number, and its answer or its error."""
        dead: list[int] = []
        while True:
            try:
                worker, answer = self._heard.get(timeout=TICK)
            except queue.Empty:
                if dead:  # nothing was heard of them since: their pipes are held open by processes that they started
                    return dead[0], self._fault(dead[0], self._workers[dead[0]].end())
                dead = [w for w in waiting if not self._workers[w].is_alive()]
                hung = watch.hung({w: self._workers[w].pid for w in waiting})
                if hung is None or dead:
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
            request, kind, content, trace = answer
            if request != self._request:  # an answer to an earlier, abandoned request
                continue
            if kind == "done":
                return w, content
            error: Exception = self._fault(w, content)
            if kind == "invalid":
                error = InvalidArgumentError(*content)
            elif kind == "fault":
                env_index, step, field, expected, got = content
                error = EnvironmentFaultError(env_index, step, field, expected, got, w)
            error.__cause__ = WorkerOutput(trace)
            return w, error

    def _fault(self, w: int, cause: str) -> EnvironmentFaultError:
        """The error for a lost worker ``w``, which names the environment that it was stepping."""
        step, i = self._arrays["positions"][w, :2].tolist()
        fault = EnvironmentFaultError(i, step, "step" if step else "reset", "an answer", cause, worker=w)
        if printed := self._workers[w].printed:
            fault.__cause__ = WorkerOutput(printed)
        return fault

    def _restart(self, w: int, fault: EnvironmentFaultError) -> None:
        """Restart worker ``w`` and start new episodes in its environments."""
        self.n_restarts += 1
        warnings.warn(f"restart {self.n_restarts} of {self._restarts}: {fault}", RuntimeWarning, stacklevel=5)
        self._replace(w)
        seed = np.random.SeedSequence([self._seed, self.n_restarts]).generate_state(1)[0]
        self._ask_one("reset", w, int(seed) + self._bounds[w])

    def _replace(self, w: int) -> None:
        self._workers[w].kill()
        self._workers[w] = WorkerProcess(self._heard)
        self._workers[w].ask(0, "adopt", ParentState.present())
        self._arrays["positions"][w, :2] = 0, self._bounds[w]
        self._ask_one("setup", w, *self._setups()[w])

    def _ask_one(self, command: str, w: int, *arguments: Any) -> None:
        """Send a command to worker ``w`` and wait for it, while others may be working on the latest request."""
        worker, watch, early = self._workers[w], self._watch(command), []
        worker.ask(self._request, command, *arguments)
        try:
            while True:
                heard, answer = self._hear(watch, waiting=[w])
                if heard != w:
                    early.append((self._workers[heard], (self._request, "done", answer, "")))
                elif isinstance(answer, EnvironmentFaultError | InvalidArgumentError):
                    raise answer
                else:
                    return
        finally:
            for item in early:
                self._heard.put(item)

    def _watch(self, command: str) -> "Watch":
        """Watch for hung workers. A longer timeout applies to "setup": the process must first start and import."""
        timeout = max(self._timeout, STARTING) if command == "setup" else self._timeout
        return Watch(self._arrays["positions"], timeout)

    def _cancel(self) -> None:
        self._arrays["cancelled"][0] = self._request


def _end(workers: list[WorkerProcess], file: SharedFile) -> None:
    """End the processes and free the shared file, when the sampler is closed or garbage-collected."""
    deadline = time.monotonic() + 0.5
    for worker in workers:
        worker.leave(deadline)
    workers.clear()
    file.close()


_open_samplers: "weakref.WeakSet[ParallelSampler]" = weakref.WeakSet()


def _forget_in_fork() -> None:
    for sampler in list(_open_samplers):
        sampler.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_fork)
