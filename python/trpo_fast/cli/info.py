"""``trpo-fast info MODEL``: print the contents of a policy file."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro

from trpo_fast.cli.run_folders import find_policy
from trpo_fast.storage.policy_content import read_interface
from trpo_fast.storage.policy_file import load_policy_file


@dataclass
class Info:
    """Verify the checksum of a policy or checkpoint file, and print its contents."""

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    """A policy or checkpoint file, the folder of a run, or the name of either."""

    def run(self) -> None:
        """Print the contents."""
        path = find_policy(self.model)
        tensors, metadata = load_policy_file(path)
        print(f"{path}: {path.stat().st_size} bytes, SHA-256 verified, written by trpo_fast {metadata['trpo_fast']}")
        print(f"observation space  {metadata['observation_space']}")
        print(f"action space       {metadata['action_space']}")
        if "training" in metadata:
            training = metadata["training"]["dict"]
            resumes = training["not_resumable"] or "bit-identically"
            counts = f"{metadata['num_timesteps']} steps, {training['n_updates']} updates"
            print(f"training           {counts}; resumes: {resumes}")
        else:
            print("training           none: the file holds what acting needs")
        print("tensors")
        for name, tensor in sorted(tensors.items()):
            if not name.startswith("training."):
                print(f"  {name:<36} {tensor.dtype} {tensor.shape}")
        if (interface := read_interface(tensors)) is not None:
            print("interface")
            for name, value in asdict(interface).items():
                if value:
                    print(f"  {name:<36} {value}")
        print("settings")
        for name, value in sorted(metadata["arguments"].items()):
            print(f"  {name:<36} {value}")
