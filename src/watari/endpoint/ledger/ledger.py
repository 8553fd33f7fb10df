"""The ledger as the rest of the house sees it."""

from __future__ import annotations

import asyncio
import atexit
import weakref
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import orjson

from watari.endpoint.ledger import retrying
from watari.endpoint.ledger.accounts import HELD, RUN, SPENT, Held, held, spent
from watari.endpoint.ledger.database import Database, Row, Writing
from watari.endpoint.ledger.hiding import Secrets
from watari.endpoint.ledger.holders import Holder, this_process
from watari.endpoint.ledger.records import (
    NANO,
    NOTHING,
    Amounts,
    Attempt,
    Failure,
    Recorded,
    Spend,
    Verdict,
    added,
)
from watari.endpoint.ledger.schema import FAILURE, FIND
from watari.endpoint.ledger.writer import Writer
from watari.errors import UserError

T = TypeVar("T")


class Till(Protocol):
    """What the purses of a label share (`watari.endpoint.budget`)."""

    def abandon(self) -> object:
        """Give back what is not held."""


class Ledger:
    """Every question and answer of a run. Made by `open_ledger`.

    Args:
        database: Where it lies.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holder = this_process()
        self._secrets = Secrets()
        self._writer = Writer(database, self._holder, self._secrets)
        self._generations: dict[str, int] = dict(database.rows("SELECT unit, generation FROM unit"))
        self.tills: dict[str, Till] = {}
        """Of `watari.endpoint.budget`: what the purses of a label in this process share."""
        self._closed = False
        # Who forgets to close still loses nothing that was handed over.
        self._forgotten = _close_at_exit(self)

    @property
    def place(self) -> str:
        """Where it lies, for messages."""
        return self._database.place

    @property
    def readonly(self) -> bool:
        """True if nothing can be written."""
        return self._database.readonly

    @property
    def holder(self) -> Holder:
        """This process, as the ledger knows it."""
        return self._holder

    def hide(self, *secrets: str) -> None:
        """Write none of these, wherever a server repeats them; what is shorter than 8 characters is no secret."""
        self._secrets.add(*secrets)

    def clean(self, data: bytes) -> bytes:
        """Return bytes as they will be written: without what `hide` was given."""
        return self._secrets.clean(data)

    def clean_text(self, text: str) -> str:
        """Return a text as it will be written: without what `hide` was given."""
        return self._secrets.clean_text(text)

    def find(self, key: str) -> Recorded | None:
        """Return the newest answer to a question that is on record and was not asked to be asked again."""
        found = self._database.rows(FIND, (key,))
        if not found:
            return None
        number, response, model, prompt, completion, nano, seconds = found[0]
        return Recorded(number, response, model, prompt, completion, nano / NANO, seconds)

    def failure(self, key: str) -> Failure | None:
        """Return the last attempt at a question that has no answer on record, whatever its status; None: never sent."""
        found = self._database.rows(FAILURE, (key,))
        return Failure(*found[0]) if found and found[0][1] != "answered" else None

    async def record(self, attempt: Attempt) -> int:
        """Write an attempt and return its number, once it is durable.

        Raises:
            UserError, StageFailed: if it cannot be written (read-only, the disk is full, ...).
        """
        waiting: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._check_writable()
        self._writer.attempt(attempt, waiting)
        return await waiting

    def record_all(self, attempts: Sequence[Attempt]) -> None:
        """Write attempts and come back once they are durable; for callers without an event loop.

        Raises:
            UserError, StageFailed: as `record` does.
        """
        self._check_writable()
        for attempt in attempts:
            self._writer.attempt(attempt, None)
        self.flush()

    def judge(self, verdicts: Iterable[Verdict]) -> None:
        """Write verdicts, within a tenth of a second or so. A version's verdict on an answer replaces its last one."""
        self._check_writable()
        self._writer.verdicts(verdicts)

    def verdict_of(self, attempt: int, version: str) -> Verdict | None:
        """Return what this version of the checks said of an answer."""
        waiting = self._writer.verdict(attempt, version)
        if waiting is not None:
            return waiting
        found = self._database.rows(
            "SELECT accepted, codes FROM verdict WHERE attempt = ? AND version = ?", (attempt, version)
        )
        if not found:
            return None
        return Verdict(attempt, version, bool(found[0][0]), tuple(orjson.loads(found[0][1])))

    def generation(self, unit: str) -> int:
        """Return how often it was asked to ask this unit again (`retry`), as of opening."""
        return self._generations.get(unit, 0)

    def retry(self, *, check: str | None = None, status: str | None = None, label: str | None = None) -> int:
        """Have units asked again by the next run, and return how many. Their answers stay on record, but are not used.

        Args:
            check: Units whose last judged answer has this code, hard or warn.
            status: Units whose last attempt ended so.
            label: Only units of this stage; given alone, all of them.

        Raises:
            UserError: if nothing says which units.
        """
        self._check_writable()
        if check is None and status is None and label is None:
            raise UserError("retry: which units?", "give --check CODE, --status WORD or --label STAGE")
        self.flush()
        count: int = self.transact(lambda tx: retrying.retry(tx, check, status, label))
        self._generations = dict(self.rows("SELECT unit, generation FROM unit"))
        return count

    def spent(self, label: str | None = None) -> Spend:
        """Return what is on record as spent (by a stage, or by all), with what dead processes had in flight."""
        return Spend.of(added(self.recorded(label), self.lost(label)))

    def recorded(self, label: str | None = None) -> Amounts:
        """Return the sum of all attempts."""
        return spent(self.rows(SPENT), label or RUN)

    def lost(self, label: str | None = None) -> Amounts:
        """Return what processes that died had set aside: it may have been spent, and counts as spent."""
        result = NOTHING
        for one in self.held():
            if not one.alive and label in (None, RUN, one.label):
                result = added(result, one.amounts)
        return result

    def held(self) -> list[Held]:
        """Return what every process has set aside."""
        return held(self.rows(HELD))

    def flush(self) -> None:
        """Come back when everything handed over so far is durable."""
        self.transact(lambda tx: None)

    def transact(self, work: Callable[[Writing], T]) -> T:
        """Do `work` in the writer's next transaction, after what was handed over, and return what it returns."""
        self._check_writable()
        result: T = self._writer.job(work).result()
        return result

    async def transact_soon(self, work: Callable[[Writing], T]) -> T:
        """Do the same without stopping the event loop."""
        self._check_writable()
        result: T = await asyncio.wrap_future(self._writer.job(work))
        return result

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return what a SELECT finds; `?` stands for a value."""
        return self._database.rows(sql, values)

    @property
    def writer(self) -> Writer:
        """For `watari.endpoint.budget`."""
        self._check_writable()
        return self._writer

    def close(self) -> None:
        """Write what is left and close. Twice is once.

        Raises:
            UserError, StageFailed: if it cannot be written.
        """
        if self._closed:
            return
        self._closed = True
        self._forgotten()
        try:
            for till in self.tills.values():
                till.abandon()
            self._writer.close()
        finally:
            self._database.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_writable(self) -> None:
        if self._database.readonly:
            raise UserError(f"{self.place}: is open for reading only")


def _close_at_exit(ledger: Ledger) -> Callable[[], None]:
    """Close it when the interpreter ends; return what calls this off."""
    weak = weakref.ref(ledger)

    def close() -> None:
        found = weak()
        if found is not None:
            found.close()

    atexit.register(close)
    return lambda: atexit.unregister(close)
