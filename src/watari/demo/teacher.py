"""The demo's teacher: a script for `watari.endpoint.replay` that translates the little world and answers its questions.

It knows the form that requests have (numbered segments `[[1]] …`), not who sends them; what it does not know it says.
Its faults are planted: see `watari.demo.teacher_faults`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from watari.demo import author
from watari.demo.dialogue import conversations
from watari.demo.draws import Draw
from watari.demo.interpreter import Interpreter, retold, small_talk, wrong_answer
from watari.demo.teacher_faults import SHARE, STRONG, planned, with_fault, written

Body = Mapping[str, Any]
Said = dict[str, Any]
_MARK: Final = re.compile(r"^\[\[(\d+)\]\][ \t]*", re.M)
_INLINE: Final = re.compile(r"\[\[(\d+)\]\]")
_KANA: Final = re.compile(r"[぀-ヿ一-鿿]")
_UNKNOWN: Final = {"en": "I do not know.", "ja": "分かりません。"}


def answer(body: Body, choice: int, options: Mapping[str, str]) -> Said:
    """Return what the teacher says to a request.

    Args:
        body: Of a request to /v1/chat/completions; a model whose name ends in `-strong` is the better teacher.
        choice: Which of `n` answers: the first is the best one.
        options: `seed`; `faults`, the share of requests that get one (0.14).
    """
    messages = [
        {"role": str(message.get("role")), "content": str(message.get("content") or "")}
        for message in body.get("messages") or ()
    ]
    if not messages:
        return {"text": "This teacher speaks the chat interface only.", "status": 400}
    seed = options.get("seed", "0")
    share = float(options.get("faults", str(SHARE)))
    strong = str(body.get("model", "")).endswith(STRONG)
    wanted = segments(messages[-1]["content"])
    if wanted:
        return _translation(messages, wanted, seed, share, strong, body.get("max_tokens"))
    last = messages[-1]["content"]
    draw = Draw(seed, "author", choice, last)
    noise = share / 10 if strong else share
    if author.INSTRUCTIONS in last:
        return {"text": author.instructions(last, draw, noise)}
    if parts := author.parts_to_judge(last):
        return {"text": author.verdict(last, parts, draw, noise / 2)}
    if numbers := _INLINE.findall(last):
        return {"text": _task(messages, sorted({int(number) for number in numbers}), seed)}
    if author.shown(last) and (question := author.next_question(last, draw)):
        return {"text": question}
    return {"text": _conversation(messages, seed, share, strong, choice)}


def _task(messages: Sequence[Mapping[str, str]], numbers: Sequence[int], seed: str) -> str:
    """Write a task of the world and its answer in Japanese, as segments: where a request only says which it wants."""
    number = Draw(seed, "task", *(message["content"] for message in messages)).below(1_000_000)
    for row in conversations(seed=number, count=20, language="ja", level="easy"):
        talk = [message["content"] for message in row["messages"] if message["role"] != "system"]
        if len(talk) >= len(numbers):
            break
    return written(dict(zip(numbers, talk, strict=False)))


def segments(text: str) -> dict[int, str]:
    """Return the numbered segments of a message; {} if there are none."""
    marks = list(_MARK.finditer(text))
    if not marks:
        return {}
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return {int(mark[1]): text[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)}


def translated(
    wanted: Mapping[int, str], before: Sequence[Mapping[str, str]] = ()
) -> tuple[dict[int, str], list[int]]:
    """Translate segments into Japanese.

    Args:
        wanted: By number.
        before: Earlier messages, whose segments say what these are about.

    Returns:
        The translations, and the numbers of those that are not of this world (they stay as they are).
    """
    interpreter = Interpreter("en", "ja")
    for message in before:
        if message["role"] == "user":
            for number, text in segments(message["content"]).items():
                if number not in wanted:
                    interpreter.translated(text)
    found, unknown = {}, []
    for number, text in wanted.items():
        japanese = interpreter.translated(text)
        if japanese is None:
            unknown.append(number)
        found[number] = text if japanese is None else japanese
    return found, unknown


def _translation(
    messages: Sequence[Mapping[str, str]],
    wanted: Mapping[int, str],
    seed: str,
    share: float,
    strong: bool,
    most: int | None,
) -> Said:
    right, _ = translated(wanted, messages[:-1])
    # A repair shows the same segments before, with the answer that was not good.
    repair = (
        len(messages) > 2
        and messages[-2]["role"] == "assistant"
        and segments(messages[-3]["content"]) == wanted
    )
    plan = planned(wanted, seed=seed, share=share, strong=strong, repair=repair, most=most)
    if not plan.fault:
        return {"text": written(right)}
    text, reason = with_fault(plan, wanted, right)
    return {"text": text, "finish_reason": reason}


def language_of(text: str) -> str:
    """Return `ja` if there is a Japanese letter in it, else `en`."""
    return "ja" if _KANA.search(text) else "en"


def _conversation(
    messages: Sequence[Mapping[str, str]], seed: str, share: float, strong: bool, choice: int
) -> str:
    """Answer the last message in its own language; choices after the first, and a share of the first ones, are worse."""
    last = messages[-1]["content"].strip()
    language = language_of(last)
    draw = Draw(seed, "answer", choice, *(message["content"] for message in messages))
    chatted = small_talk(last, language, Draw(seed, "chat", choice, last))
    if chatted is not None:
        return chatted
    heard = [message["content"] for message in messages if message["role"] != "assistant"]
    asked = author.last_asked(heard, language)
    repair = asked is None and len(messages) > 2 and messages[-2]["role"] == "assistant"
    if repair:
        # What was wrong with the answer is told; the question stands before it.
        language = language_of(heard[-2])
        asked = author.last_asked(heard[:-1], language)
        chatted = small_talk(heard[-2].strip(), language, Draw(seed, "chat", choice, heard[-2]))
        if chatted is not None:
            return chatted
    if asked is None:
        return _UNKNOWN[language]
    right = asked.answer.of(language)[0]
    likely = 0.6 if choice else share / 10 if strong else share
    faulty = draw.chance(likely / 3 if repair else likely)
    if not faulty:
        return right
    facts = [fact for message in messages for fact in retold(message["content"], language)]
    kind = draw.weighted((("wrong", 4), ("language", 2), ("rambling", 2)))
    if kind == "wrong" and (wrong := wrong_answer(asked, language, draw, facts)):
        return wrong
    if kind == "language":
        return asked.answer.of("ja" if language == "en" else "en")[0]
    return _RAMBLING[language].format(answer=right)


_RAMBLING: Final = {
    "en": "Well, let me think about it for a while. {answer} At least that is what I believe.",
    "ja": "そうですね、少し考えてみましょう。{answer}たぶんそうだと思います。",
}


def plans(sources: Iterable[Mapping[int, str]], *, seed: str = "0", share: float = SHARE) -> dict[str, int]:
    """Return how many first requests get each fault: what a demo's report can be held against."""
    counts: dict[str, int] = {}
    for wanted in sources:
        fault = planned(wanted, seed=seed, share=share, strong=False, repair=False).fault
        counts[fault] = counts.get(fault, 0) + 1
    return counts
