"""What the ledger remembers of batches, so that a run that was killed attaches to its batch instead of paying again.

A batch is written down before its file is uploaded (`collected`), when the file is there (`uploaded`), when the provider
has made it (`created`), and when everything in it is read and recorded (`read`). What never came to be is `abandoned`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from watari.endpoint.ledger.database import Writing, insert
from watari.endpoint.ledger.holders import alive
from watari.endpoint.ledger.ledger import Ledger
from watari.endpoint.ledger.records import Amounts


@dataclass(frozen=True, slots=True)
class Line:
    """A question in a batch: what an attempt at it is recorded under."""

    key: str
    unit: str
    row: str
    rung: int
    purpose: str
    request: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A batch that was begun and not read.

    Args:
        token: Our name for it.
        batch_id: The provider's; "": not known.
        holder: Who began it.
        amounts: What was set aside for it.
        made: Unix time.
    """

    token: str
    batch_id: str
    holder: str
    amounts: Amounts
    made: float


async def begin(
    ledger: Ledger,
    token: str,
    label: str,
    endpoint: str,
    base_url: str,
    lines: Sequence[Line],
    amounts: Amounts,
) -> None:
    """Write down a batch that is going to be made."""
    now = time.time()

    def work(tx: Writing) -> None:
        tx.run(
            "INSERT INTO batch (token, label, endpoint, base_url, state, file_id, batch_id, requests, holder, nano,"
            " tokens, made, changed, detail) VALUES (?, ?, ?, ?, 'collected', '', '', ?, ?, ?, ?, ?, ?, '')"
            " ON CONFLICT (token) DO NOTHING",
            (
                token,
                label,
                endpoint,
                base_url,
                len(lines),
                ledger.holder.name,
                amounts[0],
                amounts[1],
                now,
                now,
            ),
        )
        insert(
            tx,
            "INSERT INTO batch_key (token, key, unit, row_id, rung, purpose, request)",
            [(token, line.key, line.unit, line.row, line.rung, line.purpose, line.request) for line in lines],
            " ON CONFLICT (token, key) DO NOTHING",
        )

    await ledger.transact_soon(work)


async def note(
    ledger: Ledger, token: str, state: str, *, file_id: str = "", batch_id: str = "", detail: str = ""
) -> None:
    """Write down how far a batch is."""
    await ledger.transact_soon(
        lambda tx: tx.run(
            "UPDATE batch SET state = ?, file_id = CASE WHEN ? = '' THEN file_id ELSE ? END,"
            " batch_id = CASE WHEN ? = '' THEN batch_id ELSE ? END, detail = ?, changed = ? WHERE token = ?",
            (state, file_id, file_id, batch_id, batch_id, detail, time.time(), token),
        )
    )


async def hand_over(ledger: Ledger, token: str, holder: str) -> None:
    """Write down who answers for what is set aside for a batch now."""
    await ledger.transact_soon(
        lambda tx: tx.run("UPDATE batch SET holder = ? WHERE token = ?", (holder, token))
    )


def unread(ledger: Ledger, label: str, base_url: str, endpoint: str) -> list[Note]:
    """Return the batches of this stage and endpoint that a process which is gone has left unread."""
    found = []
    for token, batch_id, holder, nano, tokens, requests, made in ledger.rows(
        "SELECT token, batch_id, holder, nano, tokens, requests, made FROM batch WHERE label = ? AND base_url = ?"
        " AND endpoint = ? AND state IN ('collected', 'uploaded', 'created') ORDER BY made, token",
        (label, base_url, endpoint),
    ):
        lives = ledger.rows(
            "SELECT host, pid, started, beat FROM hold WHERE holder = ? AND label = ?", (holder, label)
        )
        if not lives or not alive(*lives[0]):
            found.append(Note(token, batch_id, holder, (nano, tokens, requests), made))
    return found


def lines_of(ledger: Ledger, token: str) -> list[Line]:
    """Return the questions of a batch."""
    return [
        Line(key, unit, row, rung, purpose, bytes(request))
        for key, unit, row, rung, purpose, request in ledger.rows(
            "SELECT key, unit, row_id, rung, purpose, request FROM batch_key WHERE token = ? ORDER BY key",
            (token,),
        )
    ]
