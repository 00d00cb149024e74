"""``trpo-fast info FILE``: print the contents of a policy file."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from trpo_fast.storage.policy_file import existing_path, load_policy_file


@dataclass
class Info:
    """Verify the checksum of a policy or checkpoint file, and print its contents."""

    model: tyro.conf.Positional[Path]
    """A policy or checkpoint file, with or without its suffix."""

    def run(self) -> None:
        """Print the contents."""
        path = existing_path(self.model)
        tensors, metadata = load_policy_file(path)
        training = metadata["training"]["dict"]
        resumes = training["not_resumable"] or "bit-identically"
        print(f"{path}: {path.stat().st_size} bytes, SHA-256 verified, written by trpo_fast {metadata['trpo_fast']}")
        print(f"observation space  {metadata['observation_space']}")
        print(f"action space       {metadata['action_space']}")
        print(
            f"training           {metadata['num_timesteps']} steps, {training['n_updates']} updates; resumes: {resumes}"
        )
        print("tensors")
        for name, tensor in sorted(tensors.items()):
            if not name.startswith("training."):
                print(f"  {name:<36} {tensor.dtype} {tensor.shape}")
        print("settings")
        for name, value in sorted(metadata["arguments"].items()):
            print(f"  {name:<36} {value}")
