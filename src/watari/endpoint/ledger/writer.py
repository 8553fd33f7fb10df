"""The one thread of a process that writes: it gathers what came in, and commits it in one go.

A commit waits for more rows for `LINGER` at most, or until `GROUP` rows are there; while a commit goes on, the next
group gathers, so groups grow by themselves where the disk is slow. What waits for a row hears of it when it is durable.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from watari.endpoint.ledger.database import Database, Writing
from watari.endpoint.ledger.group import Account, Change, Group, Waiting, Written
from watari.endpoint.ledger.hiding import Secrets
from watari.endpoint.ledger.holders import HEARTBEAT, Holder
from watari.endpoint.ledger.records import Attempt, Verdict
from watari.endpoint.ledger.transaction import write_group
from watari.errors import StageFailed

T = TypeVar("T")

LINGER = 0.04
"""Seconds that a commit waits for more rows; an asker that waits for each answer feels all of it. The bound is 0.1."""

GROUP = 200
_BEAT = 1.0


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
        self._group = Group()
        self._writing = Group()
        self._begin = threading.Event()
        self._now = threading.Event()
        self._closing = False
        self._failure: BaseException | None = None
        self._accounts: dict[str, Account] = {}
        self._thread: threading.Thread | None = None

    def attempt(self, attempt: Attempt, waiting: Waiting) -> None:
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
                group, self._group = self._group, Group()
                self._writing = group
                closing = self._closing
            try:
                self._write(group)
            except BaseException as error:
                with self._lock:
                    self._failure = error
                    rest, self._group = self._group, Group()
                _fail(group, error)
                _fail(rest, error)
                return
            self._writing = Group()
            if closing and not self._group:
                return

    def _write(self, group: Group) -> None:
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
        written = self._database.write(lambda tx: write_group(tx, self._holder, group, bodies, due, accounts))
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

    def _tell(self, group: Group, written: Written) -> None:
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


def _fail(group: Group, error: BaseException) -> None:
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
