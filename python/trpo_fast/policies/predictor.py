"""What predicts: a policy at its theta, with a random stream for samples."""

import os
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt

from trpo_fast.policies.policy import Actor, Policy
from trpo_fast.spaces.observations import NetworkInputs


class Predictor:
    """Base of a model and of a loaded policy: ``predict`` with the actor of the moment."""

    @property
    def actor(self) -> Actor:
        """The policy at its theta: an immutable snapshot."""
        raise NotImplementedError

    @property
    def _prediction_stream(self) -> np.random.Generator:
        raise NotImplementedError

    @property
    def policy(self) -> Policy:
        """The policy with its observation statistics, immutable."""
        return self.actor.policy

    @property
    def theta(self) -> npt.NDArray[Any]:
        """Read-only parameters of the policy, shape (P,)."""
        return self.actor.theta.view()

    @property
    def observation_space(self) -> gym.Space[Any]:
        """Observation space of one environment."""
        return self.policy.observation_space

    @property
    def action_space(self) -> gym.Space[Any]:
        """Action space of one environment."""
        return self.policy.action_space

    def predict(
        self,
        observation: Any,
        state: None = None,
        episode_start: Any = None,
        deterministic: bool = False,
        action_masks: Any = None,
    ) -> tuple[Any, None]:
        """Actions for one observation, or for a batch as vector environments return it.

        Parameters
        ----------
        observation : observation, or batch of n observations, of the space
            A batch of a Box has shape (n, *shape); a batch of a Dict or Tuple has arrays (n, ...) as its parts.
        state, episode_start
            Accepted for compatibility with recurrent policies; ignored.
        deterministic : bool
            Return the most probable action instead of a sample.
        action_masks : array-like, optional
            With ``use_masking``, which actions are possible: one mask, or one for each observation of a batch. All
            actions by default.

        Returns
        -------
        actions
            An action, or an array of n actions, of the action space and within its bounds.
        state : None

        Raises
        ------
        InvalidArgumentError
            If the observation is not in the space, has values that are not finite or of magnitude above 1e18, or a mask
            is not valid.
        """
        rows, is_batch = self.policy.rows(observation, action_masks)
        actions = self.act(rows, deterministic)
        return (actions if is_batch else actions[0]), None

    def act(self, rows: NetworkInputs, deterministic: bool = False) -> Any:
        """Actions for encoded observations, whose values are not checked.

        Parameters
        ----------
        rows : ndarray, shape (n, size) or, with images, (n,)
            Observations as ``policy.observation_codec`` encodes them.
        deterministic : bool
            Return the most probable actions instead of samples.

        Returns
        -------
        ndarray, shape (n, ...)
            Actions of the action space, within its bounds.
        """
        return self.actor.env_actions(rows, None if deterministic else self._prediction_stream)

    def get_env(self) -> Any:
        """The environments to play in; None if there are none."""
        return None

    def get_vec_normalize_env(self) -> Any:
        """The ``VecNormalize`` of Stable-Baselines3 in which the policy is trained, or None."""
        return None


class SharedStream:
    """A random stream that threads share.

    In a fork of the process it is replaced by a copy: a thread may have been drawing from it, which does not exist in
    the fork, and whose lock would never be released.
    """

    def __init__(self, stream: np.random.Generator) -> None:
        self._stream = stream
        self._process = os.getpid()

    def get(self) -> np.random.Generator:
        """The stream for this process."""
        if self._process != os.getpid():
            self._stream, self._process = deepcopy(self._stream), os.getpid()
        return self._stream


class LoadedPolicy(Predictor):
    """A policy at its theta, which predicts. ``policy, theta = loaded`` unpacks it, as a pair.

    Parameters
    ----------
    policy : Policy
    theta : ndarray, shape (P,)
        Copied.
    """

    def __init__(self, policy: Policy, theta: npt.NDArray[Any]) -> None:
        self._actor = policy.actor(theta)
        self._random = SharedStream(np.random.default_rng())

    @property
    def actor(self) -> Actor:
        """The policy at its theta: an immutable snapshot, ready for a control loop."""
        return self._actor

    @property
    def _prediction_stream(self) -> np.random.Generator:
        return self._random.get()

    def __iter__(self) -> Iterator[Any]:
        return iter((self.policy, self.theta))

    def __getitem__(self, index: int) -> Any:
        return (self.policy, self.theta)[index]

    def __reduce__(self) -> tuple[Any, ...]:
        return LoadedPolicy, (self.policy, self.theta)

    def __repr__(self) -> str:
        return f"LoadedPolicy({self.policy!r}, {len(self.theta)} parameters)"
