"""Faults that the demo's teacher makes on purpose, so that what catches and mends them can be seen at work.

Whether a request gets one, and which, is drawn by (seed, what was to be translated): the same request gets the same fault
in every run. How hard it is to mend is drawn likewise: most are gone when the faults are named to the teacher, some need
the stronger teacher, and a few stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from watari.demo.draws import Draw
from watari.demo.words import number_en, number_ja

SHARE: Final = 0.14
"""Of the requests that get a fault where `faults` says nothing else."""
STRONG: Final = "-strong"
"""A model whose name ends so is the stronger teacher."""
_STRONG_SHARE: Final = 0.1  # the stronger teacher's faults, as a share of the weaker one's
_MENDED: Final = 0.65  # by the weaker teacher, when it is told
_STRONGER: Final = 0.95  # by the stronger one

KINDS: Final = (
    ("refusal", 2),
    ("preamble", 3),
    ("untranslated", 3),
    ("missing", 2),
    ("number", 3),
    ("chinese", 2),
    ("truncated", 2),
    ("repetition", 2),
    ("echo", 2),
)
LONG: Final = 40  # characters of an English segment
OF_LONG_TEXTS: Final = ("untranslated", "echo", "number")
"""`Hi!` that stays English, or stands beside its translation, is no fault that anybody could be sure of."""
_REFUSAL: Final = "申し訳ありませんが、この内容を翻訳することはできません。"
_PREAMBLES: Final = (
    "以下が日本語訳です：\n\n",
    "はい、承知しました。日本語に翻訳いたします。\n\n",
    "Sure! Here is the Japanese translation:\n\n",
)
_CHINESE: Final = {
    "ました。": "了。",
    "ますか。": "吗？",
    "ですか。": "什么？",
    "です。": "这个。",
    "います。": "着呢，没问题。",
}
_CHINESE_ELSE: Final = "这个问题没关系。"


@dataclass(frozen=True)
class Plan:
    """What the teacher does to one request.

    Args:
        fault: A name of `KINDS`, or "".
        draw: For the rest of the drawing.
    """

    fault: str
    draw: Draw


def planned(
    source: Mapping[int, str], *, seed: str, share: float, strong: bool, repair: bool, most: int | None = None
) -> Plan:
    """Return what a request gets.

    Args:
        source: The segments by number.
        seed, share: Of the faults.
        strong: True for the stronger teacher.
        repair: True if the request shows a faulty answer and asks for another.
        most: `max_tokens`: an answer that was cut off at one limit need not be at a higher one.
    """
    text = "\x1f".join(source.values())
    first = Draw(seed, "fault", text)
    has_fault = first.chance(share)
    long = max(map(len, source.values()), default=0) >= LONG
    kinds = [kind for kind in KINDS if long or kind[0] not in OF_LONG_TEXTS]
    kind = first.weighted(kinds)
    stubborn = Draw(seed, "stubborn", text).below(1_000_000) / 1_000_000
    draw = Draw(seed, "detail", kind, strong, repair, text)
    if not has_fault:
        # A request that was well answered once is well answered by the stronger teacher too, nearly always.
        return Plan("", draw)
    if stubborn >= _STRONGER:
        return Plan(kind if not repair else draw.weighted(kinds[1:]), draw)
    if strong and not Draw(seed, "strong", text).chance(_STRONG_SHARE):
        return Plan("", draw)
    if repair and (strong or stubborn < _MENDED):
        return Plan("", draw)
    if kind == "truncated" and not Draw(seed, "truncated", most, text).chance(0.6):
        return Plan("", draw)
    return Plan(kind, draw)


def with_fault(plan: Plan, source: Mapping[int, str], target: Mapping[int, str]) -> tuple[str, str]:
    """Return the answer as written, with its fault, and the finish_reason.

    Args:
        plan: What shall go wrong.
        source: The segments by number.
        target: Their translations.
    """
    draw, right = plan.draw, dict(target)
    # Something goes wrong in the longest segment: a fault in `Yes.` is hardly one.
    chosen = max(right, key=lambda number: (len(right[number]), -number))
    match plan.fault:
        case "refusal":
            return _REFUSAL, "stop"
        case "preamble":
            if draw.chance(0.5):
                right[min(right)] = draw.pick(_PREAMBLES) + right[min(right)]
                return written(right), "stop"
            return written(right) + "\n\n以上が翻訳です。他にご質問があればお知らせください。", "stop"
        case "untranslated":
            right[chosen] = source[chosen]
        case "missing":
            left_out = draw.pick(sorted(right))
            if len(right) > 1:
                del right[left_out]
            else:
                right[chosen] = ""
        case "number":
            right[chosen] = _other_number(right[chosen], source[chosen], draw)
        case "chinese":
            right[chosen] = _chinese(right[chosen])
        case "truncated":
            whole = written(right)
            kept = whole[: max(8, len(whole) - len(right[max(right)]) // 2 - 1 - draw.below(4))]
            return kept, "length"
        case "repetition":
            last = right[chosen].rsplit("\n", 1)[-1]
            right[chosen] += f"\n{last}" * (6 + draw.below(6))
        case "echo":
            right[chosen] = f"{source[chosen]}\n{right[chosen]}"
    return written(right), "stop"


def written(segments: Mapping[int, str]) -> str:
    """Return segments as they are asked for: `[[1]] …`, an empty line between."""
    return "\n\n".join(f"[[{number}]] {text}" for number, text in sorted(segments.items()))


def _other_number(text: str, source: str, draw: Draw) -> str:
    """Return the text with its first number wrong; where it has none, with one that nobody said."""
    for count in range(12, 0, -1):
        kanji = number_ja(count)
        place = text.find(kanji)
        if place >= 0 and f" {number_en(count)}" in f" {source}".lower():
            return f"{text[:place]}{draw.between(13, 60)}{text[place + len(kanji) :]}"
    return text.replace("。", f"、全部で{draw.between(13, 99)}です。", 1)


def _chinese(text: str) -> str:
    for end, chinese in _CHINESE.items():
        if text.endswith(end):
            return text.removesuffix(end) + chinese
    return f"{text}\n{_CHINESE_ELSE}"
