"""Policies and critics: networks, distributions, normalisation."""
