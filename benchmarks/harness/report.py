"""Rows as people read them: lines, Markdown tables and charts."""

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.harness.machine import is_judged
from benchmarks.harness.rows import OURS, Row

Cells = Callable[[Row], Sequence[str]]

COLUMNS = ("case", "contender", "time (min-max)", "GFLOP/s", "of gemm", "error", "ratio (min-max)")


def cells(row: Row) -> Sequence[str]:
    """A row's cells under ``COLUMNS``; figures without a column of their own share the ratio's."""
    form = f" ({row['form']})" if row.get("form") else ""
    time = _spread(row, "seconds", seconds)
    rate = f"{row['gflops']:.0f}" if "gflops" in row else ""
    error = f"{row['error']:.0e}" if "error" in row else ""
    own = [f"{name} {row[name]:.2f}" for name in ("growth", "overhead", "share", "megabytes") if name in row]
    last = " ".join([*own, _spread(row, "ratio", "{:.2f}".format)]).strip()
    return [row["case"], row["contender"] + form, time, rate, _spread(row, "fraction", "{:.2f}".format), error, last]


def line(row: Row, cells: Cells = cells) -> str:
    """One line of text."""
    return "  ".join(cell for cell in _line(row, cells) if cell)


def table(rows: list[Row], columns: Sequence[str] = COLUMNS, cells: Cells = cells) -> str:
    """Markdown."""
    header = ["setting", *columns, "others"]
    lines = [header, ["---"] * len(header), *(_line(row, cells, len(columns)) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def setting(row: Row) -> str:
    """Threads and instruction set."""
    return f"{row['threads']} thread{'s' * (row['threads'] > 1)}{', AVX2' * row['avx2']}" if "threads" in row else ""


def others(row: Row) -> str:
    """The cores that others used during the measurement, and whether that leaves the row without judgement."""
    if row.get("others") is None:
        return ""
    return f"{row['others']:.2f}" + ("" if is_judged(row) else ", not judged")


def _line(row: Row, cells: Cells, width: int = 0) -> list[str]:
    if "not measured" not in row:
        return [setting(row), *cells(row), others(row)]
    reason = [row.get("case", ""), row.get("contender", ""), f"not measured: {row['not measured']}"]
    return [setting(row), *reason, *[""] * (width - len(reason)), ""]


def seconds(value: float) -> str:
    """With the unit that suits it."""
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if abs(value) * scale >= 1.0:
            return f"{value * scale:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def number(value: float) -> str:
    """Without decimals if it is large."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _spread(row: Row, name: str, text: Callable[[float], str]) -> str:
    if name not in row:
        return ""
    if f"{name}_min" not in row:
        return text(row[name])
    return f"{text(row[name])} ({text(row[name + '_min'])}-{text(row[name + '_max'])})"


def chart(rows: list[Row], path: Path) -> None:
    """The other contenders' times over ours, one bar for each row, with least and greatest as whiskers."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [r for r in rows if "ratio" in r and not r.get("contender", OURS).startswith(OURS)]
    if not rows:
        return
    labels = [f"{r['case']}, {setting(r)}: {r['contender']}" for r in rows]
    ratios = [r["ratio"] for r in rows]
    whiskers = [
        [abs(r["ratio"] - r.get("ratio_min", r["ratio"])) for r in rows],
        [abs(r.get("ratio_max", r["ratio"]) - r["ratio"]) for r in rows],
    ]
    figure, axis = plt.subplots(figsize=(9, 1 + 0.28 * len(rows)))
    colours = {name: f"C{i}" for i, name in enumerate(dict.fromkeys(r["contender"] for r in rows))}
    axis.barh(labels, ratios, xerr=whiskers, color=[colours[r["contender"]] for r in rows], ecolor="grey")
    axis.axvline(1.0, color="black", linewidth=1)
    axis.invert_yaxis()
    axis.set_xscale("log")
    axis.set_xlabel(f"time over {OURS}'s")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
