"""The normal form of a text: the least that every room wants, and what a corpus wants, by the column.

`normalise` is the least: NFC, line ends, no control characters. A corpus takes more (`NormaliseParams`): half-width
katakana to full-width, full-width letters and digits to ASCII, the commas and stops of Japanese text to 、 and 。
(Swallow's rule), white space in order. Never NFKC: it would turn ！？（） into ASCII and lose what Japanese typography
says (facts/corpus.md §4). Both are idempotent.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from watari.kernels.texts import Texts

_NEWLINES = re.compile("\r\n?|\u2028|\u2029|\x85")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f\ufeff]")


def normalise(text: str) -> str:
    """Return `text` in NFC, with `\\n` as its only line end, without control characters and outer white space.

    NFC and not NFKC: NFKC would turn ！？（） into ASCII and lose what Japanese typography says (facts/corpus.md §4).
    Tabs stay; a byte-order mark anywhere is dropped. Idempotent.
    """
    return unicodedata.normalize("NFC", _CONTROLS.sub("", _NEWLINES.sub("\n", text))).strip()


class NormaliseParams(BaseModel):
    """What is brought into one form in the texts of a corpus. Line ends become `\\n` and control characters go always."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    nfc: bool = Field(default=True, description="canonical composition: か and U+3099 become が. Never NFKC")
    half_width_kana: bool = Field(default=True, description="ｶﾞ becomes ガ, ｡ becomes 。")
    full_width_letters: bool = Field(
        default=True, description="Ａ, ａ and １ become A, a and 1; ！？（） and other signs stay"
    )
    punctuation: bool = Field(
        default=True,
        description="in Japanese text ， and ． behind a Japanese letter become 、 and 。 (Swallow, arXiv 2404.17733);"
        " between digits they become , and . if full_width_letters is set; Chinese text keeps them",
    )
    white_space: bool = Field(
        default=True,
        description="no-break and typographic spaces become blanks, blanks at line ends go, one empty line is the most",
    )
    invisible: bool = Field(
        default=True, description="zero-width spaces, soft hyphens and word joiners go; joiners (U+200D) stay"
    )


DEFAULT = NormaliseParams()

# What a character may call for: one bit each, so that a text's needs are the OR over its characters.
_LINE, _DROP, _HALF, _FULL, _SPACE, _NFC, _COMMA, _HIDDEN = (1 << place for place in range(8))

_LINES = ("\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029")
_DROPPED = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufff9-\ufffb\ufffe\uffff]+")
_INVISIBLE = re.compile("[\u00ad\u200b\u2060]+")
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f]")
_ALPHANUMERIC = re.compile("[０-９Ａ-Ｚａ-ｚ]+")
_TO_ASCII = {
    code: code - 0xFEE0 for code in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))
}
_HALF_WIDTH = re.compile("[\uff61-\uff9f]")
_BLANKS = " \t\u3000"
# Behind these a comma or stop belongs to Japanese: kana, kanji and their marks, closing brackets and quotes. One stop
# of a row of them (．．．) is an ellipsis.
_AFTER_JAPANESE = re.compile(
    "[，．](?<=[\u3041-\u3096\u30a1-\u30fa\u30fc-\u30fe\u309d\u309e\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff"
    "」』）】〉》〕］｝\U00020000-\U0003ffff].)(?<!．(?=．))"
)
_IN_NUMBER = re.compile("(?<=[0-9])[，．](?=[0-9])")
_JAPANESE_FORM = {"，": "、", "．": "。"}
_ASCII_FORM = {"，": ",", "．": "."}
_KANA_SHARE = 0.05
"""Share of kana among kana and Han characters from which the rule for commas holds; Chinese writes ， itself."""


def normal_form(text: str, params: NormaliseParams = DEFAULT) -> str:
    """Return a text in the form that a corpus wants. Idempotent."""
    return _formed(text, params, 0xFF)


