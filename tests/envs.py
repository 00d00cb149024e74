"""Small deterministic environments in which every transition can be recognised, and ways to break them."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

LENGTHS = (3, 1, 4, 2)
ENDS = ("truncated", "terminated", "both")
TAXI = "Taxi-v4" if "Taxi-v4" in gym.registry else "Taxi-v3"  # of Gymnasium before 1.3


class Transition(NamedTuple):
    """What a policy learns from; ``next_observation`` is the true one, None after a termination (nothing needs it)."""

    observation: tuple[float, ...]
    action: tuple[float, ...]
    reward: float
    terminated: bool
    truncated: bool
    next_observation: tuple[float, ...] | None


class CountingEnv(gym.Env[np.ndarray, Any]):
    """Observes (env_id, episode, step), and pays for all three and the action: no two transitions are alike.

    Episode k lasts ``lengths[k]`` steps and ends as ``ends[k]`` says, both repeated. ``history`` and ``seeds`` keep
    what happened.
    """

    def __init__(
        self,
        env_id: int = 0,
        lengths: Sequence[int] = LENGTHS,
        ends: Sequence[str] = ENDS,
        action_space: gym.Space[Any] | None = None,
    ) -> None:
        self.observation_space = gym.spaces.Box(-np.inf, np.inf, (3,), np.float32)
        self.action_space = action_space or gym.spaces.Discrete(3)
        self.env_id, self.lengths, self.ends = env_id, lengths, ends
        self.episode, self.t = -1, 0
        self.history: list[Transition] = []
        self.seeds: list[int | None] = []

    def observe(self) -> np.ndarray:
        return np.array([self.env_id, self.episode, self.t], dtype=np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self.seeds.append(seed)
        self.episode, self.t = (0 if seed is not None else self.episode + 1), 0
        return self.observe(), {}

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        assert self.action_space.contains(action), f"{action!r} is not in {self.action_space}"
        before = self.observe()
        self.t += 1
        end = self.ends[self.episode % len(self.ends)]
        done = self.t == self.lengths[self.episode % len(self.lengths)]
        terminated, truncated = done and end in ("terminated", "both"), done and end in ("truncated", "both")
        choice = tuple(np.ravel(action).tolist())
        reward = 100.0 * self.env_id + 10.0 * self.episode + self.t + 0.125 * sum(choice)
        after = None if terminated and not truncated else tuple(self.observe().tolist())
        self.history.append(Transition(tuple(before.tolist()), choice, reward, terminated, truncated, after))
        return self.observe(), reward, terminated, truncated, {}


class Catch(gym.Env[np.ndarray, Any]):
    """A ball falls down a board of ``size`` x ``size`` cells, drawn as squares of ``cell`` x ``cell`` pixels.

    The paddle in the bottom row moves left, stays or moves right. The reward of the last step is 1 if the paddle caught
    the ball, else -1. An observation has the latest ``frames`` boards, the oldest first, zeros before the first one.
    """

    def __init__(self, size: int = 8, cell: int = 3, frames: int = 2, channels_last: bool = False) -> None:
        pixels = size * cell
        shape = (pixels, pixels, frames) if channels_last else (frames, pixels, pixels)
        self.observation_space = gym.spaces.Box(0, 255, shape, np.uint8)
        self.action_space = gym.spaces.Discrete(3)
        self.size, self.cell, self.channels_last = size, cell, channels_last
        self.planes = np.zeros((frames, pixels, pixels), np.uint8)
        self.row, self.column, self.paddle = 0, 0, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.row, self.column, self.paddle = 0, int(self.np_random.integers(self.size)), self.size // 2
        self.planes[:] = 0
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.row += 1
        self.paddle = min(max(self.paddle + int(action) - 1, 0), self.size - 1)
        is_over = self.row == self.size - 1
        reward = (1.0 if self.paddle == self.column else -1.0) if is_over else 0.0
        return self._observe(), reward, is_over, False, {}

    def _observe(self) -> np.ndarray:
        board = np.zeros((self.size, self.size), np.uint8)
        board[self.row, self.column] = board[-1, self.paddle] = 255
        self.planes[:-1] = self.planes[1:]
        self.planes[-1] = board.repeat(self.cell, axis=0).repeat(self.cell, axis=1)
        return self.planes.transpose(1, 2, 0).copy() if self.channels_last else self.planes.copy()

    def get_state(self) -> dict[str, Any]:
        return {"places": [self.row, self.column, self.paddle], "planes": self.planes.copy(), "random": self.np_random}

    def set_state(self, state: dict[str, Any]) -> None:
        self.row, self.column, self.paddle = state["places"]
        self.planes, self.np_random = state["planes"].copy(), state["random"]


def counting_factories(n: int, **arguments: Any) -> list[Callable[[], CountingEnv]]:
    """Environments 0..n-1, each with episode lengths of its own."""
    return [partial(CountingEnv, i, **{"lengths": LENGTHS[i:] + LENGTHS[:i], **arguments}) for i in range(n)]


class FaultyEnv(CountingEnv):
    """Episodes of 5 steps; at step ``at`` the environment returns ``corrupt(value)`` instead of the value of ``field``.

    Fields are named as in EnvironmentFaultError. "step" and "reset" are for a ``corrupt`` that raises; a reset counts
    as part of the step before it.
    """

    def __init__(self, field: str, corrupt: Callable[[Any], Any], at: int, env_id: int = 0) -> None:
        super().__init__(env_id, lengths=(5,), ends=("truncated",))
        self.where, self.corrupt, self.n_steps = (field, at), corrupt, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._deliver("reset", None)
        observation, info = super().reset(seed=seed, options=options)
        return self._deliver("reset observation", observation), info

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        self.n_steps += 1
        self._deliver("step", None)
        observation, reward, terminated, truncated, info = super().step(action)
        return (
            self._deliver("final observation" if terminated or truncated else "observation", observation),
            self._deliver("reward", reward),
            self._deliver("terminated", terminated),
            self._deliver("truncated", truncated),
            info,
        )

    def _deliver(self, field: str, value: Any) -> Any:
        return self.corrupt(value) if self.where == (field, self.n_steps) else value


class FaultyVectorEnv(gym.vector.VectorWrapper):
    """A vector environment whose ``part`` of what step ``at`` returns (0: observations .. 4: infos) is corrupted."""

    def __init__(self, env: VectorEnv, part: int, corrupt: Callable[[Any], Any], at: int) -> None:
        super().__init__(env)
        self.part, self.corrupt, self.at, self.n_steps = part, corrupt, at, 0

    def step(self, actions: Any) -> Any:
        self.n_steps += 1
        parts = list(self.env.step(actions))
        if self.n_steps == self.at:
            parts[self.part] = self.corrupt(parts[self.part])
        return tuple(parts)


class FakeEnvPool(VectorEnv, gym.Env):
    """What EnvPool 1.2 looks like: VectorEnv and Env at once, single spaces, float32 rewards, fixed seeds."""

    metadata = {"autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(self, factories: Sequence[Callable[[], gym.Env]], batch_size: int | None = None) -> None:
        self.envs = SyncVectorEnv(factories, autoreset_mode=self.metadata["autoreset_mode"])
        self.num_envs = self.envs.num_envs
        self.observation_space = self.single_observation_space = self.envs.single_observation_space
        self.action_space = self.single_action_space = self.envs.single_action_space
        self.config = {"num_envs": self.num_envs, "batch_size": batch_size or self.num_envs}

    def reset(self, env_id: Any = None, *, seed: int | None = None, options: Any = None) -> Any:
        return self.envs.reset()

    def step(self, actions: Any) -> Any:
        observations, rewards, *rest = self.envs.step(actions)
        return observations, rewards.astype(np.float32), *rest


class FakeALEVectorEnv(FakeEnvPool):
    """As ale-py's vector environment: the final observations are one dense array, there only if an episode ended."""

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(self, factories: Sequence[Callable[[], gym.Env]]) -> None:
        super().__init__(factories)
        self.batch_size = self.config.pop("batch_size")

    def step(self, actions: Any) -> Any:
        *parts, infos = super().step(actions)
        if "final_obs" not in infos:
            return *parts, {}
        nothing = np.zeros(self.single_observation_space.shape, dtype=np.float32)
        return *parts, {"final_obs": np.stack([nothing if row is None else row for row in infos["final_obs"]])}


