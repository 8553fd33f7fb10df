"""Sampler sweeps: the same prompts and seeds under every setting of a grid, and which setting leaks least."""
