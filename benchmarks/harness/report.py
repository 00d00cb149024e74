"""Rows for people: lines, Markdown tables and bar charts."""

from pathlib import Path

from benchmarks.harness.measuring import OURS, Row

COLUMNS = ("setting", "case", "contender", "time (min-max)", "GFLOP/s", "of gemm", "error", "ratio (min-max)")


def cells(row: Row) -> list[str]:
    """A row's cells under ``COLUMNS``; a figure of its own kind stands under the ratio."""
    setting = f"{row['threads']} thread{'s' * (row['threads'] > 1)}{', AVX2' * row['avx2']}" if "threads" in row else ""
    form = f" ({row['form']})" if row.get("form") else ""
    time = _spread(row, "seconds", seconds)
    rate = f"{row['gflops']:.0f}" if "gflops" in row else ""
    error = f"{row['error']:.0e}" if "error" in row else ""
    own = [f"{name} {row[name]:.2f}" for name in ("growth", "overhead", "share", "megabytes") if name in row]
    reason = [f"not measured: {row['not measured']}"] if "not measured" in row else []
    last = [*own, *reason, _spread(row, "ratio", "{:.2f}".format)]
    fraction = _spread(row, "fraction", "{:.2f}".format)
    return [setting, row.get("case", ""), row.get("contender", "") + form, time, rate, fraction, error, " ".join(last)]


def line(row: Row) -> str:
    """One line of text."""
    return "  ".join(cell for cell in cells(row) if cell)


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = [COLUMNS, ["---"] * len(COLUMNS), *map(cells, rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def seconds(value: float) -> str:
    """With the unit that suits it."""
    for unit, scale in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if abs(value) * scale >= 1.0:
            return f"{value * scale:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def _spread(row: Row, name: str, text) -> str:
    if name not in row:
        return ""
    if f"{name}_min" not in row:
        return text(row[name])
    return f"{text(row[name])} ({text(row[name + '_min'])}-{text(row[name + '_max'])})"


def chart(rows: list[Row], path: Path) -> None:
    """How many times our time the others take, a bar a row, its least and greatest as whiskers."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [r for r in rows if "ratio" in r and not r["contender"].startswith(OURS)]
    if not rows:
        return
    labels = [f"{r['case']}, {cells(r)[0]}: {r['contender']}" for r in rows]
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