class MaskedEnv(CountingEnv):
    """Offers a random mask with every observation, in its info or by its method, and refuses impossible actions."""

    def __init__(self, env_id: int = 0, action_space: gym.Space[Any] | None = None, by: str = "info") -> None:
        lengths = (4 + env_id, 7)
        super().__init__(env_id, lengths=lengths, ends=("terminated", "truncated"), action_space=action_space)
        self.by = by
        if by == "method":
            self.action_masks = lambda: self.mask

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        gym.Env.reset(self, seed=seed)
        observation, _ = super().reset(seed=seed)
        return observation, self._next_info()

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        starts = np.cumsum([0, *self._parts()[:-1]])
        chosen = starts + np.ravel(action) - np.ravel(getattr(self.action_space, "start", 0))
        assert self.mask[chosen].all(), f"{action} is impossible"
        observation, reward, terminated, truncated, _ = super().step(action)
        return observation, reward, terminated, truncated, self._next_info()

    def _parts(self) -> list[int]:
        space: Any = self.action_space
        return [int(space.n)] if isinstance(space, gym.spaces.Discrete) else space.nvec.tolist()

    def _next_info(self) -> dict[str, Any]:
        parts = []
        for n in self._parts():
            part = self.np_random.random(n) < 0.4
            part[self.np_random.integers(n)] = True
            parts.append(part)
        self.mask = np.concatenate(parts).astype(np.int8)
        return {"action_mask": self.mask.copy()} if self.by == "info" else {}

    def get_state(self) -> dict[str, Any]:
        return {"episode": self.episode, "t": self.t, "mask": self.mask, "random": self.np_random}

    def set_state(self, state: dict[str, Any]) -> None:
        self.episode, self.t, self.mask = state["episode"], state["t"], state["mask"]
        self.np_random = state["random"]


