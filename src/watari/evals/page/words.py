"""Every label of the page, in English and in Japanese."""

from __future__ import annotations

from markupsafe import Markup

from watari.pages.labels import FRAME, Labels, Pair, both

_PAGE: dict[str, Pair] = {
    "report": ("Evaluation report", "評価レポート"),
    "footer": (
        "Written by Watari from saved answers and judgments. figures.json beside this page holds every figure on it; "
        "the same files give the same page.",
        "Watari が保存済みの回答と判定から作成しました。表示した数値はすべて figures.json にあります。"
        "同じファイルからは同じページができます。",
    ),
    "tables_count": ("tables: {n}", "表 {n} 件"),
    "models_count": ("models: {n}", "モデル {n} 件"),
    "units_count": ("scored units: {n}", "採点単位 {n} 件"),
    "browser": ("Question by question", "問題ごとの表示"),
    "browser_short": ("Questions", "問題"),
    "sources": ("Files", "入力ファイル"),
    "sent": ("Prompts as they were sent", "実際に送ったプロンプト"),
}
_TABLE: dict[str, Pair] = {
    "own_words": (
        "Counted by the rules of: {title_en}. But prompts or questions are other ones, so these figures cannot be set "
        "beside upstream's.",
        "集計の規則は「{title_ja}」と同じです。ただしプロンプトまたは問題が異なるため、公表値とは比較できません。",
    ),
    "judged_by": ("judge: {judge}", "判定モデル：{judge}"),
    "no_judge": ("no judge: compared with right answers", "判定モデルなし（正解との照合）"),
    "league_note": (
        "{overall}, on a scale from {low} to {high}. In brackets: 95% interval (bootstrap clustered by question). "
        "Models that share a letter are not told apart.",
        "{overall}（{low}～{high}）。括弧内は95%信頼区間（問題単位のブートストラップ）です。"
        "同じ文字の付いたモデルの間には、差があるとはいえません。",
    ),
    "league_note_plain": (
        "{overall}, on a scale from {low} to {high}. In brackets: 95% interval (bootstrap clustered by question).",
        "{overall}（{low}～{high}）。括弧内は95%信頼区間（問題単位のブートストラップ）です。",
    ),
    "place": ("Rank", "順位"),
    "model": ("Model", "モデル"),
    "interval": ("95% interval", "95%信頼区間"),
    "tied": ("Tied", "同等群"),
    "n": ("n", "n"),
    "invalid": ("Invalid", "無効"),
    "runs": ("Runs", "実行回数"),
    "run_sd": ("Run sd", "実行間SD"),
    "refused": ("refused: {reason}", "非表示：{reason}"),
    "no_figure": ("no valid unit", "有効な採点なし"),
    "invalid_by_reason": ("Invalid units by reason", "無効の理由"),
    "reason": ("Reason", "理由"),
    "count": ("Count", "件数"),
    "notes": ("Notes", "注記"),
    "of_models": ("{n} models", "{n} モデル"),
    "settings": ("Settings", "設定"),
    "find_model": ("Find a model", "モデルを検索"),
    "sort_by": ("Sort by this column", "この列で並べ替え"),
    "all_figures": ("All figures", "すべての数値"),
}
_PLOTS: dict[str, Pair] = {
    "intervals": ("Scores with intervals", "スコアと信頼区間"),
    "intervals_note": (
        "Dot: the figure. Line: its 95% interval.",
        "点は値、線は95%信頼区間です。",
    ),
    "by_category": ("By category", "カテゴリ別"),
    "choose_models": ("Models shown", "表示するモデル"),
    "category": ("Category", "カテゴリ"),
    "turns": ("First and second turn", "1ターン目と2ターン目"),
    "spread": ("Distribution of ratings", "評点の分布"),
    "spread_values": ("Distribution of item scores", "項目スコアの分布"),
    "spread_note": (
        "Share of each model's units at each value; invalid ones are counted too.",
        "各モデルの採点単位のうち、その値だったものの割合です。無効も数えています。",
    ),
    "best_of": ("The best {n} of {all} models are drawn; all are in the table.", "全 {all} モデルのうち上位 {n} モデルを描いています。全モデルは表にあります。"),
}  # fmt: skip
_BROWSER: dict[str, Pair] = {
    "browser_note": (
        "Choose two models: their answers of all runs stand side by side, with what the judge said. Words that only one "
        "of the two says are marked.",
        "2つのモデルを選ぶと、全実行の回答と判定文を並べて表示します。片方にしか出てこない語句には印が付きます。",
    ),
    "no_texts": (
        "The files given hold figures only. Give the answers too, or an evaluation folder, to read them here.",
        "渡されたファイルには数値しか含まれていません。回答のファイルや評価フォルダーも渡すと、ここで読めます。",
    ),
    "too_many": (
        "Too many models and questions to read here; the tables hold them all.",
        "モデルと問題の数が多いため、ここには表示していません。数値はすべて表にあります。",
    ),
    "table": ("Table", "表"),
    "model_a": ("Model A", "モデルA"),
    "model_b": ("Model B", "モデルB"),
    "nobody": ("– none –", "– なし –"),
    "all_categories": ("all categories", "全カテゴリ"),
    "order": ("Order", "並び順"),
    "order_file": ("as in the files", "ファイル順"),
    "order_lowest": ("lowest scores of A first", "Aの低い順"),
    "order_difference": ("largest differences first", "差の大きい順"),
    "order_invalid": ("invalid only", "無効のみ"),
    "show_diff": ("mark differences", "差分を表示"),
    "questions": ("Questions", "問題一覧"),
    "more": ("Show more", "さらに表示"),
    "none_found": ("No question is left.", "該当する問題はありません。"),
    "prompt": ("Prompt", "プロンプト"),
    "prompt_missing": ("The files given do not hold the question.", "渡されたファイルに問題文がありません。"),
    "reference": ("Reference", "参考回答"),
    "gold": ("Right answer", "正解"),
    "read_answer": ("Read as", "読み取り結果"),
    "run": ("Run {n}", "実行 {n}"),
    "rating": ("Rating", "評点"),
    "score": ("Score", "スコア"),
    "invalid_one": ("invalid", "無効"),
    "judgment": ("What the judge said", "判定文"),
    "judge_sent": ("What the judge was sent", "判定モデルへの入力"),
    "again": ("The same answer, rated again.", "同じ回答への再度の判定です。"),
    "no_answer": ("(no answer in the files)", "（ファイルに回答がありません）"),
    "empty_answer": ("(empty answer)", "（空の回答）"),
    "cut_off": ("cut off", "途中で打ち切り"),
    "not_rated": ("not rated", "評点なし"),
    "cannot_unpack": (
        "This browser cannot unpack the texts (it lacks DecompressionStream): take a newer one.",
        "このブラウザーでは本文を展開できません（DecompressionStream がありません）。新しい版をお使いください。",
    ),
    "previous": ("Previous", "前へ"),
    "next": ("Next", "次へ"),
    "pieces": ("token by token", "トークンごと"),
    "bos_count": ("{n} BOS", "BOS {n} 個"),
}
_NAMES: dict[str, Pair] = {
    "writing": ("Writing", "文章作成"),
    "roleplay": ("Roleplay", "ロールプレイ"),
    "reasoning": ("Reasoning", "推論"),
    "math": ("Math", "数学"),
    "coding": ("Coding", "コーディング"),
    "extraction": ("Extraction", "情報抽出"),
    "stem": ("STEM", "理工系"),
    "humanities": ("Humanities", "人文系"),
    "overall": ("Overall", "総合"),
    "average": ("Average", "平均"),
    "turn 1": ("First turn", "1ターン目"),
    "turn 2": ("Second turn", "2ターン目"),
}
"""Names of figures for people; a figure that is not here is shown as its spec calls it."""

WORDS: dict[str, Pair] = FRAME | _PAGE | _TABLE | _PLOTS | _BROWSER
LABELS = Labels(WORDS)

IN_SCRIPT = tuple(_BROWSER)
"""Labels that the page's script shows."""


def name_pair(name: str) -> Pair:
    """Return a figure's or category's name in both languages."""
    known = _NAMES.get(name)
    if known is None and name.endswith((" turn 1", " turn 2")):
        head, turn = name[:-7], name[-6:]
        first, second = name_pair(head), _NAMES[turn]
        return f"{first[0]}, {second[0].lower()}", f"{first[1]}・{second[1]}"
    return known or (name, name)


def name_of(name: str) -> Markup:
    """Return a figure's or category's name as markup in both languages."""
    english, japanese = name_pair(name)
    return Markup("<bdi>{}</bdi>").format(name) if english == japanese else both(english, japanese)
