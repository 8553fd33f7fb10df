"""A conversation as numbered segments, and the answer read back into it.

The form, in the last user message of a request (whatever stands before the first mark is for the model):

    [[1]] Hello, how are you?

    [[2]] Fine. See ⟦1⟧.

and in the answer the same marks with the translations: `[[1]] こんにちは。お元気ですか？`. A segment is a message; of a long
message, a run of its blocks (paragraphs, list, table), so that a request can be cut between any two segments. What holds
nothing to translate (only code, only digits) is no segment and stays as it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from watari.synth.cutting import pieces_of
from watari.synth.ladder import Message, Messages, Unreadable
from watari.synth.masking import Comments, Masks, faults, mask, translatable, unmask

SEGMENT = 1500
"""Characters of a segment at most, where its blocks allow it."""

# A mark may be bold (then on both sides) and may have a colon that a blank follows; all else belongs to the text.
_AROUND = r"^[ \t]*(\*\*|__)?{}(?(1)\1)(?:[:：](?=\s|\Z))?[ \t　]*"
_NUMBER = r"\s*(?P<number>[0-9０-９]+)\s*"
_MARK_STYLES = (
    re.compile(_AROUND.format(rf"[\[［]{{2}}{_NUMBER}[\]］]{{2}}"), re.M),
    re.compile(_AROUND.format(rf"[【〔\[［]{_NUMBER}[】〕\]］]"), re.M),
    re.compile(rf"^[ \t]*<(?:segment\s+id=\"?|seg\s*|s\s*)?{_NUMBER}\"?>[ \t]*", re.M | re.I),
)
_FENCED = re.compile(r"\A\s*```[a-z]*\n(.*?)\n?```\s*\Z", re.S)
_THINKING = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>\s*", re.S)


@dataclass(frozen=True, slots=True)
class Segment:
    """One numbered piece of a conversation.

    Args:
        number: From 1, through the whole conversation.
        turn: The message that it belongs to, from 0.
        role: Of that message.
        text: What is sent, with tokens for what was masked; no blanks at its ends.
    """

    number: int
    turn: int
    role: str
    text: str


@dataclass(slots=True)
class Segmented:
    """A conversation taken apart; `joined` puts a translation together again.

    Args:
        segments: In order; may be none.
        masks: What stands behind the tokens.
        turns: For every message its role, and its pieces: a number stands for that segment, a text for itself.
    """

    segments: list[Segment]
    masks: Masks
    turns: list[tuple[str, list[int | str]]]

    @property
    def characters(self) -> int:
        """Characters that are sent for translation."""
        return sum(len(segment.text) for segment in self.segments)

    def joined(self, translations: Mapping[int, str]) -> Messages:
        """Return the conversation with every segment's translation in its place and the masks undone."""
        return [
            {
                "role": role,
                "content": unmask(
                    "".join(translations[piece] if isinstance(piece, int) else piece for piece in pieces),
                    self.masks,
                ),
            }
            for role, pieces in self.turns
        ]

    def mask_faults(self, translations: Mapping[int, str]) -> list[tuple[Segment, str]]:
        """Return what is wrong with the tokens of a translation, each with its segment."""
        # Without masks an invented token is seen all the same.
        if not self.masks.texts and not any("⟦" in text for text in translations.values()):
            return []
        return [
            (segment, told)
            for segment in self.segments
            if segment.number in translations
            for told in faults(segment.text, translations[segment.number], self.masks)
        ]


def segmented(
    messages: Iterable[Mapping[str, str]],
    *,
    translate: Callable[[Message], bool] = lambda message: True,
    code: Comments = "keep",
    size: int = SEGMENT,
) -> Segmented:
    """Take a conversation apart.

    Args:
        messages: The source.
        translate: False for a message that stays as it is.
        code: What is done with code blocks; see `masking.mask`.
        size: Characters of a segment at most; a block that is longer is cut between lines, then between sentences.
    """
    found = Segmented([], Masks(), [])
    for turn, message in enumerate(messages):
        role, content = message["role"], message["content"]
        if not translate({"role": role, "content": content}):
            found.turns.append((role, [content]))
            continue
        pieces: list[int | str] = []
        for piece in pieces_of(mask(content, found.masks, code=code), size):
            text = piece.strip()
            if not text or not translatable(text):
                pieces.append(piece)
                continue
            start = piece.index(text)
            segment = Segment(len(found.segments) + 1, turn, role, text)
            found.segments.append(segment)
            pieces += [
                part for part in (piece[:start], segment.number, piece[start + len(text) :]) if part != ""
            ]
        found.turns.append((role, pieces))
    return found


