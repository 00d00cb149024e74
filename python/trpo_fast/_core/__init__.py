"""The compiled core: its modules, threads and what runs here."""
