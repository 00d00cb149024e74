"""``trpo-fast export MODEL``: a policy as ONNX, C, C++ or JSON."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from trpo_fast.cli.run_folders import find_policy
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.export import export_policy


@dataclass
class Export:
    """Export a policy for another runtime, with golden vectors to test it on the target."""

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="MODEL")]
    """A policy or checkpoint file, the folder of a run, or the name of either."""

    format: Literal["onnx", "c", "cpp", "json"] = "onnx"
    """onnx needs the extra export; c needs nothing; cpp needs trpo_fast's headers (--includedir), and has no images."""

    out: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Output file; by default in the folder of the model. Its stem is the policy's name in C and C++."""

    observation_names: Annotated[tuple[str, ...] | None, tyro.conf.arg(metavar="NAME ...")] = None
    """Names of the numbers of an observation, without images, that replace those in the file. Those of a mask may be
    left out, and with frame_stack the names of one frame are enough."""

    action_names: Annotated[tuple[str, ...] | None, tyro.conf.arg(metavar="NAME ...")] = None
    """Names of the numbers of an action that replace those in the file."""

    metadata: Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="KEY=VALUE")] = ()
    """What else a controller needs, such as joint_stiffness=40,40; may be repeated. Metadata of onnx and json, comments
    in c and cpp."""

    def run(self) -> None:
        """Export, and print the files that were written."""
        written = export_policy(
            find_policy(self.model),
            self.out,
            format=self.format,
            observation_names=self.observation_names,
            action_names=self.action_names,
            metadata=_parsed(self.metadata),
        )
        for path in written:
            print(f"{path}: {path.stat().st_size} bytes")


def _parsed(pairs: tuple[str, ...]) -> dict[str, str]:
    """KEY=VALUE, each key once."""
    parsed = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    if len(parsed) != len(pairs):
        raise InvalidArgumentError("--metadata", "KEY=VALUE, each key once", " ".join(pairs))
    return parsed
