"""Files: policies, models and checkpoints."""
