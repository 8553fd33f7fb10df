"""A teacher for tests of `synth.instruct`: writes instructions in the form that is asked for, answers, and errs on purpose.

What it says depends on the request alone. `faults=False` gives one that never errs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import orjson
import xxhash

_SUBJECT = re.compile(r"^ +(\d+)\. (.+)$", re.M)
_OPENINGS = (
    "はじめまして。{subject}について、まったくの初心者にもわかるように順を追って教えてください。{more}",
    "来月までに{subject}のことを調べて発表しなければなりません。どこから手をつければよいでしょうか。{more}",
    "母に{subject}のことを聞かれて困りました。うまい答え方を考えてもらえますか。{more}",
    "{subject}でよくある失敗と、その防ぎ方を三つ挙げてください。{more}",
    "私は高校生です。{subject}をテーマに作文を書きたいので、構成の案を出してください。{more}",
    "{subject}の昔と今の違いを表にまとめてほしいです。{more}",
    "町内の集まりで{subject}の話をします。笑いを交えた挨拶の文を作ってください。{more}",
    "{subject}に詳しい人は、ふだん何に気をつけているのでしょう。理由も知りたいです。{more}",
)
_MORE = (
    "予算は五千円までです。", "祖父は八十歳で、耳が少し遠いです。", "説明は短めでかまいません。", "できれば今週中に片づけたいと思っています。",
    "去年は雨で中止になりました。", "北海道に引っ越したばかりです。", "二歳の子どもがいます。", "専門の言葉は避けてください。",
    "知り合いの農家に頼まれました。", "夜しか時間がとれません。", "英語は苦手です。", "前にも同じことで悩みました。",
)  # fmt: skip
_SENTENCES = (
    "まず、{subject}の目的をはっきりさせると、することが見えてきます。",
    "次に、無理のない範囲で準備を始めると安心です。",
    "家族や近所の人に相談すると、思いがけない知恵が得られることもあります。",
    "費用については、前もっておおよその額を見積もっておくとよいでしょう。",
    "時間に余裕をもって進めれば、途中で困ることは少なくなります。",
    "わからない点は、専門の窓口に問い合わせるのが確かです。",
    "最後に、うまくいった点を書き留めておくと次に役立ちます。",
)


class Teacher:
    """Called with a request's body; `asked` counts how often each body came."""

    def __init__(self, *, faults: bool = True) -> None:
        self.faults = faults
        self.asked: Counter[str] = Counter()

    def __call__(self, body: Mapping[str, Any]) -> Any:
        """Return the answer to a chat request."""
        key = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
        self.asked[xxhash.xxh3_128_hexdigest(key)] += 1
        draw = xxhash.xxh3_64_intdigest(key)
        messages = body["messages"]
        last = messages[-1]["content"]
        if "<<<end>>>" in last:
            return self._instructions(last, draw)
        if "利用者が次に書きそうな発言" in last:
            return "ありがとうございます。では、もし雨が降った場合はどのように変えればよいですか。"
        if "JSON" in messages[-1]["content"] or "JSON" in messages[1]["content"]:
            return '{"件名": "お知らせ", "日付": null}'
        mending = "問題があります" in last
        if self.faults and not mending and draw % 7 == 0:
            return "Sure! Here is a detailed answer to your question about the topic that you asked me for."
        if self.faults and draw % 23 == 1:
            return {"text": "まず、ここから説明を始めます。次に、それぞれの", "finish_reason": "length"}
        subject = last[:12].replace("\n", " ")
        start = draw % len(_SENTENCES)
        order = [_SENTENCES[(start + place) % len(_SENTENCES)] for place in range(4)]
        return "".join(order).replace("{subject}", "この件") if subject else ""

    def _instructions(self, asked: str, draw: int) -> str:
        system = "[[system]]" in asked
        parts = []
        for number, subject in _SUBJECT.findall(asked):
            own = xxhash.xxh3_64_intdigest(f"{draw} {number}".encode())
            parts.append(f"<<<{number}>>>")
            if self.faults and own % 11 == 0:
                parts.append("[[assistant]]\nこれは形が違います。")
                continue
            if system:
                parts.append(
                    f"[[system]]\nあなたは{subject}に詳しい、口数の少ない案内係です。答えは三文までにしてください。"
                )
            opening = _OPENINGS[own % len(_OPENINGS)]
            # Without `more` the same subject comes out the same: near duplicates.
            more = (
                ""
                if self.faults and own % 5 == 0
                else _MORE[(own >> 8) % len(_MORE)] + _MORE[(own >> 16) % len(_MORE)]
            )
            parts.append("[[user]]\n" + opening.format(subject=subject, more=more))
        return "\n".join([*parts, "<<<end>>>"])
