"""Options that take every word up to the next option: `--text a.txt b.txt --script ja`.

Click's options take a fixed number of words; here the words are laid out as `--text a.txt --text b.txt` before click
sees them, so that both ways of writing are understood.
"""

from __future__ import annotations

from typing import Any, ClassVar

from typer.core import TyperCommand


class VariadicCommand(TyperCommand):
    """A command whose list options may be followed by several words."""

    variadic: ClassVar[tuple[str, ...]] = ("--text", "--weight", "--forbid", "--drop", "--keep", "--hidden")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Repeat the option before each of its words."""
        return super().parse_args(ctx, spread(args, self.variadic))


def spread(args: list[str], options: tuple[str, ...]) -> list[str]:
    """Return `args` with each variadic option repeated before every word that follows it."""
    found: list[str] = []
    current = ""
    fed = False
    for place, word in enumerate(args):
        if word == "--":
            return found + args[place:]
        if word.startswith("-") and word != "-":
            name = word.partition("=")[0]
            current, fed = (word, False) if word in options else ("", False)
            if name in options and "=" in word:
                current = ""
            found.append(word)
            continue
        if current and fed:
            found.append(current)
        found.append(word)
        fed = bool(current)
    return found
