"""What the driver does before, between and after the steps of a build: whatever needs all pieces at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from watari.artifact import atomic
from watari.artifact.stage import Inputs, Progress
from watari.corpus import dedup, lists, mix, selection
from watari.corpus.cleaning import LISTS
from watari.corpus.names import KEY, Repeated, joined, keys_of
from watari.corpus.plan import Plan
from watari.corpus.samples import TEXTS
from watari.corpus.steps import CLEAN, SCREEN
from watari.corpus.steps.edges import FOLDER
from watari.corpus.steps.score import RATES, RATIOS, keys_in, mixture_of, scored_of, weighed_of
from watari.corpus.steps.screen import INDEX
from watari.corpus.steps.write import REPEATED, SURVIVORS
from watari.corpus.work import Work
from watari.errors import UserError
from watari.kernels import contamination_index
from watari.text import evaluation_sets

TARGET = "target.npz"
RESULT = "duplicates.json"
CHOOSE = "choose"


def prepare(work: Work, plan: Plan, progress: Progress) -> None:
    """Compile lists, evaluation sets and the selection's target into the work folder: whatever is wrong is told now.

    Raises:
        UserError: naming the file that cannot be used.
    """
    params = plan.params
    chosen = params.lists
    if any((chosen.hosts, chosen.urls, chosen.opt_out, chosen.licenses_allowed, chosen.licenses_denied)) or (
        chosen.license_missing == "drop"
    ):
        lists.compile_lists(chosen).save(work.root / LISTS)
    if params.decontaminate:
        sets = (
            text
            for one in params.decontaminate
            for text in evaluation_sets.read(one.path, task=one.task, split=one.split, fields=one.fields)
        )
        index = contamination_index.build_index(sets, params.contamination)
        index.save(work.root / INDEX)
        lost = sum(task.too_short for task in index.tasks)
        if lost:
            items = sum(task.items for task in index.tasks)
            progress.log(f"{lost:,} of {items:,} evaluation items are too short to be looked for")
    if params.select is not None:
        selection.target_counts(params.select, seed=params.seed, languages=plan.languages).save(
            work.root / TARGET
        )


def name_rows(work: Work, plan: Plan) -> None:
    """Find the ids that more than one row gives.

    Raises:
        UserError: if nothing is left, or a source holds no rows.
    """
    numbers = range(len(plan.groups))
    marks = [work.marked(CLEAN, number) or {} for number in numbers]
    rows: dict[str, int] = {}
    for mark in marks:
        for file, count in mark["files"].items():
            rows[file] = rows.get(file, 0) + count
    empty = [file for file, count in rows.items() if not count]
    if len(empty) == len(rows):
        raise UserError(f"{empty[0]}: holds no rows", "check the path and the file format")
    check_left(plan, marks, sum(mark["kept"] for mark in marks), _first_detail(work, plan))
    hashes = np.concatenate([work.load(CLEAN, number, "ids") for number in numbers])
    keys = np.concatenate([work.load(CLEAN, number, "id_keys") for number in numbers]).view(KEY)
    Repeated.of(hashes, keys).save(work.root / REPEATED)


def _first_detail(work: Work, plan: Plan) -> str:
    """Return what is said of the first row that was dropped with something to say, with its place; or nothing."""
    for number in range(len(plan.groups)):
        with pq.ParquetFile(work.file(CLEAN, number, "ledger.parquet")) as file:
            for batch in file.iter_batches(4096, columns=["path", "place", "reason", "detail"]):
                rows = pa.Table.from_batches([batch])
                rows = rows.filter(rows.column("detail").is_valid())
                if rows.num_rows:
                    row = rows.slice(0, 1).to_pylist()[0]
                    return f"; {row['path']}: {row['place']}: {row['reason']}: {row['detail']}"
    return ""


def check_left(plan: Plan, marks: list[dict], left: int, detail: str = "") -> None:  # type: ignore[type-arg]
    """Make sure that something is left.

    Raises:
        UserError: saying what the rows were dropped for.
    """
    if left:
        return
    reasons: dict[str, int] = {}
    total = 0
    for mark in marks:
        total += mark.get("read", {}).get("documents", 0)
        for reason, totals in mark["lost"].items():
            reasons[reason] = reasons.get(reason, 0) + totals["documents"]
    said = ", ".join(f"{count:,} {reason}" for reason, count in sorted(reasons.items()))
    of = f" of {total:,}" if total else ""
    raise UserError(f"no document is left{of} ({said}){detail}", "loosen the filters or the split")


def plan_edges(work: Work, plan: Plan) -> None:
    """Divide the search for duplicates into tasks."""
    dedup.edge_tasks(work.root / FOLDER, len(plan.groups), plan.params.duplicates)


def resolve(work: Work, plan: Plan, progress: Progress) -> None:
    """Decide which document of each cluster stays; write the names of those that stay.

    Raises:
        StageFailed: if the guard stops the build.
    """
    folder, params = work.root / FOLDER, plan.params.duplicates
    result = dedup.resolve(folder, params, progress)
    atomic.write_json(work.root / RESULT, result.model_dump(mode="json"))
    dedup.guard(result, params)
    _write_survivors(work, plan)


def _write_survivors(work: Work, plan: Plan) -> None:
    """Write key and name of each document that stays in another's place and gives an id of its own."""
    numbers = range(len(plan.groups))
    if not any(len(work.load(CLEAN, number, "ids")) for number in numbers):
        return
    gone = []
    for number in numbers:
        records = np.asarray(dedup.load_decisions(work.root / FOLDER, number).records)
        survivors = records["survivor"][records["kind"] != 0]
        gone.append(np.unique(_as_keys(survivors)))
    wanted = np.unique(joined(gone))
    repeated = Repeated.load(work.root / REPEATED)
    schema = pa.schema([("key", pa.string()), ("name", pa.string())])
    temporary = work.root / f".{SURVIVORS}.writing"
    with pa.OSFile(str(temporary), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for number in numbers:
            with pa.memory_map(str(work.file(CLEAN, number, "names.arrow"))) as source:
                reader = pa.ipc.open_file(source)
                for batch_number in range(reader.num_record_batches):
                    table = pa.Table.from_batches([reader.get_batch(batch_number)])
                    table = table.filter(table.column("id").is_valid())
                    if not table.num_rows:
                        continue
                    keys = keys_of(table.column("key"))
                    table = table.filter(pa.array(np.isin(keys, wanted)))
                    columns = [table.column("key"), pa.array(repeated.names(table), pa.string())]
                    writer.write_table(pa.table(columns, schema=schema))
    temporary.replace(work.root / SURVIVORS)


def _as_keys(words: np.ndarray) -> np.ndarray:
    """Return uint64[n, 2] as `KEY`."""
    return np.ascontiguousarray(words.astype(">u8")).view(KEY).reshape(-1)


def rate(work: Work, plan: Plan, inputs: Inputs) -> None:
    """Measure tokens per character where a tokenizer is given, and compare the corpus with the target."""
    params = plan.params
    numbers = range(len(plan.groups))
    marks = [work.marked(SCREEN, number) or {} for number in numbers]
    check_left(plan, marks, sum(mark["kept"] for mark in marks))
    tokenizer = inputs.optional("tokenizer")
    if tokenizer is not None:
        from watari.pretrained import load_tokenizer

        heads = pa.concat_tables(
            [pq.read_table(work.file(SCREEN, number, "heads.parquet")) for number in numbers]
        )
        texts = heads.rename_columns(["language" if name == "group" else name for name in TEXTS.names])
        rates = mix.measured_rates(texts, load_tokenizer(tokenizer.path))
        atomic.write_json(work.root / RATES, {"tokens_per_character": rates})
    if params.select is not None:
        raw = selection.Counts.load(work.file(SCREEN, 0, "counts.npz"))
        for number in numbers[1:]:
            raw = selection.merged([raw, selection.Counts.load(work.file(SCREEN, number, "counts.npz"))])
        found = selection.ratios(raw, selection.Counts.load(work.root / TARGET), params.select)
        found.save(work.root / RATIOS)


def choose(work: Work, plan: Plan, progress: Progress) -> None:
    """Select what resembles the target, fill the mixture's quotas, and write each piece's part of it."""
    params = plan.params
    numbers = range(len(plan.groups))
    keys = [keys_in(work, number) for number in numbers]
    kept = None
    told: dict[str, object] = {}
    if params.select is not None:
        names = selection.Ratios.load(work.root / RATIOS).languages
        choice = selection.choose([scored_of(work, n) for n in numbers], keys, names, params.select)
        kept = choice.kept
        for number in numbers:
            work.save(CHOOSE, number, "selected", kept[number])
        # A language of which all is kept has no threshold; none of its rows asks for it.
        limits = [None if np.isnan(limit) else float(limit) for limit in choice.thresholds]
        atomic.write_json(work.root / CHOOSE / "thresholds.json", {"thresholds": limits})
        told["select"] = [vars(language) for language in choice.languages]
        for language in choice.languages:
            if language.short:
                progress.log(
                    f"select: {language.language} holds less than the {language.wanted:,} {language.unit} asked for"
                )
    mixture = mixture_of(work, params.mix)
    if mixture is not None:
        mixed = mix.choose([weighed_of(work, n) for n in numbers], keys, mixture, kept)
        for number in numbers:
            work.save(CHOOSE, number, "copies", mixed.copies[number])
            work.save(CHOOSE, number, "limits", mixed.limits[number])
        told["mix"] = [vars(part) for part in mixed.parts]
        for warning in mixed.warnings:
            progress.log(f"mix: {warning}")
    atomic.write_json(work.root / CHOOSE / "told.json", told)
