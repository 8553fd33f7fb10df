"""Names that the build's files give in English (steps, reasons, kinds, languages), for the page in both languages."""

from __future__ import annotations

from markupsafe import Markup

from watari.corpus.report.words import LABELS
from watari.pages.labels import LANGUAGES, both, both_svg
from watari.pages.visible import fitted, visible

TERMS: dict[str, str] = {
    # steps
    "read": "読み込み",
    "normalise": "正規化",
    "lists": "リスト照合",
    "language": "言語判定",
    "length": "長さ",
    "rules": "ルール",
    "duplicates": "重複除去",
    "split": "分割",
    "contamination": "混入除去",
    "personal": "個人情報のマスク",
    "selection": "選択",
    "mixture": "配合",
    # reasons
    "empty": "空",
    "no text": "本文なし",
    "no main text": "本文を抽出できない",
    "not a text": "本文が文字列でない",
    "not an id": "ID が不正",
    "not an object": "オブジェクトでない",
    "not UTF-8": "UTF-8 でない",
    "not JSON": "JSON でない",
    "not HTML": "HTML でない",
    "unknown encoding": "文字コード不明",
    "too large": "大きすぎる",
    "damaged file": "ファイルの破損",
    "too short": "短すぎる",
    "other language": "他言語",
    "listed host": "リストにあるホスト",
    "listed URL": "リストにある URL",
    "licence": "ライセンス",
    "opted out": "オプトアウト",
    "exact duplicate": "完全重複",
    "near duplicate": "近似重複",
    "other part of the split": "分割の別の部分",
    "contaminated": "評価データの混入",
    "not selected": "選択外",
    "over quota": "割当超過",
    # kinds of personal data
    "email": "メールアドレス",
    "phone": "電話番号",
    "my_number": "マイナンバー",
    "my number": "マイナンバー",
    "ip": "IP アドレス",
    "card": "カード番号",
}
"""Names that the build's files give in English, in Japanese. A rule's name stays as its profile has it."""

FIGURES: dict[str, tuple[str, str]] = {
    "items": ("items", "項目"),
    "texts": ("texts", "テキスト"),
    "whole": ("looked for whole", "全文で照合"),
    "too_short": ("too short", "短すぎる項目"),
    "items_found": ("items found", "見つかった項目"),
    "documents": ("documents", "該当文書"),
    "dropped": ("dropped", "除外"),
    "cut": ("cut", "切除"),
    "flagged": ("flagged", "記録のみ"),
}
"""Names of figures that the build gives of an evaluation set."""


def term(name: str) -> Markup:
    """Return the name of a step, reason or kind: in Japanese too where it is a known one; whatever it holds is escaped."""
    shown = visible(name, lines=False)
    if name not in TERMS:
        return Markup("<bdi>{}</bdi>").format(shown)
    return both(shown, TERMS[name])


def figure_term(name: str) -> Markup:
    """Return the name of a figure, in both languages where it is a known one."""
    pair = FIGURES.get(name) or (visible(name, lines=False),) * 2
    return both(*pair)


def language_term(code: str) -> Markup:
    """Return a language's name with its code; `–` for none."""
    if not code:
        return LABELS.t("without")
    if code not in LANGUAGES:
        return Markup("<bdi>{}</bdi>").format(visible(code, lines=False))
    english, japanese = LANGUAGES[code]
    return both(f"{english} ({code})", f"{japanese} ({code})")


def term_svg(name: str, room: int) -> Markup:
    """Return a name as `term` does, for inside an SVG text, cut to a width in columns."""
    shown = fitted(visible(name, lines=False) or "?", room)
    if name not in TERMS:
        return Markup.escape(shown)
    return both_svg(shown, fitted(TERMS[name], room))
