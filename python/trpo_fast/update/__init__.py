"""The parts of an update: batches, objectives, operators, solver, line search."""
