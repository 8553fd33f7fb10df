"""Step `score`, a task per piece: each document's likeness to the target, and what the mixture must know of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from watari.corpus import mix, selection
from watari.corpus.mix_params import MixParams
from watari.corpus.names import KEY, joined, keys_of
from watari.corpus.plan import load_plan
from watari.corpus.steps import SCORE, SCREEN
from watari.corpus.work import Work, read_json

RATIOS = "ratios.npz"
RATES = "rates.json"


def run(work: Work, number: int) -> None:
    """Score one piece."""
    plan = load_plan(work)
    select, mixture, seed = plan.params.select, mixture_of(work, plan.params.mix), plan.params.seed
    found = selection.Ratios.load(work.root / RATIOS) if select is not None else None
    scored: list[selection.Scored] = []
    weighed: list[mix.Weighed] = []
    keys: list[np.ndarray] = []
    for table in tables(work, number):
        keys.append(keys_of(table.column("key")))
        if select is not None and found is not None:
            scored.append(selection.score(table, found, select, seed=seed))
        if mixture is not None:
            weighed.append(mix.weigh(table, mixture, seed=seed))
    work.save(SCORE, number, "keys", joined(keys).view(np.uint64))
    counted: dict[str, object] = {}
    if select is not None:
        _save(work, number, scored, {"score": np.float64, "language": np.int16, "characters": np.int64})
    if mixture is not None:
        groups = sorted({group for part in weighed for group in part.groups})
        counted["groups"] = [list(group) for group in groups]
        place = {group: index for index, group in enumerate(groups)}
        codes = [
            np.array([place[group] for group in part.groups], np.int32)[part.group]
            for part in weighed
            if len(part.group)
        ]
        work.save(SCORE, number, "group", np.concatenate([np.zeros(0, np.int32), *codes]))
        _save(work, number, weighed, {"draw": np.float64, "tokens": np.int64, "cluster": np.int32})
    work.mark(SCORE, number, counted)


def _save(work: Work, number: int, parts: Sequence[object], arrays: Mapping[str, type[np.generic]]) -> None:
    """Write attributes of all parts, each as one array."""
    for name, kind in arrays.items():
        found = [getattr(part, name) for part in parts]
        work.save(SCORE, number, name, np.concatenate([np.zeros(0, kind), *found]))


def tables(work: Work, number: int) -> Iterator[pa.Table]:
    """Yield the rows of a piece that passed the screen, a row group at a time."""
    with pq.ParquetFile(work.file(SCREEN, number, "rows.parquet")) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group)


def mixture_of(work: Work, params: MixParams | None) -> MixParams | None:
    """Return the mixture with the rates that were measured, where some were."""
    path: Path = work.root / RATES
    if params is None or not path.is_file():
        return params
    measured = read_json(path)["tokens_per_character"]
    return params.model_copy(update={"tokens_per_character": {**measured, **params.tokens_per_character}})


def scored_of(work: Work, number: int) -> selection.Scored:
    """Return the weights of a piece; mapped files."""
    return selection.Scored(*(work.load(SCORE, number, name) for name in ("score", "language", "characters")))


def weighed_of(work: Work, number: int) -> mix.Weighed:
    """Return what the mixture must know of a piece; mapped files."""
    marked = work.marked(SCORE, number) or {}
    draw, tokens, cluster, group = (
        work.load(SCORE, number, name) for name in ("draw", "tokens", "cluster", "group")
    )
    return mix.Weighed(draw, tokens, cluster, group, tuple(mix.Group(*names) for names in marked["groups"]))


def keys_in(work: Work, number: int) -> np.ndarray:
    """Return the keys of a piece's rows, as `names.KEY`."""
    return np.asarray(work.load(SCORE, number, "keys")).view(KEY)
