"""The history of one document: where it came from, which steps it passed, and why it stayed or went."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from watari.corpus.report.examples import HEAD, document_heads
from watari.corpus.report.lookup import found_row
from watari.corpus.report.measures import RuleValue, values_of
from watari.corpus.report.numbers import plain
from watari.corpus.report.tables import MEMORY, Tables, opened
from watari.corpus.report.wrapping import wrapped
from watari.pages.visible import columns, head, visible

_SURVIVOR_HEAD = 200


@dataclass(frozen=True)
class Passage:
    """One step and what it did with the document."""

    step: str
    outcome: Literal["passed", "dropped", "not reached"]


@dataclass(frozen=True)
class Survivor:
    """The document that stays in another's place.

    `reason` says why it was dropped later itself, if it was; `text` is its beginning where it was kept.
    """

    doc_id: str
    disposition: str
    reason: str | None
    text: str | None


@dataclass(frozen=True)
class Explanation:
    """What is known of one row.

    Args:
        found_by: What of it was asked for: doc_id, key, id or url.
        others: doc_ids of further rows with the same id or URL, at most 20.
        value, threshold: What was measured, and the limit that it broke, if that was the reason.
        characters, bytes, raw_hash: Of the text as read; the hash as 16 hex digits.
        history: Every step in order.
        rules: The values of the profile's rules, as far as they are known.
        rules_from: `measured` by the build on its sample, `text` if computed now from the document as it was written
            (after masking), or `none`; `rules_note` then says why.
        text: The beginning of the document, or of the dropped text; None where it was not kept.
        text_from: `documents`, `dropped` or `none`.
        cluster_size, copies, masked: Of a kept document: duplicates that it stands for and itself, how often the mix
            takes it, and personal data masked, by kind.
    """

    doc_id: str
    key: str
    id: str | None
    found_by: str
    others: list[str]
    disposition: str
    reason: str | None
    value: float | None
    threshold: float | None
    detail: str | None
    step: str | None
    source: str
    path: str
    place: str
    url: str | None
    license: str | None
    language: str | None
    characters: int
    bytes: int
    raw_hash: str
    history: list[Passage]
    survivor: Survivor | None
    rules: list[RuleValue]
    rules_from: Literal["measured", "text", "none"]
    rules_note: str
    text: str | None
    text_from: Literal["documents", "dropped", "none"]
    cluster_size: int | None = None
    copies: int | None = None
    masked: dict[str, int] = field(default_factory=dict)

    @property
    def kept(self) -> bool:
        """True if it is in the corpus."""
        return self.disposition == "kept"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON data."""
        made: dict[str, Any] = plain(asdict(self))
        return made

    def as_text(self, width: int = 80) -> str:
        """Return it for a terminal, in lines of at most `width` columns."""
        lines = wrapped(visible(self.doc_id, lines=False), width)
        verdict = (
            "kept" if self.kept else f"dropped by {self.step or 'a step'}: {self.reason or 'no reason told'}"
        )
        lines += wrapped(visible(verdict, lines=False), width, "  ")
        if self.value is not None:
            limit = "" if self.threshold is None else f", limit {self.threshold:.6g}"
            lines += wrapped(f"measured {self.value:.6g}{limit}", width, "  ")
        if self.detail:
            lines += wrapped(visible(self.detail, lines=False), width, "  ")
        for name, value in self._facts():
            lines += wrapped(f"{name:10} {visible(value, lines=False)}", width, "  ")
        lines += ["", "steps"]
        lines += [f"  {passage.step:24} {passage.outcome}" for passage in self.history]
        if self.survivor is not None:
            lines += ["", "stays in its place"]
            state = (
                "" if self.survivor.disposition == "kept" else f" (itself dropped: {self.survivor.reason})"
            )
            lines += wrapped(visible(self.survivor.doc_id + state, lines=False), width, "  ")
            if self.survivor.text is not None:
                lines += wrapped(head(self.survivor.text, 160, lines=False), width, "  | ")
        lines += ["", f"rules ({_ORIGIN[self.rules_from]})"]
        lines += wrapped(self.rules_note, width, "  ") if self.rules_note else []
        room = min(34, max((columns(rule.name) for rule in self.rules), default=0))
        lines += [line for rule in self.rules for line in wrapped(rule.as_text(room), width, "  ")]
        lines += ["", "text"]
        if self.text is None:
            lines.append("  (not kept: only a sample of the dropped texts is)")
        elif not self.text:
            lines.append("  (empty)")
        else:
            lines += wrapped(head(self.text, 600), width, "  | ")
        return "\n".join(lines)

    def _facts(self) -> list[tuple[str, str]]:
        where = " · ".join(part for part in (self.source, self.path, self.place) if part)
        facts = [
            ("from", where),
            ("id", self.id or ""),
            ("key", self.key),
            ("url", self.url or ""),
            ("language", self.language or ""),
            ("license", self.license or ""),
            ("size", f"{self.characters:,} characters, {self.bytes:,} bytes as read"),
        ]
        if self.cluster_size and self.cluster_size > 1:
            facts.append(("cluster", f"stands for {self.cluster_size:,} documents, itself among them"))
        if self.copies is not None and self.copies != 1:
            facts.append(("copies", f"taken {self.copies:,} times"))
        if self.masked:
            facts.append(("masked", ", ".join(f"{kind} {count:,}" for kind, count in self.masked.items())))
        return [(name, value) for name, value in facts if value]


