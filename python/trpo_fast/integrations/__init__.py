"""Integrations: one module per library. Nothing imports them except the user."""