def parts(segments: Sequence[Segment], characters: int) -> list[list[Segment]]:
    """Return the segments in runs of at most `characters` (a longer segment stands alone), cut where it is even.

    A conversation that fits into one request is one run.
    """
    total = sum(len(segment.text) for segment in segments)
    if total <= characters:
        return [list(segments)] if segments else []
    runs = -(-total // characters)
    wanted = total / runs
    found: list[list[Segment]] = [[]]
    filled = 0
    for segment in segments:
        if found[-1] and (
            filled + len(segment.text) > characters
            or (filled + len(segment.text) / 2 > wanted and len(found) < runs)
        ):
            found.append([])
            filled = 0
        found[-1].append(segment)
        filled += len(segment.text)
    return found


def written(segments: Iterable[Segment], texts: Mapping[int, str] | None = None) -> str:
    """Return segments in the form that is sent; with `texts`, those instead of their own."""
    return "\n\n".join(
        f"[[{segment.number}]] {segment.text if texts is None else texts[segment.number]}"
        for segment in segments
    )


def read_answer(answer: str, segments: Sequence[Segment]) -> dict[int, str] | Unreadable:
    """Return the translations by number, or why they cannot be told apart.

    Numbers may stand in other brackets or be full-width, blank lines may be many, the whole may be JSON or stand in a
    fence; what comes before the first mark is passed over. Every segment must be there once, or nothing is read. Where
    one segment alone was sent and no mark came back, the answer is its translation.
    """
    text = _THINKING.sub("", answer)
    if not text.strip():
        return Unreadable("the answer is empty", "empty")
    wanted = [segment.number for segment in segments]
    if (found := _from_json(text, wanted)) is not None:
        return found
    if fenced := _FENCED.match(text):
        text = fenced[1]
    marked: list[int] = []
    for place, style in enumerate(_MARK_STYLES):
        marks = list(style.finditer(text))
        numbers = [int(unicodedata.normalize("NFKC", mark["number"])) for mark in marks]
        if place == 0:
            marked = numbers
        # In brackets that texts use too, only the exact row of numbers is a row of marks.
        if (
            sorted(numbers) == wanted
            if place == 0
            else numbers == wanted and not text[: marks[0].start()].strip()
        ):
            ends = [mark.start() for mark in marks[1:]] + [len(text)]
            return {
                number: text[mark.end() : end].strip()
                for number, mark, end in zip(numbers, marks, ends, strict=True)
            }
    if not marked and len(wanted) == 1:
        return {wanted[0]: text.strip()}
    return Unreadable(_why(wanted, marked), "segments")


def _why(wanted: list[int], marked: list[int]) -> str:
    if not marked:
        return f"the answer has no [[n]] marks; segments {_listed(wanted)} were sent"
    missing = [number for number in wanted if number not in marked]
    twice = sorted({number for number in marked if marked.count(number) > 1})
    strange = sorted({number for number in marked if number not in wanted})
    told = [
        f"{what} [[{']], [['.join(map(str, numbers[:8]))}]]"
        for what, numbers in (("without", missing), ("twice", twice), ("not sent:", strange))
        if numbers
    ]
    return "the answer's segments are not those that were sent: " + ", ".join(told)


def _listed(numbers: list[int]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _from_json(text: str, wanted: list[int]) -> dict[int, str] | None:
    """Return the translations of an answer that is JSON: {"1": "…"} or [{"id": 1, "text": "…"}], bare or in a fence."""
    fenced = _FENCED.match(text)
    bare = (fenced[1] if fenced else text).strip()
    if bare[:1] not in "{[" or bare[:2] == "[[":
        return None
    try:
        value = orjson.loads(bare)
    except orjson.JSONDecodeError:
        return None
    if isinstance(value, dict) and len(value) == 1 and isinstance(next(iter(value.values())), list | dict):
        value = next(iter(value.values()))
    pairs: list[tuple[object, object]] = []
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list) and all(isinstance(item, dict) and len(item) == 2 for item in value):
        for item in value:
            numbers = [name for name in item if name in ("id", "n", "number", "segment", "index")]
            texts = [name for name in item if name not in numbers]
            if len(numbers) != 1:
                return None
            pairs.append((item[numbers[0]], item[texts[0]]))
    read: dict[int, str] = {}
    for name, told in pairs:
        digits = unicodedata.normalize("NFKC", str(name)).strip("[]【】 ")
        if not digits.isdecimal() or not isinstance(told, str) or int(digits) in read:
            return None
        read[int(digits)] = told.strip()
    return read if sorted(read) == wanted else None


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was translated before: carried over, so that names and tone go on.

    Args:
        segments: What was sent.
        translations: What came back, with tokens.
    """

    segments: Sequence[Segment] = ()
    translations: Mapping[int, str] = field(default_factory=dict)

    def tail(self, characters: int) -> Exchange:
        """Return its last segments, of at most `characters`, at least one."""
        kept: list[Segment] = []
        size = 0
        for segment in reversed(self.segments):
            size += len(segment.text)
            if kept and size > characters:
                break
            kept.append(segment)
        kept.reverse()
        return Exchange(kept, {segment.number: self.translations[segment.number] for segment in kept})