_ORIGIN = {
    "measured": "as the build measured them",
    "text": "computed now from the document as written",
    "none": "not known",
}


def explain(folder: Path, wanted: str, *, memory: str = MEMORY) -> Explanation:
    """Return the history of one row of a build.

    Args:
        folder: A finished build.
        wanted: A doc_id, key, id or URL; asked in this order, the first that is there counts. Of several rows with the
            same id or URL, the one with the smallest key is told, and the others named.
        memory: See `tables.opened`.

    Raises:
        UserError: if there is no such row; it names near ones.
    """
    with opened(folder, memory=memory) as tables:
        found = found_row(tables, wanted)
        row = found.row
        key, doc_id, own_id, disposition, reason, value, threshold, survivor, detail, step = row[:10]
        source, path, place, language, license, url, characters, size, raw_hash = row[10:]
        kept = disposition == "kept"
        document = _document(tables, doc_id) if kept else None
        text = document[0] if document else _dropped_text(tables, key)
        rules = values_of(tables, key, document[0] if document else None, source=source, language=language)
        return Explanation(
            doc_id=doc_id or key,
            key=key,
            id=own_id,
            found_by=found.by,
            others=found.others,
            disposition=disposition,
            reason=reason,
            value=value,
            threshold=threshold,
            detail=detail,
            step=step,
            source=source or "",
            path=path or "",
            place=place or "",
            url=url,
            license=license,
            language=language,
            characters=characters or 0,
            bytes=size or 0,
            raw_hash=f"{raw_hash or 0:016x}",
            history=_history(tables, None if kept else step),
            survivor=_survivor(tables, survivor),
            rules=rules.values,
            rules_from=rules.origin,
            rules_note=rules.note,
            text=None if text is None else text[:HEAD],
            text_from="none" if text is None else "documents" if kept else "dropped",
            cluster_size=document[1] if document else None,
            copies=document[2] if document else None,
            masked=document[3] if document else {},
        )


def _history(tables: Tables, dropped_by: str | None) -> list[Passage]:
    steps = list(tables.record.steps)
    if dropped_by is not None and dropped_by not in steps:
        steps.append(dropped_by)
    history = []
    outcome: Literal["passed", "dropped", "not reached"] = "passed"
    for step in steps:
        if step == dropped_by:
            history.append(Passage(step, "dropped"))
            outcome = "not reached"
        else:
            history.append(Passage(step, outcome))
    return history


def _document(tables: Tables, doc_id: str) -> tuple[str, int | None, int | None, dict[str, int]] | None:
    import json

    found = tables.rows(
        "SELECT text, cluster_size, copies, masked FROM documents WHERE id = $1 OR"
        " (id = $1 || '#00001' AND contains(coalesce(meta, ''), '\"parent\"')) ORDER BY id LIMIT 1",
        [doc_id],
    )
    if not found:
        return None
    text, size, copies, masked = found[0]
    return text or "", size, copies, json.loads(masked) if masked else {}


def _dropped_text(tables: Tables, key: str) -> str | None:
    found = tables.rows("SELECT text FROM dropped WHERE key = ?", [key])
    return found[0][0] if found else None


def _survivor(tables: Tables, doc_id: str | None) -> Survivor | None:
    if not doc_id:
        return None
    found = tables.rows(
        "SELECT doc_id, disposition, reason FROM ledger WHERE doc_id = $1 OR key = $1 ORDER BY doc_id LIMIT 1",
        [doc_id],
    )
    name, disposition, reason = found[0] if found else (doc_id, "unknown", None)
    text = document_heads(tables, [name], _SURVIVOR_HEAD).get(name) if disposition == "kept" else None
    return Survivor(name, disposition, reason, text)
