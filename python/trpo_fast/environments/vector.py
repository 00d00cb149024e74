"""Vector environments that the user passes: Gymnasium's, in any autoreset mode, and EnvPool."""

import numbers
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from trpo_fast.environments.fingerprint import Fingerprint, fingerprint
from trpo_fast.environments.infos import Outcome, says_something, split_infos, with_end
from trpo_fast.environments.interface import Trajectories, check_reward, take_observation
from trpo_fast.environments.ownership import bases
from trpo_fast.environments.vec_env_view import GymnasiumVectorView, VecEnvView
from trpo_fast.errors import EnvironmentFaultError, InvalidArgumentError, SnapshotError
from trpo_fast.spaces.masks import KEY, METHOD, ActionMasks
from trpo_fast.spaces.observation_codec import ObservationCodec, copy_if_fit
from trpo_fast.spaces.observations import EncodedArray
from trpo_fast.validation import describe, describe_error


class UserVectorEnv:
    """Base of vector environments that the user passes; they have their own random streams and no readable state."""

    def __init__(self, env: Any, observation_space: gym.Space[Any], action_space: gym.Space[Any]) -> None:
        self._env = env
        self.num_envs = int(env.num_envs)
        self.observation_space = observation_space
        self.action_space = action_space
        self._codec = ObservationCodec(observation_space)
        self._masks: ActionMasks | None = None
        self._steps = 0

    def use_masks(self) -> None:
        self._masks = ActionMasks(self.action_space)
        self._codec = ObservationCodec(self.observation_space, self._masks.size)

    def check_restorable(self) -> NoReturn:
        self.get_state()

    def get_state(self) -> NoReturn:
        expected = "expected environments from an id or factories, whose state can be read"
        raise SnapshotError(f"{type(self._env).__name__}: {expected}")

    def set_state(self, state: dict[str, Any]) -> NoReturn:
        self.get_state()

    def fingerprints(self) -> list[Fingerprint]:
        return [fingerprint(self._env)]

    def bases(self) -> list[Any]:
        return bases(self._env)

    def facts(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        self._env.close()

    def _ask_for_masks(self, call: Callable[[str], Any]) -> Any:
        """The masks from the environments' method; EnvironmentFaultError if it does not exist or raises."""
        try:
            return call(METHOD)
        except Exception as error:
            expected = f"masks in infos[{KEY!r}] or from {METHOD}()"
            raise EnvironmentFaultError(None, self._steps, "action mask", expected, describe_error(error)) from error

    def _take_masks(self, masks: Any, out: EncodedArray, which: Iterable[int]) -> None:
        """Copy the masks of environments ``which`` to their observations in ``out`` (n,); raise if one is invalid."""
        if self._masks is not None:
            for i in which:
                mask = masks[i] if isinstance(masks, np.ndarray | Sequence) and len(masks) == self.num_envs else masks
                self._masks.take_or_fault(mask, self._codec.mask_in(out[i]), i, self._steps)


class VectorEnvironments(UserVectorEnv):
    """A VectorEnv or EnvPool, in any autoreset mode.

    NEXT_STEP uses a separate step for a reset, which is not ``valid``. SAME_STEP returns the final observation in its
    infos. DISABLED is reset by this class.
    """

    def __init__(self, env: Any) -> None:
        super().__init__(env, env.single_observation_space, env.single_action_space)
        self._mode = autoreset_mode(env)
        self._ended: npt.NDArray[np.bool_] = np.zeros(self.num_envs, dtype=np.bool_)  # in the previous step
        batch_size = _asynchronous_batch_size(env)
        if batch_size is not None and batch_size < self.num_envs:
            expected = f"batch_size = num_envs = {self.num_envs} (an asynchronous pool mixes policies within a batch)"
            raise InvalidArgumentError("env", expected, f"batch_size = {batch_size}")

    def view(self) -> VecEnvView:
        return GymnasiumVectorView(self._env, self._mode, lambda _: VectorEnvironments(self._env))

    def reset(self, seed: int | None) -> EncodedArray:
        self._ended[:] = False
        observations = self._codec.empty(self.num_envs)
        self._reset(observations, range(self.num_envs), seed=seed)
        return observations

    def step(self, actions: npt.NDArray[Any], t: int, into: Trajectories) -> None:
        self._steps += 1
        observations = into.observations.begin(t + 1)
        try:
            raw, rewards, terminated, truncated, infos = self._env.step(actions)
        except Exception as error:
            raise EnvironmentFaultError(None, self._steps, "step", "five values", describe_error(error)) from error
        take_observations(self._codec, raw, observations, self._steps, "observation")
        take_rewards(rewards, into.rewards[t], self._steps)
        terminated = check_flags(terminated, self.num_envs, self._steps, "terminated")
        truncated = check_flags(truncated, self.num_envs, self._steps, "truncated")
        if self._mode is AutoresetMode.NEXT_STEP and np.count_nonzero(self._ended):
            into.valid[t] = ~self._ended
            into.rewards[t, self._ended] = 0.0
            terminated, truncated = terminated & into.valid[t], truncated & into.valid[t]
        self._ended = terminated | truncated
        is_on = np.flatnonzero(~self._ended) if self._mode is not AutoresetMode.SAME_STEP else range(self.num_envs)
        self._take_masks(self._offered_masks(infos), observations, is_on)
        if into.infos is not None:
            into.infos[t] = split_infos(infos, self.num_envs)
        if np.count_nonzero(self._ended):
            into.terminated[t], into.truncated[t] = terminated, truncated
            self._keep_final_observations(observations, infos, t, into)
            self._keep_ends(raw, infos, t, into)
            if self._mode is AutoresetMode.DISABLED:
                fresh = np.empty_like(observations)
                self._reset(fresh, np.flatnonzero(self._ended), options={"reset_mask": self._ended.copy()})
                observations[self._ended] = fresh[self._ended]
        into.observations.end(t + 1)

    def _offered_masks(self, infos: Any) -> Any:
        """The masks in the infos, or else those from the environments' method."""
        if self._masks is None:
            return None
        masks = infos.get(KEY) if isinstance(infos, dict) else None
        if masks is not None or not hasattr(self._env, "call"):
            return masks
        return self._ask_for_masks(self._env.call)

    def _reset(self, out: EncodedArray, which: Iterable[int], **arguments: Any) -> None:
        try:
            observations, infos = self._env.reset(**arguments)
        except Exception as error:
            expected = "observations and infos"
            raise EnvironmentFaultError(None, self._steps, "reset", expected, describe_error(error)) from error
        take_observations(self._codec, observations, out, self._steps, "reset observation")
        self._take_masks(self._offered_masks(infos), out, which)

    def _keep_final_observations(self, observations: EncodedArray, infos: Any, t: int, into: Trajectories) -> None:
        truncated = np.flatnonzero(into.truncated[t]).tolist()
        if self._mode is not AutoresetMode.SAME_STEP:
            into.final_observations.update({(t, i): observations[i].copy() for i in truncated})
            return
        finals: Any = infos.get("final_obs") if isinstance(infos, dict) else None
        if truncated and not (isinstance(finals, np.ndarray) and finals.shape[:1] == (self.num_envs,)):
            expected = f"an array infos['final_obs'] of {self.num_envs}"
            raise EnvironmentFaultError(truncated[0], self._steps, "final observation", expected, describe(finals))
        for i in truncated:
            out = self._codec.empty()
            into.final_observations[t, i] = take_observation(
                self._codec, finals[i], out, i, self._steps, "final observation"
            )

    def _keep_ends(self, observations: Any, infos: Any, t: int, into: Trajectories) -> None:
        """Write outcomes of the episodes that ended in step ``t``, and complete their infos."""
        is_same_step = self._mode is AutoresetMode.SAME_STEP and isinstance(infos, dict)
        last_infos = infos.get("final_info") if is_same_step else infos
        if into.infos is None and not says_something(last_infos):
            return
        last = split_infos(last_infos, self.num_envs)
        finals = infos.get("final_obs") if is_same_step else list(self._codec.items(observations, self.num_envs))
        for i in np.flatnonzero(self._ended).tolist():
            if (outcome := Outcome.of(last[i])) is not None:
                into.outcomes[t, i] = outcome
            if into.infos is not None:
                final = None if finals is None else finals[i]
                ends = bool(into.terminated[t, i]), bool(into.truncated[t, i])
                into.infos[t][i] = with_end(last[i], final, *ends)


def take_observations(codec: ObservationCodec, observations: Any, out: EncodedArray, step: int, field: str) -> None:
    """Copy a vector environment's observations to ``out`` (n, *shape); EnvironmentFaultError if they are invalid."""
    is_box = isinstance(codec.space, gym.spaces.Box)
    if is_box and not codec.images and copy_if_fit(observations, out):
        return
    if is_box and not (isinstance(observations, np.ndarray) and observations.shape[:1] == out.shape[:1]):
        expected = f"an array of shape {(len(out), *(codec.space.shape or ()))}"
        raise EnvironmentFaultError(None, step, field, expected, describe(observations))
    try:
        items = list(codec.items(observations, len(out)))
    except InvalidArgumentError as error:
        raise EnvironmentFaultError(None, step, field, *error.args[1:]) from error
    except (IndexError, KeyError, TypeError) as error:
        expected = f"{len(out)} observations of {codec.space}"
        raise EnvironmentFaultError(None, step, field, expected, describe(observations)) from error
    for i, observation in enumerate(items):
        take_observation(codec, observation, out[i], i, step, field)


def take_rewards(rewards: Any, out: npt.NDArray[np.float64], step: int) -> None:
    """Copy a vector environment's rewards (n,) to ``out``; EnvironmentFaultError if they are invalid."""
    if copy_if_fit(rewards, out):
        return
    if not isinstance(rewards, np.ndarray) or rewards.shape != out.shape:
        raise EnvironmentFaultError(None, step, "reward", f"an array of shape {out.shape}", describe(rewards))
    out[:] = [check_reward(reward, i, step) for i, reward in enumerate(rewards)]


def check_flags(flags: Any, n: int, step: int, field: str) -> npt.NDArray[np.bool_]:
    """``flags``, or EnvironmentFaultError if it is not a bool array (n,)."""
    if not isinstance(flags, np.ndarray) or flags.shape != (n,) or flags.dtype != np.bool_:
        raise EnvironmentFaultError(None, step, field, f"a bool array of shape ({n},)", describe(flags))
    return flags


def autoreset_mode(env: Any) -> AutoresetMode:
    """The mode in a vector environment's ``metadata["autoreset_mode"]``; InvalidArgumentError if it has none."""
    mode = (getattr(env, "metadata", None) or {}).get("autoreset_mode")
    try:
        return AutoresetMode(mode)
    except ValueError:
        expected = "metadata['autoreset_mode'] of a gymnasium.vector.AutoresetMode"
        raise InvalidArgumentError("env", expected, describe(mode)) from None


def _asynchronous_batch_size(env: Any) -> int | None:
    """Environments per step of an asynchronous pool (EnvPool, ALE); None for other vector environments."""
    config = getattr(env, "config", None)
    size = config.get("batch_size") if isinstance(config, dict) else getattr(env, "batch_size", None)
    return int(size) if isinstance(size, numbers.Integral) and int(size) > 0 else None
