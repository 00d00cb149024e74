"""``trpo-fast evaluate MODEL ENV_ID``: play episodes with a saved policy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from trpo_fast.cli.env_kwargs import parse_env_kwargs
from trpo_fast.environments.make import factories_of, make_environments
from trpo_fast.learner import TRPO
from trpo_fast.monitoring.video import FrameRecorder, write_video
from trpo_fast.sampling.evaluation import evaluate_environments


@dataclass
class Evaluate:
    """Play whole episodes with a saved policy, and print their returns and lengths."""

    model: tyro.conf.Positional[Path]
    """A policy or checkpoint file, or the folder of a run."""

    env_id: tyro.conf.Positional[str]
    """A registered gymnasium environment."""

    episodes: int = 10
    """Number of episodes."""

    seed: int = 0
    """Seed of the environment."""

    deterministic: bool = True
    """Take the most probable actions instead of samples."""

    env_kwargs: tuple[str, ...] = ()
    """Arguments of gymnasium.make as name:value; a value is a Python literal or text."""

    video: Path | None = None
    """Write a video to this file, such as out.mp4."""

    def run(self) -> None:
        """Evaluate and print."""
        model = TRPO.load(self.model / "policy.safetensors" if self.model.is_dir() else self.model)
        env_kwargs: dict[str, Any] = parse_env_kwargs(self.env_kwargs)
        recorder: FrameRecorder | None = None
        if self.video is None:
            environments = make_environments(self.env_id, 1, env_kwargs)
        else:
            (make,) = factories_of(self.env_id, 1, {**env_kwargs, "render_mode": "rgb_array"}) or []
            recorder = FrameRecorder(make())
            environments = make_environments(recorder, 1)
        try:
            episodes = evaluate_environments(model, environments, self.episodes, self.deterministic, seed=self.seed)
        finally:
            environments.close()
        returns, lengths = np.array(episodes).T
        for i, episode in enumerate(episodes):
            print(f"episode {i}: return {episode.episode_return:.2f}, {episode.length} steps")
        mean, std, length = returns.mean(), returns.std(), lengths.mean()
        print(f"return {mean:.2f} +/- {std:.2f}, length {length:.1f}, {len(returns)} episodes")
        if recorder is not None and self.video is not None:
            write_video(self.video, recorder.frames[:-1], recorder.fps)  # the last frame belongs to the next episode
            print(f"wrote {self.video}")
