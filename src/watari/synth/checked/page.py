"""The counts as a page: one HTML file, in English and Japanese, which no text that it shows can act on."""

from __future__ import annotations

from pathlib import Path

from watari.artifact import atomic
from watari.pages.labels import FRAME, Labels, Pair
from watari.pages.numbers import percent, whole
from watari.pages.page import Template
from watari.pages.visible import first_lines, head, visible
from watari.synth.checked.tally import Tally
from watari.synth.checks.catalogue import VERSION

_LINES = 8
_HEAD = 400

WORDS: dict[str, Pair] = FRAME | {
    "report": ("Checked rows", "検査結果"),
    "footer": (
        "Written by Watari. The same rows under the same checks give the same page.",
        "Watari が作成しました。同じ行と同じ検査からは同じページができます。",
    ),
    "counts": ("{rows} rows · checks {version}", "{rows} 行 · 検査 {version}"),
    "accepted": ("Accepted", "合格"),
    "accepted_note": ("No hard finding.", "重い指摘がない行です。"),
    "clean": ("Without any finding", "指摘なし"),
    "clean_note": ("No warning either.", "警告もない行です。"),
    "unreadable": ("Not readable", "読めない行"),
    "unreadable_note": (
        "Broken rows are counted and not accepted.",
        "壊れた行は数えますが、合格にはなりません。",
    ),
    "codes": ("By code", "種類別"),
    "codes_note": (
        "Rows a code is told of. Hard: the row is refused; alone: no other check refuses it.",
        "各コードが付いた行の数です。重い指摘のある行は使いません。「単独」は、ほかの検査では落ちない行です。",
    ),
    "code": ("Code", "コード"),
    "hard": ("Hard", "重い"),
    "share": ("Share", "割合"),
    "alone": ("Alone", "単独"),
    "warned": ("Warned", "警告"),
    "findings": ("Findings", "指摘数"),
    "together": ("Told together", "同時に付いたコード"),
    "together_note": (
        "How often two codes are told of one row: two checks that always agree see the same fault.",
        "二つのコードが同じ行に付いた回数です。いつも一致する二つの検査は、同じ誤りを見ています。",
    ),
    "both": ("Rows", "行"),
    "rarer": ("Of the rarer", "少ない方に対する割合"),
    "kinds": ("By kind", "種類"),
    "kind": ("Kind", "種類"),
    "rows": ("Rows", "行"),
    "examples": ("Examples", "例"),
    "source": ("Source", "原文"),
    "target": ("Target", "訳文"),
    "nothing": ("Nothing was found.", "指摘はありません。"),
}
"""Labels of the page."""


def write_page(path: Path, tally: Tally, *, title: str = "") -> None:
    """Write the page of what was counted; the file appears whole."""
    atomic.write_text(path, page(tally, title=title))


def page(tally: Tally, *, title: str = "") -> str:
    """Return the page of what was counted."""
    return _TEMPLATE.render(title=visible(title, lines=False), tally=tally, version=VERSION)


def _start(text: str) -> str:
    return first_lines(head(text, _HEAD), _LINES)


_TEMPLATE = Template(
    "watari.synth.checked",
    Labels(WORDS),
    {"percent": percent, "whole": whole, "start": _start, "visible": visible},
)
