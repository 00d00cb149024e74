"""The parts of a policy update: batches, objectives, operators, solver, line search."""
