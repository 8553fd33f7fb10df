"""The page on which people vote: nothing in it says whose a text is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from watari.pages.labels import FRAME, Labels, Pair
from watari.pages.page import Template
from watari.pages.visible import visible

WORDS: dict[str, Pair] = FRAME | {
    "report": ("Which translation is better?", "どちらの訳が良いですか？"),
    "footer": (
        "Written by Watari. The two translations of an item come from different translators, their sides are drawn.",
        "Watari が作成しました。各項目の二つの訳は別々の翻訳者によるもので、左右は無作為に決めてあります。",
    ),
    "items": ("{n} items, {source} to {target}", "{n} 件、{source} から {target} へ"),
    "how": (
        "Read the source, then choose the better translation; “tie” if neither is. When you have done, copy the votes below"
        " and hand them in. They are kept nowhere else: do not close the page before.",
        "原文を読み、より良い訳を選んでください。差がなければ「同じ」を選びます。終わったら下の結果をコピーして提出してください。"
        "ページを閉じると結果は失われます。",
    ),
    "votes": ("Votes", "投票"),
    "votes_note": ("One line a vote, to be copied.", "一行に一票です。コピーしてください。"),
    "source": ("Source", "原文"),
    "better_a": ("A is better", "A が良い"),
    "better_b": ("B is better", "B が良い"),
    "tie": ("tie", "同じ"),
    "items_short": ("Items", "項目"),
    "role_system": ("System", "システム"),
    "role_user": ("User", "ユーザー"),
    "role_assistant": ("Assistant", "アシスタント"),
    "role_tool": ("Tool", "ツール"),
    "none": (
        "There is nothing to judge: the texts are the same.",
        "訳がすべて同じため、比べるものはありません。",
    ),
}
_TEMPLATE = Template("watari.synth.comparison.sheet", Labels(WORDS), {"visible": visible})


def sheet_page(items: Sequence[Mapping[str, Any]], source: str, target: str) -> str:
    """Return the page for items of {item_id, source, a, b}."""
    return _TEMPLATE.render(items=items, source=source, target=target)
