"""``trpo-fast train ENV_ID``: train, and write policy, progress and settings to a folder."""

import itertools
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from trpo_fast._core.diagnostics import versions
from trpo_fast._core.files import locked
from trpo_fast.callbacks.base import BaseCallback
from trpo_fast.callbacks.checkpoint import CheckpointCallback
from trpo_fast.callbacks.evaluation import EvalCallback
from trpo_fast.cli.ending import saved_at_the_end
from trpo_fast.cli.hyperparameters import parse_params, read_hyperparameters
from trpo_fast.cli.pairs import as_pairs, parse_pairs
from trpo_fast.cli.run_folders import RUNS
from trpo_fast.cli.settings import SETTINGS, write_settings
from trpo_fast.config import TRPOConfig
from trpo_fast.environments.make import factories_of
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.learner import TRPO
from trpo_fast.monitoring.csv_files import CSVFile, MonitorFile
from trpo_fast.monitoring.screen import last_line
from trpo_fast.policies.policy import LOG_STD_INIT
from trpo_fast.storage.checkpoints import Checkpoints
from trpo_fast.storage.hyperparameters import MODEL, NETWORK, tuned_hyperparameters
from trpo_fast.validation import check_integer, check_path


@dataclass(frozen=True)
class Settings(TRPOConfig):
    """Settings of the algorithm."""

    def __post_init__(self) -> None:
        """Check nothing: the model does, and tyro would replace the error by a shorter one."""


