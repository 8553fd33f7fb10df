"""`data.mix`: several sets of conversations become one: weighed, capped, without duplicates, in a drawn order.

In the order of what is done: selection, benchmark splits, evaluation texts, duplicates, caps, ratios and weights,
translation tasks, order. Rows stream through; what is held of each is some 100 bytes and its id.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from watari.artifact.dataset_facts import DatasetFacts, ModelFact, meta_fields, read_facts, write_facts
from watari.artifact.kinds import Kind
from watari.artifact.params import Conversations, Count, OneOrMore, OutsidePath, StageParams
from watari.artifact.rows import ROWS
from watari.artifact.stage import InputArtifact, Inputs, Progress, Stage, StageResult, stop_if_asked
from watari.data.mix_params import Caps, Dedup, TranslationTasks
from watari.errors import UserError

if TYPE_CHECKING:
    from watari.data.evaluation_texts import EvaluationTexts
    from watari.data.mix_index import Index

KIND = "data.mix"


class Params(StageParams):
    """Parameters of `data.mix`."""

    data: Annotated[list[Conversations], OneOrMore] = Field(
        min_length=1,
        description="what is mixed; of two rows that are the same the one in the earlier input stays. `ratio` in a"
        " selection thins an input, or repeats it",
    )
    weights: dict[str, float] = Field(
        default_factory=dict,
        description="share of the mixture by input: {translated: 0.7, slimorca: 0.3}; every input has one. Default: all"
        " of every input",
    )
    rows: Count | None = Field(
        default=None,
        ge=1,
        description="rows in all (before translation tasks). Default: with weights the most that they allow, else all",
    )
    unit: Literal["rows", "characters"] = Field(
        default="rows",
        description="what weights and `rows` count; sets differ tenfold in the length of their rows",
    )
    repeat: float = Field(
        default=1.0,
        ge=1,
        description="times that a row is taken at most, where weights ask for more than there is",
    )
    caps: Caps = Field(default=Caps(), description="rows at most by source, language, category")
    dedup: Dedup = Field(default=Dedup(), description="how duplicates are found, across all inputs")
    pairs: Annotated[list[Conversations], OneOrMore] = Field(
        default_factory=list,
        description="translated conversations whose `parents` name their originals, of which translation tasks are made;"
        " default: no tasks",
    )
    originals: Annotated[list[Conversations], OneOrMore] = Field(
        default_factory=list, description="where the originals of `pairs` are; default: among `data`"
    )
    translation_tasks: TranslationTasks = Field(
        default=TranslationTasks(), description="which turns of `pairs` become tasks, and how many"
    )
    benchmark_sources: list[str] = Field(
        default_factory=list,
        description="inputs or sources that are splits of a benchmark, beside the rows whose meta has `benchmark`"
        " (see data.import)",
    )
    train_splits: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="allow: take train splits of benchmarks, and dataset.json says so. Shisa's scores rose by .09 from"
        " 5 % of each train set (facts/seed-systems.md §5); such a score no longer says what it seems to",
    )
    decontaminate: Annotated[list[OutsidePath], OneOrMore] = Field(
        default_factory=list,
        description="files of evaluation sets, in any form that corpus.build takes; a row that holds an item is dropped",
    )
    contamination_ngram: int = Field(
        default=20,
        ge=8,
        le=64,
        description="characters of such a run (other letters than kana, kanji and Hangul count a third), as in corpus.build",
    )
    shuffle: bool = Field(
        default=True,
        description="bring the rows into a drawn order; otherwise in the inputs' order, tasks last",
    )

    @model_validator(mode="after")
    def _sound(self) -> Params:
        for name, weight in self.weights.items():
            if weight < 0:
                raise ValueError(f"weights: {name}: a weight is not negative")
        if self.originals and not self.pairs:
            raise ValueError("originals: they are of use to `pairs` only")
        if "translation_tasks" in self.model_fields_set and not self.pairs:
            raise ValueError("translation_tasks: name in `pairs` what they are made of")
        return self


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Mix: `rows.parquet`, `dropped.parquet`, `dataset.json`.

    Metrics: rows_in, kept, dropped, dropped_by_reason (of rows of `data`), written (copies and tasks too), renamed_ids,
    inputs {name: {rows_in, kept, written, wanted, given}}, tasks {made, passed_over, directions}, languages, sources,
    benchmark_sources, characters.

    Raises:
        UserError: for weights that do not fit the inputs, rows of benchmarks that are not allowed, nothing left.
    """
    from watari.data.evaluation_texts import read_evaluation_texts
    from watari.data.mix_dedup import drop_duplicates
    from watari.data.mix_draw import apply_caps, copies_of
    from watari.data.mix_index import NOT_SELECTED, read_index
    from watari.data.mix_write import Buckets, as_table, common_schema, kept_by_input, throw, write_dropped

    data = _distinct(inputs.many("data"))
    work = out / "work"
    index, marked = read_index(
        data,
        work,
        progress,
        seed=params.seed,
        stage=KIND,
        of=params.dedup.of,
        words=params.dedup.bands * params.dedup.words if params.dedup.near else 0,
        benchmarks=frozenset(params.benchmark_sources),
        allowed=params.train_splits == "allow",
    )
    marked = sorted({*marked, *_marked_inputs(data, params)})
    texts = None
    if params.decontaminate:
        texts = read_evaluation_texts(params.decontaminate, params.contamination_ngram)
        _drop_contaminated(texts, data, index, progress)
    drop_duplicates(index, params.dedup)
    apply_caps(index, params.caps)
    count, shares = copies_of(
        index,
        data,
        weights=params.weights,
        rows=params.rows,
        characters=params.unit == "characters",
        repeat=params.repeat,
    )
    names = [artifact.name for artifact in data]
    by_reason = write_dropped(out / "dropped.parquet", index, names)
    rows_in, kept = int((index.state != NOT_SELECTED).sum()), len(index.kept)
    if rows_in != kept + sum(by_reason.values()):
        raise AssertionError(
            f"rows are unaccounted for: {rows_in} in, {kept} kept, {sum(by_reason.values())} dropped"
        )
    if not kept:
        reasons = ", ".join(f"{count} {reason}" for reason, count in by_reason.items())
        raise UserError(f"data: no row is left ({reasons})", "loosen the caps or the weights")
    buckets = Buckets(
        work,
        common_schema(data),
        int((index.characters * count).sum()),
        seed=params.seed,
        stage=KIND,
        shuffle=params.shuffle,
    )
    renamed = throw(data, index, count, buckets, progress)
    rows, tasks, versions = _tasks(params, inputs, data, texts, int(count.sum()), progress)
    buckets.add(as_table(rows))
    counts = buckets.write(out / ROWS, progress)
    by_input: dict[str, Any] = {}
    for name, found, share in zip(names, kept_by_input(index, count, len(data)), shares, strict=True):
        asked = {} if share.wanted is None else {"wanted": share.wanted, "given": share.given}
        by_input[name] = {**found, **asked}
        if share.wanted is not None and share.given < 0.99 * share.wanted:
            progress.log(f"{name}: {share.given:,} of {share.wanted:,} {params.unit}: there is no more of it")
    metrics = {
        "rows_in": rows_in,
        "kept": kept,
        "dropped": rows_in - kept,
        "dropped_by_reason": by_reason,
        "written": counts.rows,
        "renamed_ids": renamed,
        "inputs": by_input,
        "tasks": tasks,
        "benchmark_sources": marked,
        "characters": counts.characters,
        "languages": counts.facts()["languages"],
        "sources": counts.facts()["sources"],
    }
    facts = DatasetFacts(
        stage=KIND,
        **{**counts.facts(), "benchmark_sources": marked},
        rows_in=rows_in,
        dropped=by_reason,
        models=_models([*data, *inputs.many("pairs")]),
        prompts=versions,
        more={"inputs": by_input, "tasks": tasks},
    )
    write_facts(out, facts)
    shutil.rmtree(work, ignore_errors=True)
    return StageResult(metrics=metrics)


