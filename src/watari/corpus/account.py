"""The end of a build: every row accounted for, and what there is to tell of the corpus."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from watari.artifact import atomic
from watari.artifact.stage import Inputs, Progress
from watari.corpus import contamination_report as contaminated
from watari.corpus.between import CHOOSE, RESULT, check_left
from watari.corpus.cleaning import LISTS, READ, steps_of
from watari.corpus.ledger import Tally, Totals
from watari.corpus.mix import measured_rates
from watari.corpus.plan import Plan
from watari.corpus.report import card
from watari.corpus.report.page import report
from watari.corpus.steps import CLEAN, SCREEN, WRITE
from watari.corpus.steps.score import RATES
from watari.corpus.steps.screen import CONTAMINATION, DUPLICATES, INDEX, PERSONAL, SPLIT
from watari.corpus.steps.write import MIXTURE, SELECTION
from watari.corpus.work import Work, read_json
from watari.kernels.contamination_index import ContaminationIndex

RECORD = "corpus.json"
MEASURED = 2000
"""Documents, about, whose tokens are counted for the report."""
_SIZES = ("documents", "characters", "bytes")


def close(work: Work, plan: Plan, out: Path, inputs: Inputs, progress: Progress) -> dict[str, Any]:
    """Prove the account, write `corpus.json`, the report and the cards, and return the stage's metrics.

    Raises:
        UserError: if no document is left.
        AssertionError: if a row is unaccounted for, which is a defect of ours.
    """
    numbers = range(len(plan.groups))
    read, kept, lost, early, sources = Totals(), Totals(), Tally(), Tally(), Tally()
    written = renamed = 0
    languages: dict[str, list[int]] = {}
    by_source: dict[str, list[int]] = {}
    licenses: dict[str, int] = {}
    found: contaminated.Findings = {}
    masked: dict[str, int] = {}
    footers = {"documents": 0, "characters": 0}
    marks = []
    for number in numbers:
        clean, last = work.marked(CLEAN, number) or {}, work.marked(WRITE, number) or {}
        screened = (work.marked(SCREEN, number) or {}) if plan.chosen else last
        marks.append(last)
        read.merge(Totals.read(clean["read"]))
        early.merge(Tally.read(clean["lost"]))
        footers = {name: footers[name] + clean["footers"][name] for name in footers}
        sources.merge(Tally.read(clean["sources"]))
        kept.merge(Totals.read(last["kept"]))
        lost.merge(Tally.read(last["lost"]))
        written += last["written"]
        renamed += last["renamed"]
        _add(languages, last["languages"])
        _add(by_source, last["sources"])
        for name, count in last["licenses"].items():
            licenses[name] = licenses.get(name, 0) + count
        part = {
            task: contaminated.TaskFindings.model_validate(one)
            for task, one in screened["contamination"].items()
        }
        found = contaminated.merged([found, part])
        for kind, count in last["masked"].items():
            masked[kind] = masked.get(kind, 0) + count
    prove(read, kept, lost, early)
    check_left(plan, marks, kept.documents)
    duplicates = read_json(work.root / RESULT)
    told = read_json(work.root / CHOOSE / "told.json") if plan.chosen else {}
    index = ContaminationIndex.load(work.root / INDEX) if plan.params.decontaminate else None
    tasks = contaminated.report(index, found) if index is not None else []
    metrics: dict[str, Any] = {
        "rows_in": read.documents,
        "kept": kept.documents,
        "dropped": read.documents - kept.documents,
        "dropped_by_reason": {name: totals.documents for name, totals in sorted(lost.by.items())},
        "written": written,
        "renamed_ids": renamed,
        "bytes_in": read.bytes,
        "languages": _named(languages),
        "sources": _named(by_source),
        "duplicates": {name: duplicates[name] for name in ("exact", "near")},
        "contaminated": {_label(task): task["documents"] for task in tasks if task["documents"]},
        "masked": dict(sorted(masked.items())),
    }
    record = {
        "source_datasets": _hub_datasets(plan),
        "name": _title(metrics["sources"]),
        "seed": plan.params.seed,
        "parameters": parameters(plan),
        "profile": plan.profile.model_dump(mode="json") if plan.profile else None,
        "steps": steps(work, plan),
        "totals": {"in": read.plain(), "kept": kept.plain(), "dropped": lost.plain()},
        "sources": sources.plain(),
        "written": {"documents": written, "languages": metrics["languages"], "sources": metrics["sources"]},
        "licenses": dict(sorted(licenses.items())),
        "duplicates": duplicates,
        "clusters": duplicates["clusters"],
        "contamination": {_label(task): task for task in tasks},
        "masked": metrics["masked"] if plan.masking else None,
        "footers": footers if plan.footer_language else None,
        **told,
        **_tokens(work, out, inputs),
    }
    atomic.write_json(out / RECORD, record)
    progress.update(0, None, note="report")
    report(out)
    card.write(out)
    return metrics


def _hub_datasets(plan: Plan) -> list[str]:
    """Return the datasets of the hub that were read, as `org/name`."""
    prefix = "hf://datasets/"
    files = [piece.file.removeprefix(prefix) for piece in plan.pieces if piece.file.startswith(prefix)]
    return sorted({"/".join(file.split("/")[:2]).split("@")[0] for file in files})


def _title(sources: Mapping[str, Any]) -> str:
    """Return what the corpus is called: its largest sources. The folder's name would make the bytes depend on it."""
    names = sorted(sources, key=lambda name: (-sources[name]["bytes"], name))
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")


