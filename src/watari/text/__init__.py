"""Text as such: normal form, scripts, a language from scripts, cutting long documents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from watari.text.scripts import SCRIPTS, guess_language, script_shares

__all__ = ["SCRIPTS", "guess_language", "script_shares"]


def __getattr__(name: str) -> Any:
    # Whoever needs a module of this room that has no tables does not wait for numpy and the kernels.
    if name in __all__:
        from watari.text import scripts

        return getattr(scripts, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
