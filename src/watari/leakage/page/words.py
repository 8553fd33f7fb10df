"""Every label of the page, in English and in Japanese."""

from __future__ import annotations

from markupsafe import Markup

from watari.pages.labels import FRAME, Labels, Pair, both

WORDS: dict[str, Pair] = FRAME | {
    "report": ("Language leakage", "言語の混入"),
    "footer": (
        "Written by Watari from saved responses. summary.json beside this page holds every figure on it, events.jsonl every "
        "leaking response; the same responses give the same page.",
        "Watari が保存済みの応答から作成しました。数値はすべて summary.json に、混入のある応答はすべて events.jsonl にあります。"
        "同じ応答からは同じページができます。",
    ),
    "responses_n": ("responses: {n}", "応答 {n} 件"),
    "prompts_n": ("prompts: {n}", "プロンプト {n} 件"),
    "characters_n": ("characters: {n}", "{n} 文字"),
    "figures": ("How often", "混入の頻度"),
    "figures_note": (
        "An event is one stretch of another language, of whatever length. In brackets: 95% interval, a bootstrap over prompts. "
        "What stands in the prompt, code, quotations and names do not count.",
        "長さにかかわらず、ひと続きの混入を1件と数えます。括弧内は95%信頼区間（プロンプト単位のブートストラップ）です。"
        "プロンプトにある語句、コード、引用、固有名は数えません。",
    ),
    "rate": ("events per 1,000 characters", "1,000文字あたりの件数"),
    "share": ("responses with any", "混入のある応答"),
    "events": ("events", "件数"),
    "responses": ("responses", "応答数"),
    "part": ("Which", "対象"),
    "all": ("all", "全体"),
    "glyph": ("glyph: broken characters, foreign scripts", "glyph：壊れた文字、他の文字体系"),
    "switch": ("switch: lines in another language", "switch：行単位の切り替わり"),
    "token": ("token: words of another language", "token：他の言語の語"),
    "expected": ("should be in", "期待される言語"),
    "leaked": ("of which leaked:", "混入した言語："),
    "curves": ("Curves", "推移"),
    "by": ("by {column}", "{column} 別"),
    "curves_note": (
        "Bars are 95% intervals. The same prompts are asked at every value; the trend is the slope through the points.",
        "縦棒は95%信頼区間です。どの値でも同じプロンプトを使っています。傾向は各点を通る直線の傾きです。",
    ),
    "series_all": ("all responses", "全応答"),
    "trend": ("Trend for 1 more", "1増えるごとの変化"),
    "worst": ("Worst spans", "目立つ混入"),
    "worst_note": (
        "The worst event of a response, at most {most} of them: by severity, then by length. Open one to read the whole response.",
        "応答ごとに最も重い1件を、重大度、長さの順に最大 {most} 件示します。開くと応答全体を読めます。",
    ),
    "prompt": ("Prompt", "プロンプト"),
    "response": ("Response", "応答"),
    "filter": ("Show", "表示"),
    "every_class": ("all classes", "すべての種類"),
    "high": ("high", "重大"),
    "medium": ("medium", "中程度"),
    "low": ("low", "軽微"),
    "none_found": ("No leakage was found.", "混入は見つかりませんでした。"),
    "left_out": ("Not judged", "対象外"),
    "left_note": (
        "empty: {empty}; expected language unknown: {unknown}; not wanted: {passed}; unreadable: {unreadable}",
        "空の応答 {empty} 件、期待される言語が不明 {unknown} 件、選択外 {passed} 件、読めない行 {unreadable} 件",
    ),
    "told_by": ("Expected language, as told by", "期待される言語の根拠"),
    "told_row": ("the row", "行の指定"),
    "told_option": ("the caller", "オプション"),
    "told_prompt": ("the prompt", "プロンプト"),
    "told_response": ("the response itself, where there is no prompt", "応答自身（プロンプトなし）"),
    "told_nothing": ("nothing", "なし"),
    "cut": ("cut here: {n} characters more", "以下 {n} 文字を省略"),
}
LABELS = Labels(WORDS)


def word(key: str) -> Markup:
    """Return a label without values."""
    return both(*WORDS[key]) if key in WORDS else Markup.escape(key)
