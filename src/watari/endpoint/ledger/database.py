"""What a ledger needs of a database; SQLite and PostgreSQL give it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

Row = tuple[Any, ...]
T = TypeVar("T")

_AT_ONCE = (64, 16, 4, 1)


class Writing(Protocol):
    """A transaction that writes. No other process writes at the same time."""

    def run(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one statement (`?` stands for a value), return its rows."""


class Database(Protocol):
    """Where a ledger lies. Reading and writing have a connection each, and may go on at the same time.

    Args:
        place: What it is called in messages; no password in it.
    """

    place: str
    readonly: bool

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return what a statement finds, as of now. Any thread may ask."""

    def write(self, work: Callable[[Writing], T]) -> T:
        """Do `work` in one transaction and return what it returns; durable when this comes back.

        `work` may be done twice, if a connection breaks. Only one thread may write.
        """

    def close(self) -> None:
        """Close both connections."""


def insert(tx: Writing, head: str, rows: Sequence[Row], tail: str = "") -> None:
    """Insert rows of equal width, many with each statement: `head` is `INSERT INTO table (columns)`, `tail` what is to
    be done about a row that is there.

    A statement gives the interpreter's lock away and waits for it again. One each row would make the writer wait for
    the asking thread at every row.
    """
    for sql, part in _parts(head, rows, tail):
        tx.run(sql, [value for row in part for value in row])


def _parts(head: str, rows: Sequence[Row], tail: str) -> Iterator[tuple[str, Sequence[Row]]]:
    start = 0
    while start < len(rows):
        # Few different lengths, so that the prepared statements are found again.
        count = next(size for size in _AT_ONCE if size <= len(rows) - start)
        one = "(" + ", ".join("?" * len(rows[start])) + ")"
        yield f"{head} VALUES {', '.join([one] * count)}{tail}", rows[start : start + count]
        start += count