def _distinct(data: list[InputArtifact]) -> list[InputArtifact]:
    """Return the inputs, those that are named twice (two selections of one stage) under names of their own."""
    seen: dict[str, int] = {}
    found = []
    for artifact in data:
        times = seen[artifact.name] = seen.get(artifact.name, 0) + 1
        name = artifact.name if times == 1 else f"{artifact.name}#{times}"
        found.append(InputArtifact(name, artifact.path, artifact.manifest, artifact.selection))
    return found


def _marked_inputs(data: list[InputArtifact], params: Params) -> list[str]:
    """Return the benchmarks of which inputs say in their `dataset.json` that they hold splits.

    Raises:
        UserError: if there are any and they are not allowed.
    """
    marked: list[str] = []
    for artifact in data:
        facts = read_facts(artifact.path)
        if facts is None or not facts.benchmark_sources:
            continue
        if params.train_splits != "allow":
            raise UserError(
                f"{artifact.name}: its dataset.json tells of splits of {', '.join(facts.benchmark_sources)}",
                "leave it out, or write `train_splits: allow`, and the card will say so",
            )
        marked += facts.benchmark_sources
    return marked


def _models(artifacts: list[InputArtifact]) -> list[ModelFact]:
    """Return who wrote the inputs, as their `dataset.json`s say; how many of the rows that are left is not known."""
    found: dict[tuple[str, str], ModelFact] = {}
    for artifact in artifacts:
        facts = read_facts(artifact.path)
        for one in facts.models if facts is not None else ():
            found[one.role, one.model] = ModelFact(model=one.model, role=one.role)
    return [found[key] for key in sorted(found)]


