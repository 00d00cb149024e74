"""Environments: what steps them, one or many, and their snapshots."""
