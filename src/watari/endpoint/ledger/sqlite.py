"""A ledger in an SQLite file: write-ahead log, one writer at a time, readers never wait."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from watari.endpoint.ledger.database import Row
from watari.endpoint.ledger.schema import SCHEMA, TABLES
from watari.errors import StageFailed, UserError

T = TypeVar("T")

_APPLICATION = 0x77746C67
"""In the file's header: what tells a ledger from the SQLite files of other programs."""

_PATIENCE = 60.0
"""Seconds to wait for another process that writes."""

_MAGIC = b"SQLite format 3\x00"


class SqliteDatabase:
    """A ledger in one file.

    Args:
        path: The file; made, with its folders, if it is not there and `readonly` is not set.
        readonly: Nothing is written, not even where nothing is there yet.

    Raises:
        UserError: if the file is no ledger, or cannot be read or written.
        StageFailed: if the disk is full or fails.
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.place = str(path)
        self.readonly = readonly
        self._lock = threading.Lock()
        self._writing: sqlite3.Connection | None = None
        with self._told():
            _check(path)
            if readonly:
                self._reading = _read_only(path)
                _check_schema(self._reading, path)
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writing = _connect(path)
            try:
                _prepare(self._writing, path)
                self._reading = _connect(path)
            except BaseException:
                self._writing.close()
                raise
            self._reading.execute("PRAGMA query_only = 1")

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return what a statement finds, as of now."""
        with self._told(), self._lock:
            return self._reading.execute(sql, values).fetchall()

    def run(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one statement of the transaction that is open."""
        assert self._writing is not None
        return self._writing.execute(sql, values).fetchall()

    def write(self, work: Callable[[SqliteDatabase], T]) -> T:
        """Do `work` in one transaction."""
        if self._writing is None:
            raise UserError(f"{self.place}: is open for reading only")
        with self._told():
            self._writing.execute("BEGIN IMMEDIATE")
            try:
                result = work(self)
                self._writing.execute("COMMIT")
            except BaseException:
                # A full disk has rolled back by itself.
                if self._writing.in_transaction:
                    self._writing.execute("ROLLBACK")
                raise
            return result

    def close(self) -> None:
        """Close both connections; the last one of all processes moves the log into the file."""
        with self._lock:
            self._reading.close()
        if self._writing is not None:
            self._writing.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise told(error, self.place) from None
        except OSError as error:
            raise UserError(
                f"{self.place}: cannot be used: {error.strerror}", "give another place for the ledger"
            ) from None


def told(error: sqlite3.Error, place: str) -> UserError | StageFailed:
    """Return what an error of SQLite means, in words."""
    said = str(error)
    again = "what was recorded is safe; run the same command again"
    if "disk is full" in said:
        return StageFailed(f"{place}: the disk is full", f"free some space; {again}")
    if "locked" in said:
        return StageFailed(f"{place}: another process has held the ledger for {_PATIENCE:.0f} s", again)
    if "readonly" in said or "read-only" in said:
        return UserError(
            f"{place}: cannot be written: it is read-only", "give it, and its folder, write access"
        )
    if "unable to open" in said:
        return UserError(
            f"{place}: cannot be opened", "check its path and its access rights, of the folder too"
        )
    if "malformed" in said or "not a database" in said or "corrupt" in said:
        return UserError(
            f"{place}: is damaged ({said})",
            "put it aside and save what can be read: sqlite3 DAMAGED '.recover' | sqlite3 ledger.sqlite",
        )
    if "disk I/O" in said:
        return StageFailed(f"{place}: the disk does not answer as it should ({said})", again)
    return StageFailed(f"{place}: {said}", again)


def _check(path: Path) -> None:
    if path.is_dir():
        raise UserError(f"{path}: is a folder, not a ledger")
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as handle:
            head = handle.read(100)
        if not head.startswith(_MAGIC):
            raise UserError(f"{path}: is not a ledger (no SQLite file)", "give another place for the ledger")
        if int.from_bytes(head[68:72], "big") not in (0, _APPLICATION):
            raise _foreign(path)


def _foreign(path: Path) -> UserError:
    return UserError(
        f"{path}: is an SQLite file of another program, not a ledger", "give another place for the ledger"
    )


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    # FULL: a commit is on the disk, not only with the kernel. It cost 7 % (facts/synthetic.md).
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _read_only(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise UserError(f"{path}: no ledger is there")
    # SQLite shares memory between readers and writers through a file beside the ledger. Where that can be neither
    # found nor made, the ledger can only be read as a file that nobody writes.
    shared = Path(f"{path}-shm")
    alone = not shared.exists() and not os.access(path.parent, os.W_OK)
    if alone and Path(f"{path}-wal").exists():
        raise UserError(
            f"{path}: the folder is read-only and the ledger was not closed", "copy the folder elsewhere"
        )
    how = "immutable=1" if alone else "mode=ro"
    uri = f"{path.absolute().as_uri()}?{how}"
    connection = sqlite3.connect(
        uri, uri=True, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables where they are not, and make sure that they are ours."""
    _patiently(lambda: connection.execute("PRAGMA journal_mode = WAL"))
    connection.execute("BEGIN IMMEDIATE")
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != _APPLICATION:
            if tables:
                raise _foreign(path)
            for statement in TABLES:
                connection.execute(statement)
            connection.execute("INSERT INTO ledger VALUES ('schema', ?)", (str(SCHEMA),))
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    _check_schema(connection, path)


def _patiently(step: Callable[[], object]) -> None:
    """Do a step that SQLite refuses at once, without waiting, while another process does the same."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            step()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application != _APPLICATION:
            raise _foreign(path) if path.stat().st_size else UserError(f"{path}: is empty, no ledger yet")
        found = connection.execute("SELECT value FROM ledger WHERE name = 'schema'").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            raise _foreign(path) from None
        raise
    check_version(found[0] if found else "", str(path))


def check_version(found: str, place: str) -> None:
    """Refuse tables of another version.

    Raises:
        UserError: saying whose they are.
    """
    if found == str(SCHEMA):
        return
    if found.isdigit() and int(found) > SCHEMA:
        raise UserError(f"{place}: is a ledger of a newer watari (form {found})", "use that version")
    raise UserError(f"{place}: is a ledger of an unknown form ({found or 'none given'})")
