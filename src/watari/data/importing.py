"""`data.import`: a published dataset, in the form that it comes in, brought into the schemas of the house.

Every row is checked; columns that the schemas do not know are kept. What is dropped in any case, with a reason in the
ledger: a row that was there before (same id, same content), and a preference whose two answers are equal. Two rows
with one id and different content both stay: the later one gets `~` and 8 digits of its content's hash behind its id.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from watari.artifact.kinds import Kind
from watari.artifact.reading import ReadOptions, read_records
from watari.artifact.records import Fault, Policy, Record, meta_of
from watari.artifact.rows import ROWS, Ledger, Row, unmatched
from watari.artifact.stage import Inputs, Progress, Stage, StageResult, stop_if_asked
from watari.data.forms import (
    KINDS,
    PassedOver,
    ScoreChoice,
    Shaped,
    conversation,
    shape,
)
from watari.data.import_params import Params
from watari.errors import UserError
from watari.text.scripts import guess_language

__all__ = ["KIND", "STAGE", "Params", "output_kind", "run"]

KIND = "data.import"
_FILLED = ("id", "language", "source", "license", "parents", "meta")


def output_kind(params: Params) -> Kind:
    """Return the kind of artifact that the form gives."""
    return Kind(params.make) if params.make else KINDS[params.form]


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Import the rows: `rows.parquet` in the order of the source, and `dropped.parquet`.

    Metrics: rows_in, kept, dropped, dropped_by_reason (of `oasst`, these count messages), written, renamed_ids,
    languages {language: rows}.

    Raises:
        UserError: if there is nothing to read, for a broken row with `on_error: stop`, and if no row is left.
    """
    from watari.data.columns import WaitingRows

    ledger = Ledger()
    importer = _Import(params, ledger)
    waiting = WaitingRows(out / "work" / "rows.parquet", output_kind(params))
    languages: dict[str, int] = {}
    records = read_records(
        params.path, ReadOptions(params.files, params.unit, params.encoding), seed=params.seed
    )
    for record, shaped in importer.trees(records) if params.form == "oasst" else importer.rows(records):
        row = importer.finished(record, shaped)
        if row is None:
            continue
        waiting.add(row, importer.further(record, shaped))
        languages[row["language"]] = languages.get(row["language"], 0) + 1
        if waiting.count % 500 == 0:
            stop_if_asked(progress)
            progress.update(waiting.count, params.limit, unit="rows")
        if waiting.count == params.limit and params.form != "oasst":
            break
    if importer.rows_in == 0:
        raise UserError(f"{params.path}: holds no rows", "check the path and the file format")
    importer.check_where()
    if waiting.count == 0:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(ledger.reasons.items()))
        raise UserError(f"{params.path}: no row could be used ({reasons})", "check `format` and `fields`")
    waiting.write(out / ROWS)
    metrics = ledger.close(out, rows_in=importer.rows_in, kept=importer.kept)
    metrics |= {
        "written": waiting.count,
        "renamed_ids": importer.renamed,
        "languages": dict(sorted(languages.items())),
    }
    return StageResult(metrics=metrics)


