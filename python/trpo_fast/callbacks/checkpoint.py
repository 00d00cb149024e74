"""A callback that saves the model at regular intervals."""

import os

from trpo_fast._core.files import Refusals
from trpo_fast.callbacks.base import BaseCallback
from trpo_fast.validation import check_integer, check_path


class CheckpointCallback(BaseCallback):
    """Saves the model every ``save_freq`` steps per environment as ``name_prefix_STEPS_steps.safetensors``.

    A file that is written in the middle of a rollout holds the last whole iteration (``num_saved_timesteps``), from
    which training resumes bit-identically. If the disk refuses a file, training continues with a warning. The sink
    ``trpo_fast.Checkpoints`` keeps the last two files only.

    Parameters
    ----------
    save_freq : int
        Steps per environment between two files.
    save_path : path
        Folder of the files; created if it does not exist.
    name_prefix : str
    save_replay_buffer : bool
        Part of SB3's interface; has no effect: TRPO has no replay buffer.
    save_vecnormalize : bool
        Also write the ``VecNormalize`` that the model is trained in, as ``name_prefix_vecnormalize_STEPS_steps.pkl``.
    verbose : int
        Part of SB3's interface; has no effect.

    Raises
    ------
    InvalidArgumentError
        If ``save_freq`` is below 1.
    """

    def __init__(
        self,
        save_freq: int,
        save_path: str | os.PathLike[str],
        name_prefix: str = "rl_model",
        save_replay_buffer: bool = False,
        save_vecnormalize: bool = False,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        self.save_freq = check_integer("save_freq", save_freq, at_least=1)
        self.save_path = check_path("save_path", save_path)
        self.name_prefix = name_prefix
        self.save_vecnormalize = save_vecnormalize

    def _on_training_start(self) -> None:
        self.n_calls = self.model.num_steps

    def _init_callback(self) -> None:
        self.save_path.mkdir(parents=True, exist_ok=True)

    def _on_step(self) -> bool:
        if self.n_calls % self.save_freq == 0:
            stem = f"{self.num_timesteps}_steps"
            with Refusals().tolerated(f"no files of {stem}"):
                self.model.save(self.save_path / f"{self.name_prefix}_{stem}.safetensors")
                vec_normalize = self.model.get_vec_normalize_env() if self.save_vecnormalize else None
                if vec_normalize is not None:
                    vec_normalize.save(str(self.save_path / f"{self.name_prefix}_vecnormalize_{stem}.pkl"))
        return True
