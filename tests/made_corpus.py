"""Makes a small finished corpus, as a build writes it, without building one: for tests of what is told about it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

STEPS = ["read", "lists", "language", "rules", "duplicates", "contamination", "selection"]
RULES = [
    {"name": "characters", "metric": "characters", "min": 400.0, "about": "Swallow: at least 400"},
    {"name": "hiragana", "metric": "share", "min": 0.2},
    {"name": "sentence length", "metric": "sentence_length", "min": 20.0, "max": 90.0},
    {"name": "top 2-gram", "metric": "top_ngram", "max": 0.2},
]

LEDGER = pa.schema(
    [(name, pa.string()) for name in ("doc_id", "id", "key", "disposition", "reason")]
    + [(name, pa.float64()) for name in ("value", "threshold")]
    + [(name, pa.string()) for name in ("survivor", "detail", "step", "source", "path", "place")]
    + [(name, pa.string()) for name in ("language", "license", "url")]
    + [("characters", pa.int64()), ("bytes", pa.int64()), ("raw_hash", pa.uint64())]
)
DOCUMENTS = pa.schema(
    [(name, pa.string()) for name in ("id", "text", "source", "language", "license", "url", "date", "meta")]
    + [
        ("cluster_size", pa.int32()),
        ("copies", pa.int32()),
        ("raw_hash", pa.uint64()),
        ("masked", pa.string()),
    ]
)


@dataclass
class MadeRow:
    """One input row and what became of it; `reason` None: it is kept."""

    text: str
    reason: str | None = None
    step: str | None = None
    value: float | None = None
    threshold: float | None = None
    survivor: str | None = None
    detail: str | None = None
    id: str | None = None
    source: str = "web"
    path: str = "web.jsonl"
    language: str | None = "ja"
    license: str | None = "CC BY-SA 4.0"
    url: str | None = None
    cluster_size: int = 1
    copies: int = 1
    masked: dict[str, int] = field(default_factory=dict)
    measures: dict[str, float | None] | None = None
    text_kept: bool = True


def key_of(row: MadeRow, number: int) -> str:
    """Return the key that a row gets at its place."""
    return xxhash.xxh128_hexdigest(f"{row.source}\n{row.path}\nline {number}".encode())


def write_corpus(
    folder: Path,
    rows: Sequence[MadeRow],
    *,
    pieces: int = 2,
    record: dict[str, Any] | None = None,
    measured: bool = True,
    dropped: bool = True,
) -> Path:
    """Write `rows` as a finished build into `folder` and return it; `record` is laid over `corpus.json`."""
    keys = [key_of(row, number) for number, row in enumerate(rows, 1)]
    ledger = [
        _ledger_row(row, number, key) for number, (row, key) in enumerate(zip(rows, keys, strict=True), 1)
    ]
    for piece in range(pieces):
        mine = slice(piece * len(rows) // pieces, (piece + 1) * len(rows) // pieces)
        _write(folder / "ledger" / f"part-{piece:05d}.parquet", ledger[mine], LEDGER)
        kept = [
            {
                "id": made["doc_id"],
                "text": row.text,
                "source": row.source,
                "language": row.language,
                "license": row.license,
                "url": row.url,
                "cluster_size": row.cluster_size,
                "copies": row.copies,
                "raw_hash": made["raw_hash"],
                "masked": json.dumps(row.masked) if row.masked else None,
            }
            for row, made in zip(rows[mine], ledger[mine], strict=True)
            if row.reason is None
        ]
        _write(folder / "documents" / f"part-{piece:05d}.parquet", kept, DOCUMENTS)
        if dropped:
            texts = [
                {"key": key, "reason": row.reason, "text": row.text[:2000]}
                for row, key in zip(rows[mine], keys[mine], strict=True)
                if row.reason is not None and row.text_kept
            ]
            schema = pa.schema([(name, pa.string()) for name in ("key", "reason", "text")])
            _write(folder / "dropped" / f"{piece:05d}.parquet", texts, schema)
        if measured:
            _write_measured(folder, piece, rows[mine], keys[mine], ledger[mine])
    (folder / "corpus.json").write_text(
        json.dumps({**_record(rows, ledger), **(record or {})}, ensure_ascii=False), "utf-8"
    )
    return folder


def _ledger_row(row: MadeRow, number: int, key: str) -> dict[str, Any]:
    data = row.text.encode("utf-8", "surrogatepass")
    return {
        "doc_id": row.id or key,
        "id": row.id,
        "key": key,
        "disposition": "kept" if row.reason is None else "dropped",
        "reason": row.reason,
        "value": row.value,
        "threshold": row.threshold,
        "survivor": row.survivor,
        "detail": row.detail,
        "step": row.step,
        "source": row.source,
        "path": row.path,
        "place": f"line {number}",
        "language": row.language,
        "license": row.license,
        "url": row.url,
        "characters": len(row.text),
        "bytes": len(data),
        "raw_hash": xxhash.xxh3_64_intdigest(data),
    }


def _write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


def _write_measured(
    folder: Path, piece: int, rows: Sequence[MadeRow], keys: list[str], ledger: list[dict[str, Any]]
) -> None:
    names = [rule["name"] for rule in RULES]
    schema = pa.schema(
        [("key", pa.string()), ("doc_id", pa.string()), ("kept", pa.bool_()), ("reason", pa.string())]
        + [(name, pa.float64()) for name in names]
    )
    found = [
        {
            "key": key,
            "doc_id": made["doc_id"],
            "kept": row.reason is None,
            "reason": row.reason,
            **row.measures,
        }
        for row, key, made in zip(rows, keys, ledger, strict=True)
        if row.measures is not None
    ]
    _write(folder / "measured" / f"{piece:05d}.parquet", found, schema)


def _sums(ledger: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {
        "documents": len(ledger),
        "characters": sum(row["characters"] for row in ledger),
        "bytes": sum(row["bytes"] for row in ledger),
        "hash_sum": f"{sum(row['raw_hash'] for row in ledger) % 2**64:016x}",
    }


def _record(rows: Sequence[MadeRow], ledger: list[dict[str, Any]]) -> dict[str, Any]:
    reasons = sorted({row["reason"] for row in ledger if row["reason"] is not None})
    masked: dict[str, int] = {}
    for row in rows:
        for kind, count in row.masked.items():
            masked[kind] = masked.get(kind, 0) + count
    clusters: dict[int, int] = {}
    for row in rows:
        if row.reason is None:
            clusters[row.cluster_size] = clusters.get(row.cluster_size, 0) + 1
    return {
        "name": "made",
        "seed": 0,
        "parameters": {"profile": "ja-swallow", "sources": ["web.jsonl", "books.jsonl"]},
        "profile": {
            "name": "ja-swallow",
            "language": "ja",
            "description": "Made for tests",
            "source": "https://example.org/rules",
            "rules": RULES,
        },
        "steps": STEPS,
        "totals": {
            "in": _sums(ledger),
            "kept": _sums([row for row in ledger if row["disposition"] == "kept"]),
            "dropped": {
                reason: _sums([row for row in ledger if row["reason"] == reason]) for reason in reasons
            },
        },
        "contamination": {"niilc": {"items": 200, "documents": 1}},
        "clusters": clusters,
        "masked": masked,
        "tokenizer": "made-tokenizer",
        "bytes_per_token": {"ja": 5.0, "en": 4.0},
    }


def small_rows() -> list[MadeRow]:
    """Return a corpus of about a hundred rows with most reasons in it, and texts that must be escaped."""
    rows: list[MadeRow] = []

    def add(row: MadeRow) -> str:
        rows.append(row)
        return row.id or key_of(row, len(rows))

    prose = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
    for number in range(40):
        add(
            MadeRow(
                f"{number}番の文書。" + prose * (6 + number % 9),
                id=f"doc-{number:03d}",
                source="web" if number % 3 else "books",
                path="web.jsonl" if number % 3 else "books.jsonl",
                license="CC BY-SA 4.0" if number % 3 else "public domain",
                url=f"https://www{number % 4}.example.jp/page/{number}" if number % 3 else None,
                cluster_size=1 + (number % 10 == 0) * (2 + number // 10),
                masked={"email": 1 + number % 2} if number % 8 == 0 else {},
                measures={
                    "characters": 420.0 + 30 * number,
                    "hiragana": 0.3 + 0.005 * number,
                    "sentence length": 25.0 + number,
                    "top 2-gram": 0.02 + 0.004 * number,
                },
            )
        )
    for number in range(12):
        add(
            MadeRow(
                prose * 2,
                "characters",
                "rules",
                value=100.0 + 26 * number,
                threshold=400.0,
                measures={
                    "characters": 100.0 + 26 * number,
                    "hiragana": 0.4,
                    "sentence length": 30.0,
                    "top 2-gram": 0.05,
                },
            )
        )
    for number in range(9):
        add(
            MadeRow(
                "漢字漢字漢字" * 80,
                "hiragana",
                "rules",
                value=0.02 * number,
                threshold=0.2,
                measures={
                    "characters": 480.0,
                    "hiragana": 0.02 * number,
                    "sentence length": None,
                    "top 2-gram": 0.5,
                },
            )
        )
    for _ in range(5):
        add(MadeRow("", "empty", "read", language=None, license=None, path="books.jsonl", source="books"))
    for number in range(6):
        add(
            MadeRow(
                f"This page is in English, number {number}.",
                "other language",
                "language",
                language="en",
                license=None,
                url=f"https://en.example.com/{number}",
                detail="en",
            )
        )
    for _ in range(4):
        add(MadeRow(f"0番の文書。{prose * 6}", "exact duplicate", "duplicates", survivor="doc-000"))
    for number in range(3):
        add(
            MadeRow(
                f"{number}番の文章。{prose * 6}",
                "near duplicate",
                "duplicates",
                value=0.93,
                threshold=0.7,
                survivor="doc-010",
            )
        )
    add(
        MadeRow(
            "日本で一番高い山は何ですか。富士山です。",
            "contaminated",
            "contamination",
            value=0.8,
            threshold=0.2,
            detail="niilc",
        )
    )
    add(
        MadeRow(
            "<script>alert('text')</script><img src=x onerror=alert(1)> \u202eevil\u202c \x07\x00 & \"quoted\" </style>",
            "listed host",
            "lists",
            id="<b>&id</b>",
            source="<i>source</i>",
            path="<u>path</u>.jsonl",
            url='https://evil.example/"><script>alert(2)</script>',
            detail="<script>alert(3)</script>",
            license="<license>",
        )
    )
    return rows
