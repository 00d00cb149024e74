"""``trpo-fast export FILE``: a policy as ONNX, C, C++ or JSON."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from trpo_fast.export import export_policy


@dataclass
class Export:
    """Write the policy in a file as what another runtime reads, with golden vectors beside it to test the target."""

    model: tyro.conf.Positional[Path]
    """A file that trpo_fast saved, with or without its suffix."""
    format: Literal["onnx", "c", "cpp", "json"] = "onnx"
    """onnx needs the extra export; c stands alone; cpp needs trpo_fast's headers (--includedir)."""
    out: Path | None = None
    """Where to; beside the model if not given. Its stem is the policy's name in C and C++."""
    observation_names: tuple[str, ...] | None = None
    """A name for each number of an observation, for the metadata of onnx and json."""
    action_names: tuple[str, ...] | None = None
    """A name for each number of an action."""

    def run(self) -> None:
        """Do it, and say which files were written."""
        written = export_policy(
            self.model,
            self.out,
            format=self.format,
            observation_names=self.observation_names,
            action_names=self.action_names,
        )
        for path in written:
            print(f"{path}: {path.stat().st_size} bytes")
