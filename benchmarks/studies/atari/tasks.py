"""The games, the protocols they are played by, and the scores that others published."""

from typing import Any, NamedTuple


class Game(NamedTuple):
    """An environment's id, and the columns of the paper's Table 1."""

    env_id: str
    random: float
    human: float
    dqn: float
    ucc_i: float
    single_path: float
    vine: float


GAMES = {
    "Beam Rider": Game("trpo_fast/BeamRider-v0", 354, 7456, 4092, 5702, 1425.2, 859.5),
    "Breakout": Game("trpo_fast/Breakout-v0", 1.2, 31.0, 168.0, 380, 10.8, 34.2),
    "Enduro": Game("trpo_fast/Enduro-v0", 0, 368, 470, 741, 534.6, 430.8),
    "Pong": Game("trpo_fast/Pong-v0", -20.4, -3.0, 20.0, 21, 20.9, 20.9),
    "Q*bert": Game("trpo_fast/Qbert-v0", 157, 18900, 1952, 20025, 1973.5, 7732.5),
    "Seaquest": Game("trpo_fast/Seaquest-v0", 110, 28010, 1705, 2995, 1908.6, 788.4),
    "Space Invaders": Game("trpo_fast/SpaceInvaders-v0", 179, 3690, 581, 692, 568.4, 450.2),
}

PROTOCOLS: dict[str, dict[str, Any]] = {
    "v4": {"protocol": "v4"},
    "v4 sticky": {"protocol": "v4", "repeat_action_probability": 0.25},
    "machado": {"protocol": "machado"},
    "paper": {"protocol": "paper"},
}
