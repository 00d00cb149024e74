"""The questions that ``python -m benchmarks`` answers, one module each.

A question has ``SETTINGS``, the processes to measure in; ``OPTIONS``, those of its command line; and
``measure(setting, options)``, which yields rows. ``COLUMNS`` and ``cells`` replace those of ``harness.report``.
"""

QUESTIONS = (
    "fvp", "images", "cg", "critic", "update", "act", "rollout", "workers", "atari", "training", "kfac", "vine",
    "latency", "interrupt", "package", "reliability",
)  # fmt: skip