def _formed(text: str, params: NormaliseParams, needs: int) -> str:
    """Do what `needs` calls for: bits that are not set are known to be needless for this text."""
    if needs & _LINE:
        for end in _LINES:
            text = text.replace(end, "\n")
    if needs & _DROP:
        text = _DROPPED.sub("", text)
    if needs & _HIDDEN and params.invisible:
        text = _INVISIBLE.sub("", text)
    if needs & _HALF and params.half_width_kana:
        text = _widened(text)
    if needs & _FULL and params.full_width_letters:
        text = _ALPHANUMERIC.sub(lambda match: match[0].translate(_TO_ASCII), text)
    if needs & _SPACE and params.white_space:
        text = _SPACES.sub(" ", text)
    if needs & _NFC and params.nfc:
        text = unicodedata.normalize("NFC", text)
    if needs & _COMMA and params.punctuation and ("，" in text or "．" in text) and _is_japanese(text):
        if params.full_width_letters:
            text = _IN_NUMBER.sub(lambda match: _ASCII_FORM[match[0]], text)
        text = _AFTER_JAPANESE.sub(lambda match: _JAPANESE_FORM[match[0]], text)
    if params.white_space:
        if any(f"{blank}\n" in text for blank in _BLANKS):
            text = "\n".join([line.rstrip(_BLANKS) for line in text.split("\n")])
        while "\n\n\n" in text:
            text = text.replace("\n\n\n", "\n\n")
    return text.strip()


def _is_japanese(text: str) -> bool:
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    kana = np.count_nonzero((codes - 0x3041 < 0x56) | (codes - 0x30A1 < 0x5A))
    han = np.count_nonzero((codes - 0x4E00 < 0x5200) | (codes - 0x3400 < 0x19C0))
    return bool(kana and kana >= _KANA_SHARE * (kana + han))


@cache
def _wide_kana() -> tuple[re.Pattern[str], dict[str, str]]:
    """Return a pattern of kana with a half-width voicing mark, and what each such pair becomes."""
    pairs = {}
    kana = [chr(code) for code in (*range(0x3041, 0x3097), 0x309D, *range(0x30A1, 0x30FB), 0x30FD)]
    half = [chr(code) for code in range(0xFF66, 0xFF9E)]
    for mark, joined in (("ﾞ", "\u3099"), ("ﾟ", "\u309a")):
        for char in (*kana, *half):
            whole = unicodedata.normalize("NFC", unicodedata.normalize("NFKC", char) + joined)
            if len(whole) == 1:
                pairs[char + mark] = whole
    return re.compile("|".join(map(re.escape, pairs))), pairs


@cache
def _wide_signs() -> dict[int, str]:
    # A mark that has nothing to stand on becomes the one that stands alone, not one that would join what precedes.
    alone = {0xFF9E: "\u309b", 0xFF9F: "\u309c"}
    return {code: unicodedata.normalize("NFKC", chr(code)) for code in range(0xFF61, 0xFFA0)} | alone


def _widened(text: str) -> str:
    if not _HALF_WIDTH.search(text):
        return text
    pattern, pairs = _wide_kana()
    text = pattern.sub(lambda match: pairs[match[0]], text)
    signs = _wide_signs()
    return _HALF_WIDTH.sub(lambda match: signs[ord(match[0])], text)


def normal_forms(column: pa.Array | pa.ChunkedArray, params: NormaliseParams = DEFAULT) -> pa.Array:
    """Return a column of texts in their normal form, as large_string; a null stays null.

    A text that is in it already, as most are, is only looked at, by the column.
    """
    array = (
        pa.concat_arrays(column.chunks)
        if isinstance(column, pa.ChunkedArray) and column.num_chunks
        else column
    )
    if isinstance(array, pa.ChunkedArray):
        return pa.array([], pa.large_string())
    array = array.cast(pa.large_string())
    texts = Texts.from_arrow(array)
    needs, loose = _needs(texts, params)
    rows = np.flatnonzero((needs != 0) | loose)
    if not len(rows):
        return array
    given = array.take(pa.array(rows)).fill_null("").to_pylist()
    formed = [_formed(text, params, need) for text, need in zip(given, needs[rows].tolist(), strict=True)]
    mask = np.zeros(len(texts), bool)
    mask[rows] = True
    changed = pc.replace_with_mask(array, pa.array(mask), pa.array(formed, pa.large_string()))
    return pc.if_else(pc.is_null(array), array, changed) if array.null_count else changed


