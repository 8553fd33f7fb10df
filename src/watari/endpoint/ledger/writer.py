"""The one thread of a process that writes: it gathers what came in, and commits it in one go.

A commit waits for more rows for `LINGER` at most, or until `GROUP` rows are there; while a commit goes on, the next
group gathers, so groups grow by themselves where the disk is slow. What waits for a row hears of it when it is durable.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson

from watari.endpoint.ledger.accounts import write_block
from watari.endpoint.ledger.database import Database, Row, Writing, insert
from watari.endpoint.ledger.hiding import Secrets
from watari.endpoint.ledger.holders import HEARTBEAT, Holder
from watari.endpoint.ledger.records import NOTHING, Amounts, Attempt, Verdict, added, taken
from watari.endpoint.ledger.schema import ADD_SPEND, ATTEMPT_COLUMNS, NEW_VERDICT, OR_CHANGED
from watari.errors import StageFailed

T = TypeVar("T")

LINGER = 0.04
"""Seconds that a commit waits for more rows; an asker that waits for each answer feels all of it. The bound is 0.1."""

GROUP = 200
_BEAT = 1.0

_Waiting = asyncio.Future[int] | None
Change = Callable[[Writing, Amounts], tuple[Amounts, T]]
"""From the block as it is to the block as it shall be, and something to tell the asker."""


@dataclass
class Account:
    """What this process has set aside for one label, and whom to tell when that changes.

    Args:
        label: The stage's name.
        told: Called in `loop` with the block as it is in the ledger now.
        loop: The event loop that asks.
        block: As in the ledger; only the writer changes it.
        in_flight: Requests in flight; for people who look.
        beaten: When this was last written (monotonic).
    """

    label: str
    told: Callable[[Amounts], None]
    loop: asyncio.AbstractEventLoop
    block: Amounts = NOTHING
    in_flight: int = 0
    beaten: float = -1e9


@dataclass
class _Group:
    """What is written in one transaction."""

    attempts: list[tuple[Attempt, _Waiting]] = field(default_factory=list)
    verdicts: dict[tuple[int, str], Verdict] = field(default_factory=dict)
    changes: list[tuple[Account, Change[Any], concurrent.futures.Future[Any]]] = field(default_factory=list)
    jobs: list[tuple[Callable[[Writing], Any], concurrent.futures.Future[Any]]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.attempts or self.verdicts or self.changes or self.jobs)


@dataclass
class _Written:
    """What came of it."""

    first: int = 0
    blocks: dict[int, tuple[Account, Amounts]] = field(default_factory=dict)
    changed: list[Any] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)


class Writer:
    """Writes what it is given, in order, in groups.

    Args:
        database: Where to; its writing side belongs to this thread.
        holder: This process.
        secrets: What must not be written.
    """

    def __init__(self, database: Database, holder: Holder, secrets: Secrets) -> None:
        self._database = database
        self._holder = holder
        self._secrets = secrets
        self._lock = threading.Lock()
        self._group = _Group()
        self._writing = _Group()
        self._begin = threading.Event()
        self._now = threading.Event()
        self._closing = False
        self._failure: BaseException | None = None
        self._accounts: dict[str, Account] = {}
        self._thread: threading.Thread | None = None

    def attempt(self, attempt: Attempt, waiting: _Waiting) -> None:
        """Write an attempt; `waiting` gets its number when it is durable."""
        with self._lock:
            self._open()
            attempts = self._group.attempts
            attempts.append((attempt, waiting))
            count = len(attempts)
        if count >= GROUP:
            self._now.set()
        self._begin.set()

    def verdicts(self, verdicts: Iterable[Verdict]) -> None:
        """Write verdicts, by and by."""
        with self._lock:
            self._open()
            for verdict in verdicts:
                self._group.verdicts[verdict.attempt, verdict.version] = verdict
        self._begin.set()

    def verdict(self, attempt: int, version: str) -> Verdict | None:
        """Return a verdict that is still to be written."""
        found = self._group.verdicts.get((attempt, version))
        return found if found is not None else self._writing.verdicts.get((attempt, version))

    def change(
        self, account: Account, change: Change[T], *, last: bool = False
    ) -> concurrent.futures.Future[T]:
        """Change an account's block in the next transaction; `last`: it is closed by that."""
        future: concurrent.futures.Future[T] = concurrent.futures.Future()
        with self._lock:
            self._open()
            if last:
                if self._accounts.get(account.label) is account:
                    del self._accounts[account.label]
            else:
                self._accounts[account.label] = account
            self._group.changes.append((account, change, future))
        self._now.set()
        self._begin.set()
        return future

    def job(self, work: Callable[[Writing], Any]) -> concurrent.futures.Future[Any]:
        """Do `work` in the next transaction. It may be done twice, if a connection breaks."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        with self._lock:
            self._open()
            self._group.jobs.append((work, future))
        self._now.set()
        self._begin.set()
        return future

    def close(self) -> None:
        """Write what is left and end the thread.

        Raises:
            WatariError: if it could not be written.
        """
        with self._lock:
            self._closing = True
            thread = self._thread
        self._now.set()
        self._begin.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join()
            if self._failure is not None and self._group:
                raise self._failure

    def _open(self) -> None:
        """Refuse what can no longer be written; the first time, begin the thread. Under the lock."""
        if self._failure is not None:
            raise self._failure
        if self._closing:
            raise StageFailed(f"{self._database.place}: the ledger is closed")
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="ledger", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while True:
            if self._begin.wait(HEARTBEAT):
                self._now.wait(LINGER)
            with self._lock:
                self._begin.clear()
                self._now.clear()
                group, self._group = self._group, _Group()
                self._writing = group
                closing = self._closing
            try:
                self._write(group)
            except BaseException as error:
                with self._lock:
                    self._failure = error
                    rest, self._group = self._group, _Group()
                _fail(group, error)
                _fail(rest, error)
                return
            self._writing = _Group()
            if closing and not self._group:
                return

    def _write(self, group: _Group) -> None:
        now = time.monotonic()
        with self._lock:
            accounts = dict(self._accounts)
        # An account that was opened or closed with this group already counts: its change comes after the attempts.
        for account, _, _ in group.changes:
            accounts.setdefault(account.label, account)
        due = [
            account
            for account in accounts.values()
            if now - account.beaten > (_BEAT if group else HEARTBEAT * 0.9)
        ]
        if not group and not due:
            return
        bodies = [self._cleaned(attempt) for attempt, _ in group.attempts]
        written = self._database.write(lambda tx: self._transaction(tx, group, bodies, due, accounts))
        for account in due:
            account.beaten = now
        self._tell(group, written)

    def _cleaned(self, attempt: Attempt) -> tuple[bytes, bytes, str]:
        clean = self._secrets
        return (
            clean.clean(attempt.request),
            clean.clean(attempt.response),
            clean.clean_text(attempt.detail),
        )

    def _transaction(
        self,
        tx: Writing,
        group: _Group,
        bodies: Sequence[tuple[bytes, bytes, str]],
        due: Sequence[Account],
        accounts: Mapping[str, Account],
    ) -> _Written:
        written = _Written()
        if group.attempts:
            self._attempts(tx, group, bodies, accounts, written)
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
            write_block(tx, self._holder, account.label, block, account.in_flight)
        for account, change, _ in group.changes:
            before = written.blocks.get(id(account))
            block, told = change(tx, before[1] if before else account.block)
            # Written at once: the next change, of another label, must see it.
            write_block(tx, self._holder, account.label, block, account.in_flight)
            written.blocks[id(account)] = (account, block)
            written.changed.append(told)
        written.results = [_outcome(work, tx) for work, _ in group.jobs]
        return written

    def _attempts(
        self,
        tx: Writing,
        group: _Group,
        bodies: Sequence[tuple[bytes, bytes, str]],
        accounts: Mapping[str, Account],
        written: _Written,
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

    def _tell(self, group: _Group, written: _Written) -> None:
        """Tell everybody who waits; accounts first, so that who settles a hold finds its account up to date."""
        for account, block in written.blocks.values():
            account.block = block
            _soon(account.loop, account.told, block)
        loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[int], int]]] = {}
        for number, (_, waiting) in enumerate(group.attempts, start=written.first):
            if waiting is not None:
                loops.setdefault(waiting.get_loop(), []).append((waiting, number))
        for loop, pairs in loops.items():
            _soon(loop, _resolve, pairs)
        for (_, _, asked), told in zip(group.changes, written.changed, strict=True):
            _settle(asked, told)
        for (_, future), (result, error) in zip(group.jobs, written.results, strict=True):
            _settle(future, result, error)


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


def _resolve(pairs: Iterable[tuple[asyncio.Future[int], int]]) -> None:
    for waiting, number in pairs:
        if not waiting.done():
            waiting.set_result(number)


def _refuse(waiting: Iterable[asyncio.Future[int]], error: BaseException) -> None:
    for one in waiting:
        if not one.done():
            one.set_exception(error)


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *values: Any) -> None:
    try:
        loop.call_soon_threadsafe(call, *values)
    except RuntimeError:
        # The loop is closed: nobody waits any more.
        return


def _fail(group: _Group, error: BaseException) -> None:
    loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[int]]] = {}
    for _, waiting in group.attempts:
        if waiting is not None:
            loops.setdefault(waiting.get_loop(), []).append(waiting)
    for loop, futures in loops.items():
        _soon(loop, _refuse, futures, error)
    for future in (*(change[2] for change in group.changes), *(job[1] for job in group.jobs)):
        _settle(future, None, error)


def _settle(future: concurrent.futures.Future[Any], result: Any, error: BaseException | None = None) -> None:
    """Tell an asker, unless it has gone: a task that is cancelled takes its future with it, at any moment."""
    with suppress(concurrent.futures.InvalidStateError):
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
