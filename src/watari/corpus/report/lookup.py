"""Finding a row of the ledger by what a person has in hand: a doc_id, a key, an id or a URL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from watari.corpus.report.tables import Tables
from watari.errors import UserError
from watari.pages.visible import visible

_COLUMNS = (
    "key, doc_id, id, disposition, reason, value, threshold, survivor, detail, step, source, path, place,"
    " language, license, url, characters, bytes, raw_hash"
)
_NEAR = 5
_ALIKE = 0.75
_OTHERS = 20


@dataclass(frozen=True)
class Found:
    """A row of the ledger.

    Args:
        by: What of it was asked for: doc_id, key, id or url.
        row: Its columns: key, doc_id, id, disposition, reason, value, threshold, survivor, detail, step, source, path,
            place, language, license, url, characters, bytes, raw_hash.
        others: doc_ids of further rows that the same name finds, at most 20.
    """

    by: str
    row: tuple[Any, ...]
    others: list[str]


def found_row(tables: Tables, wanted: str) -> Found:
    """Return the row of the ledger that is asked for by doc_id, key, id or URL, in this order.

    Raises:
        UserError: if there is none; it names near ones.
    """
    rows = tables.rows(
        f"SELECT {_COLUMNS}, CASE WHEN doc_id = $1 THEN 0 WHEN key = $1 THEN 1 WHEN id = $1 THEN 2 ELSE 3 END AS place"
        " FROM ledger WHERE doc_id = $1 OR key = $1 OR id = $1 OR url = $1 ORDER BY place, key"
        f" LIMIT {_OTHERS + 1}",
        [wanted],
    )
    if not rows and (part := re.fullmatch(r"(.+)#\d{5,}", wanted, re.DOTALL)):
        # A part of a document that `max_characters` cut: the ledger has the whole.
        return found_row(tables, part[1])
    if not rows:
        near = _near(tables, wanted)
        raise UserError(
            f"{tables.folder}: no row with the id, key or URL '{visible(wanted, lines=False)}'",
            "near it: " + ", ".join(visible(name, lines=False) for name in near) if near else "",
        )
    first = rows[0]
    names = ("doc_id", "key", "id", "url")
    others = [row[1] or row[0] for row in rows[1:] if row[1] != first[1]]
    return Found(names[first[-1]], first[:-1], others)


def _near(tables: Tables, wanted: str) -> list[str]:
    """Return doc_ids or URLs that begin with what was asked for, else those that are most alike."""
    if not wanted:
        return []
    found = tables.rows(
        "SELECT DISTINCT name FROM (SELECT unnest([doc_id, key, id, url]) AS name FROM ledger)"
        f" WHERE name IS NOT NULL AND (contains(name, $1) OR contains($1, name)) ORDER BY abs(length(name) - length($1)),"
        f" name LIMIT {_NEAR}",
        [wanted],
    )
    if not found:
        kind = "url" if re.match(r"[a-z][a-z0-9+.-]*://", wanted) else "doc_id"
        found = tables.rows(
            f"SELECT name FROM (SELECT DISTINCT {kind} AS name, jaro_winkler_similarity({kind}, $1) AS near FROM ledger"
            f" WHERE {kind} IS NOT NULL) WHERE near >= {_ALIKE} ORDER BY near DESC, name LIMIT {_NEAR}",
            [wanted],
        )
    return [name for (name,) in found]
