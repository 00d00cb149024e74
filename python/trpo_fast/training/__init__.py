"""Training: turns rollouts into the next model state."""
