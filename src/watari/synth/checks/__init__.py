"""The checks that every made row must pass."""
