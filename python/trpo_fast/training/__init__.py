"""Training: from rollouts to the next model state."""
