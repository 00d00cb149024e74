"""``trpo-fast evaluate MODEL [ENV_ID]``: play episodes with a saved policy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from trpo_fast.cli.pairs import parse_pairs
from trpo_fast.cli.run_folders import environment_of, find_policy
from trpo_fast.environments.make import factories_of, make_environments
from trpo_fast.errors import PolicyFileError
from trpo_fast.learner import TRPO
from trpo_fast.monitoring.video import FrameRecorder, check_video, make_recorder, write_video
from trpo_fast.protocols import ActingModel
from trpo_fast.sampling.evaluation import evaluate_environments
from trpo_fast.storage.policy_content import load_policy


@dataclass
class Evaluate:
    """Play whole episodes with a saved policy, and print their returns and lengths."""

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    """A policy or checkpoint file, the folder of a run, or the name of either."""

    env_id: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="ENV_ID")] = None
    """A registered gymnasium environment, or MODULE:ID; by default that of the run."""

    episodes: int = 10
    """Number of episodes."""

    seed: int = 0
    """Seed of the environment."""

    deterministic: bool = True
    """Take the most probable actions instead of samples."""

    env_kwargs: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="NAME:VALUE ...", help_behavior_hint="(default: none)")
    ] = ()
    """Arguments of gymnasium.make; a value is a Python literal or text. They are added to those of the run."""

    video: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Write a video to this file, such as out.mp4."""

    def run(self) -> None:
        """Evaluate and print."""
        path = find_policy(self.model)
        env_id, env_kwargs = environment_of(path) if self.env_id is None else (self.env_id, {})
        env_kwargs |= parse_pairs("env_kwargs", self.env_kwargs)
        try:
            model: ActingModel = TRPO.load(path)
        except PolicyFileError:  # save_policy writes what acting needs, and no training
            model = load_policy(path)
        recorder: FrameRecorder | None = None
        if self.video is None:
            environments = make_environments(env_id, 1, env_kwargs)
        else:
            video = check_video(self.video)
            (make,) = factories_of(env_id, 1, {**env_kwargs, "render_mode": "rgb_array"}) or []
            recorder = make_recorder(make)
            environments = make_environments(recorder, 1)
        try:
            result = evaluate_environments(model, environments, self.episodes, self.deterministic, seed=self.seed)
        finally:
            environments.close()
        for i, episode in enumerate(result.episodes):
            print(f"episode {i}: return {episode.episode_return:.2f}, {episode.length} steps")
        print(result)
        if recorder is not None:
            write_video(video, recorder.frames[:-1], recorder.fps)  # the last frame belongs to the next episode
            print(f"wrote {video}")
