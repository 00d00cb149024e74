"""Experiments of many seeds, which run for hours."""
