"""Watari (渡り, a crossing): carry an open-weights language model across to a new language.

The package is imported by the command line for every `--help`; keep this file free of imports.
"""

__version__ = "0.1.0"
