"""Attempts one by one: for `watari ledger tail` and `export`. Only reads, a piece at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from watari.endpoint.ledger.ledger import Ledger
from watari.endpoint.ledger.records import Verdict
from watari.endpoint.reading import read_reply
from watari.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

_PIECE = 1000
_COLUMNS = (
    "a.id, a.key, a.unit, a.label, a.row_id, a.rung, a.purpose, a.endpoint, a.model, a.status, a.http,"
    " a.finish_reason, a.prompt_tokens, a.completion_tokens, a.nano, a.sent, a.seconds, a.detail, a.voided,"
    " b.request, b.response"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """An attempt as it stands in the ledger.

    Args:
        attempt: Its number.
        text: The first answer in the response; "" if there is none.
        voided: True if it was asked to be asked again (`retry`).
        verdicts: What versions of the checks said, by version.
    """

    attempt: int
    key: str
    unit: str
    label: str
    row: str
    rung: int
    purpose: str
    endpoint: str
    model: str
    status: str
    http: int
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    cost: float
    sent: float
    seconds: float
    detail: str
    voided: bool
    request: bytes
    response: bytes
    text: str
    verdicts: tuple[Verdict, ...]


def last_attempt(ledger: Ledger) -> int:
    """Return the number of the newest attempt; 0: there is none."""
    return int(ledger.rows("SELECT coalesce(max(id), 0) FROM attempt")[0][0])


def entries(ledger: Ledger, after: int = 0, until: int | None = None) -> Iterator[Entry]:
    """Yield the attempts with numbers above `after`, up to `until` (default: those that are there now), in order."""
    until = last_attempt(ledger) if until is None else until
    while after < until:
        upto = min(after + _PIECE, until)
        span = (after, upto)
        verdicts: dict[int, list[Verdict]] = {}
        for number, version, accepted, codes in ledger.rows(
            "SELECT attempt, version, accepted, codes FROM verdict WHERE attempt > ? AND attempt <= ?"
            " ORDER BY attempt, version",
            span,
        ):
            verdict = Verdict(number, version, bool(accepted), tuple(orjson.loads(codes)))
            verdicts.setdefault(number, []).append(verdict)
        for row in ledger.rows(
            f"SELECT {_COLUMNS} FROM attempt a JOIN body b ON b.attempt = a.id WHERE a.id > ? AND a.id <= ?"
            " ORDER BY a.id",
            span,
        ):
            request, response = bytes(row[19]), bytes(row[20])
            rest: list[Any] = [
                row[14] / 1e9,
                *row[15:18],
                bool(row[18]),
                request,
                response,
                answer_text(response) if row[9] == "answered" else "",
                tuple(verdicts.get(row[0], ())),
            ]
            yield Entry(*row[:14], *rest)
        after = upto


def answer_text(response: bytes) -> str:
    """Return the first answer in a response, in either form of the interface; "" if there is none."""
    for api in ("chat", "completions"):
        read = read_reply(response, api)
        if read.choices:
            return read.choices[0].text
    return ""


def export(ledger: Ledger, path: Path) -> int:
    """Write every attempt with its answer and verdicts to a .parquet or .jsonl file, and return how many.

    The same ledger gives the same bytes. The file appears when it is whole.

    Raises:
        UserError: if the suffix is another one, or the file cannot be written.
    """
    if path.suffix not in (".parquet", ".jsonl"):
        raise UserError(f"--out: {path.name} ends neither in .parquet nor in .jsonl")
    temporary = path.with_name(f".{path.name}.part")
    write = _write_parquet if path.suffix == ".parquet" else _write_jsonl
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        count = write(ledger, temporary)
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"--out: {path} cannot be written: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return count


def record(entry: Entry) -> dict[str, Any]:
    """Return an attempt as JSON data; bytes as the text that they are, with U+FFFD where they are none."""
    data: dict[str, Any] = {name: getattr(entry, name) for name in Entry.__slots__}
    data["request"] = entry.request.decode("utf-8", "replace")
    data["response"] = entry.response.decode("utf-8", "replace")
    data["text"] = entry.text.encode("utf-8", "replace").decode("utf-8")
    data["verdicts"] = [
        {"version": one.version, "accepted": one.accepted, "codes": list(one.codes)} for one in entry.verdicts
    ]
    return data


def _write_jsonl(ledger: Ledger, path: Path) -> int:
    count = 0
    with path.open("wb") as handle:
        for entry in entries(ledger):
            handle.write(orjson.dumps(record(entry), option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    return count


def _write_parquet(ledger: Ledger, path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema()
    count = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        piece: list[dict[str, Any]] = []
        for entry in entries(ledger):
            piece.append(record(entry))
            count += 1
            if len(piece) == _PIECE:
                writer.write_table(pa.Table.from_pylist(piece, schema))
                piece = []
        if piece or not count:
            writer.write_table(pa.Table.from_pylist(piece, schema))
    return count


def _schema() -> pa.Schema:
    import pyarrow as pa

    whole = {"attempt", "rung", "http", "prompt_tokens", "completion_tokens"}
    real = {"cost", "sent", "seconds"}
    verdict = pa.struct(
        [("version", pa.string()), ("accepted", pa.bool_()), ("codes", pa.list_(pa.string()))]
    )
    fields = []
    for name in Entry.__slots__:
        kind = (
            pa.int64() if name in whole else pa.float64() if name in real else pa.bool_() if name == "voided"
            else pa.list_(verdict) if name == "verdicts" else pa.string()
        )  # fmt: skip
        fields.append((name, kind))
    return pa.schema(fields)
