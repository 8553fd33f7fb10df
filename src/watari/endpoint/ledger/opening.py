"""Finding and opening a ledger: a file, a folder, or a PostgreSQL base by its address."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from watari.endpoint.ledger.database import Database
from watari.endpoint.ledger.ledger import Ledger
from watari.endpoint.ledger.sqlite import SqliteDatabase
from watari.errors import UserError

LEDGER_FILE = "ledger.sqlite"

_ADDRESSES = ("postgresql://", "postgres://")


def open_ledger(location: str | Path, *, readonly: bool = False) -> Ledger:
    """Open a ledger, and make it if it is not there.

    Args:
        location: A file, a folder (then it is `ledger.sqlite` in it), or `postgresql://host/base`. An address holds no
            password: that comes from PGPASSWORD or ~/.pgpass.
        readonly: Only look; nothing is made.

    Raises:
        UserError: if it cannot be opened, or is something else.
        StageFailed: if the disk or the server fails.
    """
    return Ledger(open_database(location, readonly=readonly))


def open_database(location: str | Path, *, readonly: bool = False) -> Database:
    """Open what a ledger lies in.

    Raises:
        UserError, StageFailed: as `open_ledger` does.
    """
    text = str(location)
    if text.startswith(_ADDRESSES):
        _check_address(text)
        from watari.endpoint.ledger.postgres import PostgresDatabase

        return PostgresDatabase(text, readonly=readonly)
    if "://" in text:
        raise UserError(
            f"ledger: {text.split('://')[0]}:// is not understood", "give a path, or postgresql://host/base"
        )
    path = Path(location)
    try:
        if path.is_dir() or (not path.suffix and not path.exists() and not readonly):
            path = path / LEDGER_FILE
    except OSError as error:
        raise UserError(
            f"{path}: cannot be used: {error.strerror}", "give another place for the ledger"
        ) from None
    return SqliteDatabase(path, readonly=readonly)


def _check_address(address: str) -> None:
    try:
        parts = urlsplit(address)
        password = parts.password
    except ValueError:
        raise UserError("ledger: this is no postgresql:// address") from None
    # It is not repeated here: it holds the password.
    if password is not None or "password=" in (parts.query or ""):
        raise UserError(
            "ledger: a password in the address would stand in logs", "use PGPASSWORD or ~/.pgpass"
        )
