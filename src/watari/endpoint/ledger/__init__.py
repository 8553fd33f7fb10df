"""The ledger: every question that was sent and every answer as received, on disk before anybody reads it.

    ledger = open_ledger("runs/demo")            # runs/demo/ledger.sqlite; or postgresql://host/base
    found = ledger.find(request_key)             # the usable answer, or None
    number = await ledger.record(attempt)        # comes back once the attempt is durable

One SQLite file in WAL mode a run: several processes may write at once, and others read while they do. Commits are
made for groups of rows by one thread. Nothing is ever deleted.
"""

from watari.endpoint.ledger.ledger import Ledger
from watari.endpoint.ledger.opening import LEDGER_FILE, open_ledger
from watari.endpoint.ledger.records import Attempt, Failure, Recorded, Spend, Verdict

__all__ = [
    "LEDGER_FILE",
    "Attempt",
    "Failure",
    "Ledger",
    "Recorded",
    "Spend",
    "Verdict",
    "open_ledger",
]
