"""Invariants that are asked of texts: I1, I2, I3, and that all forms of the tokenizer agree (I5, I9)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from watari.tokenizer.encoder import Ids
from watari.tokenizer.verify.boundaries import first_cut, not_coarser
from watari.tokenizer.verify.forms import Form
from watari.tokenizer.verify.sheet import CounterExample, Result
from watari.tokenizer.verify.shrink import shrunk
from watari.tokenizer.verify.subject import Batch, Subject


class Question(Protocol):
    """One invariant, asked of batch after batch."""

    def ask(self, batch: Batch) -> None:
        """Look at some texts."""

    def result(self) -> Result:
        """Return what was found."""


class _Tally:
    """Counts cases and failures, and keeps the shortest text that fails."""

    def __init__(self) -> None:
        self.cases = 0
        self.failures = 0
        self.text: str | None = None
        self.found_in = ""

    def fail(self, text: str, found_in: str) -> None:
        self.failures += 1
        if self.text is None or len(text) < len(self.text):
            self.text, self.found_in = text, found_in

    def counter_example(
        self, fails: Callable[[str], bool], show: Callable[[str, str], CounterExample]
    ) -> CounterExample | None:
        """Return the failing text, shrunk; as it was, if it fails in its batch only."""
        if self.text is None:
            return None
        text = shrunk(self.text, fails) if fails(self.text) else self.text
        return show(text, self.found_in)


class Unchanged:
    """I1: a text without target-script characters keeps its ids."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.tally = _Tally()
        self.documents = 0
        self.plain = 0
        self.same = 0
        self.same_plain = 0

    def ask(self, batch: Batch) -> None:
        """Ask texts without such characters as they are, and the others with those characters taken out."""
        taken_out: list[str] = []
        names: list[str] = []
        for text, name, base, extended in zip(
            batch.texts, batch.names, batch.base, batch.extended, strict=True
        ):
            same = np.array_equal(base, extended)
            inside = not self.subject.has_strict(text)
            if not batch.fuzz:
                self.documents += 1
                self.plain += inside
                self.same += same
                self.same_plain += same and inside
            if inside:
                self._count(text, name, same)
            elif rest := self.subject.without_strict(text):
                taken_out.append(rest)
                names.append(name)
        before = self.subject.base.encoder.encode(taken_out)
        after = self.subject.extended.encoder.encode(taken_out)
        for text, name, one, other in zip(taken_out, names, before, after, strict=True):
            self._count(text, name, np.array_equal(one, other))

    def _count(self, text: str, name: str, same: bool) -> None:
        self.tally.cases += 1
        if not same:
            self.tally.fail(text, name)

    def result(self) -> Result:
        """Return what was found."""
        note = ""
        if self.documents:
            note = (
                f"documents with no such character that keep their ids: {self.same_plain:,} of {self.plain:,}; "
                f"of all documents: {self.same:,} of {self.documents:,}"
            )
        return Result(
            "unchanged",
            "I1",
            "text without target-script characters keeps its ids, token for token",
            not self.tally.failures,
            self.tally.cases,
            self.tally.failures,
            self.tally.counter_example(
                self._fails, lambda text, name: side_by_side(self.subject, text, name)
            ),
            note,
        )

    def _fails(self, text: str) -> bool:
        base, extended = _both(self.subject, text)
        return not np.array_equal(base, extended)


class Coarsening:
    """I2: the new segmentation of any text only joins whole tokens of the base's."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.tally = _Tally()

    def ask(self, batch: Batch) -> None:
        """Compare where tokens end, in bytes."""
        self.tally.cases += len(batch.texts)
        for place in self._wrong(batch.base, batch.extended):
            self.tally.fail(batch.texts[place], batch.names[place])

    def _wrong(self, base: Sequence[Ids], extended: Sequence[Ids]) -> list[int]:
        return not_coarser(base, extended, self.subject.base.lengths, self.subject.extended.lengths)

    def result(self) -> Result:
        """Return what was found."""
        return Result(
            "coarsening",
            "I2",
            "the new segmentation of any text only joins whole tokens of the base's",
            not self.tally.failures,
            self.tally.cases,
            self.tally.failures,
            self.tally.counter_example(
                lambda text: bool(self._wrong(*([ids] for ids in _both(self.subject, text)))), self._show
            ),
        )

    def _show(self, text: str, name: str) -> CounterExample:
        base, extended = _both(self.subject, text)
        before, after = self.subject.base, self.subject.extended
        position = first_cut(base, extended, before.lengths, after.lengths)
        return CounterExample(text, before.shown(base), after.shown(extended), position, name)


class RoundTrip:
    """I3: a text comes back as the base brings it back, so that what the base keeps is kept."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.tally = _Tally()
        self.lossy = 0
        self.example = ""

    def ask(self, batch: Batch) -> None:
        """Decode what both encoded."""
        decode, decode_base = self.subject.extended.encoder.decode, self.subject.base.encoder.decode
        self.tally.cases += len(batch.texts)
        for text, name, base, extended in zip(
            batch.texts, batch.names, batch.base, batch.extended, strict=True
        ):
            back = decode_base(base.tolist())
            if back != text:
                self.lossy += 1
                if not self.example or len(text) < len(self.example):
                    self.example = text
            if decode(extended.tolist()) != back:
                self.tally.fail(text, name)

    def result(self) -> Result:
        """Return what was found."""
        note = ""
        if self.lossy:
            kept = shrunk(self.example, self._changed)
            note = f"the base itself gives {self.lossy:,} of them back changed, e.g. {kept!r}"
        return Result(
            "round-trip",
            "I3",
            "decoding gives every text back as the base does",
            not self.tally.failures,
            self.tally.cases,
            self.tally.failures,
            self.tally.counter_example(self._fails, self._show),
            note,
        )

    def _decoded(self, text: str) -> tuple[str, str]:
        base, extended = _both(self.subject, text)
        return (
            self.subject.base.encoder.decode(base.tolist()),
            self.subject.extended.encoder.decode(extended.tolist()),
        )

    def _changed(self, text: str) -> bool:
        return self._decoded(text)[0] != text

    def _fails(self, text: str) -> bool:
        before, after = self._decoded(text)
        return before != after

    def _show(self, text: str, name: str) -> CounterExample:
        before, after = self._decoded(text)
        same = next((at for at, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), None)
        position = min(len(before), len(after)) if same is None else same
        return CounterExample(text, (before,), (after,), position, name)


