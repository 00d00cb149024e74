"""Advantages and returns from rewards and values. Rows are time steps, columns are environments."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def gae(
    rewards: Array,
    values: Array,
    next_values: Array,
    done: npt.NDArray[np.bool_],
    gamma: float,
    gae_lambda: float,
) -> tuple[Array, Array]:
    """Generalised advantage estimation (Schulman et al. 2016, Eq. 16) and the value targets.

    deltaₜ = rₜ + γ V(sₜ₊₁) - V(sₜ),   Âₜ = deltaₜ + γλ (1 - doneₜ) Âₜ₊₁,   returns = Â + V

    Parameters
    ----------
    rewards : ndarray, shape (T, n)
    values : ndarray, shape (T, n)
        V of the state in which each step began.
    next_values : ndarray, shape (T, n)
        V of the state that each step led to: 0 if the episode terminated there, the value of the true final observation
        if it was truncated.
    done : ndarray of bool, shape (T, n)
        True where the episode ended with this step, terminated or truncated.
    gamma : float
        Discount factor.
    gae_lambda : float
        λ: 0 is the one-step advantage, 1 the Monte-Carlo advantage.

    Returns
    -------
    advantages, returns : ndarray, shape (T, n)
    """
    deltas = rewards + gamma * next_values - values
    advantages = _discounted_sums(deltas, gamma * gae_lambda * (1.0 - done))
    return advantages, advantages + values


def rewards_to_go(
    rewards: Array,
    values: Array,
    next_values: Array,
    done: npt.NDArray[np.bool_],
    gamma: float,
) -> tuple[Array, Array]:
    """Monte-Carlo returns Gₜ = rₜ + γ Gₜ₊₁ and advantages Gₜ - V(sₜ).

    Where an episode is cut off (truncated, or at the end of the batch), ``next_values`` replaces the missing Gₜ₊₁.

    Parameters
    ----------
    rewards, values, next_values, done, gamma
        As for ``gae``.

    Returns
    -------
    advantages, returns : ndarray, shape (T, n)
    """
    cut = done.copy()
    cut[-1] = True
    returns = _discounted_sums(rewards + gamma * np.where(cut, next_values, 0.0), gamma * (1.0 - cut))
    return returns - values, returns


def _discounted_sums(terms: Array, decay: npt.NDArray[Any]) -> Array:
    """xₜ = termsₜ + decayₜ xₜ₊₁ with x = 0 after the last row; all arrays are (T, n).

    A loop over Python floats, one environment at a time, is faster than NumPy on rows of a few environments.
    """
    sums = np.empty_like(terms)
    for i in range(terms.shape[1]):
        tail, tails = 0.0, []
        for term, factor in zip(terms[::-1, i].tolist(), decay[::-1, i].tolist(), strict=True):
            tail = term + factor * tail
            tails.append(tail)
        sums[::-1, i] = tails
    return sums
