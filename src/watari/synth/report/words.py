"""Every label of the page, in English and in Japanese."""

from __future__ import annotations

from watari.pages.labels import FRAME, Labels, Pair

WORDS: dict[str, Pair] = FRAME | {
    # the page
    "report": ("Made data", "生成データ"),
    "footer": (
        "Written by Watari from the stage's metrics and samples.parquet. The same files give the same page.",
        "Watari がステージの指標と samples.parquet から作成しました。同じファイルからは同じページができます。",
    ),
    "made_by": ("{stage}", "{stage}"),
    # headline cards
    "kept": ("Rows kept", "採用した行"),
    "of_rows": ("of {n} rows read", "入力 {n} 行のうち"),
    "stays": ("{share} stays", "{share} を採用"),
    "mended": ("Mended", "修復できた行"),
    "mended_note": (
        "{repaired} by a repair prompt, {escalated} by a stronger model.",
        "修復プロンプトで {repaired} 行、より強いモデルで {escalated} 行。",
    ),
    "dropped": ("Dropped", "除外"),
    "dropped_note": (
        "Each with its reason, in dropped.parquet.",
        "理由は dropped.parquet に記録されています。",
    ),
    "cost": ("Cost", "費用"),
    "cost_note": (
        "{prompt} prompt tokens, {completion} completion tokens.",
        "プロンプト {prompt} トークン、出力 {completion} トークン。",
    ),
    # the ladder
    "ladder": ("Rung by rung", "段階ごとの結果"),
    "ladder_short": ("Rungs", "段階"),
    "ladder_note": (
        "Every rung's answers pass the same checks. What a rung could not do goes to the next one.",
        "どの段階の回答も同じチェックを通ります。通らなかった行は次の段階へ進みます。",
    ),
    "rung": ("Rung", "段階"),
    "model": ("Model", "モデル"),
    "asked": ("Asked", "依頼"),
    "accepted": ("Accepted", "合格"),
    "share": ("Share", "割合"),
    "top_faults": ("Faults caught most", "多かった欠陥"),
    # faults
    "faults": ("Faults that the checks found", "チェックが見つけた欠陥"),
    "faults_short": ("Faults", "欠陥"),
    "faults_note": (
        "In all answers, those that were mended later too. Hard: the answer was not used. Warn: it was used and counted.",
        "後で修復されたものも含む、すべての回答の集計です。「不合格」の回答は使わず、「注意」は記録だけして使いました。",
    ),
    "code": ("Check", "チェック"),
    "hard": ("Hard", "不合格"),
    "warn": ("Warn", "注意"),
    "no_faults": ("None.", "ありません。"),
    # dropped
    "reasons": ("Why rows were dropped", "除外の理由"),
    "reasons_short": ("Dropped", "除外"),
    "reason": ("Reason", "理由"),
    "rows": ("Rows", "行数"),
    "routed": ("What must not be translated", "翻訳に向かない課題"),
    "routed_note": (
        "Found in the source before anything was asked: what hangs on the letters of its language.",
        "依頼の前に原文から判定しました。原文の言語の文字そのものに依存する課題です。",
    ),
    "nothing_dropped": ("No row was dropped.", "除外した行はありません。"),
    # samples
    "samples": ("Rows side by side", "行の対照"),
    "samples_short": ("Rows", "対照"),
    "samples_note": (
        "Drawn by seed, not by hand; faults come first. What a check is about is marked in the text.",
        "シードによる抽出で、手作業の選別はしていません。欠陥のあるものを先に示し、該当箇所に印を付けています。",
    ),
    "show": ("Which rows", "表示する行"),
    "state_all": ("all", "すべて"),
    "state_dropped": ("dropped", "除外"),
    "state_escalated": ("stronger model", "強いモデル"),
    "state_repaired": ("repaired", "修復"),
    "state_accepted": ("at once", "一度で合格"),
    "source": ("Source", "原文"),
    "target": ("Target", "結果"),
    "findings": ("Findings", "指摘"),
    "attempts": ("Attempts", "試行"),
    "no_samples": ("No sample was written.", "サンプルがありません。"),
    "no_findings": ("no finding", "指摘なし"),
    "passed": ("passed", "合格"),
    "role_system": ("system", "システム"),
    "role_user": ("user", "ユーザー"),
    "role_assistant": ("assistant", "アシスタント"),
    "role_tool": ("tool", "ツール"),
    "role_chosen": ("chosen", "好ましい回答"),
    "role_rejected": ("rejected", "好ましくない回答"),
}

LABELS = Labels(WORDS)