def normalise_table(table: pa.Table, params: NormaliseParams = DEFAULT) -> pa.Table:
    """Return a table with its `text` in normal form (a kernel of a corpus: same rows, same order)."""
    place = table.schema.get_field_index("text")
    return table.set_column(place, table.schema.field(place), normal_forms(table.column("text"), params))


def _needs(texts: Texts, params: NormaliseParams) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Return (what each text may need, whether its white space may be out of order)."""
    count = len(texts)
    needs = np.zeros(count, np.uint8)
    loose = np.zeros(count, bool)
    filled = np.flatnonzero(texts.lengths)
    if not len(filled):
        return needs, loose
    codes = texts.codes
    starts = texts.offsets[:-1][filled]
    last = texts.offsets[1:][filled] - 1
    needs[filled] = np.bitwise_or.reduceat(_bits(params)[codes], starts)
    table = _white()
    loose[filled] = table[codes[starts]] | table[codes[last]]
    if params.white_space:
        ends = np.flatnonzero(codes == 0x0A)
        before = codes[ends - 1]
        bad = (before == 0x20) | (before == 0x09) | (before == 0x3000)
        bad |= (before == 0x0A) & (codes[np.maximum(ends - 2, 0)] == 0x0A)
        places = ends[bad]
        # A line end at the very start of a text looks at its neighbour: such a text is loose in any case.
        loose[np.searchsorted(texts.offsets, places, side="right") - 1] = True
    return needs, loose


@cache
def _bits(params: NormaliseParams) -> npt.NDArray[np.uint8]:
    """Return uint8[0x110000]: what each character may call for under `params`."""
    table = np.zeros(0x110000, np.uint8)
    wanted = {
        _LINE: (True, "\r\x0b\x0c\x85\u2028\u2029"),
        _DROP: (True, _characters(_DROPPED)),
        _HIDDEN: (params.invisible, "\u00ad\u200b\u2060"),
        _SPACE: (params.white_space, _characters(_SPACES)),
        _FULL: (params.full_width_letters, "".join(map(chr, _TO_ASCII))),
        _HALF: (params.half_width_kana, "".join(map(chr, range(0xFF61, 0xFFA0)))),
        _COMMA: (params.punctuation, "，．"),
        _NFC: (params.nfc, _composing()),
    }
    for bit, (asked, characters) in wanted.items():
        if asked:
            table[[ord(char) for char in characters]] |= bit
    return table


def _characters(pattern: re.Pattern[str]) -> str:
    return "".join(char for char in map(chr, range(0x10000)) if pattern.fullmatch(char))


@cache
def _composing() -> str:
    """Return every character with which a text may not be in NFC: those that change, and those that join or move."""
    found = set()
    # Nothing above these planes has a decomposition or a combining class, save for tags, which have neither.
    for code in (*range(0x80, 0xD800), *range(0xE000, 0x20000), *range(0x2F800, 0x2FA20)):
        char = chr(code)
        if unicodedata.combining(char) or unicodedata.normalize("NFC", char) != char:
            found.add(char)
        parts = unicodedata.decomposition(char)
        if parts and not parts.startswith("<") and " " in parts:
            found.add(chr(int(parts.split()[1], 16)))
    # Vowels and tails of Hangul join what stands before them by rule, not by table.
    found |= {chr(code) for code in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}
    return "".join(sorted(found))


@cache
def _white() -> npt.NDArray[np.bool_]:
    """Return bool[0x110000]: what `str.strip` takes away."""
    table = np.zeros(0x110000, bool)
    table[[code for code in range(0x10000) if chr(code).isspace()]] = True
    return table
