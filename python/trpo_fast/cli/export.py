"""``trpo-fast export FILE``: a policy as ONNX, C, C++ or JSON."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from trpo_fast.export import export_policy


@dataclass
class Export:
    """Export a policy for another runtime, with golden vectors to test it on the target."""

    model: tyro.conf.Positional[Path]
    """A policy or checkpoint file, with or without its suffix."""
    format: Literal["onnx", "c", "cpp", "json"] = "onnx"
    """onnx needs the extra export; c needs nothing; cpp needs trpo_fast's headers (--includedir)."""
    out: Path | None = None
    """Output file; by default in the folder of the model. Its stem is the policy's name in C and C++."""
    observation_names: tuple[str, ...] | None = None
    """Names of the numbers of an observation, for the metadata of onnx and json."""
    action_names: tuple[str, ...] | None = None
    """Names of the numbers of an action."""

    def run(self) -> None:
        """Export, and print the files that were written."""
        written = export_policy(
            self.model,
            self.out,
            format=self.format,
            observation_names=self.observation_names,
            action_names=self.action_names,
        )
        for path in written:
            print(f"{path}: {path.stat().st_size} bytes")
