"""The tables, in words that SQLite and PostgreSQL both understand.

attempt   one row for each thing that was sent; `nano` is its cost in billionths of the currency
body      what was sent and what came back, apart from `attempt` so that counting reads no texts
verdict   what a version of the checks said of an answer
unit      units that were asked to be asked again, and how often
spend     running sums of `attempt` by label, written in the same transaction
budget    what each label (and '' = the whole run) was allowed to spend, the last time
hold      what each writing process has set aside for what it has in flight (watari.endpoint.budget)
batch     what was handed to a provider's Batch API (watari.endpoint.batch), and `batch_key` the questions in it
"""

from __future__ import annotations

SCHEMA = 1

TABLES = (
    "CREATE TABLE IF NOT EXISTS ledger (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS attempt (
        id INTEGER PRIMARY KEY, key TEXT NOT NULL, unit TEXT NOT NULL, label TEXT NOT NULL, row_id TEXT NOT NULL,
        rung INTEGER NOT NULL, purpose TEXT NOT NULL, endpoint TEXT NOT NULL, model TEXT NOT NULL,
        status TEXT NOT NULL, http INTEGER NOT NULL, prompt_tokens INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL, nano INTEGER NOT NULL, sent REAL NOT NULL, seconds REAL NOT NULL,
        finish_reason TEXT NOT NULL, detail TEXT NOT NULL, voided INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX IF NOT EXISTS attempt_key ON attempt (key)",
    """CREATE TABLE IF NOT EXISTS body (
        attempt INTEGER PRIMARY KEY, request BLOB NOT NULL, response BLOB NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS verdict (
        attempt INTEGER NOT NULL, version TEXT NOT NULL, accepted INTEGER NOT NULL, codes TEXT NOT NULL,
        made REAL NOT NULL, PRIMARY KEY (attempt, version))""",
    "CREATE TABLE IF NOT EXISTS unit (unit TEXT PRIMARY KEY, generation INTEGER NOT NULL)",
    """CREATE TABLE IF NOT EXISTS spend (
        label TEXT PRIMARY KEY, nano INTEGER NOT NULL, tokens INTEGER NOT NULL, requests INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS budget (
        label TEXT PRIMARY KEY, nano INTEGER, tokens INTEGER, requests INTEGER)""",
    """CREATE TABLE IF NOT EXISTS hold (
        holder TEXT NOT NULL, label TEXT NOT NULL, nano INTEGER NOT NULL, tokens INTEGER NOT NULL,
        requests INTEGER NOT NULL, in_flight INTEGER NOT NULL, host TEXT NOT NULL, pid INTEGER NOT NULL,
        started INTEGER NOT NULL, beat REAL NOT NULL, PRIMARY KEY (holder, label))""",
    """CREATE TABLE IF NOT EXISTS batch (
        token TEXT PRIMARY KEY, label TEXT NOT NULL, endpoint TEXT NOT NULL, base_url TEXT NOT NULL,
        state TEXT NOT NULL, file_id TEXT NOT NULL, batch_id TEXT NOT NULL, requests INTEGER NOT NULL,
        holder TEXT NOT NULL, nano INTEGER NOT NULL, tokens INTEGER NOT NULL, made REAL NOT NULL,
        changed REAL NOT NULL, detail TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS batch_key (
        token TEXT NOT NULL, key TEXT NOT NULL, unit TEXT NOT NULL, row_id TEXT NOT NULL, rung INTEGER NOT NULL,
        purpose TEXT NOT NULL, request BLOB NOT NULL, PRIMARY KEY (token, key))""",
)

ATTEMPT_COLUMNS = (
    "id, key, unit, label, row_id, rung, purpose, endpoint, model, status, http, prompt_tokens,"
    " completion_tokens, nano, sent, seconds, finish_reason, detail"
)
ATTEMPT_WIDTH = ATTEMPT_COLUMNS.count(",") + 1

FIND = (
    "SELECT a.id, b.response, a.model, a.prompt_tokens, a.completion_tokens, a.nano, a.seconds"
    " FROM attempt a JOIN body b ON b.attempt = a.id"
    " WHERE a.key = ? AND a.status = 'answered' AND a.voided = 0 ORDER BY a.id DESC LIMIT 1"
)
FAILURE = "SELECT id, status, http, detail FROM attempt WHERE key = ? AND voided = 0 ORDER BY id DESC LIMIT 1"
ADD_SPEND = (
    "INSERT INTO spend (label, nano, tokens, requests) VALUES (?, ?, ?, ?) ON CONFLICT (label) DO UPDATE"
    " SET nano = spend.nano + excluded.nano, tokens = spend.tokens + excluded.tokens,"
    " requests = spend.requests + excluded.requests"
)
NEW_VERDICT = "INSERT INTO verdict (attempt, version, accepted, codes, made)"
OR_CHANGED = (
    " ON CONFLICT (attempt, version) DO UPDATE"
    " SET accepted = excluded.accepted, codes = excluded.codes, made = excluded.made"
)
SET_HOLD = (
    "INSERT INTO hold (holder, label, nano, tokens, requests, in_flight, host, pid, started, beat)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (holder, label) DO UPDATE"
    " SET nano = excluded.nano, tokens = excluded.tokens, requests = excluded.requests,"
    " in_flight = excluded.in_flight, beat = excluded.beat"
)
