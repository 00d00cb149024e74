"""One module for each question that ``python -m benchmarks`` asks."""
