"""The bodies of `watari leakage ...`."""
