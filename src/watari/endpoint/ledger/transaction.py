"""One transaction of the ledger: attempts with their bodies, verdicts, what is set aside, jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from watari.endpoint.ledger.accounts import write_block
from watari.endpoint.ledger.database import Row, Writing, insert
from watari.endpoint.ledger.group import Account, Group, Written
from watari.endpoint.ledger.holders import Holder
from watari.endpoint.ledger.records import NOTHING, Amounts, Attempt, added, taken
from watari.endpoint.ledger.schema import ADD_SPEND, ATTEMPT_COLUMNS, NEW_VERDICT, OR_CHANGED


def write_group(
    tx: Writing,
    holder: Holder,
    group: Group,
    bodies: Sequence[tuple[bytes, bytes, str]],
    due: Sequence[Account],
    accounts: Mapping[str, Account],
) -> Written:
    """Write a group in an open transaction.

    Args:
        tx: The transaction.
        holder: This process.
        group: What is written.
        bodies: Of its attempts, (request, response, detail), without what must not be written.
        due: Accounts that give a sign of life with it.
        accounts: All accounts of this process, by label.
    """
    written = Written()
    if group.attempts:
        _attempts(tx, group, bodies, accounts, written)
    if group.verdicts:
        made = time.time()
        insert(
            tx,
            NEW_VERDICT,
            [
                (one.attempt, one.version, int(one.accepted), orjson.dumps(one.codes).decode(), made)
                for one in group.verdicts.values()
            ],
            OR_CHANGED,
        )
    for account in due:
        written.blocks.setdefault(id(account), (account, account.block))
    for account, block in written.blocks.values():
        write_block(tx, holder, account.label, block, account.in_flight)
    for account, change, _ in group.changes:
        before = written.blocks.get(id(account))
        block, told = change(tx, before[1] if before else account.block)
        # Written at once: the next change, of another label, must see it.
        write_block(tx, holder, account.label, block, account.in_flight)
        written.blocks[id(account)] = (account, block)
        written.changed.append(told)
    written.results = [_outcome(work, tx) for work, _ in group.jobs]
    return written


def _attempts(
    tx: Writing,
    group: Group,
    bodies: Sequence[tuple[bytes, bytes, str]],
    accounts: Mapping[str, Account],
    written: Written,
) -> None:
    written.first = int(tx.run("SELECT coalesce(max(id), 0) + 1 FROM attempt")[0][0])
    rows: list[Row] = []
    sums: dict[str, Amounts] = {}
    for number, ((attempt, _), (_, _, detail)) in enumerate(
        zip(group.attempts, bodies, strict=True), start=written.first
    ):
        amounts = attempt.amounts
        sums[attempt.label] = added(sums.get(attempt.label, NOTHING), amounts)
        rows.append(_row(number, attempt, amounts[0], detail))
    insert(tx, f"INSERT INTO attempt ({ATTEMPT_COLUMNS})", rows)
    insert(
        tx,
        "INSERT INTO body (attempt, request, response)",
        [(written.first + place, body[0], body[1]) for place, body in enumerate(bodies)],
    )
    for label, amounts in sums.items():
        tx.run(ADD_SPEND, (label, *amounts))
        account = accounts.get(label)
        if account is not None and account.block != NOTHING:
            # What was set aside for it is spent now: the sum of both stays.
            written.blocks[id(account)] = (account, taken(account.block, amounts))


def _row(number: int, attempt: Attempt, nano: int, detail: str) -> Row:
    return (
        number,
        attempt.key,
        attempt.unit,
        attempt.label,
        _storable(attempt.row),
        attempt.rung,
        attempt.purpose,
        attempt.endpoint,
        _storable(attempt.model),
        attempt.status,
        attempt.http,
        attempt.prompt_tokens,
        attempt.completion_tokens,
        nano,
        attempt.sent,
        attempt.seconds,
        _storable(attempt.finish_reason),
        _storable(detail),
    )


def _storable(text: str) -> str:
    """Return a text from outside without what a database refuses: half characters, and NUL (PostgreSQL)."""
    if text.isascii():
        return text.replace("\0", "�") if "\0" in text else text
    return text.replace("\0", "�").encode("utf-8", "replace").decode("utf-8")


def _outcome(work: Callable[[Writing], Any], tx: Writing) -> tuple[Any, Exception | None]:
    """Return what a job returns, or the refusal that it raises before it writes."""
    try:
        return work(tx), None
    except ValueError as error:
        return None, error
