"""`watari ledger retry`: units that the next run shall ask again."""

from __future__ import annotations

import orjson

from watari.endpoint.ledger.database import Writing, insert

_JUDGED = (
    "SELECT unit, codes FROM (SELECT a.unit, v.codes, row_number() OVER"
    " (PARTITION BY a.unit, a.label ORDER BY a.id DESC, v.made DESC, v.version DESC) AS place"
    " FROM attempt a JOIN verdict v ON v.attempt = a.id WHERE a.voided = 0 AND (? = '' OR a.label = ?)) AS last"
    " WHERE place = 1 AND codes LIKE ?"
)
_ENDED = (
    "SELECT unit FROM (SELECT unit, status, row_number() OVER (PARTITION BY unit, label ORDER BY id DESC) AS place"
    " FROM attempt WHERE voided = 0 AND (? = '' OR label = ?)) AS last WHERE place = 1 AND status = ?"
)
_ALL = "SELECT DISTINCT unit FROM attempt WHERE voided = 0 AND label = ?"


def retry(tx: Writing, check: str | None, status: str | None, label: str | None) -> int:
    """Count up the generation of the units that all of these name, void their attempts, return how many units."""
    named = label or ""
    found: set[str] | None = None
    if check is not None:
        rows = tx.run(_JUDGED, (named, named, f'%"{check}"%'))
        found = {unit for unit, codes in rows if check in orjson.loads(codes)}
    if status is not None:
        units = {row[0] for row in tx.run(_ENDED, (named, named, status))}
        found = units if found is None else found & units
    if found is None:
        found = {row[0] for row in tx.run(_ALL, (named,))}
    if not found:
        return 0
    tx.run("CREATE TEMPORARY TABLE asked_again (unit TEXT PRIMARY KEY)")
    insert(tx, "INSERT INTO asked_again (unit)", [(unit,) for unit in sorted(found)])
    tx.run(
        "INSERT INTO unit (unit, generation) SELECT unit, 1 FROM asked_again WHERE true"
        " ON CONFLICT (unit) DO UPDATE SET generation = unit.generation + 1"
    )
    tx.run(
        "UPDATE attempt SET voided = 1 WHERE voided = 0 AND (? = '' OR label = ?)"
        " AND unit IN (SELECT unit FROM asked_again)",
        (named, named),
    )
    tx.run("DROP TABLE asked_again")
    return len(found)
