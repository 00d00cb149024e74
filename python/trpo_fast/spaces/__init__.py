"""Spaces: how observations and actions become numbers."""
