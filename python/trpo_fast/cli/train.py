"""``trpo-fast train ENV_ID``: train, and leave policy, progress and settings in a folder."""

import ast
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from trpo_fast.config import TRPOConfig
from trpo_fast.diagnostics import versions
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.learner import TRPO
from trpo_fast.metrics import CSVFile
from trpo_fast.policy import LOG_STD_INIT
from trpo_fast.validation import check_integer


@dataclass
class Train:
    """Train a policy with TRPO.

    Leaves policy.safetensors, progress.csv and config.json in the output folder. Ctrl-C stops and saves.
    """

    env_id: tyro.conf.Positional[str]
    """A registered gymnasium environment, such as Hopper-v5."""

    total_timesteps: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 1_000_000
    """Transitions to collect."""

    out: Annotated[Path | None, tyro.conf.arg(aliases=["-f"])] = None
    """Output folder; runs/ENV_ID_1, runs/ENV_ID_2, ... by default."""

    seed: int | None = None
    """Fixes everything; drawn and written to config.json if not given."""

    n_envs: int = 1
    """Environments stepped together."""

    env_kwargs: tuple[str, ...] = ()
    """Arguments of gymnasium.make as name:value, the value a Python literal or text."""

    net_arch: tuple[int, ...] = (64, 64)
    """Widths of the hidden layers of policy and critic."""

    activation_fn: Literal["tanh", "relu", "elu", "silu", "identity"] = "tanh"
    """Activation of the hidden layers."""

    log_std_init: float = LOG_STD_INIT
    """Initial log standard deviation of a Box action."""

    ortho_init: bool = True
    """Orthogonal initialisation."""

    normalize_observations: bool = True
    """Running normalisation of observations, kept inside the policy."""

    dtype: Literal["float32", "float64"] = "float32"
    """Precision of parameters and kernels."""

    log_interval: int = 10
    """Iterations between two tables on the terminal; progress.csv has every one."""

    stats_window_size: int = 100
    """Latest episodes that the means in the table and in progress.csv are over."""

    progress_bar: bool = True
    """Show a progress bar."""

    config: tyro.conf.OmitArgPrefixes[TRPOConfig] = field(default_factory=TRPOConfig)

    def run(self) -> None:
        """Train and write the folder."""
        check_integer("total_timesteps", self.total_timesteps, at_least=1)  # before anything is written
        check_integer("log_interval", self.log_interval, at_least=1)
        model = self._make_model()
        out = self.out or _free_folder(Path("runs"), self.env_id)
        out.mkdir(parents=True, exist_ok=True)
        (out / "config.json").write_text(json.dumps(self._settings(model), indent=2) + "\n")
        print(f"{self.env_id}: seed {model.seed}, writing to {out}")
        with CSVFile(out / "progress.csv") as progress:
            model.sinks.append(progress)
            try:
                model.learn(self.total_timesteps, log_interval=self.log_interval, progress_bar=self.progress_bar)
            finally:
                model.save(out / "policy.safetensors")
                model.env.close()
        print(f"saved {out / 'policy.safetensors'} after {model.num_timesteps} steps")

    def _make_model(self) -> TRPO:
        return TRPO(
            "MlpPolicy",
            self.env_id,
            n_envs=self.n_envs,
            env_kwargs=_parse_env_kwargs(self.env_kwargs),
            policy_kwargs={
                "net_arch": list(self.net_arch),
                "activation_fn": self.activation_fn,
                "log_std_init": self.log_std_init,
                "ortho_init": self.ortho_init,
            },
            normalize_observations=self.normalize_observations,
            dtype=self.dtype,
            seed=self.seed,
            verbose=1,
            stats_window_size=self.stats_window_size,
            **asdict(self.config),
        )

    def _settings(self, model: TRPO) -> dict[str, Any]:
        """Everything needed to run the same training again."""
        settings = {**asdict(self), "seed": model.seed, "out": None if self.out is None else str(self.out)}
        return {**settings, "versions": versions()}


def _parse_env_kwargs(pairs: tuple[str, ...]) -> dict[str, Any]:
    """name:value pairs as a dict; values are Python literals, and text where they are none."""
    parsed = {}
    for pair in pairs:
        name, separator, text = pair.partition(":")
        if not (name.isidentifier() and separator):
            raise InvalidArgumentError("env_kwargs", "name:value", repr(pair))
        try:
            parsed[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            parsed[name] = text
    return parsed


def _free_folder(parent: Path, env_id: str) -> Path:
    """The first of parent/env_id_1, parent/env_id_2, ... that does not exist."""
    number = 1
    while (folder := parent / f"{env_id.replace('/', '-')}_{number}").exists():
        number += 1
    return folder
