"""Plain implementations to compare with."""