@dataclass
class Train:
    """Train a policy with TRPO.

    Writes policy.safetensors, progress.csv, monitor.csv, config.json and checkpoints to the output folder. Ctrl-C and
    other signals stop and save; trpo-fast resume continues.
    """

    env_id: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ENV_ID")]
    """A registered gymnasium environment, such as Hopper-v5, or MODULE:ID with the module that registers it."""

    total_timesteps: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 1_000_000
    """Number of transitions to collect."""

    out: Annotated[Path | None, tyro.conf.arg(aliases=["-f"], metavar="DIR")] = None
    """Output folder; runs/ENV_ID_1, runs/ENV_ID_2, ... by default."""

    seed: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """Seed of all random streams; drawn at random and written to config.json if not given."""

    n_envs: int = 1
    """Number of environments that are stepped together."""

    n_workers: int = 0
    """Worker processes that step the environments; 0 steps them in this process. No result depends on it."""

    env_package: Annotated[str | None, tyro.conf.arg(metavar="MODULE")] = None
    """Python module that registers the environment, such as panda_gym or my_env (of the present folder)."""

    env_kwargs: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="NAME:VALUE ...", help_behavior_hint="(default: none)")
    ] = ()
    """Arguments of gymnasium.make; a value is a Python literal or text."""

    policy: Literal["auto", "MlpPolicy", "CnnPolicy", "MultiInputPolicy"] = "auto"
    """Kind of observations that the policy must be for; by default those of the environment."""

    net_arch: Annotated[tuple[int, ...] | None, tyro.conf.arg(metavar="INT ...")] = None
    """Widths of the hidden layers of policy and critic: 64 64 by default, none after the network of an image."""

    net_arch_vf: Annotated[tuple[int, ...] | None, tyro.conf.arg(metavar="INT ...")] = None
    """Widths of the critic's hidden layers, if different from net_arch (64 64 if that is not given)."""

    features_extractor_class: Annotated[
        Literal["FlattenExtractor", "NatureCNN", "CombinedExtractor", "PaperCNN"] | None, tyro.conf.arg(metavar="NAME")
    ] = None
    """Network before the hidden layers; by default NatureCNN for images, and none for other observations."""

    features_extractor_kwargs: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="NAME:VALUE ...", help_behavior_hint="(default: none)")
    ] = ()
    """Its arguments, such as features_dim:256."""

    share_features_extractor: bool = False
    """Let the critic read the network before the hidden layers of the policy, instead of one of its own."""

    normalize_images: bool = True
    """Divide the pixels of images by 255."""

    activation_fn: Literal["tanh", "relu", "elu", "silu", "identity"] = "tanh"
    """Activation of the hidden layers."""

    log_std_init: float = LOG_STD_INIT
    """Initial log standard deviation of a Box action."""

    state_dependent_std: bool = False
    """Make the standard deviation of a Box action an output of the network instead of a separate parameter."""

    squash: bool = False
    """Map Box actions to their bounds with tanh instead of clipping them."""

    ortho_init: bool = True
    """Initialise weights orthogonally."""

    frame_stack: int = 1
    """Latest frames that an observation is made of."""

    normalize_observations: bool = True
    """Normalise observations by running statistics, which are saved with the policy."""

    use_masking: bool = False
    """Choose only among the discrete actions that the environment's action mask allows."""

    dtype: Literal["float32", "float64"] = "float32"
    """Precision of parameters and kernels."""

    log_interval: int = 10
    """Iterations between two reports on the terminal; progress.csv has every iteration."""

    verbose: Annotated[bool, tyro.conf.arg(aliases=["-v"])] = False
    """Report all metrics instead of eight lines."""

    stats_window_size: int = 100
    """Number of latest episodes that the means of the reports and of progress.csv are over."""

    conf: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A YAML file of RL Baselines3 Zoo, with its meaning; options on the command line override it."""

    tuned: bool = True
    """Without --conf, use the package's tuned settings for the environment, if it has any."""

    params: Annotated[
        tuple[str, ...], tyro.conf.arg(aliases=["-P"], metavar="NAME:VALUE ...", help_behavior_hint="(default: none)")
    ] = ()
    """Settings named as in a --conf file; they override everything else."""

    eval_freq: int = 0
    """Steps per environment between two evaluations, which use a separate environment; 0: no evaluations."""

    eval_episodes: int = 5
    """Episodes per evaluation. Evaluations write evaluations.npz and best_model.safetensors."""

    save_freq: int = 0
    """Steps per environment between two policy files that are kept permanently; 0: no such files."""

    tensorboard: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder for TensorBoard's files."""

    checkpoint_every: int = 100_000
    """Transitions between two checkpoints, of which the last two are kept; 0: no checkpoints."""

    progress_bar: bool = True
    """Show a progress bar; in a file or pipe, print a line a minute."""

    command_line: tyro.conf.Suppress[str] = ""
    """The command line, for config.json."""

    config: Annotated[tyro.conf.OmitArgPrefixes[Settings], tyro.conf.arg(name="algorithm")] = field(
        default_factory=Settings
    )

    def configured(self) -> "Train":
        """The command with the settings of its --conf file, or of the package, instead of defaults."""
        if self.conf is not None:
            return self.with_settings(read_hyperparameters(self.conf, self.env_id))
        return self.with_settings(tuned_hyperparameters(self.env_id)) if self.tuned else self

    def with_settings(self, settings: dict[str, Any]) -> "Train":
        """The command with some settings replaced."""
        names = {f.name for f in fields(self)}
        own = {name: as_pairs(value) for name, value in settings.items() if name in names}
        config = {name: value for name, value in settings.items() if name not in names}
        return replace(self, **own, config=replace(self.config, **config))

    @property
    def environment(self) -> str:
        """The environment's id with the module that registers it."""
        return self.env_id if self.env_package is None else f"{self.env_package}:{self.env_id}"

    def run(self) -> None:
        """Train and write the folder."""
        if self.params:
            replace(self.with_settings(parse_params(self.params)), params=()).run()
            return
        check_integer("total_timesteps", self.total_timesteps, at_least=1)  # before anything is written
        check_integer("log_interval", self.log_interval, at_least=1)
        for name, at_least in (("checkpoint_every", 0), ("eval_freq", 0), ("save_freq", 0), ("eval_episodes", 1)):
            check_integer(name, getattr(self, name), at_least=at_least)
        if self.out is not None:
            _check_without_run(check_path("out", self.out))
        model = self.make_model()
        out = _new_folder(RUNS, self.env_id) if self.out is None else check_path("out", self.out)
        with locked("out", out):
            _check_without_run(out)
            write_settings(out, self._settings(model))
            self.learn(
                model, out, self.total_timesteps, f"seed {model.seed}, writing to {out}{self._unusual_settings()}"
            )

    def learn(self, model: TRPO, out: Path, total_timesteps: int, beginning: str) -> None:
        """Train up to a total of ``total_timesteps`` transitions, and save, whatever ends the training.

        Raises
        ------
        OSError
            If policy.safetensors cannot be written at the end.
        """
        with (
            saved_at_the_end(model, out),
            closing(CSVFile(out / "progress.csv", after=model.num_timesteps)) as progress,
            closing(MonitorFile(model, out / "monitor.csv", self.env_id)) as monitor,
        ):
            print(f"{self.env_id}: {beginning}")
            model.sinks += [progress, monitor]
            if self.checkpoint_every:
                model.sinks.append(Checkpoints(model, out, self.checkpoint_every))
            if model.num_timesteps < total_timesteps:
                model.learn(
                    total_timesteps - model.num_timesteps,
                    log_interval=self.log_interval,
                    reset_num_timesteps=False,
                    progress_bar=self.progress_bar,
                    callback=self._callbacks(out, model.seed),
                )
        end = last_line(model.metrics, len(model.ep_info_buffer)) if model.metrics else f"{model.num_timesteps:,} steps"
        print(f"{self.env_id}: {end}; files in {out}; to play it: trpo-fast evaluate {out}")

    def _unusual_settings(self) -> str:
        """The settings that differ from the defaults, and where they come from."""
        default = Train(self.env_id)
        pairs = [(getattr(self, name), getattr(default, name), name) for name in (*MODEL, *NETWORK, "net_arch_vf")]
        pairs += [(getattr(self.config, f.name), getattr(default.config, f.name), f.name) for f in fields(self.config)]
        unusual = [f"{name} {value}" for value, usual, name in pairs if value != usual and name != "seed"]
        if not unusual:
            return ""
        tuned = "tuned; --no-tuned gives the defaults" if self.tuned and tuned_hyperparameters(self.env_id) else ""
        source = f"from {self.conf}" if self.conf else tuned or "as given"
        return f"\nsettings other than the defaults ({source}): {', '.join(unusual)}"

    def _callbacks(self, out: Path, seed: int) -> list[BaseCallback] | None:
        callbacks: list[BaseCallback] = []
        if self.save_freq:
            callbacks.append(CheckpointCallback(self.save_freq, out / "policies", name_prefix="policy"))
        if self.eval_freq:
            evaluation = EvalCallback(
                factories_of(self.environment, 1, parse_pairs("env_kwargs", self.env_kwargs)) or [],
                n_eval_episodes=self.eval_episodes,
                eval_freq=self.eval_freq,
                log_path=out,
                best_model_save_path=out,
                seed=seed,
            )
            callbacks.append(evaluation)
        return callbacks or None

    def load_model(self, path: Path) -> TRPO:
        """The model in a checkpoint, with this run's environments."""
        env_kwargs = parse_pairs("env_kwargs", self.env_kwargs)
        return TRPO.load(
            path,
            self.environment,
            n_workers=self.n_workers,
            env_kwargs=env_kwargs,
            verbose=2 if self.verbose else 1,
            stats_window_size=self.stats_window_size,
            tensorboard_log=self.tensorboard,
        )

    def make_model(self) -> TRPO:
        """A new model."""
        return TRPO(
            self.policy,
            self.environment,
            n_envs=self.n_envs,
            n_workers=self.n_workers,
            env_kwargs=parse_pairs("env_kwargs", self.env_kwargs),
            policy_kwargs={
                **self._architecture(),
                "activation_fn": self.activation_fn,
                "log_std_init": self.log_std_init,
                "state_dependent_std": self.state_dependent_std,
                "squash": self.squash,
                "ortho_init": self.ortho_init,
            },
            frame_stack=self.frame_stack,
            normalize_observations=self.normalize_observations,
            use_masking=self.use_masking,
            dtype=self.dtype,
            seed=self.seed,
            verbose=2 if self.verbose else 1,
            stats_window_size=self.stats_window_size,
            tensorboard_log=self.tensorboard,
            **{f.name: getattr(self.config, f.name) for f in fields(self.config)},
        )

    def _settings(self, model: TRPO) -> dict[str, Any]:
        """Everything needed to repeat the training."""
        paths = {name: None if path is None else str(path) for name, path in self._paths().items()}
        return {**asdict(self), "seed": model.seed, **paths, "versions": versions()}

    def _architecture(self) -> dict[str, Any]:
        """Arguments of the networks that are not left to their defaults."""
        given: dict[str, Any] = {}
        if self.net_arch_vf is not None:
            policy_widths = (64, 64) if self.net_arch is None else self.net_arch
            given["net_arch"] = {"pi": list(policy_widths), "vf": list(self.net_arch_vf)}
        elif self.net_arch is not None:
            given["net_arch"] = list(self.net_arch)
        if self.features_extractor_class is not None:
            given["features_extractor_class"] = self.features_extractor_class
        if self.features_extractor_kwargs:
            given["features_extractor_kwargs"] = parse_pairs(
                "features_extractor_kwargs", self.features_extractor_kwargs
            )
        if self.share_features_extractor:
            given["share_features_extractor"] = True
        if not self.normalize_images:
            given["normalize_images"] = False
        return given

    def _paths(self) -> dict[str, Path | None]:
        return {"out": self.out, "conf": self.conf, "tensorboard": self.tensorboard}


def _check_without_run(out: Path) -> None:
    if (out / SETTINGS).exists():
        raise InvalidArgumentError("out", "a folder without a run (trpo-fast resume continues one)", str(out))


def _new_folder(parent: Path, env_id: str) -> Path:
    """Make the first of parent/env_id_1, parent/env_id_2, ... that does not exist."""
    parent.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        folder = parent / f"{env_id.replace('/', '-').replace(':', '-')}_{number}"
        with suppress(FileExistsError):  # two runs may start at the same time
            folder.mkdir()
            break
    return folder
