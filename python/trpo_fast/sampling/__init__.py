"""Sampling: rollouts, vines and evaluations of a policy in environments."""
