"""The bodies of `watari eval ...`."""
