"""Page footers: lines at the end of a web page that are made of links and notices, not of text.

Swallow's rule (swallow-corpus, facts/corpus.md §1): among the last ten lines of a page, one of which more than 30 % of
the characters belong to footer words is cut. The words are data of the language pack (`footer:`).
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from watari.errors import UserError
from watari.languages import load_language


class FooterParams(BaseModel):
    """How footers are found. Meant for web pages; a poem's last line may be one word."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    language: str = Field(default="ja", description="the language pack whose `footer` words are looked for")
    lines: int = Field(
        default=10, ge=1, description="lines at the end of a text that are looked at (Swallow: 10)"
    )
    share: float = Field(
        default=0.3,
        ge=0,
        lt=1,
        description="a line is cut if more than this share of its characters, blanks aside, belongs to footer words"
        " (Swallow: 0.3)",
    )


def trim_footer(text: str, params: FooterParams) -> str:
    """Return a text without its footer lines; what is not cut stays as it is, save for blanks at the new end.

    Raises:
        UserError: if the language pack names no footer words.
    """
    pattern = _pattern(params.language)
    head, lines = _split(text, params.lines)
    kept = [line for line in lines if not _is_footer(line, pattern, params.share)]
    if len(kept) == len(lines):
        return text
    return (head + "\n".join(kept)).rstrip()


def trim_footers(
    column: pa.Array | pa.ChunkedArray, params: FooterParams
) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Return a column of texts without footers (large_string), and int64[n]: characters cut from each."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], pa.large_string())
    array = array.cast(pa.large_string())
    cut = np.zeros(len(array), np.int64)
    rows, trimmed = [], []
    for row, text in enumerate(array.to_pylist()):
        if text and (shorter := trim_footer(text, params)) != text:
            rows.append(row)
            trimmed.append(shorter)
            cut[row] = len(text) - len(shorter)
    if not rows:
        return array, cut
    mask = np.zeros(len(array), bool)
    mask[rows] = True
    return pc.replace_with_mask(array, pa.array(mask), pa.array(trimmed, pa.large_string())), cut


def trim_table(table: pa.Table, params: FooterParams) -> tuple[pa.Table, npt.NDArray[np.int64]]:
    """Return a table whose `text` has lost its footers, and int64[n]: characters cut from each row."""
    place = table.schema.get_field_index("text")
    texts, cut = trim_footers(table.column("text"), params)
    return table.set_column(place, table.schema.field(place), texts), cut


def _split(text: str, lines: int) -> tuple[str, list[str]]:
    """Return (what stands before, with its line end; the last lines)."""
    parts = text.rsplit("\n", lines)
    if len(parts) <= lines:
        return "", parts
    return parts[0] + "\n", parts[1:]


def _is_footer(line: str, pattern: re.Pattern[str], share: float) -> bool:
    bare = "".join(line.lower().split())
    if not bare:
        return False
    covered = sum(len(match) for match in pattern.findall(bare))
    return covered > share * len(bare)


@cache
def _pattern(language: str) -> re.Pattern[str]:
    words = load_language(language).footer
    if not words:
        raise UserError(
            f"languages/{language}.yaml: no footer words", "footers are not trimmed in this language"
        )
    # The longest first; blanks do not count, neither in words nor in lines.
    bare = sorted({"".join(word.lower().split()) for word in words}, key=lambda word: (-len(word), word))
    return re.compile("|".join(map(re.escape, bare)))
