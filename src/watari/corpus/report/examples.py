"""Rows to look at: a keyed draw of kept or dropped ones, with their texts where those can still be read."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from watari.artifact.draws import draw_uint64
from watari.corpus.report.numbers import plain
from watari.corpus.report.tables import MEMORY, Tables, keyed, opened
from watari.corpus.report.wrapping import wrapped
from watari.errors import UserError
from watari.pages.visible import head, visible

KEPT = "kept"
HEAD = 2000
POOL = 200
"""Rows of a reason that another seed than the build's draws from: those with the smallest draws of the build."""

_STAGE = "corpus.build/examples"
_COLUMNS = (
    "key, doc_id, reason, value, threshold, survivor, detail, step, source, path, place, url, characters"
)


@dataclass(frozen=True)
class Example:
    """One row of the ledger, with the beginning of its text (None where that was not kept)."""

    key: str
    doc_id: str
    reason: str | None
    value: float | None
    threshold: float | None
    survivor: str | None
    detail: str | None
    step: str | None
    source: str
    path: str
    place: str
    url: str | None
    characters: int
    text: str | None

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        made: dict[str, Any] = plain(asdict(self))
        return made

    def as_text(self, width: int = 80, characters: int = 300) -> str:
        """Return it as lines of at most `width` columns."""
        about = [self.reason or KEPT]
        if self.value is not None:
            limit = "" if self.threshold is None else f" (limit {self.threshold:.6g})"
            about.append(f"{self.value:.6g}{limit}")
        if self.detail:
            about.append(self.detail)
        if self.survivor:
            about.append(f"stays: {self.survivor}")
        where = " · ".join(part for part in (self.source, self.path, self.place, self.url) if part)
        lines = [*wrapped(visible(self.doc_id, lines=False), width)]
        lines += wrapped(visible(" · ".join(about), lines=False), width, "  ")
        lines += wrapped(visible(where, lines=False), width, "  ")
        if self.text is None:
            return "\n".join([*lines, "  (its text was not kept)"])
        said = head(self.text, characters, lines=False) or "(empty)"
        return "\n".join([*lines, *wrapped(said, width, "  | ")])


def sample(
    folder: Path, which: str = KEPT, n: int = 20, seed: int | None = None, *, memory: str = MEMORY
) -> list[Example]:
    """Return rows of a build, drawn by key: the same folder, reason, number and seed give the same rows.

    Dropped rows are drawn from those whose texts the build kept (a uniform draw itself), and only where these are too
    few from the others, whose `text` is then None.

    Args:
        folder: A finished build.
        which: `kept`, or a reason.
        n: How many at most.
        seed: Of the draw; default: the build's own.
        memory: See `tables.opened`.

    Raises:
        UserError: if nothing was dropped for that reason: it lists those that there are.
    """
    if n < 1:
        raise UserError(f"{n} rows cannot be drawn", "ask for 1 or more")
    with opened(folder, memory=memory) as tables:
        if which == KEPT:
            return kept_examples(tables, n, seed)
        found = dropped_examples(tables, n, seed, [which]).get(which, [])
        if not found:
            raise UserError(
                f"no row of {folder} was dropped for '{visible(which, lines=False)}'", _reasons(tables)
            )
        return found


def as_text(examples: Sequence[Example], width: int = 80) -> str:
    """Return examples one below the other, for a terminal."""
    return "\n\n".join(example.as_text(width) for example in examples)


def _reasons(tables: Tables) -> str:
    counted = tables.rows(
        "SELECT reason, count(*) FROM ledger WHERE disposition <> 'kept' GROUP BY 1 ORDER BY 2 DESC, 1"
    )
    if not counted:
        return "nothing was dropped at all; `kept` draws from what was kept"
    return "reasons: " + ", ".join(
        f"{visible(reason or '', lines=False)} ({count:,})" for reason, count in counted
    )


def kept_examples(tables: Tables, n: int, seed: int | None = None) -> list[Example]:
    """Return `n` kept rows, drawn by key, each with the head of its text."""
    salt = draw_uint64(tables.record.seed if seed is None else seed, _STAGE, KEPT)
    found = tables.rows(
        f"SELECT {_COLUMNS} FROM ledger WHERE disposition = 'kept' ORDER BY {keyed(salt)} LIMIT {int(n)}"
    )
    texts = document_heads(tables, [row[1] for row in found], HEAD)
    return [_example(row, texts.get(row[1])) for row in found]


