"""Environments, single or vectorised, behind one interface, and snapshots of their state."""