class _Import:
    """What an import knows of the rows so far."""

    def __init__(self, params: Params, ledger: Ledger) -> None:
        self._params = params
        self._ledger = ledger
        self._policy = Policy(params.on_error, ledger)
        self._content_of: dict[str, str] = {}
        self._scores = ScoreChoice(
            params.make or "preferences",
            params.score,
            params.against,
            params.min_score,
            params.min_margin,
            params.seed,
            KIND,
        )
        self._written = 0
        self.rows_in = 0
        self.kept = 0
        self.renamed = 0
        self._met: set[str] = set()

    def rows(self, records: Iterator[Record | Fault]) -> Iterator[tuple[Record, Shaped]]:
        """Yield the rows that can be used; the others are in the ledger, or the run has stopped."""
        for item in records:
            self.rows_in += 1
            record = self._renamed(item)
            shaped = record if isinstance(record, Fault) else shape(record, self._params.form, self._scores)
            if isinstance(shaped, Fault):
                self._policy.settle(shaped, source=self._params.source)
            elif isinstance(record, Fault):
                continue
            elif isinstance(shaped, PassedOver):
                name = record.row.get("id")
                self._ledger.drop(
                    shaped.reason,
                    id=None if name is None else str(name),
                    source=self._params.source,
                    place=record.place.inside,
                    detail=shaped.detail,
                )
            else:
                yield record, shaped

    def trees(self, records: Iterator[Record | Fault]) -> Iterator[tuple[Record, Shaped]]:
        """Yield the best-ranked conversation of every tree; all other messages are in the ledger."""
        from watari.data.oasst import Node, nodes_of, threads

        nodes: list[Node] = []
        for item in records:
            record = self._renamed(item)
            found = record if isinstance(record, Fault) else nodes_of(record)
            self.rows_in += 1 if isinstance(found, Fault) else len(found)
            if isinstance(found, Fault):
                self._policy.settle(found, source=self._params.source)
            else:
                nodes += found
        conversations, left = threads(nodes)
        for node, reason in left:
            self._ledger.drop(reason, id=node.id, source=self._params.source, place=node.record.place.inside)
        for thread in conversations:
            row: Row = {"id": thread.id, "language": thread.language, "parents": thread.used}
            used = ("prompt", "message_id", "message_tree_id", "parent_id", "role", "text", "rank", "lang")
            yield Record(thread.root.place, row), conversation(thread.messages, used)

    def finished(self, record: Record, shaped: Shaped) -> Row | None:
        """Return the whole row with a distinct id, or None if it is in the ledger."""
        row = record.row
        identity = shaped.identity
        given = row.get("id")
        name = identity if given in (None, "") else str(given)
        language = row.get("language") or self._params.language or guess_language(shaped.text)
        meta = meta_of({"meta": row.get("meta")}, (), benchmark=self._params.benchmark or None)
        whole = {
            **shaped.content,
            "language": language,
            "source": row.get("source") or self._params.source,
            "license": row.get("license") or self._params.license,
            "parents": row.get("parents") or [],
            "meta": meta,
        }
        reason = ""
        if column := self._unwanted(record, shaped, {**whole, "id": name}):
            reason = f"where: {column}"
        elif (
            self._content_of.get(name) == identity
            or self._content_of.get(f"{name}~{identity[:8]}") == identity
        ):
            reason = "row was there before"
        elif "chosen" in shaped.content and shaped.content["chosen"] == shaped.content["rejected"]:
            reason = "chosen equals rejected"
        elif self._written == self._params.limit:
            reason = "beyond the limit"
        # What is counted is rows as read: of `oasst` all the messages that a conversation is made of.
        names = row["parents"] if self._params.form == "oasst" else [name]
        if reason:
            for one in names:
                self._ledger.drop(reason, id=one, source=self._params.source, place=record.place.inside)
            return None
        self.kept += len(names)
        self._written += 1
        if name in self._content_of:
            self.renamed += 1
            name = f"{name}~{identity[:8]}"
        self._content_of[name] = identity
        return {**whole, "id": name}

    def further(self, record: Record, shaped: Shaped) -> Row:
        """Return the columns that a row has beside those of its schema."""
        used = {*_FILLED, *shaped.used}
        return {name: value for name, value in record.row.items() if name not in used} | shaped.further

    def _unwanted(self, record: Record, shaped: Shaped, row: Row) -> str | None:
        """Return the first column of `where` that does not take a row, or None if all do."""
        where = self._params.where
        if not where:
            return None
        texts = [turn["content"] for turn in row.get("messages") or row.get("prompt") or ()]
        texts += [row[name] for name in ("chosen", "rejected", "text") if isinstance(row.get(name), str)]
        counted: Row = {
            "characters": sum(map(len, texts)),
            "answer_characters": len(shaped.text),
            "turns": len(texts),
        }
        known = {**counted, **self.further(record, shaped), **row}
        self._met |= {column for column in where if column in known or column.startswith("meta.")}
        # Rows of JSON may lack a field that others have: it is null there.
        absent = {column: None for column in where if not column.startswith("meta.")}
        return unmatched({**absent, **known}, where, KIND)

    def check_where(self) -> None:
        """Raise `UserError` if `where` names a column that no row had."""
        if self.rows_in and (never := sorted(self._params.where.keys() - self._met)):
            raise UserError(
                f"where: no row has a column '{never[0]}'", "check its name; a field of meta is `meta.field`"
            )

    def _renamed(self, item: Record | Fault) -> Record | Fault:
        if isinstance(item, Fault):
            return item
        row = dict(item.row)
        for name, theirs in self._params.fields.items():
            if theirs not in row:
                return item.fault(f"no field '{theirs}'", f"the row has {', '.join(sorted(row)) or 'none'}")
            row[name] = row.pop(theirs)
        return _checked(Record(item.place, row))


def _checked(record: Record) -> Record | Fault:
    row = record.row
    if isinstance(row.get("id"), bool) or not isinstance(row.get("id", ""), str | int | None):
        return record.fault("field 'id' is not an id", "a text or a whole number is wanted")
    for name in ("language", "source", "license"):
        if not isinstance(row.get(name), str | None):
            return record.fault(f"field '{name}' is not a text")
    parents = row.get("parents")
    if parents is not None and not (isinstance(parents, list) and all(isinstance(p, str) for p in parents)):
        return record.fault("field 'parents' is not a list of ids")
    return record


STAGE = Stage(kind=KIND, version=2, output=output_kind, params=Params, run=run)