def _drop_contaminated(
    texts: EvaluationTexts, data: list[InputArtifact], index: Index, progress: Progress
) -> None:
    from watari.data.evaluation_texts import REASON
    from watari.data.mix_index import KEPT, batches

    at = 0
    found: list[int] = []
    for artifact in data:
        for table in batches(artifact):
            stop_if_asked(progress)
            turns = table.column("messages").to_pylist()
            rows = [place for place in range(table.num_rows) if index.state[at + place] == KEPT]
            said = [_said(turns[place]) for place in rows]
            found += [at + rows[place] for place in texts.found_in(said)]
            at += table.num_rows
            progress.update(at, len(index), unit="rows", note="evaluation texts")
    index.drop(np.array(found, np.int64), REASON)


def _said(messages: list[dict[str, str]]) -> str:
    return "\n".join(turn["content"] for turn in messages)


def _tasks(
    params: Params,
    inputs: Inputs,
    data: list[InputArtifact],
    texts: EvaluationTexts | None,
    rows: int,
    progress: Progress,
) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, str]]:
    """Return (tasks as rows, what is told of them, versions of their templates)."""
    pairs = inputs.many("pairs")
    if not pairs:
        return [], {}, {}
    from watari.data.translation_tasks import find_tasks, load_templates, make_tasks

    originals = inputs.many("originals") or data
    wanted = params.translation_tasks
    allowed = params.train_splits == "allow"
    source = find_tasks(pairs, originals, wanted, progress, seed=params.seed, stage=KIND, benchmarks=allowed)
    most = int(wanted.share * rows / (1 - wanted.share) + 1e-9)
    made = make_tasks(source.candidates[:most], pairs, originals, progress, seed=params.seed, stage=KIND)
    if texts is not None:
        hits = set(texts.found_in([_said(row["messages"]) for row in made]))
        made = [row for place, row in enumerate(made) if place not in hits]
        if hits:
            source.skip("contaminated", len(hits))
    directions: dict[str, int] = {}
    for row in made:
        name = meta_fields(row)["direction"]
        directions[name] = directions.get(name, 0) + 1
    told = {
        "made": len(made),
        "possible": len(source.candidates),
        "passed_over": dict(sorted(source.passed_over.items())),
        "directions": dict(sorted(directions.items())),
    }
    return made, told, {"rehydrate": load_templates().version}


STAGE = Stage(kind=KIND, version=2, output=Kind.CONVERSATIONS, params=Params, run=run)
