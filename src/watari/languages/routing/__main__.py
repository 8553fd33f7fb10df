"""`python -m watari.languages.routing`: work out anew which words the patterns of every language need."""

from __future__ import annotations

from watari.languages.routing import routing_languages, worked_out
from watari.languages.routing.index import keep_needs

for language in routing_languages():
    keep_needs(language, *worked_out(language))
