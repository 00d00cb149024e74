"""Protocols: what the literature means by an Atari game."""

from dataclasses import dataclass

ACTIONS = ("minimal", "full", "factored")


@dataclass(frozen=True)
class AtariProtocol:
    """How a game is played, seen and rewarded. The defaults are what most protocols agree on.

    Parameters
    ----------
    frameskip : int
        Frames of a step, which all have the same action.
    repeat_action_probability : float
        Sticky actions: probability, for each frame, that the action of the frame before is repeated.
    noop_max : int
        A game starts with 1 to ``noop_max`` frames without action, drawn uniformly; 0 or 1: always with one.
    fire_reset : bool
        Press FIRE for a step, and the third action for another one, after every reset, if the game has a FIRE button.
    terminal_on_life_loss : bool
        End the episode, but not the game, when a life is lost.
    actions : {"minimal", "full", "factored"}
        Those that have an effect in the game, all 18, or one choice each for the two axes of the joystick and for the
        button.
    clip_rewards : bool
        Replace rewards by their signs. Scores are unaffected.
    screen_size : (int, int)
        Height and width of an image.
    frame_stack : int
        Images of an observation, the latest one last.
    max_num_frames : int
        Frames after which a game is truncated.
    """

    frameskip: int = 4
    repeat_action_probability: float = 0.0
    noop_max: int = 30
    fire_reset: bool = False
    terminal_on_life_loss: bool = False
    actions: str = "minimal"
    clip_rewards: bool = True
    screen_size: tuple[int, int] = (84, 84)
    frame_stack: int = 4
    max_num_frames: int = 108_000


PROTOCOLS = {
    # the wrappers of OpenAI Baselines, with which most scores since 2017 were made
    "v4": AtariProtocol(fire_reset=True, terminal_on_life_loss=True),
    # Machado et al. 2018
    "machado": AtariProtocol(repeat_action_probability=0.25, noop_max=0, actions="full"),
    # Schulman et al. 2015: policies of 33,500 parameters imply images of 52 by 40 pixels and 8 outputs
    "paper": AtariProtocol(actions="factored", screen_size=(52, 40)),
}


def protocol_of(name: str, game: str) -> AtariProtocol:
    """The protocol of this name for ``game``."""
    if name == "paper" and game == "space_invaders":  # its lasers blink, and every fourth frame shows none
        return AtariProtocol(**{**vars(PROTOCOLS[name]), "frameskip": 3})
    return PROTOCOLS[name]
