"""Step `clean`, a task per piece of the input (small files together): read, normalise, lists, language, rules.

Files: `rows.parquet` (what is still kept, in the order of the input), `ledger.parquet` (what was dropped), `texts.parquet`
(heads of dropped texts), `measured.parquet` (what every rule says of a sample), `ids.npy` with `id_keys.npy` (hashes of the
ids that rows give, and their keys), `names.arrow` (id of each row of `rows.parquet`), and the piece's arrays in `dedup/`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from watari.artifact.records import Fault, Place
from watari.corpus import dedup, ingest
from watari.corpus.cleaning import FOOTER, READ, RULES, kernels
from watari.corpus.ingest import Piece
from watari.corpus.ledger import DROPPED, LEDGER, TableWriter, Tally, Totals, entries
from watari.corpus.names import id_hashes, joined, keys_of
from watari.corpus.plan import Plan, load_plan
from watari.corpus.rules.apply import measure
from watari.corpus.samples import TextHeads, sampled, write_small
from watari.corpus.steps import CLEAN
from watari.corpus.steps.edges import FOLDER
from watari.corpus.table import ROW, Kernel, parted
from watari.corpus.work import Work
from watari.errors import UserError


def run(work: Work, number: int) -> None:
    """Clean one piece."""
    plan = load_plan(work)
    began = time.process_time()
    cleaner = _Cleaner(work, number, plan)
    rows = TableWriter(work.file(CLEAN, number, "rows.parquet"), ROW, compression="lz4", rows=4096)
    ledger = TableWriter(work.file(CLEAN, number, "ledger.parquet"), LEDGER, compression="lz4")
    arrays = dedup.ArraysWriter(work.root / FOLDER, number, plan.params.duplicates)
    names = _Names(work.file(CLEAN, number, "names.arrow"))
    with rows, ledger, arrays, names:
        for piece in plan.groups[number]:
            for batch in ingest.read(piece):
                kept = cleaner.clean(batch, piece, ledger)
                rows.write(kept)
                names.add(kept)
                arrays.add(kept)
    cleaner.save(rows.count, time.process_time() - began)


class _Cleaner:
    """What a task counts on the way."""

    def __init__(self, work: Work, number: int, plan: Plan) -> None:
        self._work, self._number, self._plan = work, number, plan
        self._kernels: Sequence[tuple[str, Kernel]] = kernels(work, plan)
        self._texts = TextHeads(plan.examples, plan.params.seed, by="reason")
        self._read, self._lost = Totals(), Tally()
        self._sources = Tally()
        self._files = {piece.file: 0 for piece in plan.groups[number]}
        self._passed = {name: Totals() for name in (READ, *(name for name, _ in self._kernels))}
        self._footers = np.zeros(2, np.int64)
        self._ids: list[np.ndarray] = []
        self._id_keys: list[np.ndarray] = []
        self._measured: list[pa.Table] = []

    def clean(self, batch: pa.Table, piece: Piece, ledger: TableWriter) -> pa.Table:
        """Return the rows of a batch that stay; the others are in the ledger."""
        self._read.add(batch)
        self._sources.add(batch, "source")
        self._files[piece.file] = self._files.get(piece.file, 0) + batch.num_rows
        given = batch.filter(batch.column("id").is_valid())
        if given.num_rows:
            self._ids.append(id_hashes(given.column("id").to_pylist()))
            self._id_keys.append(keys_of(given.column("key")))
        if self._plan.params.on_error == "stop":
            _stop_at_a_fault(batch, piece)
        table = self._settle(batch, READ, ledger)
        for name, kernel in self._kernels:
            if name == RULES:
                self._measure(table)
            table = kernel(table)
            if FOOTER in table.column_names:
                cut = np.asarray(table.column(FOOTER))
                self._footers += np.array([np.count_nonzero(cut), cut.sum()])
                table = table.drop_columns([FOOTER])
            table = self._settle(table, name, ledger)
        return table

    def _settle(self, table: pa.Table, name: str, ledger: TableWriter) -> pa.Table:
        kept, gone = parted(table)
        if gone.num_rows:
            ledger.write(entries(gone, DROPPED, name))
            self._lost.add(gone, "reason")
            self._texts.add(gone)
        self._passed[name].add(kept)
        return kept

    def _measure(self, table: pa.Table) -> None:
        share, profile = self._plan.measured_share, self._plan.profile
        if share <= 0 or profile is None:
            return
        rows = sampled(table, share, self._plan.params.seed)
        if len(rows):
            self._measured.append(measure(table.take(pa.array(rows)), profile))

    def save(self, kept: int, seconds: float) -> None:
        """Write what was counted, and the mark."""
        work, number = self._work, self._number
        write_small(work.file(CLEAN, number, "texts.parquet"), self._texts.table())
        if self._measured:
            write_small(work.file(CLEAN, number, "measured.parquet"), pa.concat_tables(self._measured))
        work.save(CLEAN, number, "ids", np.concatenate([np.zeros(0, np.uint64), *self._ids]))
        work.save(CLEAN, number, "id_keys", joined(self._id_keys).view(np.uint64))
        counted = {
            "read": self._read.plain(),
            "files": self._files,
            "kept": kept,
            "lost": self._lost.plain(),
            "sources": self._sources.plain(),
            "passed": {name: totals.plain() for name, totals in self._passed.items()},
            "footers": {"documents": int(self._footers[0]), "characters": int(self._footers[1])},
            "cpu_seconds": seconds,
        }
        work.mark(CLEAN, number, counted)


def _stop_at_a_fault(batch: pa.Table, piece: Piece) -> None:
    """Stop at the first row that says that its file is broken.

    Raises:
        UserError: naming the file and the place.
    """
    reasons = batch.column("reason").to_pylist()
    for row, reason in enumerate(reasons):
        if reason in ingest.UNREADABLE:
            place = Place(piece.file, piece.path, batch.column("place")[row].as_py() or "")
            fault = Fault(place, reason, batch.column("detail")[row].as_py() or "")
            raise UserError(str(fault), "mend the row, or set `on_error: drop` to go on without such rows")


class _Names:
    """The ids of the rows that stay, in a file that can be looked into anywhere."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._temporary = path.with_name(f".{path.name}.writing")
        self._schema = pa.schema([("id", pa.string()), ("key", pa.string())])

    def __enter__(self) -> _Names:
        self._file = pa.OSFile(str(self._temporary), "wb")
        self._writer = pa.ipc.new_file(self._file, self._schema)
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._writer.close()
        self._file.close()
        if kind is None:
            self._temporary.replace(self._path)

    def add(self, table: pa.Table) -> None:
        """Append the rows of a table."""
        if table.num_rows:
            self._writer.write_table(table.select(["id", "key"]).cast(self._schema))