def document_heads(tables: Tables, ids: Iterable[str], characters: int) -> dict[str, str]:
    """Return the beginning of the texts of some documents, by id."""
    wanted = list(ids)
    if not wanted:
        return {}
    names = [name for one in wanted for name in (one, f"{one}#00001")]
    found = dict(
        tables.rows(
            f"SELECT id, left(text, {int(characters)}) FROM documents WHERE id IN ({_marks(names)})", names
        )
    )
    # A document that was cut begins with its first part.
    return {
        name: text for name in wanted if (text := found.get(name, found.get(f"{name}#00001"))) is not None
    }


def dropped_examples(
    tables: Tables, n: int, seed: int | None = None, reasons: Sequence[str] | None = None
) -> dict[str, list[Example]]:
    """Return up to `n` dropped rows for each reason (of `reasons`, or all), drawn by key."""
    counts: dict[str, int] = dict(
        tables.rows(
            "SELECT coalesce(reason, ''), count(*) FROM ledger WHERE disposition <> 'kept' GROUP BY 1 ORDER BY 1"
        )
    )
    wanted = [reason for reason in counts if reasons is None or reason in reasons]
    pools = _pools(tables, set(wanted), max(n, POOL))
    keys: dict[str, list[str]] = {}
    for reason in wanted:
        drawn = pools.get(reason, [])
        if seed is not None and seed != tables.record.seed:
            drawn = sorted(drawn, key=lambda key: (draw_uint64(seed, _STAGE, key), key))
        keys[reason] = drawn[:n]
    chosen = [key for part in keys.values() for key in part]
    rows = {row[0]: row for row in _ledger_rows(tables, chosen)}
    texts = _dropped_texts(tables, chosen)
    found = {}
    for reason, part in keys.items():
        examples = [_example(rows[key], texts.get(key)) for key in part if key in rows]
        if len(examples) < min(n, counts[reason]):
            examples += _without_text(tables, reason, n - len(examples), part, seed)
        found[reason] = examples
    return found


def _marks(values: Sequence[str]) -> str:
    """Return places for values in SQL: named one by one, they are looked for while the files are read."""
    return ", ".join("?" * len(values))


def _pools(tables: Tables, reasons: set[str], size: int) -> dict[str, list[str]]:
    """Return, by reason, the keys of the `size` texts with the smallest draws, smallest first.

    Each piece kept those with its smallest draws, so the smallest of all are among them: a uniform draw over all.
    """
    heaps: dict[str, list[tuple[int, str]]] = {reason: [] for reason in reasons}
    for part in tables.batches("SELECT reason, key FROM dropped WHERE key IS NOT NULL"):
        for reason, key in part:
            heap = heaps.get(reason or "")
            if heap is None:
                continue
            entry = (-draw_uint64(tables.record.seed, _STAGE, key), key)
            if len(heap) < size:
                heapq.heappush(heap, entry)
            elif entry > heap[0]:
                heapq.heapreplace(heap, entry)
    return {
        reason: [key for _, key in sorted(heap, key=lambda entry: (-entry[0], entry[1]))]
        for reason, heap in heaps.items()
    }


def _ledger_rows(tables: Tables, keys: list[str]) -> list[tuple[Any, ...]]:
    if not keys:
        return []
    return tables.rows(f"SELECT {_COLUMNS} FROM ledger WHERE key IN ({_marks(keys)})", keys)


def _dropped_texts(tables: Tables, keys: list[str]) -> dict[str, str]:
    if not keys:
        return {}
    return dict(
        tables.rows(
            f"SELECT key, left(text, {HEAD}) FROM dropped WHERE text IS NOT NULL AND key IN ({_marks(keys)})",
            keys,
        )
    )


def _without_text(tables: Tables, reason: str, n: int, known: list[str], seed: int | None) -> list[Example]:
    salt = draw_uint64(tables.record.seed if seed is None else seed, _STAGE, reason)
    found = tables.rows(
        f"SELECT {_COLUMNS} FROM ledger WHERE disposition <> 'kept' AND coalesce(reason, '') = ?"
        f" AND key NOT IN (SELECT unnest(?::VARCHAR[])) ORDER BY {keyed(salt)} LIMIT {int(n)}",
        [reason, known],
    )
    return [_example(row, None) for row in found]


def _example(row: tuple[Any, ...], text: str | None) -> Example:
    key, doc_id, reason, value, threshold, survivor, detail, step, source, path, place, url, characters = row
    return Example(
        key=key,
        doc_id=doc_id or key,
        reason=reason,
        value=value,
        threshold=threshold,
        survivor=survivor,
        detail=detail,
        step=step,
        source=source or "",
        path=path or "",
        place=place or "",
        url=url,
        characters=characters or 0,
        text=text,
    )
