"""The page of a comparison: the figures side by side, and rows on which the translators differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from watari.pages.labels import FRAME, Labels, Pair
from watari.pages.numbers import percent, short, whole
from watari.pages.page import Template
from watari.pages.visible import visible
from watari.synth.comparison.figures import Compared, Comparison, text_of
from watari.synth.ladder import Outcome

ROWS = 60
"""Rows that are shown."""
_LONGEST = 3000

WORDS: dict[str, Pair] = FRAME | {
    "report": ("Translators compared", "翻訳者の比較"),
    "footer": (
        "Written by Watari from comparison.json. Every translator was asked once a row, without repair.",
        "Watari が comparison.json から作成しました。各翻訳者への依頼は一行につき一回で、修復はしていません。",
    ),
    "rows": ("{n} rows, {source} to {target}", "{n} 行、{source} から {target} へ"),
    "quality": ("What the checks say", "チェックの結果"),
    "quality_note": (
        "Accepted: no hard finding at the first attempt, with the 95 % interval (Wilson). Length: characters for one of"
        " the source, median. Rules cannot see a wrong sense: that is what the blind sheet is for.",
        "合格は最初の訳で不合格の指摘がなかった行で、区間は 95 %（Wilson）です。長さは原文一文字あたりの文字数の中央値です。"
        "意味の誤りは規則では分からないため、ブラインド評価用のシートを使ってください。",
    ),
    "translator": ("Translator", "翻訳者"),
    "accepted": ("Accepted", "合格"),
    "interval": ("95 %", "95 %"),
    "length": ("Length", "長さ"),
    "tokens": ("Tokens in / out", "トークン 入/出"),
    "speed": ("Tokens/s", "トークン/秒"),
    "seconds": ("Seconds", "秒"),
    "cost": ("Cost", "費用"),
    "each": ("Cost an accepted row", "合格一行の費用"),
    "findings": ("Rows with a finding", "指摘のあった行"),
    "code": ("Check", "チェック"),
    "no_findings": ("None.", "ありません。"),
    "hard_warn": ("hard, and warn after the plus sign", "不合格、＋の後は注意"),
    "pairs": ("Each two of them", "二者の比較"),
    "pair": ("Pair", "組"),
    "agreement": ("Agreement (chrF)", "一致度 (chrF)"),
    "same": ("Same text", "同じ訳"),
    "only": ("Accepted by one only", "片方だけ合格"),
    "samples": ("Rows side by side", "訳の並記"),
    "source": ("Source", "原文"),
    "unreadable": ("no readable answer", "読み取れる回答なし"),
    "passed": ("passed", "合格"),
}


@dataclass(frozen=True)
class ShownText:
    """One translator's text of a row: what it says, and what was found in it."""

    name: str
    text: str | None
    codes: list[str]
    accepted: bool


@dataclass(frozen=True)
class ShownRow:
    """One row."""

    id: str
    source: str
    texts: list[ShownText]


def page(found: Comparison, compared: Sequence[Compared]) -> str:
    """Return the page; rows on which the checks' verdicts differ come first."""
    differing = sorted(compared, key=lambda one: len({outcome.accepted for outcome in one.outcomes}) == 1)
    names = [one.name for one in found.translators]
    rows = [
        ShownRow(
            id=str(one.row["id"]),
            source=text_of(one.source)[:_LONGEST],
            texts=[_shown(name, outcome) for name, outcome in zip(names, one.outcomes, strict=True)],
        )
        for one in differing[:ROWS]
    ]
    codes = sorted({code for one in found.translators for code in one.findings})
    return _TEMPLATE.render(found=found, rows=rows, codes=codes)


def _shown(name: str, outcome: Outcome) -> ShownText:
    codes = sorted({finding.code for finding in outcome.findings})
    text = None if outcome.messages is None else text_of(outcome.messages)[:_LONGEST]
    return ShownText(name, text, codes, outcome.accepted)


_TEMPLATE = Template(
    "watari.synth.comparison",
    Labels(WORDS),
    {"whole": whole, "short": short, "percent": percent, "visible": visible},
)
