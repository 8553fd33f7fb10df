"""Every label of the page, in English and in Japanese."""

from __future__ import annotations

from watari.pages.labels import FRAME, Labels, Pair

WORDS: dict[str, Pair] = FRAME | {
    "report": ("Sampler sweep", "サンプリング設定の探索"),
    "footer": (
        "Written by Watari from recorded answers. sweep.json beside this page holds every figure on it, generations.parquet "
        "every answer; the same answers give the same page.",
        "Watari が記録済みの回答から作成しました。数値はすべて sweep.json に、回答はすべて generations.parquet にあります。"
        "同じ回答からは同じページができます。",
    ),
    "local": ("in this process (transformers)", "このプロセス内（transformers）"),
    "cells_n": ("settings: {n}", "設定 {n} 通り"),
    "size_n": ("prompts: {p} × {r}", "プロンプト {p} 件 × {r} 回"),
    "recommended": ("Recommended", "推奨する設定"),
    "default": ("Default", "既定の設定"),
    "no_default": ("none is marked", "指定なし"),
    "leaking": ("responses that leak", "混入のある応答"),
    "why": ("Why", "理由"),
    "request": ("What requests send", "リクエストに含める設定"),
    "request_note": (
        "generation_config.json cannot hold all of it: the rest works only where each request sends it.",
        "generation_config.json には一部しか書けません。残りは、リクエストのたびに送る必要があります。",
    ),
    "front": ("Leakage and quality", "混入と品質"),
    "front_note": (
        "A point is a setting; bars are 95% intervals (bootstrap over prompts). The line joins the Pareto front: settings that no "
        "other one beats in both. Ringed: recommended. Diamond: default.",
        "点は設定、棒は95%信頼区間（プロンプト単位のブートストラップ）です。線はパレートフロント、すなわち両方で上回る設定が"
        "ほかにないものを結びます。丸囲みは推奨、菱形は既定の設定です。",
    ),
    "sound": ("sound responses", "問題のない応答"),
    "judge": ("judge's rating", "判定モデルの評点"),
    "sound_note": (
        "Sound: says something, ends by itself, does not loop.",
        "問題のない応答とは、空でなく、途中で切れず、同じ文を繰り返さないものです。",
    ),
    "cells": ("All settings", "全設定"),
    "cells_note": (
        "Sorted by leakage. “=” marks settings not told apart from the least leaking one (paired by prompt, 5% over all settings at "
        "once). On front: share of bootstrap draws in which a setting is on the Pareto front.",
        "混入の少ない順です。「=」は最も少ない設定と差があるとはいえないもの（プロンプトごとの対応、全体で5%水準）です。"
        "「フロント」は、再標本のうちパレートフロントに載った割合です。",
    ),
    "cell": ("Setting", "設定"),
    "interval": ("95% interval", "95%信頼区間"),
    "rate": ("per 1,000 characters", "1,000文字あたり"),
    "on_front": ("On front", "フロント"),
    "loops": ("Loops", "繰り返し"),
    "cut": ("Cut off", "途中切れ"),
    "distinct": ("distinct-2", "distinct-2"),
    "repetition": ("Self-repetition", "自己反復"),
    "length": ("Tokens", "トークン数"),
    "no_answers": ("no answers", "回答なし"),
    "canary": ("Is it applied?", "設定は反映されているか"),
    "canary_note": (
        "Before the sweep, each setting was put to the first prompts at an extreme where its effect is known.",
        "探索の前に、各設定を効果の分かっている極端な値で確かめました。",
    ),
    "not_asked": ("Not looked for.", "確認していません。"),
    "setting": ("Setting", "設定"),
    "verdict": ("Verdict", "判定"),
    "applied": ("applied", "反映"),
    "ignored": ("ignored", "無視"),
    "unclear": ("unclear", "不明"),
    "claim": ("What must hold", "成り立つべきこと"),
    "agree": ("Same answer", "同じ回答"),
    "worst": ("Worst leaks", "目立つ混入"),
    "none_found": ("No leakage was found.", "混入は見つかりませんでした。"),
    "notes": ("Notes", "注記"),
}
LABELS = Labels(WORDS)