class Monitor(gym.Wrapper):
    """Counts returns and lengths as Stable-Baselines3's Monitor does; its ``info`` says who solved what."""

    def reset(self, **arguments: Any) -> tuple[Any, dict[str, Any]]:
        self.rewards: list[float] = []
        return self.env.reset(**arguments)

    def step(self, action: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.rewards.append(float(reward))
        info = {**info, "step": len(self.rewards)}
        if terminated or truncated:
            info["episode"] = {"r": sum(self.rewards), "l": len(self.rewards), "t": 0.0}
            info["is_success"] = np.bool_(len(self.rewards) > 2)
        return observation, reward, terminated, truncated, info


class Scaled(gym.RewardWrapper):
    """Rewards times 0.01, as a wrapper around a Monitor may change them."""

    def reward(self, reward: Any) -> float:
        return 0.01 * float(reward)


class FakeVecEnv:
    """A ``VecEnv`` of Stable-Baselines3 in shape and manners, and a wrapper of one with ``venv``."""

    def __init__(self, envs: Sequence[gym.Env[Any, Any]] = (), venv: Any = None) -> None:
        self.venv = venv
        self.envs = list(envs) if venv is None else venv.envs
        self.num_envs = len(self.envs)
        self.observation_space, self.action_space = self.envs[0].observation_space, self.envs[0].action_space
        self.seeds: list[int | None] = [None] * self.num_envs

    def seed(self, seed: int | None = None) -> None:
        self.seeds = [None if seed is None else seed + i for i in range(self.num_envs)]

    def reset(self) -> Any:
        seeds, self.seeds = self.seeds, [None] * self.num_envs
        return np.stack([env.reset(seed=seed)[0] for env, seed in zip(self.envs, seeds, strict=True)])

    def step_async(self, actions: Any) -> None:
        self.actions = actions

    def step_wait(self) -> tuple[Any, Any, Any, list[dict[str, Any]]]:
        steps = [self._step(env, action) for env, action in zip(self.envs, self.actions, strict=True)]
        observations, rewards, dones, infos = zip(*steps, strict=True)
        return np.stack(observations), np.array(rewards, np.float32), np.array(dones), list(infos)

    def step(self, actions: Any) -> tuple[Any, Any, Any, list[dict[str, Any]]]:
        self.step_async(actions)
        return self.step_wait()

    def close(self) -> None:
        pass

    def _step(self, env: gym.Env[Any, Any], action: Any) -> tuple[Any, float, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            info = {**info, "terminal_observation": observation, "TimeLimit.truncated": truncated and not terminated}
            observation = env.reset()[0]
        return observation, float(reward), terminated or truncated, info


class Statistics:
    """Running mean and variance, as Stable-Baselines3 holds them."""

    def __init__(self) -> None:
        self.mean, self.var, self.count = 0.0, 1.0, 1e-4

    def update(self, values: Any) -> None:
        total, delta = self.count + np.size(values), np.mean(values) - self.mean
        self.var = (self.var * self.count + np.var(values) * np.size(values)) / total
        self.mean, self.count = self.mean + delta * np.size(values) / total, total


class VecNormalize(FakeVecEnv):
    """Stable-Baselines3's VecNormalize in shape; found by its name."""

    def __init__(self, venv: Any, training: bool = True, norm_obs: bool = True, norm_reward: bool = True) -> None:
        super().__init__(venv=venv)
        self.training, self.norm_obs, self.norm_reward = training, norm_obs, norm_reward
        self.norm_obs_keys, self.clip_obs, self.epsilon = None, 10.0, 1e-8
        self.obs_rms, self.ret_rms = Statistics(), Statistics()

    def seed(self, seed: int | None = None) -> None:
        self.venv.seed(seed)

    def reset(self) -> Any:
        return self._normalized(self.venv.reset())

    def step_wait(self) -> tuple[Any, Any, Any, list[dict[str, Any]]]:
        self.venv.step_async(self.actions)
        observations, rewards, dones, infos = self.venv.step_wait()
        for i in np.flatnonzero(dones):
            infos[i]["terminal_observation"] = self._scaled(infos[i]["terminal_observation"])
        return self._normalized(observations), (0.01 if self.norm_reward else 1.0) * rewards, dones, infos

    def save(self, path: str) -> None:
        Path(path).write_text(f"{self.obs_rms.mean} {self.obs_rms.count}", encoding="utf-8")

    def _normalized(self, observations: Any) -> Any:
        if self.training and self.norm_obs:
            self.obs_rms.update(observations)
        return self._scaled(observations)

    def _scaled(self, observations: Any) -> Any:
        if not self.norm_obs:
            return observations
        scaled = (observations - self.obs_rms.mean) / np.sqrt(self.obs_rms.var + self.epsilon)
        return np.clip(scaled, -self.clip_obs, self.clip_obs).astype(np.float32)
