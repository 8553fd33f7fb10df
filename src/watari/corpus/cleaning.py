"""The kernels that every row passes before duplicates are looked for, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from watari.corpus import lists
from watari.corpus.ingest import LanguageParams, identify
from watari.corpus.plan import Plan
from watari.corpus.rules.apply import apply
from watari.corpus.table import Kernel, dropped, with_column
from watari.corpus.work import Work
from watari.text.footer import FooterParams, trim_footers
from watari.text.normalise import NormaliseParams, normal_forms

LISTS = "lists.npz"
"""Compiled lists, in the work folder; missing where there are none."""

FOOTER = "footer"
READ = "read"
NORMALISE = "normalise"
LISTED = "lists"
LANGUAGE = "language"
LENGTH = "length"
RULES = "rules"


def steps_of(plan: Plan, *, listed: bool) -> list[str]:
    """Return the names of the steps that a plan's rows pass, in order."""
    # The length first: a language cannot be told of a word or two.
    names = [NORMALISE, *([LISTED] if listed else []), LENGTH, LANGUAGE]
    return names + ([RULES] if plan.profile is not None else [])


def kernels(work: Work, plan: Plan) -> Sequence[tuple[str, Kernel]]:
    """Return (name, kernel) of each step, in order."""
    params, profile = plan.params, plan.profile
    listed = (work.root / LISTS).is_file()
    language = params.identify.model_copy(update={"wanted": plan.languages})
    made: dict[str, Kernel] = {
        NORMALISE: partial(
            normalised,
            params=params.normalise,
            footers=FooterParams(language=plan.footer_language) if plan.footer_language else None,
        ),
        LANGUAGE: partial(_identified, params=language),
        LENGTH: partial(long_enough, limit=params.min_characters),
    }
    if listed:
        made[LISTED] = partial(lists.apply, lists=load_lists(work))
    if profile is not None:
        made[RULES] = partial(apply, profile=profile)
    return [(name, made[name]) for name in steps_of(plan, listed=listed)]


def normalised(table: pa.Table, params: NormaliseParams, footers: FooterParams | None) -> pa.Table:
    """Return the table with its texts in normal form; texts of which nothing is left are "empty".

    With `footers`, page footers are cut, and the column `footer` (int64) says how many characters that were.
    """
    texts = normal_forms(table.column("text"), params)
    if footers is not None:
        texts, cut = trim_footers(texts, footers)
        table = with_column(table, FOOTER, pa.array(cut, pa.int64()))
    table = with_column(table, "text", texts)
    empty = np.flatnonzero(np.asarray(pc.equal(pc.binary_length(texts), 0).fill_null(True)))
    return dropped(table, empty.astype(np.int64), "empty")


def _identified(table: pa.Table, params: LanguageParams) -> pa.Table:
    return identify(table, params)


def long_enough(table: pa.Table, limit: int) -> pa.Table:
    """Return the table with the verdict "too short" on texts of fewer characters than `limit`."""
    sizes = np.asarray(pc.utf8_length(table.column("text")).combine_chunks(), np.int64)
    short = np.flatnonzero(sizes < limit).astype(np.int64)
    return dropped(table, short, "too short", value=sizes[short].astype(np.float64), threshold=float(limit))


def load_lists(work: Work) -> lists.Lists:
    """Return the compiled lists; read once a process."""
    path = work.root / LISTS
    return _load_lists(str(path), path.stat().st_mtime_ns)


@lru_cache(maxsize=1)
def _load_lists(path: str, changed: int) -> lists.Lists:
    return lists.Lists.load(Path(path))
