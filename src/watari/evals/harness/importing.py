"""Takes results of the harness over into evaluation folders, one a model, which score, page and comparison read."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from watari.artifact.hashing import hash_json
from watari.errors import UserError
from watari.evals.folder import About, Evaluation, Generation, Item, write_evaluation
from watari.evals.harness.reading import read_calls
from watari.evals.harness.scoring import Scored, score_calls
from watari.evals.harness.spec import NAME, HarnessSpec
from watari.evals.spec import load_spec

FILES = "harness"
"""Folder inside of an evaluation folder: the harness's own files, unchanged; what its scores are counted from."""


@dataclass(frozen=True)
class Imported:
    """One model's results, and the folder that they lie in."""

    scored: Scored
    folder: Path


def import_results(
    paths: Sequence[Path], out: Path, *, model: str | None = None, seed: int = 0
) -> list[Imported]:
    """Write an evaluation folder for each model: `out` itself for one, `out/MODEL` for several.

    Raises:
        UserError: for files that are none of the harness's, or broken; where `out` is something else already.
    """
    spec = load_spec(NAME)
    assert isinstance(spec, HarnessSpec)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: is there already", "give another --out, or remove it")
    scored = score_calls(spec, read_calls(paths), model=model, seed=seed)
    folders = [out] if len(scored) == 1 else [out / name for name in _folder_names(scored)]
    for one, folder in zip(scored, folders, strict=True):
        write_evaluation(folder, _evaluation(one, spec, seed), [one.result], metric="score")
        for number, call in enumerate(one.calls, 1):
            kept = folder / FILES / str(number)
            kept.mkdir(parents=True)
            for file in (call.path, *call.sample_files):
                shutil.copyfile(file, kept / file.name)
    return [Imported(one, folder) for one, folder in zip(scored, folders, strict=True)]


def _evaluation(scored: Scored, spec: HarnessSpec, seed: int) -> Evaluation:
    items, generations = [], []
    model = scored.result.model
    for name, task in scored.tasks.items():
        first = task.figures[0].filter if task.figures else "none"
        taken: set[str] = set()
        for sample in task.samples:
            if sample.filter != first or sample.doc in taken:
                continue
            taken.add(sample.doc)
            meta = {"choices": list(sample.choices)} if sample.choices else {}
            items.append(Item(sample.doc, name, (sample.prompt,), gold=sample.target, meta=meta))
            generations.append(
                Generation(
                    id=hash_json([name, sample.doc, model]),
                    item_id=sample.doc,
                    group=name,
                    model=model,
                    run=0,
                    turn=1,
                    response=sample.response,
                    finish_reason="stop",
                    rendered_prompt=sample.prompt,
                    gold=sample.target,
                    pred=sample.filtered,
                )
            )
    about = About(
        spec=spec.name,
        label=spec.label,
        version=spec.version,
        digest=spec.digest,
        model=model,
        questions="lm-evaluation-harness: " + ", ".join(scored.tasks),
        questions_digest=hash_json([[item.group, item.id, list(item.turns), item.gold] for item in items]),
        seed=seed,
        settings=dict(scored.result.settings),
    )
    return Evaluation(about, tuple(items), tuple(generations))


def _folder_names(scored: Sequence[Scored]) -> list[str]:
    names: list[str] = []
    for one in scored:
        plain = re.sub(r"[^\w.-]+", "-", one.result.model).strip("-.") or "model"
        name, number = plain, 1
        while name in names:
            number += 1
            name = f"{plain}-{number}"
        names.append(name)
    return names
