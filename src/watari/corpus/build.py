"""`corpus.build`: from raw documents to a clean, selected, decontaminated corpus, with an account of every row.

The work is done in steps over shards (`watari.corpus.steps`), by whatever engine the parameters name; between two steps
the driver here looks at all shards at once. Whatever is done stays done: a build that is stopped or killed goes on where
it was, and its bytes are the same for any number of workers, any engine and any order of its inputs.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from watari.artifact import atomic
from watari.artifact.kinds import Kind
from watari.artifact.manifest import WORK
from watari.artifact.outside import is_url
from watari.artifact.stage import Inputs, Progress, Stage, StageResult, stop_if_asked
from watari.corpus import account, between, engines, ingest
from watari.corpus.params import EvaluationSet, Params, Split
from watari.corpus.plan import Plan
from watari.corpus.steps import CLEAN, EDGES, SCORE, SCREEN, WRITE, run_task
from watari.corpus.steps.edges import FOLDER
from watari.corpus.steps.write import PLACE
from watari.corpus.work import Work, read_json

__all__ = ["KIND", "STAGE", "EvaluationSet", "Params", "Split", "run"]

KIND = "corpus.build"
PARTS = ("documents", "ledger", "dropped", "measured")
SMALL = 2 << 20
"""Bytes of input that are not worth a process of their own."""


def run(params: Params, inputs: Inputs, out: Path, progress: Progress) -> StageResult:
    """Build the corpus in `out`.

    Files: `documents/part-*.parquet` (the schema of documents, `cluster_size`, `copies`, `raw_hash`, `masked`),
    `ledger/part-*.parquet` (a row an input row: disposition, reason, value, threshold, survivor), `dropped/` (heads of
    dropped texts), `measured/` (what every rule says of a sample), `corpus.json` (the account), `report.html`,
    `README.md` and `README.ja.md` (dataset cards).

    Metrics: rows_in, kept, dropped, dropped_by_reason (documents as read), written, renamed_ids; documents, characters,
    bytes by language and by source (as written); duplicates, clusters; contamination by task; masked by kind.

    Raises:
        UserError: for a source, profile, list, evaluation set or target that cannot be used, before anything is read;
            for a broken row with `on_error: stop`; and if no document is left.
        StageFailed: if duplicates eat a source or make one cluster of too much, or a shard fails.
    """
    began = time.monotonic()
    work = Work(out / WORK)
    workers = params.workers or os.cpu_count() or 1
    plan = planned(params, inputs, work, progress, workers=workers)
    atomic.write_json(work.root / PLACE, {"out": os.path.relpath(out, work.root)})
    tasks = len(plan.groups)

    small = params.engine == "pool" and _is_small(plan)

    def step(name: str, tasks: int) -> None:
        if small:
            # Less work than starting a process for it.
            for number in range(tasks):
                stop_if_asked(progress)
                run_task(work.root, name, number)
            return
        engines.run(
            params.engine,
            work.root,
            name,
            tasks,
            workers=workers,
            progress=progress,
            options=params.engine_options,
        )

    def once(name: str, action: Callable[[], None]) -> None:
        """Do what the driver does between two steps, unless an earlier attempt has."""
        if not (work.root / f"{name}.done").is_file():
            stop_if_asked(progress)
            progress.update(0, None, note=name)
            action()
            atomic.write_text(work.root / f"{name}.done", "")

    step(CLEAN, tasks)
    once("named", lambda: between.name_rows(work, plan))
    once("paired", lambda: between.plan_edges(work, plan))
    step(EDGES, int(read_json(work.root / FOLDER / "plan.json")["tasks"]))
    once("resolved", lambda: between.resolve(work, plan, progress))
    if plan.chosen:
        step(SCREEN, tasks)
        once("rated", lambda: between.rate(work, plan, inputs))
        step(SCORE, tasks)
        once("chosen", lambda: between.choose(work, plan, progress))
    step(WRITE, tasks)
    metrics = account.close(work, plan, out, inputs, progress)
    seconds = time.monotonic() - began
    size = metrics["bytes_in"]
    return StageResult(
        metrics=metrics,
        performance={"megabytes_per_second": round(size / seconds / 1e6, 2) if seconds else None},
    )


def _is_small(plan: Plan) -> bool:
    """True if everything is here and little."""
    here = all(not is_url(piece.file) or piece.file.startswith("demo://") for piece in plan.pieces)
    return here and sum(piece.size for piece in plan.pieces) <= SMALL


def planned(params: Params, inputs: Inputs, work: Work, progress: Progress, *, workers: int = 0) -> Plan:
    """Return the plan, with everything checked and compiled that tasks will ask for; `workers` are started meanwhile."""
    profile = params.resolved_profile()
    pieces = ingest.plan(params.sources, inputs.many("sources"), seed=params.seed, stage=KIND)
    plan = Plan(params, pieces, profile)
    path = work.root / "plan.json"
    if path.is_file() and read_json(path)["pieces"] != plan.plain()["pieces"]:
        # The inputs are not what they were: nothing of the earlier attempt can be used.
        progress.log("the inputs have changed since the interrupted build: it starts anew")
        shutil.rmtree(work.root)
        for name in PARTS:
            shutil.rmtree(work.root.parent / name, ignore_errors=True)
    work.root.mkdir(parents=True, exist_ok=True)
    if workers and not _is_small(plan):
        engines.prepare(params.engine, work.root, min(workers, len(plan.groups)))
    between.prepare(work, plan, progress)
    plan.write(work)
    return plan


STAGE = Stage(kind=KIND, version=2, output=Kind.DOCUMENTS, params=Params, run=run, resumes=True)
