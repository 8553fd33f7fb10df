"""What a chat writes to the terminal, or to a file or pipe: the same lines, with colour only where there is any."""

from __future__ import annotations

import unicodedata

from rich.console import Console
from rich.table import Table
from rich.text import Text

_ROLES = {"system": "yellow", "user": "cyan", "assistant": "green"}


def printable(text: str) -> str:
    """Return `text` without control characters but newline and tab: a model must not steer the terminal."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc")


class Screen:
    """Writes notices, tables and streamed answers.

    Args:
        console: Where to; rich finds out about width and colour.
    """

    def __init__(self, console: Console) -> None:
        self.console = console

    def notice(self, text: str) -> None:
        """Show a remark of ours, dimmed."""
        self.console.print(Text(text, style="dim"))

    def error(self, text: str) -> None:
        """Show what went wrong; the chat goes on."""
        self.console.print(Text(text, style="red"))

    def piece(self, text: str) -> None:
        """Show the next piece of an answer at once; the terminal wraps it."""
        self.console.file.write(printable(text))
        self.console.file.flush()

    def end(self) -> None:
        """End the line of an answer."""
        self.piece("\n")

    def pairs(self, rows: list[tuple[str, str]]) -> None:
        """Show two columns."""
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for left, right in rows:
            table.add_row(Text(left), Text(right))
        self.console.print(table)

    def messages(self, messages: list[dict[str, str]]) -> None:
        """Show the turns so far."""
        for message in messages:
            self.console.print(Text(message["role"], style=_ROLES[message["role"]]))
            self.console.print(Text(printable(message["content"])), soft_wrap=True)
