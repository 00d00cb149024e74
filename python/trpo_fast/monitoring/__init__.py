"""Monitoring: metrics, and the sinks that write them."""
