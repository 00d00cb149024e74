"""The games of ale-py, and their registration as Gymnasium environments: trpo_fast/Pong-v0 and so on."""

import gymnasium as gym

GAMES = (
    "adventure", "air_raid", "alien", "amidar", "assault", "asterix", "asteroids", "atlantis", "atlantis2",
    "backgammon", "bank_heist", "basic_math", "battle_zone", "beam_rider", "berzerk", "blackjack", "bowling",
    "boxing", "breakout", "carnival", "casino", "centipede", "chopper_command", "crazy_climber", "crossbow",
    "darkchambers", "defender", "demon_attack", "donkey_kong", "double_dunk", "earthworld", "elevator_action",
    "enduro", "entombed", "et", "fishing_derby", "flag_capture", "freeway", "frogger", "frostbite", "galaxian",
    "gopher", "gravitar", "hangman", "haunted_house", "hero", "human_cannonball", "ice_hockey", "jamesbond",
    "journey_escape", "kaboom", "kangaroo", "keystone_kapers", "king_kong", "klax", "koolaid", "krull",
    "kung_fu_master", "laser_gates", "lost_luggage", "mario_bros", "miniature_golf", "montezuma_revenge", "mr_do",
    "ms_pacman", "name_this_game", "othello", "pacman", "phoenix", "pitfall", "pitfall2", "pong", "pooyan",
    "private_eye", "qbert", "riverraid", "road_runner", "robotank", "seaquest", "sir_lancelot", "skiing", "solaris",
    "space_invaders", "space_war", "star_gunner", "superman", "surround", "tennis", "tetris", "tic_tac_toe_3d",
    "time_pilot", "trondead", "turmoil", "tutankham", "up_n_down", "venture", "video_checkers", "video_chess",
    "video_cube", "video_pinball", "wizard_of_wor", "word_zapper", "yars_revenge", "zaxxon",
)  # fmt: skip


def env_id_of(game: str) -> str:
    """The id of a game: "space_invaders" -> "trpo_fast/SpaceInvaders-v0"."""
    return f"trpo_fast/{game.title().replace('_', '')}-v0"


def register_games() -> None:
    """Register every game; ale-py is imported when one is made."""
    for game in GAMES:
        gym.register(
            id=env_id_of(game),
            entry_point="trpo_fast.atari.env:AtariEnv",
            kwargs={"game": game},
            order_enforce=False,  # the environment checks itself that it was reset
            disable_env_checker=True,
        )
