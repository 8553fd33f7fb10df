"""Small lexicons by language pair, `en-ja.yaml`: common words and the stems by which the other language says them.

They are no dictionaries: a check asks how many of a text's words have left a trace in its translation, and how many leave one
in any text at all. A word → its stems, parted by blanks; words in quotes where YAML would read them as something else.
"""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def lexicon(source: str, target: str) -> dict[str, tuple[str, ...]]:
    """Return the lexicon of a pair of languages, by words in small letters; empty if there is none."""
    entry = resources.files(__name__) / f"{source}-{target}.yaml"
    if not entry.is_file():
        return {}
    import yaml

    content: dict[str, str] = yaml.safe_load(entry.read_text("utf-8"))
    return {word: tuple(stems.split()) for word, stems in content.items()}
