"""The form in which a teacher writes several instructions into one answer, and how it is read: strictly, item by item.

    <<<1>>>
    [[system]]             only where the category has system prompts
    あなたは旅館の仲居です。
    [[user]]
    夕食の時間を教えてください。
    <<<2>>>
    [[user]]
    ...
    <<<end>>>

The request's last message ends with this form; a scripted teacher can tell by `<<<end>>>` that instructions are asked for,
by `[[system]]` whether with system prompts, and how many by the numbered lines of subjects. One bad item does not spoil
the others: every one that was asked for comes out, readable or with the reason why not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from watari.synth.ladder import TRUNCATED, Messages

_MARK = re.compile(r"^[ \t]*<<<[ \t]*(\d+|end)[ \t]*>>>[ \t]*$", re.M | re.I)
_ROLE = re.compile(r"^[ \t]*\[\[[ \t]*(\w+)[ \t]*\]\][ \t]*$", re.M)
_PLACEHOLDER = re.compile(
    r"^[(（\[［<＜].{0,40}(?:依頼文|システムプロンプト|instruction|system prompt).{0,20}[)）\]］>＞]$",
    re.S | re.I,
)
SHORTEST = 4
"""Characters of a message at least."""
LONGEST = 8000
"""And at most."""

MISSING = "instruction missing"
CUT_OFF = "instruction cut off"
FORM = "instruction not in the form"
EMPTY = "instruction empty"
SURPLUS = "instruction not asked for"


@dataclass(frozen=True, slots=True)
class Item:
    """One instruction as it was read.

    Args:
        number: From 1, as it was asked for.
        messages: The system prompt if there is one, and the user's first message; [] if it cannot be used.
        reason: Why not; a fixed phrase.
        detail: What exactly.
    """

    number: int
    messages: Messages = field(default_factory=list)
    reason: str = ""
    detail: str = ""


def read_items(text: str, count: int, *, system: bool, finish_reason: str = "stop") -> list[Item]:
    """Return one item for each instruction that was asked for, then those beyond.

    Args:
        text: The teacher's answer.
        count: Instructions asked for.
        system: True if each has a system prompt.
        finish_reason: Of the answer: of one that was cut off the last instruction is not used.
    """
    marks = list(_MARK.finditer(text))
    cut = finish_reason == TRUNCATED
    found: dict[int, Item] = {}
    last = 0
    for place, mark in enumerate(marks):
        if mark[1].lower() == "end":
            break
        number = int(mark[1])
        stop = marks[place + 1].start() if place + 1 < len(marks) else len(text)
        last = number
        if number in found:
            found[number] = Item(number, reason=FORM, detail=f"number {number} stands there twice")
        elif number > count or number < 1:
            found[number] = Item(number, reason=SURPLUS, detail=f"{count} were asked for")
        elif cut and place == len(marks) - 1:
            found[number] = Item(number, reason=CUT_OFF)
        else:
            found[number] = _item(number, text[mark.end() : stop], system)
    for number in range(1, count + 1):
        if number not in found:
            lost = cut and number > last
            detail = "" if marks else f"no <<<1>>> in: {text[:80]!r}"
            found[number] = Item(number, reason=CUT_OFF if lost else MISSING, detail=detail)
    return [found[number] for number in sorted(found)]


def _item(number: int, text: str, system: bool) -> Item:
    parts = _ROLE.split(text)
    if parts[0].strip():
        return Item(number, reason=FORM, detail=f"text before the first role: {parts[0].strip()[:60]!r}")
    pairs = [(role.lower(), content.strip()) for role, content in zip(parts[1::2], parts[2::2], strict=True)]
    roles = [role for role, _ in pairs]
    wanted = ["system", "user"] if system else ["user"]
    if roles != wanted:
        return Item(number, reason=FORM, detail=f"roles {roles}, {wanted} were asked for")
    for role, content in pairs:
        if len(content) < SHORTEST or _PLACEHOLDER.match(content):
            return Item(number, reason=EMPTY, detail=f"{role}: {content[:60]!r}")
        if len(content) > LONGEST:
            return Item(number, reason=FORM, detail=f"{role}: {len(content)} characters")
    return Item(number, [{"role": role, "content": content} for role, content in pairs])
