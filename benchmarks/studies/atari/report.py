"""The study's tables and figure."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness.records import Run
from benchmarks.studies.atari.methods import METHODS, VARIANTS
from benchmarks.studies.atari.tasks import GAMES, PROTOCOLS

PUBLISHED = {
    "random": "random", "human": "human", "DQN": "dqn", "UCC-I": "ucc_i", "TRPO, single path": "single_path",
    "TRPO, vine": "vine",
}  # fmt: skip


def select(runs: list[Run], **key: Any) -> list[Run]:
    """The runs with these values, of the largest number of steps of each seed, in the order of seeds."""
    found: dict[int, Run] = {}
    for run in sorted(runs, key=lambda r: r["timesteps"]):
        if all(run[name] == value for name, value in key.items()):
            found[run["seed"]] = run
    return [found[seed] for seed in sorted(found)]


def cell(runs: list[Run]) -> str:
    """Mean and spread over seeds of the last 100 games' mean score, and the steps of the shortest run."""
    scores = np.array([run["score"] for run in runs])
    if not runs or not np.isfinite(scores).all():
        return ""
    spread = f" ± {scores.std():.1f}" if len(runs) > 1 else ""
    return f"{scores.mean():.1f}{spread} ({min(run['timesteps'] for run in runs) / 1e6:.3g}M)"


def paper_table(runs: list[Run]) -> str:
    """A row for each published column and for each protocol and method that ran, a column for each game."""
    lines = ["| | " + " | ".join(GAMES) + " |", "|---" * (len(GAMES) + 1) + "|"]
    for title, field in PUBLISHED.items():
        lines.append(f"| {title} | " + " | ".join(f"{getattr(game, field):g}" for game in GAMES.values()) + " |")
    for protocol in PROTOCOLS:
        for method in METHODS:
            key = {"protocol": protocol, "method": method, "variant": "default"}
            cells = [cell(select(runs, game=game, **key)) for game in GAMES]
            if any(cells):
                lines.append(f"| trpo_fast, {method}, {protocol} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def variant_table(runs: list[Run]) -> str:
    """A row for each variant that ran of a game: the score, every seed's, and the length of the policy's path."""
    lines = []
    for game in GAMES:
        for protocol in PROTOCOLS:
            for method in METHODS:
                key = {"game": game, "protocol": protocol, "method": method}
                chosen = {name: select(runs, variant=name, **key) for name in VARIANTS}
                if any(chosen[name] for name in VARIANTS if name != "default"):
                    lines += [
                        _variant_row(f"{game}, {protocol}, {method}", *item) for item in chosen.items() if item[1]
                    ]
    header = ["| run | variant | score | per seed | path in a million steps |", "|---|---|---|---|---|"]
    return "\n".join(header + lines) if lines else ""


def _variant_row(name: str, variant: str, runs: list[Run]) -> str:
    each = ", ".join(f"{run['score']:.1f}" for run in runs)
    return f"| {name} | {variant} | {cell(runs)} | {each} | {np.mean([run['path'] for run in runs]):.1f} |"


def plot(runs: list[Run], path: Path) -> None:
    """A panel for each game: a line for each run, in the colour of its protocol, method and variant."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import EngFormatter

    games = [game for game in GAMES if select(runs, game=game)]
    figure, axes = plt.subplots(1, len(games), figsize=(4.5 * len(games), 3.6), squeeze=False, layout="constrained")
    for axis, game in zip(axes[0], games, strict=True):
        kinds = dict.fromkeys((r["protocol"], r["method"], r["variant"]) for r in runs if r["game"] == game)
        for number, (protocol, method, variant) in enumerate(kinds):
            chosen = select(runs, game=game, protocol=protocol, method=method, variant=variant)
            for run in chosen:
                steps, scores = np.array(run["curve"], dtype=float).reshape(-1, 2).T
                label = ", ".join([protocol, method, variant]) if run is chosen[0] else None
                axis.plot(steps, scores, color=f"C{number % 10}", linewidth=1.0, label=label)
        axis.set_title(game)
        axis.set_xlabel("environment steps")
        axis.xaxis.set_major_formatter(EngFormatter(sep=""))
        axis.legend(fontsize="x-small")
    axes[0, 0].set_ylabel("raw score, mean of the last 100 games")
    figure.savefig(path, dpi=110)
    plt.close(figure)
