"""Invariants that the entries themselves are asked: what each id stands for, what is new, and how it ranks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from watari.pretrained.sentencepiece import SPACE, PieceKind
from watari.tokenizer.verify.sheet import CounterExample, Result
from watari.tokenizer.verify.subject import Subject, shown

_IN_FRONT = ("\n", "", "a")
"""What a new token is looked for behind: a line break joins with nothing; some words begin a text or follow a letter."""


def base_bytes(subject: Subject) -> Result:
    """I4: every base id stands for the same bytes, or for the same special token."""
    before, after = subject.base, subject.extended
    wrong = [index for index in range(len(before)) if index >= len(after) or not _same(subject, index)]
    example = None
    if wrong:
        first = wrong[0]
        now = after.shown([first]) if first < len(after) else ()
        example = CounterExample(f"id {first}", before.shown([first]), now, first)
    return Result(
        "base-bytes",
        "I4",
        "every id of the base stands for the same bytes",
        not wrong,
        len(before),
        len(wrong),
        example,
    )


def _same(subject: Subject, index: int) -> bool:
    before, after = subject.base.surfaces[index], subject.extended.surfaces[index]
    if before != after:
        return False
    return before is not None or subject.base.spelled(index) == subject.extended.spelled(index)


def base_scores(subject: Subject) -> Result:
    """I4: scores and kinds of the base's pieces."""
    title = "scores and kinds of the base's pieces are untouched"
    before, after = subject.base.files.spm, subject.extended.files.spm
    if before is None or after is None:
        return _unasked("base-scores", "I4", title, "not both have a SentencePiece tokenizer.model")
    wrong = [
        index
        for index, piece in enumerate(before.pieces)
        if index >= len(after.pieces) or after.pieces[index] != piece
    ]
    example = None
    if wrong:
        old = before.pieces[wrong[0]]
        now = tuple(f"{p.text} {p.kind.name} {p.score:g}" for p in after.pieces[wrong[0] : wrong[0] + 1])
        example = CounterExample(old.text, (f"{old.text} {old.kind.name} {old.score:g}",), now, wrong[0])
    return Result("base-scores", "I4", title, not wrong, len(before.pieces), len(wrong), example)


def base_merges(subject: Subject) -> Result:
    """I4: the base's merge list stands at the head of the extended one, unchanged."""
    title = "the base's merges stand first and in their order"
    if subject.base.files.fast is None or subject.extended.files.fast is None:
        return _unasked("base-merges", "I4", title, "not both have a tokenizer.json")
    before, after = list(subject.base.files.ranks), list(subject.extended.files.ranks)
    wrong = [rank for rank, pair in enumerate(before) if rank >= len(after) or after[rank] != pair]
    example = None
    if wrong:
        first = wrong[0]
        pair = before[first]
        example = CounterExample("".join(pair), pair, after[first] if first < len(after) else (), first)
    return Result("base-merges", "I4", title, not wrong, len(before), len(wrong), example)


def ranked_below(subject: Subject) -> Result:
    """I8: scores of new pieces are distinct in float32 and below all of the base's; their merges come last."""
    title = "every new piece ranks below every base piece, and no two alike"
    faults: list[CounterExample] = []
    cases = 0
    asked = False
    spm = subject.extended.files.spm
    if spm is not None and len(spm) > len(subject.base):
        asked = True
        # Pieces that are only blanks stand at -1e9, far below all others (facts: tokenizer §6.1).
        old = [
            p for p in spm.pieces[: len(subject.base)] if p.kind is PieceKind.NORMAL and p.text.strip(SPACE)
        ]
        floor = min((piece.score for piece in old), default=0.0)
        seen: dict[float, str] = {}
        for index, piece in enumerate(spm.pieces[len(subject.base) :], start=len(subject.base)):
            if piece.kind is not PieceKind.NORMAL:
                continue
            cases += 1
            score = float(np.float32(piece.score))
            if score >= floor or score in seen:
                other = f"{seen[score]} {score:.9g}" if score in seen else f"the base's lowest: {floor:.9g}"
                faults.append(CounterExample(piece.text, (other,), (f"{piece.text} {score:.9g}",), index))
            seen.setdefault(score, piece.text)
    vocabulary = subject.extended.files.vocabulary
    ranks = subject.extended.files.ranks
    if ranks and subject.new:
        asked = True
        size = len(subject.base)
        first_new: tuple[str, str] | None = None
        for rank, (left, right) in enumerate(ranks):
            cases += 1
            made = vocabulary.get(left + right, -1)
            if made >= size:
                first_new = first_new or (left, right)
            elif first_new is not None or max(vocabulary.get(left, 0), vocabulary.get(right, 0)) >= size:
                shown_first = "".join(first_new or (left, right))
                faults.append(CounterExample(left + right, (f"{left} + {right}",), (shown_first,), rank))
    if not asked:
        why = "no new token" if not subject.new else "neither scores nor merges are in the files given"
        return _unasked("ranked-below", "I8", title, why)
    return Result("ranked-below", "I8", title, not faults, cases, len(faults), faults[0] if faults else None)


