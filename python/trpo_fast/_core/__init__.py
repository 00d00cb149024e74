"""The compiled core: its modules, its threads, and versions."""