def prove(read: Totals, kept: Totals, lost: Tally, early: Tally) -> None:
    """Make sure that what was read is what was kept and what was dropped: documents, characters, bytes and hashes.

    Raises:
        AssertionError: if it is not.
    """
    total = Totals()
    total.merge(kept)
    for totals in lost.by.values():
        total.merge(totals)
    if total != read:
        raise AssertionError(
            f"rows are unaccounted for: read {read.plain()}, kept and dropped {total.plain()}"
        )
    for reason, totals in early.by.items():
        later = lost.by.get(reason, Totals())
        if later.documents < totals.documents:
            raise AssertionError(f"the ledger lost rows dropped as {reason!r}")


def parameters(plan: Plan) -> dict[str, Any]:
    """Return the parameters that say what was done, without places on this machine."""
    hidden = {"sources", "engine", "engine_options", "workers", "tokenizer", "profile_file", "word_lists"}
    plain = plan.params.model_dump(mode="json", by_alias=True, exclude=hidden)
    return {name: value for name, value in _without_places(plain).items() if value not in (None, {}, [])}


def _without_places(value: Any) -> Any:
    """Return JSON data in which every absolute path is its file's name."""
    if isinstance(value, dict):
        return {name: _without_places(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_places(item) for item in value]
    if isinstance(value, str) and value.startswith("/"):
        return Path(value).name
    return value


def steps(work: Work, plan: Plan) -> list[str]:
    """Return the names of the steps that rows passed, in order."""
    params = plan.params
    names = [READ, *steps_of(plan, listed=(work.root / LISTS).is_file()), DUPLICATES]
    for name, asked in (
        (SPLIT, params.split),
        (CONTAMINATION, params.decontaminate),
        (PERSONAL, plan.masking),
        (SELECTION, params.select),
        (MIXTURE, params.mix),
    ):
        if asked:
            names.append(name)
    return names


def _label(task: Mapping[str, Any]) -> str:
    return str(task["task"]) if task["split"] == "test" else f"{task['task']} (train)"


def _add(total: dict[str, list[int]], part: Mapping[str, list[int]]) -> None:
    for name, sizes in part.items():
        total[name] = [a + b for a, b in zip(total.get(name, [0] * len(sizes)), sizes, strict=True)]


def _named(table: Mapping[str, list[int]]) -> dict[str, dict[str, int]]:
    return {name: dict(zip(_SIZES, table[name], strict=True)) for name in sorted(table)}


def _tokens(work: Work, out: Path, inputs: Inputs) -> dict[str, Any]:
    """Return the tokens per character by language, measured on what was written unless the mixture has done so before."""
    tokenizer = inputs.optional("tokenizer")
    if tokenizer is None:
        return {}
    path = work.root / RATES
    if path.is_file():
        return {"tokenizer": tokenizer.name, **json.loads(path.read_text("utf-8"))}
    from watari.pretrained import load_tokenizer

    parts = sorted((out / "documents").glob("part-*.parquet"))
    each = max(20, MEASURED // len(parts))
    heads = [
        next(pq.ParquetFile(part).iter_batches(each, columns=["text", "language"]), None) for part in parts
    ]
    table = pa.Table.from_batches([head for head in heads if head is not None])
    rates = measured_rates(table, load_tokenizer(tokenizer.path))
    return {"tokenizer": tokenizer.name, "tokens_per_character": rates}
