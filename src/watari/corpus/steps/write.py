"""Step `write`, a task per piece: the documents that stay and the ledger of every row, as they are published.

Files, below the corpus's folder: `documents/part-*.parquet`, `ledger/part-*.parquet`, `dropped/part-*.parquet` (heads of
dropped texts) and `measured/part-*.parquet`. A file has its name only once it is whole, so a task that is done again after
a kill writes the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from watari.artifact.records import meta_of
from watari.corpus import mix, personal, selection
from watari.corpus.ledger import DROPPED, KEPT, LEDGER, TableWriter, Tally, Totals, entries
from watari.corpus.names import Repeated
from watari.corpus.personal import MASKED
from watari.corpus.plan import Plan, load_plan
from watari.corpus.samples import TextHeads, write_small
from watari.corpus.steps import CLEAN, SCREEN, WRITE
from watari.corpus.steps.score import mixture_of, scored_of, tables, weighed_of
from watari.corpus.steps.screen import Screening
from watari.corpus.table import parted, undecided, with_column
from watari.corpus.work import Work, read_json
from watari.text.chunks import chunks

REPEATED = "repeated.npz"
SURVIVORS = "survivors.arrow"
PLACE = "out.json"
"""Where the corpus's folder is, from the work folder."""

SELECTION = "selection"
MIXTURE = "mixture"

DOCUMENTS = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.large_string()),
        ("source", pa.string()),
        ("language", pa.string()),
        ("license", pa.string()),
        ("url", pa.string()),
        ("date", pa.string()),
        ("meta", pa.string()),
        ("cluster_size", pa.int32()),
        ("copies", pa.int32()),
        ("raw_hash", pa.uint64()),
        ("masked", pa.string()),
    ]
)
"""The schema of documents, and: documents of the cluster that it stands for, how often it is meant to be packed, xxh3-64
of the text as read, and what personal data was masked."""


def run(work: Work, number: int) -> None:
    """Write one piece."""
    plan = load_plan(work)
    out = work.root / read_json(work.root / PLACE)["out"]
    writer = _Writer(work, number, plan, out)
    name = f"part-{number:05d}.parquet"
    with (
        TableWriter(out / "documents" / name, DOCUMENTS) as documents,
        TableWriter(out / "ledger" / name, LEDGER, rows=1 << 16) as ledger,
    ):
        writer.carry_over(ledger)
        counted = writer.write(documents, ledger)
    writer.save_samples(out, name)
    work.mark(WRITE, number, counted)


