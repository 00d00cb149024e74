"""What a word on the command line means: the folder of a run, a file in one, or the name of either."""

from pathlib import Path
from typing import Any

from trpo_fast.cli.pairs import parse_pairs
from trpo_fast.cli.settings import SETTINGS, read_settings
from trpo_fast.errors import InvalidArgumentError
from trpo_fast.storage.checkpoints import latest_checkpoint
from trpo_fast.storage.policy_file import existing_path
from trpo_fast.validation import check_path, suggestion

RUNS = Path("runs")  # where trpo-fast train writes by default
POLICY = "policy.safetensors"


def find_run(path: Path) -> Path:
    """The folder of a run: ``path`` itself, the folder of the file ``path``, or that of this name in runs/.

    Raises
    ------
    FileNotFoundError
        If there is no such folder or file.
    """
    path = check_path("run", path)
    for folder in (path, RUNS / path):
        if folder.is_dir():
            return folder
    file = existing_path(path)
    return file.parent if file.is_file() else _not_found(path)


def find_policy(path: Path) -> Path:
    """The policy file that ``path`` names: a file, with or without suffix, or the policy of a run (``find_run``).

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder, or the run has neither a policy nor a checkpoint.
    """
    path = check_path("model", path)
    if not path.is_dir() and existing_path(path).is_file():
        return existing_path(path)
    folder = find_run(path)
    policy = folder / POLICY if (folder / POLICY).is_file() else latest_checkpoint(folder)
    if policy is None:
        raise FileNotFoundError(f"{folder} has no {POLICY} and no checkpoint")
    return policy


def environment_of(policy: Path) -> tuple[str, dict[str, Any]]:
    """The id and the arguments of the environment in which the run of a policy file was trained.

    Raises
    ------
    InvalidArgumentError
        If the file is not in the folder of a run.
    """
    folders = [folder for folder in policy.absolute().parents[:2] if (folder / SETTINGS).is_file()]
    if not folders:
        raise InvalidArgumentError("env_id", f"an environment's id ({policy} is not in the folder of a run)", "none")
    settings = read_settings(folders[0])
    try:
        package = settings.get("env_package")
        env_id = settings["env_id"] if package is None else f"{package}:{settings['env_id']}"
        return env_id, parse_pairs("env_kwargs", tuple(settings["env_kwargs"]))
    except (KeyError, TypeError) as error:
        raise InvalidArgumentError(
            "run", f"settings of a training in {SETTINGS}", f"{folders[0]}: {error!r}"
        ) from error


def _not_found(path: Path) -> Path:
    runs = [folder.name for folder in RUNS.iterdir()] if RUNS.is_dir() else []
    raise FileNotFoundError(f"there is no file, folder or run named {path}{suggestion(path.name, runs)}")
