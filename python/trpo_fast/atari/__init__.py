"""Atari games of the Arcade Learning Environment, as the protocols of the literature play them."""

from trpo_fast.atari.env import AtariEnv
from trpo_fast.atari.protocols import PROTOCOLS, AtariProtocol

__all__ = ["PROTOCOLS", "AtariEnv", "AtariProtocol"]
