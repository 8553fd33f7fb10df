"""A little Japanese and English text for tests of tokenizers, drawn from templates with a fixed seed."""

from __future__ import annotations

import random

_WHO = ["山田さん", "猫", "先生", "小さな女の子", "隣の𠮷野家の人", "鬱々とした詩人", "わたしたち"]
_WHERE = ["東京駅の前", "図書館", "海の見える丘", "古いラーメン屋", "竈のある台所", "森の奥"]
_WHAT = [
    "りんごを三つ買いました",
    "本を読んでいる",
    "ずっと黙っていた",
    "「ありがとう」と言った",
    "コーヒーを飲んだ",
]
_END = ["。", "！", "……。", "ーーー。", "（笑）", "。\n", "　"]
_ENGLISH = [
    "The cat sat by the window.",
    "“Well — perhaps…” she said.",
    "In 1998, 42 people came.\n\tThen left.",
]


_KANJI = "春夏秋冬朝昼夜空海川石田中村木林花草鳥魚虫犬牛馬赤青白黒金銀火水土風雨雪月星光音声手足目耳口心力"
_KANA = "アイカキサシタテナノハマミムラリルレロンー"


def japanese(count: int, seed: int = 0) -> list[tuple[str, str]]:
    """Return `count` documents as (language, text): mostly Japanese, some English, some of both.

    Names are drawn character by character, so that there are more pieces to learn than sentences.
    """
    draw = random.Random(seed)
    found = []
    for index in range(count):
        lines = []
        for _ in range(draw.randint(3, 9)):
            name = "".join(draw.choices(_KANJI, k=2)) + draw.choice(
                ["さん", "くん", "様", "と" + draw.choice(_WHO)]
            )
            thing = "".join(draw.choices(_KANA, k=3)) + draw.choice(["を", "の", "に", "へ", "が"])
            lines.append(
                name + "は" + draw.choice(_WHERE) + "で" + thing + draw.choice(_WHAT) + draw.choice(_END)
            )
        if index % 5 == 3:
            lines.insert(1, draw.choice(_ENGLISH))
        if index % 5 == 4:
            found.append(("en", " ".join(draw.choices(_ENGLISH, k=4))))
        else:
            found.append(("ja", "".join(lines)))
    return found


ODD = "ABC xyz  \n\t.,-—…“”'\"<>[]/0189é🙂👨‍👩‍👧\u200b\u3000。、「」！（）ー々ああのはをがたですますン亜鬱竈𠮷龘東京日本語猫山田한글中"
"""Characters that fuzz strings are made of: of the script, beside it, and beyond it."""