class Agreement:
    """I5, I9: another form of the tokenizer gives the same ids.

    A text that spells a user-defined piece of the base ([REFERENCE_DOC_1] of Mistral v3) is no case: sentencepiece gives the text
    a leading blank before it looks for such pieces, `tokenizers` after, and so the base's own two forms differ on it.
    What stands between the pieces must agree all the same.
    """

    def __init__(self, subject: Subject, form: Form) -> None:
        self.subject = subject
        self.form = form
        self.tally = _Tally()
        self.left_out = 0
        self.user_defined = [
            token.content
            for index, token in subject.base.files.added.items()
            if not token.special and index < len(subject.base)
        ]

    def ask(self, batch: Batch) -> None:
        """Compare the ids of the form with those of the extended tokenizer."""
        if self.form.encode is None and not self.form.leading:
            return
        self.tally.cases += len(batch.texts)
        found = batch.extended if self.form.encode is None else self.form.encode(batch.texts)
        for text, name, ids, other in zip(batch.texts, batch.names, batch.extended, found, strict=True):
            if np.array_equal(ids, other):
                continue
            if self._agrees_between(text):
                self.tally.cases -= 1
                self.left_out += 1
            else:
                self.tally.fail(text, name)

    def result(self) -> Result:
        """Return what was found."""
        holds = not self.tally.failures if self.form.encode is not None or self.form.leading else None
        return Result(
            self.form.name,
            "I5 I9",
            f"{self.form.title} gives the same ids",
            False if self.form.broken else holds,
            self.tally.cases,
            self.tally.failures,
            self.tally.counter_example(self._fails, self._show),
            self.form.reason or self._note(),
        )

    def _note(self) -> str:
        if self.form.leading:
            return "the form that all others are compared with"
        said = ["asked of a sample of lines"] if self.form.sampled else []
        if self.left_out:
            said.append(
                f"{self.left_out} texts differ at a user-defined piece that they spell, and nowhere else; left out"
            )
        return "; ".join(said)

    def _agrees_between(self, text: str) -> bool:
        """True if the text spells user-defined pieces, and each part between them gets the same ids by itself."""
        if not any(piece in text for piece in self.user_defined):
            return False
        longest_first = sorted(self.user_defined, key=len, reverse=True)
        parts = re.split("|".join(map(re.escape, longest_first)), text)
        return all(np.array_equal(*self._ids(part)) for part in parts if part)

    def _ids(self, text: str) -> tuple[Ids, Ids]:
        assert self.form.encode is not None
        return self.subject.extended.encoder.encode([text])[0], self.form.encode([text])[0]

    def _fails(self, text: str) -> bool:
        ours, other = self._ids(text)
        return not np.array_equal(ours, other)

    def _show(self, text: str, name: str) -> CounterExample:
        ours, other = self._ids(text)
        half = self.subject.extended
        position = first_difference(ours, other)
        sides = (half.encoder.name, self.form.title)
        return CounterExample(text, half.shown(ours), half.shown(other), position, name, sides)


def side_by_side(subject: Subject, text: str, found_in: str) -> CounterExample:
    """Return what base and extended tokenizer make of a text."""
    base, extended = _both(subject, text)
    return CounterExample(
        text,
        subject.base.shown(base),
        subject.extended.shown(extended),
        first_difference(base, extended),
        found_in,
    )


def first_difference(one: Ids, other: Ids) -> int:
    """Return the place of the first token that differs; the shorter length if there is none."""
    size = min(len(one), len(other))
    places = np.flatnonzero(one[:size] != other[:size])
    return int(places[0]) if places.size else size


def _both(subject: Subject, text: str) -> tuple[Ids, Ids]:
    return subject.base.encoder.encode([text])[0], subject.extended.encoder.encode([text])[0]
