"""Reading what a person types: several lines, history and completion where the terminal has them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from watari.chat.commands import COMMANDS

_MAX_LINES = 1000


def read_message(read: Callable[[str], str], prompt: str) -> str:
    """Return the next message; a backslash at the end of a line makes it go on with the next one.

    Args:
        read: `input`, or what stands in for it.
        prompt: Shown before the first line.

    Raises:
        EOFError: at the end of input with nothing typed before.
    """
    lines: list[str] = []
    while True:
        try:
            line = read(prompt if not lines else "." * max(0, len(prompt) - 1) + " " * bool(prompt))
        except EOFError:
            if not lines:
                raise
            return "\n".join(lines)
        if not line.endswith("\\"):
            return "\n".join([*lines, line])
        lines.append(line[:-1])


def set_up(history: Path | None) -> None:
    """Turn on line editing, history and completion of commands, if standard input is a terminal.

    Esc Enter puts a newline into the line. Where Python was built with libedit instead of readline that key is not
    bound; the backslash works everywhere.

    Args:
        history: The file of past lines, or None for no file.
    """
    if not sys.stdin.isatty():
        return
    try:
        import readline
    except ImportError:
        return
    import atexit

    if "libedit" in (readline.__doc__ or ""):
        readline.parse_and_bind("bind ^I rl_complete")
    else:
        # quoted-insert (C-v) takes the newline (C-j) as a character of the line.
        readline.parse_and_bind(r'"\e\C-m": "\C-v\C-j"')
        readline.parse_and_bind("tab: complete")
        # A pasted text with line breaks stays one message.
        readline.parse_and_bind("set enable-bracketed-paste on")
    readline.set_completer_delims(" ")
    readline.set_completer(_complete)
    if history is None:
        return
    try:
        history.parent.mkdir(parents=True, exist_ok=True)
        if history.is_file():
            readline.read_history_file(str(history))
    except OSError:
        return
    readline.set_history_length(_MAX_LINES)
    atexit.register(_write_history, history)


def _write_history(history: Path) -> None:
    import readline

    try:
        readline.write_history_file(str(history))
        history.chmod(0o600)
    except OSError:
        # A home that cannot be written to must not spoil leaving the chat.
        return


def _complete(text: str, state: int) -> str | None:
    found = [f"/{name}" for name in COMMANDS if f"/{name}".startswith(text)] if text.startswith("/") else []
    return found[state] if state < len(found) else None


def history_path() -> Path:
    """Return where past lines are kept: `$XDG_STATE_HOME/watari/chat_history`, by default below ~/.local/state."""
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "watari" / "chat_history"
