"""How findings are made and what they quote: one line, short, with nothing unseen in it."""

from __future__ import annotations

from watari.synth.checks.finding import Finding, Severity, Span


def clip(text: str, limit: int = 60) -> str:
    """Return a text on one line, its middle left out where it is longer than `limit` characters."""
    line = "".join(
        char if char.isprintable() else f"\\x{ord(char):02x}" for char in " ".join(text[:2000].split())
    )
    return line if len(line) <= limit else f"{line[: limit // 2]}…{line[-(limit - limit // 2) :]}"


def hard(code: str, message: str, turn: int = -1, start: int = 0, stop: int = 0) -> Finding:
    """Return a finding for which a row is not used; at no place where no turn is given."""
    return Finding(code, Severity.HARD, message, None if turn < 0 else Span(turn, start, stop))


def warn(code: str, message: str, turn: int = -1, start: int = 0, stop: int = 0) -> Finding:
    """Return a finding that is only told; at no place where no turn is given."""
    return Finding(code, Severity.WARN, message, None if turn < 0 else Span(turn, start, stop))
