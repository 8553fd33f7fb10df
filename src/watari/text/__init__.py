"""Text as such: normal form, scripts, a language from scripts, cutting long documents."""

from watari.text.normalise import normalise
from watari.text.scripts import SCRIPTS, guess_language, script_shares

__all__ = ["SCRIPTS", "guess_language", "normalise", "script_shares"]
