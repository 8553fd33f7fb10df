"""The tables of a finished build, asked by DuckDB: streamed from the files, in bounded memory, spilling to disk."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watari.corpus.report.record import BuildRecord, read_record
from watari.errors import UserError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY = "512MB"
THREADS = 2

_TEXT, _FLOAT, _BIG, _HASH = "VARCHAR", "DOUBLE", "BIGINT", "UBIGINT"
_COLUMNS: dict[str, dict[str, str]] = {
    "ledger": {
        **dict.fromkeys(("doc_id", "id", "key", "disposition", "reason"), _TEXT),
        **dict.fromkeys(("value", "threshold"), _FLOAT),
        **dict.fromkeys(
            ("survivor", "detail", "step", "source", "path", "place", "language", "license", "url"), _TEXT
        ),
        "characters": _BIG,
        "bytes": _BIG,
        "raw_hash": _HASH,
    },
    "documents": {
        **dict.fromkeys(
            ("id", "text", "source", "language", "license", "url", "date", "meta", "masked"), _TEXT
        ),
        "cluster_size": "INTEGER",
        "copies": "INTEGER",
        "raw_hash": _HASH,
    },
    "dropped": {"key": _TEXT, "reason": _TEXT, "text": _TEXT},
    "measured": {"key": _TEXT, "doc_id": _TEXT, "kept": "BOOLEAN", "reason": _TEXT},
}
"""What is asked of each table; a column that its files lack is null."""

HOST = "regexp_extract(lower(url), '^[a-z][a-z0-9+.-]*://([^/?#@]*@)?([^/:?#]+)', 2)"
"""SQL: the host of a row's URL; empty where it has none."""

LATER_PART = "(regexp_matches(id, '#[0-9]{5,}$') AND NOT ends_with(id, '#00001') AND contains(coalesce(meta, ''), '\"parent\"'))"
"""SQL: true for every part but the first of a document that was cut; its parts are `<doc_id>#00001`, …."""


@dataclass(frozen=True)
class Tables:
    """A build's tables: `ledger`, `documents`, `dropped`, `measured`, each a view over its files.

    Args:
        folder: The build.
        record: Its `corpus.json`.
        connection: To DuckDB.
        measures: Columns of `measured` that hold a rule's values.
    """

    folder: Path
    record: BuildRecord
    connection: DuckDBPyConnection
    measures: tuple[str, ...]

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return what a query gives; ask for few rows."""
        import duckdb

        try:
            return self.connection.execute(sql, list(values)).fetchall()
        except duckdb.Error as error:
            raise UserError(
                f"{self.folder}: the tables cannot be read: {str(error).splitlines()[0]}", "build it again"
            ) from error

    def batches(self, sql: str, *, size: int = 65536) -> Iterator[list[tuple[Any, ...]]]:
        """Yield what a query gives in parts of about `size` rows; streamed, so that it may give many."""
        with self.connection.cursor() as cursor:
            for batch in cursor.sql(sql).to_arrow_reader(size):
                yield list(zip(*(column.to_pylist() for column in batch.columns), strict=True))


@contextmanager
def opened(folder: Path, *, memory: str = MEMORY, threads: int = THREADS) -> Iterator[Tables]:
    """Open the tables of a finished build.

    Args:
        folder: What `corpus.build` wrote.
        memory: What DuckDB may hold, as it writes it (`512MB`); joins and sorts beyond it spill to a temporary folder.
        threads: Of DuckDB. Sums are over integers, so their number changes nothing.

    Raises:
        UserError: if that is no finished build, or DuckDB is missing.
    """
    try:
        import duckdb
    except ImportError:
        raise UserError("the report of a corpus needs DuckDB", "pip install duckdb") from None
    record = read_record(folder)
    if not any((folder / "ledger").glob("*.parquet")):
        raise UserError(
            f"{folder}: no ledger/*.parquet: this is no finished corpus", "name the folder of a build"
        )
    with tempfile.TemporaryDirectory(prefix="watari-report-") as temporary:
        # A link, since a folder's own name may hold characters that mean something in a pattern of files.
        (Path(temporary) / "build").symlink_to(folder.resolve(), target_is_directory=True)
        settings: dict[str, Any] = {
            "memory_limit": memory,
            "threads": threads,
            "temp_directory": f"{temporary}/spill",
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        connection = duckdb.connect(":memory:", config=settings)
        try:
            measures: tuple[str, ...] = ()
            for name, columns in _COLUMNS.items():
                found = _view(connection, folder, Path(temporary) / "build", name, columns)
                if name == "measured":
                    measures = tuple(column for column in found if column not in columns)
            yield Tables(folder, record, connection, measures)
        except duckdb.Error as error:
            raise UserError(
                f"{folder}: the tables cannot be read: {str(error).splitlines()[0]}", "build it again"
            ) from error
        finally:
            connection.close()


def _view(
    connection: DuckDBPyConnection, folder: Path, linked: Path, name: str, columns: dict[str, str]
) -> list[str]:
    """Make the view of one table, and return the columns that its files have."""
    found: list[str] = []
    source = "(SELECT 1 WHERE false)"
    if any((folder / name).glob("*.parquet")):
        files = str(linked / name / "*.parquet").replace("'", "''")
        source = f"read_parquet('{files}', union_by_name = true)"
        found = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()]
    parts = [
        f"{quoted(column)}::{kind} AS {quoted(column)}"
        if column in found
        else f"NULL::{kind} AS {quoted(column)}"
        for column, kind in columns.items()
    ]
    if name == "measured":
        parts += [
            f"{quoted(column)}::DOUBLE AS {quoted(column)}" for column in found if column not in columns
        ]
    # A table of its own for the sample: the statistics of a parquet file do not tell of NaN, and DuckDB 2.0 takes
    # `isnan` and comparisons as settled by them.
    kind = "TEMP TABLE" if name == "measured" else "VIEW"
    connection.execute(f"CREATE {kind} {name} AS SELECT {', '.join(parts)} FROM {source}")
    return found


def quoted(name: str) -> str:
    """Return a column's name as SQL."""
    return '"' + name.replace('"', '""') + '"'


def keyed(stage_draw: int) -> str:
    """Return SQL that orders rows by a draw on their `key`: the key is a hash itself, so it is only turned."""
    return f"xor(('0x' || left(key, 16))::UBIGINT, {stage_draw}::UBIGINT), key"
