"""Rows of a file as the router takes them: whatever column the prompt stands in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from watari.artifact.hashing import hash_json
from watari.artifact.reading import ReadOptions, read_records
from watari.artifact.records import Fault, Record, kind_of
from watari.pages.visible import fitted, visible
from watari.synth.routing import Routed, route

_LISTS = ("messages", "src", "conversations")
_TEXTS = ("prompt", "prompt_en", "instruction", "question", "text")
_ROLES = {"human": "user", "prompter": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant"}
_SHOWN = 3

Messages = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class RoutedRow:
    """One row and where it goes.

    Args:
        id: Its own, or the hash of its messages.
        messages: What was looked at.
        routed: The verdict.
    """

    id: str
    messages: Messages
    routed: Routed

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data: {id, translate, reason, category, matched}."""
        routed = self.routed
        return {
            "id": self.id,
            "translate": routed.translate,
            "reason": routed.reason,
            "category": routed.category,
            "matched": routed.matched,
        }


@dataclass
class Tally:
    """Counts over rows, with the first examples of each category."""

    rows: int = 0
    kept: int = 0
    categories: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, row: RoutedRow) -> None:
        """Count one row."""
        self.rows += 1
        if row.routed.translate:
            self.kept += 1
            return
        category = row.routed.category
        self.categories[category] += 1
        self.reasons[category] = row.routed.reason
        shown = self.examples.setdefault(category, [])
        if len(shown) < _SHOWN:
            shown.append(next((one["content"] for one in row.messages if one["role"] == "user"), ""))

    def lines(self, width: int = 80) -> list[str]:
        """Return a table for people, no line longer than `width` columns."""
        away = self.rows - self.kept
        share = away / self.rows if self.rows else 0.0
        made = [
            f"{self.rows:,} row{'' if self.rows == 1 else 's'}: {self.kept:,} to translate, {away:,} ({share:.1%}) to be made in the language itself"
        ]
        for category, count in sorted(self.categories.items(), key=lambda item: (-item[1], item[0])):
            made += ["", f"{count:>7,}  {category}: {self.reasons[category]}"]
            made += [f"           {' '.join(text.split())}" for text in self.examples[category]]
        # A prompt may hold anything: what a terminal would obey is made visible, and Japanese takes two columns.
        return [fitted(visible(line[: 2 * width], lines=False), width) for line in made]


def routed_rows(location: str, language: str) -> Iterator[RoutedRow | Fault]:
    """Yield every row of a location with its verdict, in order, or what is wrong with it.

    Raises:
        UserError: if there is nothing to read there.
    """
    for item in read_records(location, ReadOptions()):
        if isinstance(item, Fault):
            yield item
            continue
        messages = messages_of(item)
        if isinstance(messages, Fault):
            yield messages
            continue
        given = item.row.get("id")
        name = hash_json(messages) if given in (None, "") else str(given)
        yield RoutedRow(name, messages, route(messages, language))


def messages_of(record: Record) -> Messages | Fault:
    """Return the conversation of a row: `messages`, `src`, `conversations`, or the text in `prompt`, `prompt_en`, ..."""
    row = record.row
    for name in (*_LISTS, *_TEXTS):
        value = row.get(name)
        if isinstance(value, str):
            more = row.get("input")
            text = f"{value}\n\n{more}" if name == "instruction" and isinstance(more, str) and more else value
            return [{"role": "user", "content": text}]
        if isinstance(value, list):
            return _turns(record, name, value)
        if value is not None:
            return record.fault(f"field '{name}' is no conversation", f"it is a {kind_of(value)}")
    has = ", ".join(sorted(map(str, row))) or "none"
    return record.fault("no prompt", f"one of {', '.join((*_LISTS, *_TEXTS))} is wanted; the row has {has}")


def _turns(record: Record, name: str, value: list[Any]) -> Messages | Fault:
    found: Messages = []
    for place, turn in enumerate(value, 1):
        role, content = None, None
        if isinstance(turn, dict):
            role = turn.get("role", turn.get("from"))
            content = turn.get("content", turn.get("value"))
        if not isinstance(role, str) or not isinstance(content, str):
            return record.fault(
                f"field '{name}' is no conversation", f"message {place} lacks a role or content"
            )
        found.append({"role": _ROLES.get(role, role), "content": content})
    return found or record.fault(f"field '{name}' is no conversation", "it is empty")
