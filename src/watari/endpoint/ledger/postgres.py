"""A ledger in a PostgreSQL base, for runs on several machines; in its own schema, `watari_ledger`.

Writers take turns through one lock of the base, as they do in SQLite: so attempts are numbered in the order in which they
became durable, and a budget is never granted twice. A connection that breaks is made again, for a minute; whether a
transaction that was being committed then is there is asked of the server, so that nothing is written twice.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from watari.endpoint.ledger.database import Row
from watari.endpoint.ledger.schema import SCHEMA, TABLES
from watari.endpoint.ledger.sqlite import check_version
from watari.errors import StageFailed, UserError

if TYPE_CHECKING:
    import psycopg

T = TypeVar("T")

_LOCK = 0x77746C67
_NAME = "watari_ledger"
_PATIENCE = 60.0
"""Seconds to go on trying when the server is gone."""


class PostgresDatabase:
    """A ledger in a base.

    Args:
        address: `postgresql://user@host:port/base`, without a password.
        readonly: Nothing is made or written.

    Raises:
        UserError: if psycopg is missing, the base cannot be used, or holds another form of ledger.
        StageFailed: if the server does not answer.
    """

    def __init__(self, address: str, *, readonly: bool = False) -> None:
        try:
            import psycopg
        except ImportError:
            raise UserError(
                f"{address}: a ledger in PostgreSQL needs psycopg", "pip install 'watari[postgres]'"
            ) from None
        self._psycopg = psycopg
        self._address = address
        self.place = address
        self.readonly = readonly
        self._lock = threading.Lock()
        self._reading = self._connect()
        self._writing: psycopg.Connection[Row] | None = None
        try:
            if readonly:
                self._check()
                return
            self._writing = self._connect()
            self._prepare(self._writing)
            self._check()
        except BaseException:
            self.close()
            raise

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Return what a statement finds, as of now."""
        with self._lock:
            try:
                return self._found(self._reading, sql, values)
            except (self._psycopg.OperationalError, self._psycopg.InterfaceError):
                self._reading = self._again(self._reading)
                return self._found(self._reading, sql, values)

    def run(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """Run one statement of the transaction that is open."""
        assert self._writing is not None
        return self._found(self._writing, sql, values)

    def write(self, work: Callable[[PostgresDatabase], T]) -> T:
        """Do `work` in one transaction."""
        if self._writing is None:
            raise UserError(f"{self.place}: is open for reading only")
        while True:
            number, done = 0, []
            try:
                with self._writing.transaction():
                    self.run("SELECT pg_advisory_xact_lock(?)", (_LOCK,))
                    number = int(self.run("SELECT txid_current()")[0][0])
                    done = [work(self)]
                return done[0]
            except (self._psycopg.OperationalError, self._psycopg.InterfaceError) as error:
                if isinstance(error, self._psycopg.errors.DiskFull):
                    raise self._failed(error) from None
                self._writing = self._again(self._writing)
                if done and self._committed(number):
                    return done[0]
            except self._psycopg.errors.InsufficientPrivilege as error:
                raise UserError(
                    f"{self.place}: may not be written: {_line(error)}", "ask for the rights"
                ) from None
            except self._psycopg.Error as error:
                raise self._failed(error) from None

    def close(self) -> None:
        """Close both connections."""
        self._reading.close()
        if self._writing is not None:
            self._writing.close()

    def _found(self, connection: psycopg.Connection[Row], sql: str, values: Sequence[Any]) -> list[Row]:
        cursor = connection.execute(_theirs(sql), values, binary=True)
        return cursor.fetchall() if cursor.description is not None else []

    def _connect(self) -> psycopg.Connection[Row]:
        try:
            connection: psycopg.Connection[Row] = self._psycopg.connect(
                self._address, autocommit=True, connect_timeout=10, options=f"-c search_path={_NAME}"
            )
        except self._psycopg.Error as error:
            raise UserError(
                f"{self.place}: cannot be reached: {_line(error)}",
                "check the address, and PGPASSWORD or ~/.pgpass",
            ) from None
        connection.prepare_threshold = 2
        return connection

    def _again(self, broken: psycopg.Connection[Row]) -> psycopg.Connection[Row]:
        broken.close()
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._connect()
            except UserError as error:
                if time.monotonic() > until:
                    raise StageFailed(
                        error.message,
                        "when the server is there again, run the same command: nothing recorded is lost",
                    ) from None
            time.sleep(0.5)

    def _committed(self, number: int) -> bool:
        """Return whether a transaction whose commit was not answered is there."""
        while True:
            status = self.run("SELECT txid_status(?::bigint)", (number,))[0][0]
            if status != "in progress":
                return bool(status == "committed")
            time.sleep(0.2)

    def _prepare(self, connection: psycopg.Connection[Row]) -> None:
        try:
            with connection.transaction():
                self.run("SELECT pg_advisory_xact_lock(?)", (_LOCK,))
                if self.run("SELECT 1 FROM pg_namespace WHERE nspname = ?", (_NAME,)):
                    return
                self.run(f"CREATE SCHEMA {_NAME}")
                for statement in TABLES:
                    self.run(_typed(statement))
                self.run("INSERT INTO ledger VALUES ('schema', ?)", (str(SCHEMA),))
        except self._psycopg.Error as error:
            raise UserError(f"{self.place}: no ledger can be made there: {_line(error)}") from None

    def _check(self) -> None:
        try:
            found = self.rows("SELECT value FROM ledger WHERE name = 'schema'")
        except self._psycopg.Error as error:
            if isinstance(error, self._psycopg.errors.UndefinedTable):
                raise UserError(f"{self.place}: no ledger is there") from None
            raise self._failed(error) from None
        check_version(found[0][0] if found else "", self.place)

    def _failed(self, error: Exception) -> StageFailed:
        return StageFailed(
            f"{self.place}: {_line(error)}", "what was recorded is safe; run the same command again"
        )


@lru_cache(maxsize=512)
def _theirs(sql: str) -> Any:
    """Return a statement with PostgreSQL's sign for a value."""
    return sql.replace("%", "%%").replace("?", "%s")


def _typed(sql: str) -> str:
    return sql.replace("INTEGER", "BIGINT").replace("BLOB", "BYTEA").replace(" REAL", " DOUBLE PRECISION")


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
