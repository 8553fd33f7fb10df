"""Texts packed into the page: a block of compressed JSON for every few questions, opened when one of them is looked at.

Blocks are base64, so nothing in them can end a script element or be taken for markup; the page's script sets every text
as text.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from watari.evals.page.board import Board
from watari.evals.page.texts import Key, Rated, Texts
from watari.evals.page.words import name_pair
from watari.evals.result import Unit
from watari.pages.visible import visible

BLOCK = 192_000
"""Characters of JSON in a block before it is packed: opened at once, and few enough blocks for a thousand items."""
MOST_CELLS = 150_000
"""Models times items up to which there is a browser: beyond, only the tables."""
LONGEST = 20_000
"""Characters of a text that are kept."""
_DIGITS = 3


def packed(value: Any) -> str:
    """Return JSON data deflated (zlib) and as base64; the same data gives the same text."""
    said = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(said.encode("utf-8", "replace"), 6)).decode("ascii")


def readable(boards: Sequence[Board], texts: Texts) -> list[Board]:
    """Return the tables whose questions can be read in the page: there are texts, and not too much of them."""
    found = []
    for board in boards:
        items = {(unit.stratum, unit.item) for entry in board.entries for unit in entry.result.units}
        said = any(
            texts.question(key).turns or key in texts.answers or ("", key[1]) in texts.answers
            or key in texts.judgments or ("", key[1]) in texts.judgments
            for key in items
        )  # fmt: skip
        if said and len(items) * len(board.entries) <= MOST_CELLS:
            found.append(board)
    return found


def blocks_of(boards: Sequence[Board], texts: Texts) -> tuple[dict[str, Any], list[str]]:
    """Return the index that the page's script starts from, and the packed blocks.

    Questions and answers stand once for all judges of a spec; what a judge said stands in blocks of its own.

    Args:
        boards: Those that can be read (`readable`).
        texts: What was asked, answered and said.
    """
    blocks = Blocks()
    answered: dict[str, dict[Key, tuple[int, int]]] = {}
    members: dict[str, list[str]] = {}
    for board in boards:
        members.setdefault(board.spec, []).extend(entry.model for entry in board.entries)
    for spec, names in members.items():
        models = list(dict.fromkeys(names))
        keys = _keys([board for board in boards if board.spec == spec])
        answered[spec] = blocks.add((key, _said(texts, key, models)) for key in keys)
        members[spec] = models
    tables = [_table(board, texts, blocks, answered[board.spec], members[board.spec]) for board in boards]
    return {"tables": tables}, blocks.packed


@dataclass
class Blocks:
    """The packed blocks of a page."""

    packed: list[str] = field(default_factory=list)

    def add(self, bodies: Iterable[tuple[Key, Any]]) -> dict[Key, tuple[int, int]]:
        """Pack what belongs to each item; return the block of each, and its place in it."""
        places: dict[Key, tuple[int, int]] = {}
        waiting: list[Any] = []
        size = 0
        for key, body in bodies:
            places[key] = (len(self.packed), len(waiting))
            waiting.append(body)
            size += len(json.dumps(body, ensure_ascii=False))
            if size >= BLOCK:
                self.packed.append(packed(waiting))
                waiting, size = [], 0
        if waiting:
            self.packed.append(packed(waiting))
        return places


def _keys(boards: Sequence[Board]) -> list[Key]:
    """Return the items of some tables: datasets in the order of the files, items by number within them."""
    found = dict.fromkeys(
        (unit.stratum, unit.item)
        for board in boards
        for entry in board.entries
        for unit in entry.result.units
    )
    datasets = {stratum: place for place, stratum in enumerate(dict.fromkeys(key[0] for key in found))}
    order = {key: place for place, key in enumerate(found)}
    return sorted(found, key=lambda key: (datasets[key[0]], _number(key[1]), order[key]))


def _table(
    board: Board,
    texts: Texts,
    blocks: Blocks,
    answered: Mapping[Key, tuple[int, int]],
    models: Sequence[str],
) -> dict[str, Any]:
    units: dict[Key, dict[int, list[Unit]]] = {}
    for place, entry in enumerate(board.entries):
        for unit in entry.result.units:
            units.setdefault((unit.stratum, unit.item), {}).setdefault(place, []).append(unit)
    keys = _keys([board])
    rated = blocks.add(
        (
            key,
            [
                _ratings(texts.judgments_of(key, board.judge, entry.model), units[key].get(place, ()))
                for place, entry in enumerate(board.entries)
            ],
        )
        for key in keys
    )
    items = [_item(key, units[key], len(board.entries), rated[key], answered[key]) for key in keys]
    told = [
        place
        for place, entry in enumerate(board.entries)
        if any(texts.answers_of(key, entry.model) for key in keys)
    ]
    for key, item in zip(keys, items, strict=True):
        if any(texts.answers_of(key, board.entries[place].model) for place in told[:2]):
            item["h"] = 1
    categories = list(dict.fromkeys(item["c"] for item in items))
    return {
        "board": board.id,
        "name": " · ".join(filter(None, (board.spec, board.judge))),
        "judged": bool(board.judge),
        "digits": 3 if board.digits == 4 else 1,
        "models": [visible(entry.model, lines=False) for entry in board.entries],
        "told": told,
        "said": [models.index(entry.model) for entry in board.entries],
        "categories": [[name, *name_pair(name)] for name in categories],
        "items": items,
    }


def _number(item: str) -> tuple[int, str]:
    return (int(item), "") if item.isdecimal() and len(item) < 12 else (1 << 40, item)


def _item(
    key: Key,
    units: Mapping[int, Sequence[Unit]],
    models: int,
    rated: tuple[int, int],
    answered: tuple[int, int],
) -> dict[str, Any]:
    """Return what the list of questions needs: id, category, mean value and invalid units of each model."""
    values: list[float | None] = []
    invalid: list[int] = []
    for place in range(models):
        found = units.get(place, ())
        valid = [unit.value for unit in found if unit.value is not None]
        values.append(round(sum(valid) / len(valid), _DIGITS) if valid else None)
        invalid.append(sum(bool(unit.reason) or unit.value is None for unit in found))
    first = next(iter(units.values()))[0]
    name = key[1] if not key[0] or key[0] == key[1] else f"{key[0]} · {key[1]}"
    return {
        "id": visible(name, lines=False),
        "c": first.category or first.stratum,
        "v": values,
        "x": invalid if any(invalid) else 0,
        "r": rated,
        "t": answered,
    }


def _said(texts: Texts, key: Key, models: Sequence[str]) -> dict[str, Any]:
    """Return a question and every model's answers to it: [run, turn, text, cut off, read as]."""
    question = texts.question(key)
    return {
        "q": _all_shown(question.turns),
        "r": _all_shown(question.reference),
        "g": _shown(question.gold),
        "a": [
            [
                [*place, _shown(said.text), int(said.cut), None if said.read is None else _shown(said.read)]
                for place, said in sorted(texts.answers_of(key, model).items())
            ]
            for model in models
        ],
    }


def _ratings(
    rated: Mapping[tuple[int, int], Sequence[Rated]], units: Sequence[Unit]
) -> list[list[Any]]:  # fmt: skip
    """Return what a model's answers to an item were rated: [run, turn, value, reason, judge's text, sent]."""
    scored: dict[tuple[int, int], list[Unit]] = {}
    for unit in units:
        scored.setdefault((unit.run, unit.turn), []).append(unit)
    return [
        [
            *place,
            None if unit is None or unit.value is None else round(unit.value, 4),
            None if unit is None else unit.reason or ("–" if unit.value is None else ""),
            None if rating is None else _shown(rating.text),
            "" if rating is None else _shown(rating.sent),
        ]
        for place in sorted({*rated, *scored})
        for unit, rating in zip_longest(scored.get(place, ()), rated.get(place, ()))
    ]


def _all_shown(texts: Iterable[str]) -> list[str]:
    return [_shown(text) for text in texts]


def _shown(text: str) -> str:
    """Return a text with what cannot be seen made visible, cut if it is endless."""
    said = text.replace("\r\n", "\n")
    said = said if len(said) <= LONGEST else f"{said[:LONGEST]} … ({len(said):,})"
    return visible(said)
