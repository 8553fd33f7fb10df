"""What the demo's teacher writes of its own: instructions in the world, a user's next message, a judge's verdict.

The forms are those in which it is asked: `<<<1>>>` … `<<<end>>>` for instructions, `[user]` lines for a conversation that is
shown, `<answer_a>` and `<answer_b>` for two answers to be compared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from watari.demo.asks import Ask
from watari.demo.dialogue import conversations
from watari.demo.draws import Draw
from watari.demo.facts import Fact
from watari.demo.interpreter import Interpreter, retold
from watari.demo.smalltalk import SMALL_TALK, SYSTEM

INSTRUCTIONS: Final = "<<<end>>>"
_SUBJECT: Final = re.compile(r"^[ \t]*(\d+)\.[ \t]+\S", re.M)
_SHOWN: Final = re.compile(r"^\[([^\[\]\n]{1,20})\]\n", re.M)
_PART: Final = re.compile(r"<(conversation|answer_a|answer_b)>\n?(.*?)\n?</\1>", re.S)
_ASSISTANTS: Final = ("assistant", "アシスタント")
_OTHER: Final = {"en": "ja", "ja": "en"}


def instructions(request: str, draw: Draw, share: float) -> str:
    """Write as many instructions as the request has subjects, in the form that it shows.

    Args:
        request: The last message.
        draw: For everything that is drawn.
        share: Of instructions with a fault: in English, the one before once more, or out of form.
    """
    count = max([int(number) for number in _SUBJECT.findall(request)] or [1])
    system = "[[system]]" in request
    parts: list[str] = []
    text = ""
    for number in range(1, count + 1):
        fault = draw.weighted((("english", 1), ("again", 1), ("form", 1))) if draw.chance(share) else ""
        if fault != "again" or not text:
            text = _task(draw, "en" if fault == "english" else "ja")
        prompt = f"[[system]]\n{draw.pick(SYSTEM['ja'])}\n" if system else ""
        body = text if fault == "form" else f"{prompt}[[user]]\n{text}"
        parts.append(f"<<<{number}>>>\n{body}")
    return "\n".join([*parts, INSTRUCTIONS])


def _task(draw: Draw, language: str) -> str:
    """Return a story of the full world with a question about it."""
    for row in conversations(seed=draw.below(1 << 40), count=40, language=language, level="full"):
        group = json.loads(row["meta"])["group"]
        if group in ("copy", "choose", "yesno", "count"):
            first = next(message["content"] for message in row["messages"] if message["role"] == "user")
            return str(first)
    raise AssertionError("forty rows without a story")


def shown(text: str) -> list[tuple[str, str]]:
    """Return the (role, content) of a conversation that is shown with a `[role]` line over each message; [] if none is."""
    marks = list(_SHOWN.finditer(text))
    if not marks:
        return []
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return [(mark[1], text[mark.end() : end].strip()) for mark, end in zip(marks, ends, strict=True)]


def next_question(text: str, draw: Draw) -> str | None:
    """Return what the user of a shown conversation asks next: about the same story, what was not asked yet."""
    facts = retold(text, "ja")
    questions = [
        draw.pick(fact.ask(slot).question.ja)
        for fact in facts
        for slot in fact.slots
        if _open(fact, slot, text)
    ]
    return draw.pick(questions) if questions else None


def _open(fact: Fact, slot: str, text: str) -> bool:
    return not any(question in text for question in fact.ask(slot).question.ja)


def parts_to_judge(text: str) -> Mapping[str, str]:
    """Return {conversation, answer_a, answer_b} of a request to compare two answers; {} if it is none."""
    found = {match[1]: match[2].strip() for match in _PART.finditer(text)}
    return found if len(found) == 3 else {}


def verdict(request: str, parts: Mapping[str, str], draw: Draw, share: float) -> str:
    """Compare two answers by what the story says.

    Args:
        request: The last message: it says whether JSON is wanted.
        parts: Of it, as `parts_to_judge` returns them.
        draw: For everything that is drawn.
        share: Of verdicts that fall for the answer that is shown first.
    """
    messages = shown(parts["conversation"]) or [("user", parts["conversation"])]
    a, b = (worth(messages, parts[name]) for name in ("answer_a", "answer_b"))
    letter = "A" if a > b else "B" if b > a else "C"
    if draw.chance(share):
        letter = "A"
    if '"verdict"' in request:
        return json.dumps({"reason": "話の内容と比べました。", "verdict": letter}, ensure_ascii=False)
    return f"話に書かれていることと二つの回答を比べました。\n[[{letter}]]"


def worth(messages: Sequence[tuple[str, str]], answer: str) -> int:
    """Return 3 for a right answer to the conversation's last question, 2 for one with more around it, else 1 or 0."""
    language = "ja" if re.search(r"[぀-ヿ一-鿿]", messages[-1][1]) else "en"
    for user, answers in SMALL_TALK[language]:
        if messages[-1][1] == user:
            return 3 if answer in answers else 1
    asked = last_asked([text for role, text in messages if role not in _ASSISTANTS], language)
    if asked is None:
        return 1
    right = asked.answer.of(language)
    if answer in right:
        return 3
    return 2 if right[0] in answer else 1 if answer in asked.answer.of(_OTHER[language]) else 0


def last_asked(texts: Sequence[str], language: str) -> Ask | None:
    """Return the question that the last of some messages asks, understood by those before it."""
    interpreter = Interpreter(language, _OTHER[language])
    asked = None
    for text in texts:
        asked = interpreter.answered(text.strip())
    return asked
