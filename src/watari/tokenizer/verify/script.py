"""For which language an extension was made, where nobody says it."""

from __future__ import annotations

from pathlib import Path

from watari.errors import UserError
from watari.pretrained.graft import GRAFT, read_graft
from watari.tokenizer.script import Script, languages, script_of

MOST = 0.5
"""Share of the new tokens that must hold a character of a script for it to be taken as the target."""


def find_script(folder: Path | None, new: list[str]) -> tuple[Script | None, str]:
    """Return the target script and where it is from: graft.json, or else the new tokens; None if there are none.

    Args:
        folder: The extended tokenizer's, where graft.json is looked for.
        new: Texts of the new tokens.

    Raises:
        UserError: if neither tells.
    """
    if folder is not None and (folder / GRAFT).is_file():
        return script_of(read_graft(folder).language), GRAFT
    if not new:
        return None, "no new token"
    best: tuple[float, int, str] | None = None
    for language in languages():
        script = script_of(language)
        share = sum(map(script.has_strict, new)) / len(new)
        # Of two that hold as many, the smaller: Han alone is Chinese, Han beside kana Japanese.
        size = sum(last - first + 1 for first, last in script.strict)
        if best is None or (-share, size, language) < best:
            best = (-share, size, language)
    if best is None or -best[0] < MOST:
        raise UserError(
            "script: the new tokens tell no script that a language pack has",
            f"give --script; known: {', '.join(languages())}",
        )
    return script_of(best[2]), "the new tokens"