class _Writer:
    """What a task needs to know, and what it counts."""

    def __init__(self, work: Work, number: int, plan: Plan, out: Path) -> None:
        self._work, self._number, self._plan, self._out = work, number, plan, out
        self._repeated = Repeated.load(work.root / REPEATED)
        self._kept, self._lost = Totals(), Tally()
        self._written = 0
        self._renamed = 0
        self._languages: dict[str, list[int]] = {}
        self._sources: dict[str, list[int]] = {}
        self._licenses: dict[str, int] = {}
        self._masked: dict[str, int] = {}
        self._texts = TextHeads(plan.examples, plan.params.seed, by="reason")
        parts = [pq.read_table(work.file(CLEAN, number, "texts.parquet"))]
        if plan.chosen:
            parts.append(pq.read_table(work.file(SCREEN, number, "texts.parquet")))
        self._heads = parts
        measured = work.file(CLEAN, number, "measured.parquet")
        self._measured = pq.read_table(measured) if measured.is_file() else None
        self._wanted: dict[str, tuple[str, str | None]] = {}

    def carry_over(self, ledger: TableWriter) -> None:
        """Write what earlier steps dropped."""
        for step in (CLEAN, SCREEN) if self._plan.chosen else (CLEAN,):
            with pq.ParquetFile(self._work.file(step, self._number, "ledger.parquet")) as file:
                for group in range(file.num_row_groups):
                    self._enter(file.read_row_group(group), ledger)

    def write(self, documents: TableWriter, ledger: TableWriter) -> dict[str, Any]:
        """Write the documents and the rest of the ledger; return what was counted, for the mark."""
        counted: dict[str, Any] = {}
        if self._plan.chosen:
            for table in self._chosen(ledger):
                self._keep(table, documents, ledger)
        else:
            screening = Screening(self._work, self._number, self._plan)
            for table in screening.tables(lambda gone, name: self._lose(gone, name, ledger)):
                self._keep(table, documents, ledger)
            counted |= screening.counted()
        return counted | {
            "kept": self._kept.plain(),
            "lost": self._lost.plain(),
            "written": documents.count,
            "renamed": self._renamed,
            "languages": self._languages,
            "sources": self._sources,
            "licenses": self._licenses,
            "masked": self._masked,
        }

    def _chosen(self, ledger: TableWriter) -> Iterator[pa.Table]:
        """Yield the rows that are selected and within their quota."""
        work, number, params = self._work, self._number, self._plan.params
        scored = scored_of(work, number) if params.select is not None else None
        mixture = mixture_of(work, params.mix)
        weighed = weighed_of(work, number) if mixture is not None else None
        start = 0
        for table in tables(work, number):
            table = undecided(table)
            rows = np.arange(start, start + table.num_rows)
            start += table.num_rows
            if scored is not None:
                kept = np.asarray(work.load("choose", number, "selected")[rows])
                thresholds = np.array(
                    read_json(work.root / "choose" / "thresholds.json")["thresholds"], np.float64
                )
                table, gone = parted(selection.apply(table, scored.take(rows), kept, thresholds))
                self._lose(gone, SELECTION, ledger)
                rows = rows[kept]
            if weighed is not None:
                copies = np.asarray(work.load("choose", number, "copies")[rows])
                limits = np.asarray(work.load("choose", number, "limits"))
                table, gone = parted(mix.apply(table, weighed.take(rows), copies, limits))
                self._lose(gone, MIXTURE, ledger)
            yield table

    def _lose(self, gone: pa.Table, step: str, ledger: TableWriter) -> None:
        if gone.num_rows:
            self._texts.add(gone)
            self._enter(entries(gone, DROPPED, step), ledger)

    def _keep(self, table: pa.Table, documents: TableWriter, ledger: TableWriter) -> None:
        if not table.num_rows:
            return
        names = self._enter(entries(table, KEPT, None), ledger)
        own = table.column("id").to_pylist()
        self._renamed += sum(
            name != given for name, given in zip(names, own, strict=True) if given is not None
        )
        for kind, found in (personal.counts(table) if MASKED in table.column_names else {}).items():
            self._masked[kind] = self._masked.get(kind, 0) + found["masked"]
        if "copies" not in table.column_names:
            table = with_column(table, "copies", pa.array(np.ones(table.num_rows, np.int32)))
        table = with_column(table, "id", pa.array(names, pa.string()))
        table = _cut(table, self._plan.params.max_characters)
        documents.write(table)
        self._tally(table)

    def _enter(self, table: pa.Table, ledger: TableWriter) -> list[str]:
        """Write rows of the ledger under their names, count them, and return the names."""
        names = self._repeated.names(table)
        table = with_column(table, "doc_id", pa.array(names, pa.string()))
        if table.column("survivor").null_count < table.num_rows:
            table = with_column(table, "survivor", self._survivors(table.column("survivor")))
        ledger.write(table)
        kept = pc.equal(table.column("disposition"), KEPT)
        self._kept.add(table.filter(kept))
        self._lost.add(table.filter(pc.invert(kept)), "reason")
        self._remember(table)
        return names

    def _survivors(self, column: pa.ChunkedArray) -> pa.Array:
        """Return the names of the rows that stay in others' places, from their keys."""
        path = self._work.root / SURVIVORS
        known: dict[str, str] = {}
        if path.is_file():
            wanted = pc.unique(column.drop_null())
            with pa.memory_map(str(path)) as file:
                reader = pa.ipc.open_file(file)
                for index in range(reader.num_record_batches):
                    batch = reader.get_batch(index)
                    found = batch.filter(pc.is_in(batch.column("key"), value_set=wanted))
                    known.update(
                        zip(found.column("key").to_pylist(), found.column("name").to_pylist(), strict=True)
                    )
        return pa.array([known.get(key, key) for key in column.to_pylist()], pa.string())

    def _remember(self, table: pa.Table) -> None:
        """Note name and reason of the rows that every rule has measured."""
        if self._measured is None:
            return
        found = table.filter(pc.is_in(table.column("key"), value_set=self._measured.column("key")))
        columns = (found.column(name).to_pylist() for name in ("key", "doc_id", "reason"))
        for key, name, reason in zip(*columns, strict=True):
            self._wanted[key] = (name, reason)

    def _tally(self, table: pa.Table) -> None:
        sizes = np.asarray(pc.utf8_length(table.column("text")).combine_chunks(), np.int64)
        lengths = np.asarray(pc.binary_length(table.column("text")).combine_chunks(), np.int64)
        for column, counts in (("language", self._languages), ("source", self._sources)):
            for row, name in enumerate(table.column(column).to_pylist()):
                found = counts.setdefault(name or "und", [0, 0, 0])
                found[0] += 1
                found[1] += int(sizes[row])
                found[2] += int(lengths[row])
        for name in table.column("license").to_pylist():
            self._licenses[name or ""] = self._licenses.get(name or "", 0) + 1

    def save_samples(self, out: Path, name: str) -> None:
        """Write the heads of dropped texts, and the measured rows with what became of them."""
        heads = pa.concat_tables([*self._heads, self._texts.table()])
        columns = {
            "key": heads.column("key"),
            "doc_id": pa.array(self._repeated.names(heads), pa.string()),
            "reason": heads.column("group"),
            "text": heads.column("text"),
        }
        write_small(
            out / "dropped" / name, pa.table(columns).sort_by([("reason", "ascending"), ("key", "ascending")])
        )
        if self._measured is not None:
            known = [self._wanted[key] for key in self._measured.column("key").to_pylist()]
            measured = self._measured
            measured = measured.append_column(
                "doc_id", pa.array([doc_id for doc_id, _ in known], pa.string())
            )
            measured = measured.append_column("kept", pa.array([reason is None for _, reason in known]))
            measured = measured.append_column(
                "reason", pa.array([reason for _, reason in known], pa.string())
            )
            write_small(out / "measured" / name, measured)


def _cut(table: pa.Table, limit: int | None) -> pa.Table:
    """Return the documents, the long ones in parts that know their parent."""
    if limit is None or not (pc.utf8_length(table.column("text")).to_numpy() > limit).any():
        return table
    known = [name for name in DOCUMENTS.names if name in table.column_names]
    rows: list[dict[str, Any]] = []
    for row in table.select(known).to_pylist():
        if len(row["text"]) <= limit:
            rows.append(row)
            continue
        texts = [text for text in (part.strip() for part in chunks(row["text"], limit)) if text]
        for number, text in enumerate(texts, 1):
            meta = meta_of({"meta": row["meta"]}, (), parent=row["id"], part=number, parts=len(texts))
            rows.append({**row, "id": f"{row['id']}#{number:05d}", "text": text, "meta": meta})
    return pa.Table.from_pylist(rows, schema=DOCUMENTS)
