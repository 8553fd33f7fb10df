"""A sheet for people to judge translations on without knowing whose they are.

`sheet.jsonl`: one item a line, {item_id, source, a, b}, texts as lists of {role, content}; `sheet.html` shows the same and
takes votes; `sheet.key.json` says which side was whose, and is not given to those who judge. Which pair an item shows, which
of them stands on which side, and in what order items come are draws keyed by seed and row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watari.artifact import atomic
from watari.artifact.draws import draw_uint64
from watari.artifact.hashing import hash_json
from watari.synth.comparison.figures import Compared
from watari.synth.comparison.sheet import sheet_page
from watari.synth.ladder import Messages
from watari.synth.translate_params import Params

_STAGE = "translate compare sheet"


@dataclass(frozen=True)
class BlindItem:
    """One item.

    Args:
        item_id: Says nothing of the translators.
        source, a, b: What is shown.
        row: The id of the row.
        left, right: Whose `a` and `b` are: for the key alone.
    """

    item_id: str
    source: Messages
    a: Messages
    b: Messages
    row: str
    left: str
    right: str

    def shown(self) -> dict[str, Any]:
        """Return what the sheet says of it."""
        return {"item_id": self.item_id, "source": self.source, "a": self.a, "b": self.b}


def blind_items(names: Sequence[str], compared: Sequence[Compared], seed: int) -> list[BlindItem]:
    """Return the items: one a row, of two translators whose texts can be read and differ."""
    found = []
    for one in compared:
        row = str(one.row["id"])
        readable = [place for place, outcome in enumerate(one.outcomes) if outcome.messages]
        pairs = [
            (left, right)
            for at, left in enumerate(readable)
            for right in readable[at + 1 :]
            if one.outcomes[left].messages != one.outcomes[right].messages
        ]
        if not pairs:
            continue
        left, right = pairs[draw_uint64(seed, f"{_STAGE} pair", row) % len(pairs)]
        if draw_uint64(seed, f"{_STAGE} side", row) & 1:
            left, right = right, left
        a, b = one.outcomes[left].messages, one.outcomes[right].messages
        assert a is not None
        assert b is not None
        item = hash_json([_STAGE, seed, row, sorted([names[left], names[right]])])[:16]
        found.append(BlindItem(item, one.source, a, b, row, names[left], names[right]))
    return sorted(found, key=lambda item: (draw_uint64(seed, f"{_STAGE} order", item.item_id), item.item_id))


def write_sheet(out: Path, items: Sequence[BlindItem], params: Params) -> None:
    """Write `sheet.jsonl`, `sheet.html` and `sheet.key.json`."""
    lines = "".join(json.dumps(item.shown(), ensure_ascii=False) + "\n" for item in items)
    atomic.write_text(out / "sheet.jsonl", lines)
    atomic.write_text(
        out / "sheet.html",
        sheet_page([item.shown() for item in items], params.source_language, params.language),
    )
    key = {item.item_id: {"row": item.row, "a": item.left, "b": item.right} for item in items}
    atomic.write_json(out / "sheet.key.json", key)