def strict_pieces(subject: Subject) -> Result:
    """Every new piece holds a strict character, so that no text without one can hold it."""
    title = "every new piece holds a target-script character"
    if not subject.new:
        return _unasked("strict-pieces", "I1", title, "no new token")
    wrong: list[int] = []
    special = 0
    for index in subject.new:
        added = subject.extended.files.added.get(index)
        if added is not None and added.special:
            special += 1
            continue
        if not subject.always_strict(subject.extended.spelled(index)):
            wrong.append(index)
    example = None
    if wrong:
        text = shown(subject.extended.spelled(wrong[0]))
        example = CounterExample(text, (), (text,), wrong[0])
    note = f"{special:,} new ids are special tokens" if special else ""
    return Result(
        "strict-pieces",
        "I1",
        title,
        not wrong,
        len(subject.new) - special,
        len(wrong),
        example,
        note,
    )


def model_pieces(subject: Subject) -> Result:
    """New tokens are pieces of the model; an added token is cut out of a text before the base sees it."""
    title = "every new token is made by the model, none is cut out of the text before it"
    if not subject.new:
        return _unasked("model-pieces", "I2", title, "no new token")
    if subject.extended.files.spm is None and subject.extended.files.fast is None:
        return _unasked("model-pieces", "I2", title, "the files given tell nothing of added tokens")
    added = subject.extended.files.added
    wrong = [index for index in subject.new if index in added and not added[index].special]
    example = None
    if wrong:
        text = added[wrong[0]].content
        example = CounterExample(text, (), (text,), wrong[0])
    return Result("model-pieces", "I2", title, not wrong, len(subject.new), len(wrong), example)


def reachable(subject: Subject) -> Result:
    """I6: the text of every new token, standing alone inside a text, comes out as that token."""
    title = "every new token comes out where its text stands alone"
    texts: dict[int, str] = {}
    left_out = 0
    for index in subject.new:
        added = subject.extended.files.added.get(index)
        text = _text(subject.extended.spelled(index))
        if text is None or not text or (added is not None and added.special):
            left_out += 1
        else:
            texts[index] = text
    if not texts:
        return _unasked("reachable", "I6", title, "no new token that is a text by itself")
    missing = list(texts)
    for front in _IN_FRONT:
        encoded = subject.extended.encoder.encode([front + texts[index] for index in missing])
        missing = [index for index, ids in zip(missing, encoded, strict=True) if not _ends_with(ids, index)]
    example = None
    if missing:
        text = texts[missing[0]]
        (ids,) = subject.extended.encoder.encode([_IN_FRONT[0] + text])
        example = CounterExample(
            text, (text,), subject.extended.shown(ids), missing[0], "", ("wanted", "extended")
        )
    note = f"{left_out:,} special tokens and parts of characters were not asked" if left_out else ""
    return Result("reachable", "I6", title, not missing, len(texts), len(missing), example, note)


def _ends_with(ids: Iterable[int], index: int) -> bool:
    found = list(ids)
    return bool(found) and int(found[-1]) == index


def _text(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _unasked(name: str, law: str, title: str, reason: str) -> Result:
    return Result(name, law, title, None, 0, 0, None, reason)
