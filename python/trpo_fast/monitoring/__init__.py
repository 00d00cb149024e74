"""Monitoring: metrics and where they go."""
